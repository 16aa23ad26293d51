# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a fleet goes back to. Each release is written as its code; on each host it has a name of its own."""

from __future__ import annotations

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_targets import Lived, Standing, standing_of, targets
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused


def host(number: int, lived: str, there: str | None = None, live: str | None = None) -> Standing:
    """:param lived: "A1 B2 A3r": what became live at which time, the last last; r for a rollback
    :param there: what is on disk, by default all of it, oldest first
    """
    entries = [Lived(f"{number}-{word[0]}", word[1:].rstrip("r"), "rolled back" if word[-1] == "r" else "deployed")
               for word in lived.split()]  # fmt: skip
    codes = sorted({word[0] for word in lived.split()}) if there is None else list(there)
    now = live or (entries[-1].release if entries else None)
    last: dict[str, Lived] = {}
    for entry in entries:
        last.pop(entry.release, None)
        last[entry.release] = entry
    return Standing(now, {f"{number}-{code}": code for code in codes}, list(last.values()))


def fleet(*lived: str | tuple[str, str]) -> dict[str, Standing]:
    given = [(item,) if isinstance(item, str) else item for item in lived]
    return {f"web{number}": host(number, *item) for number, item in enumerate(given, 1)}


def previous(hosts: dict[str, Standing]) -> dict[str, str]:
    return targets(hosts, dict.fromkeys(hosts, "previous"))


@pytest.mark.parametrize(
    ("hosts", "wanted"),
    [
        # All on the same.
        (fleet("A1 B2", "A1 B2"), "A A"),
        (fleet("A1 B2 C3", "A1 B3 C4"), "B B"),
        # Back from a rollback: where it came from, as on one host.
        (fleet("A1 B2 C3 B4r", "A1 B2 C3 B4r"), "C C"),
        # A release that was stopped: the rest is left alone.
        (fleet("A1 B2", "A1", "A1"), "A . ."),
        (fleet("X0 A1 B2", "X0 A1"), "A ."),
        (fleet("A1 B2", "A1 B2", "A1"), "A A ."),
        # An older one that was to be deployed again, stopped.
        (fleet("A1 B2 C3 A4", "A1 B2 C3"), "C ."),
        # A rollback that was stopped goes on, and no host goes forward.
        (fleet("A1 B2 C3", "A1 B2 C3 B4r"), "B ."),
        (fleet("A1 B2 C3 B4r", "A1 B2 C3", "A1 B2 C3 B4r"), ". B ."),
        # Stopped and taken back: the one that nobody else ever had is no target.
        (fleet("X0 A1 B2 A3r", "X0 A1"), "X X"),
        # A host that is new, or has fewer releases, decides with the others.
        (fleet("A1 B2 C3", "B2 C3"), "B B"),
        (fleet("A1 B2 C3", ("A1 B2 C3", "AC")), "A A"),
        # One that was not there when the last one came.
        (fleet("X0 A1", "X0 A1", "X0"), "X X ."),
        # The clocks differ, or one went back: of a host's own releases its order counts.
        (fleet("A9 B2", "A1 B2"), "A A"),
        (fleet("A B C", "A B C"), "B B"),
        # The same code was built twice.
        ({"web1": Standing("3", {"1": "A", "2": "A", "3": "B"}, [Lived("1", "1", ""), Lived("3", "2", "")]),
          "web2": host(2, "A1 B2")}, "! A"),
    ],
)  # fmt: skip
def test_previous(hosts: dict[str, Standing], wanted: str) -> None:
    found = previous(hosts)
    told = [found.get(name, "-.")[-1] for name in hosts]
    # Of two with the same code, the newer one.
    assert " ".join("!" if release == "2" else release for release in told) == wanted


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (fleet("A1", "A1"), "none was live before the one that is"),
        (fleet("A1 B2", "B2"), "none was live before on all hosts and is still there; web2 has not 1-A"),
        (fleet("A1 B2", ("A1 B2", "B"), "B1"), "web2, web3 have not 1-A"),
        (fleet("A1 B2", ("", "")), "web2 has not "),
        (fleet(("", ""), ("", "")), "none was live before the one that is"),
        (fleet("A1 B2", *["B2"] * 7), "web2, web3, web4, web5, web6 and 2 more have not 1-A"),
    ],
)
def test_previous_is_refused(hosts: dict[str, Standing], words: str) -> None:
    with pytest.raises(Refused) as caught:
        previous(hosts)
    assert str(caught.value).startswith(
        'gunicorn_app_release: "previous" is refused; accepted: the name of a release; '
    )
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("lived", "there", "wanted"),
    [
        ("A1 B2", None, "1-A"),
        ("A1 B2 A3r", None, "1-B"),
        ("A1 B2 C3", "AC", "1-A"),
        ("A9 B2", None, "1-A"),
        ("A B", None, "1-A"),
    ],
)
def test_one_host(lived: str, there: str | None, wanted: str) -> None:
    assert previous({"web1": host(1, lived, there)}) == {"web1": wanted}


def test_one_host_after_another_python() -> None:
    """The code is the same, and so only the names tell which was before."""
    releases = {"1-a": "A", "2-b": "A"}
    standing = Standing("2-b", releases, [Lived("1-a", "1", "deployed"), Lived("2-b", "2", "deployed")])
    assert previous({"web1": standing}) == {"web1": "1-a"}


def test_one_host_whose_live_release_is_damaged() -> None:
    assert previous({"web1": host(1, "A1 B2", "A")}) == {"web1": "1-A"}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        # The name that one host has for it, or each its own, or what all names end in.
        (["1-A"] * 2, {"web1": "1-A", "web2": "2-A"}),
        (["2-A"] * 2, {"web1": "1-A", "web2": "2-A"}),
        (["1-A", "2-A"], {"web1": "1-A", "web2": "2-A"}),
        (["A"] * 2, {"web1": "1-A", "web2": "2-A"}),
        # All hosts, also those that have it live: its settings may be others.
        (["1-B"] * 2, {"web1": "1-B", "web2": "2-B"}),
    ],
)
def test_named(wanted: list[str], found: dict[str, str]) -> None:
    hosts = fleet("A1 B2", "A1 B2")
    assert targets(hosts, dict(zip(hosts, wanted, strict=True))) == found


def test_one_that_was_never_live_can_be_named() -> None:
    hosts = fleet(("A1", "AB"), ("A1", "AB"))
    assert targets(hosts, dict.fromkeys(hosts, "1-B")) == {"web1": "1-B", "web2": "2-B"}


@pytest.mark.parametrize(
    ("hosts", "wanted", "words"),
    [
        (fleet("A1 B2"), ["1-C"], '"1-C" is refused; accepted: previous, or one of those on this host: 1-A, 1-B'),
        (fleet(("", "")), ["1-C"], "on this host: there is none"),
        (
            fleet("A1 B2", "A1 B2"),
            ["1-C"] * 2,
            '"1-C" is refused; accepted: previous, or one of those on all hosts, by their names on the first: 1-A, 1-B',
        ),
        (
            fleet("A1 B2", "B2"),
            ["1-A"] * 2,
            '"1-A" is refused; accepted: one that is on all hosts (1-B); web2 has it not',
        ),
        (fleet("A1 B2", "A1 B2"), ["1-A", "2-B"], '["1-A", "2-B"] is refused; accepted: releases of the same code'),
    ],
)
def test_a_name_is_refused(hosts: dict[str, Standing], wanted: list[str], words: str) -> None:
    with pytest.raises(Refused) as caught:
        targets(hosts, dict(zip(hosts, wanted, strict=True)))
    assert words in str(caught.value)


def test_from_what_a_host_has_said() -> None:
    said = {
        "name": "notes",
        "live": "1-a",
        "releases": [{"name": "1-a", "code": "A"}],
        "lived": [{"release": "1-a", "at": "2026", "how": "deployed"}],
    }
    assert standing_of(said) == Standing("1-a", {"1-a": "A"}, [Lived("1-a", "2026", "deployed")])
