# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which texts are networks, one spelling for each, and which together are everybody."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.networks import networks
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([], []),
        (["192.0.2.7"], ["192.0.2.7"]),
        (["192.0.2.7/32", "2001:db8::1/128"], ["192.0.2.7", "2001:db8::1"]),
        (["10.0.0.0/8", "10.1.0.0/16", "10.1.1.1"], ["10.0.0.0/8", "10.1.0.0/16", "10.1.1.1"]),
        (["2001:DB8:0:0::/32", "::1"], ["2001:db8::/32", "::1"]),
        (["0.0.0.0", "::"], ["0.0.0.0", "::"]),
        (["0.0.0.0/1", "::/1"], ["0.0.0.0/1", "::/1"]),
        (["64:ff9b::/96"], ["64:ff9b::/96"]),
    ],
)
def test_accepted(given: list[str], found: list[str]) -> None:
    assert networks("here", given, "why not") == found


def test_everybody_where_that_is_no_harm() -> None:
    assert networks("here", ["0.0.0.0/0", "::/0"]) == ["0.0.0.0/0", "::/0"]


FORM = "an address or a network such as 192.0.2.7, 10.0.0.0/8 or 2001:db8::/32"
TOGETHER = "networks that are not everybody together"


@pytest.mark.parametrize(
    ("given", "place", "value", "accepted"),
    [
        *(([value], "[0]", shown, FORM) for value, shown in [
            ("", '""'), ("all", '"all"'), ("localhost", '"localhost"'), ("10.0.0", '"10.0.0"'),
            ("10.0.0.256", '"10.0.0.256"'),
            ("10.0.0.1:80", '"10.0.0.1:80"'), ("10.0.0.0/33", '"10.0.0.0/33"'), ("10.0.0.0/-1", '"10.0.0.0/-1"'),
            ("10.0.0.0/", '"10.0.0.0/"'), ("10.0.0.0/255.0.0.0", '"10.0.0.0/255.0.0.0"'),
            ("10.0.0.0/8/8", '"10.0.0.0/8/8"'),
            ("10.0.0.1;", '"10.0.0.1;"'), ("10.0.0.1\n", '"10.0.0.1\\n"'), (" 10.0.0.1", '" 10.0.0.1"'),
            ("010.0.0.1", '"010.0.0.1"'),
            ("[::1]", '"[::1]"'), ("fe80::1%eth0", '"fe80::1%eth0"'), ("2001:db8::/129", '"2001:db8::/129"'),
            ("\u0661.1.1.1", '"\\u0661.1.1.1"'), ("unix:", '"unix:"'), ("10.0.0.0/\u0668", '"10.0.0.0/\\u0668"'),
            (167772160, "167772160"), (True, "true"), (None, "null"), (["10.0.0.1"], '["10.0.0.1"]'),
        ]),
        (["10.0.0.1/8"], "[0]", '"10.0.0.1/8"', "a network without host bits, 10.0.0.0/8"),
        (["2001:db8::1/32"], "[0]", '"2001:db8::1/32"', "a network without host bits, 2001:db8::/32"),
        (["::ffff:10.0.0.1"], "[0]", '"::ffff:10.0.0.1"', f"{FORM}; an IPv4 address in its own form"),
        (["::ffff:0:0/96"], "[0]", '"::ffff:0:0/96"', f"{FORM}; an IPv4 address in its own form"),
        (["::1", "0.0.0.0/0"], "[1]", '"0.0.0.0/0"', "a network that is not everybody: why not"),
        (["::/0"], "[0]", '"::/0"', "a network that is not everybody: why not"),
        (["10.0.0.1", "10.0.0.1"], "[1]", '"10.0.0.1"', "each network once; here[0] is the same one"),
        (["10.0.0.1", "10.0.0.1/32"], "[1]", '"10.0.0.1/32"', "each network once; here[0] is the same one"),
        (["::1", "0:0::1"], "[1]", '"0:0::1"', "each network once; here[0] is the same one"),
        (["0.0.0.0/1", "128.0.0.0/1"], "", '["0.0.0.0/1", "128.0.0.0/1"]', f"{TOGETHER}: why not"),
        (["::/1", "8000::/2", "c000::/2"], "", '["::/1", "8000::/2", "c000::/2"]', f"{TOGETHER}: why not"),
    ],
)  # fmt: skip
def test_refused(given: list[t.Any], place: str, value: str, accepted: str) -> None:
    with pytest.raises(Refused) as caught:
        networks("here", given, "why not")
    assert str(caught.value) == f"here{place}: {value} is refused; accepted: {accepted}"
