# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of refusal are compared: the field, the value and what is accepted are all part of the answer."""

from __future__ import annotations

import collections
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils import values
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused


class Text(str):
    """Stands for the tagged strings of ansible-core."""


class Whole(int):
    """Stands for the tagged integers of ansible-core."""


def refusal(check: t.Callable[..., t.Any], *args: t.Any, **kwargs: t.Any) -> str:
    with pytest.raises(Refused) as caught:
        check("here", *args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [
        ("", "weight", "weight"),
        ("servers[1]", "weight", "servers[1].weight"),
        ("servers[1]", "a b", 'servers[1]."a b"'),
        ("servers[1]", "a\n", 'servers[1]."a\\n"'),
        ("servers[1]", 5, "servers[1].5"),
        ("servers[1]", None, "servers[1].null"),
    ],
)
def test_field(path: str, key: object, expected: str) -> None:
    assert values.field(path, key) == expected


@pytest.mark.parametrize(
    ("value", "minimum", "maximum", "accepted"),
    [
        (0, 1, values.LARGEST, "an integer of 1 or more"),
        (-1, 0, values.LARGEST, "an integer of 0 or more"),
        (True, 1, values.LARGEST, "an integer of 1 or more"),
        (False, 0, values.LARGEST, "an integer of 0 or more"),
        (1.5, 1, values.LARGEST, "an integer of 1 or more"),
        (2.0, 1, values.LARGEST, "an integer of 1 or more"),
        ("2", 1, values.LARGEST, "an integer of 1 or more"),
        (None, 1, values.LARGEST, "an integer of 1 or more"),
        ([1], 1, values.LARGEST, "an integer of 1 or more"),
        ({}, 1, values.LARGEST, "an integer of 1 or more"),
        (2**31, 1, values.LARGEST, "an integer from 1 to 2147483647"),
        (6, 1, 5, "an integer from 1 to 5"),
        (0, 1, 5, "an integer from 1 to 5"),
    ],
)
def test_integer_refuses(value: object, minimum: int, maximum: int, accepted: str) -> None:
    assert refusal(values.integer, value, minimum, maximum).endswith(f" is refused; accepted: {accepted}")


@pytest.mark.parametrize("value", [0, 1, 2**31 - 1, Whole(3)])
def test_integer_accepts(value: int) -> None:
    result = values.integer("here", value)
    assert (result, type(result)) == (value, int)


@pytest.mark.parametrize(
    ("value", "expected"), [(1, "1"), (0.1, "1/10"), (2.0, "2"), (1e-9, "1/1000000000"), (Whole(7), "7")]
)
def test_number_is_what_was_written(value: float, expected: str) -> None:
    assert str(values.number("here", value)) == expected


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (0, "here: 0 is refused; accepted: a number above 0"),
        (-0.5, "here: -0.5 is refused; accepted: a number above 0"),
        (True, "here: true is refused; accepted: a number above 0"),
        ("4", 'here: "4" is refused; accepted: a number above 0'),
        (None, "here: null is refused; accepted: a number above 0"),
        (float("nan"), "here: NaN is refused; accepted: a number above 0"),
        (float("inf"), "here: Infinity is refused; accepted: a number above 0, at most 2147483647"),
        (float("-inf"), "here: -Infinity is refused; accepted: a number above 0"),
        (2**31, "here: 2147483648 is refused; accepted: a number above 0, at most 2147483647"),
    ],
)
def test_number_refuses(value: object, line: str) -> None:
    assert refusal(values.number, value) == line


@pytest.mark.parametrize("value", [0, 1, "true", "yes", "", None, [], 1.0])
def test_boolean_refuses_what_only_resembles_one(value: object) -> None:
    assert refusal(values.boolean, value).endswith(" is refused; accepted: true or false")


@pytest.mark.parametrize("value", [True, False])
def test_boolean_accepts(value: bool) -> None:
    assert values.boolean("here", value) is value


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("500ms", 500),
        ("60s", 60_000),
        ("1m30s", 90_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("1d2h3m4s5ms", 93_784_005),
        (Text("5s"), 5_000),
        ("2147483647s", 2_147_483_647_000),
    ],
)
def test_duration_accepts(value: str, milliseconds: int) -> None:
    result = values.duration("here", value)
    assert (result, type(result), values.duration_ms(result)) == (value, str, milliseconds)


@pytest.mark.parametrize(
    "value",
    [
        "10", "60sec", "60 s", " 60s", "60s ", "60s\n", "", "s", "0s", "0", "0m0s", "1.5s", "-1s", "+1s", "60S",
        "1M", "1y", "1w", "30s1m", "1s1s", "1e3s", "\uff16\uff10s", "1m;s", "$timeout", "unlimited",
        "9999999999s", "2147483648s",
        10, 0, 1.5, True, None, [], {},
    ],
)  # fmt: skip
def test_duration_refuses(value: object) -> None:
    assert "a time above zero with its unit (ms, s, m, h or d)" in refusal(values.duration, value)


def test_duration_in_whole_seconds_has_no_milliseconds() -> None:
    assert values.duration("here", "1m30s", milliseconds=False) == "1m30s"
    assert "(s, m, h or d)" in refusal(values.duration, "1500ms", milliseconds=False)
    assert "(s, m, h or d)" in refusal(values.duration, "1s500ms", milliseconds=False)


def test_unlimited_is_a_word_and_only_where_it_is_allowed() -> None:
    assert values.duration("here", "unlimited", unlimited=True) == values.UNLIMITED
    assert values.size("here", "unlimited", unlimited=True) == values.UNLIMITED
    assert refusal(values.duration, "0s", unlimited=True).endswith(", or unlimited")
    assert refusal(values.size, 0, unlimited=True).endswith(", or unlimited")


@pytest.mark.parametrize(
    ("value", "count"),
    [("64k", 65_536), ("10m", 10_485_760), ("1g", 2**30), ("1K", 1024), (Text("8M"), 2**23)],
)
def test_size_accepts(value: str, count: int) -> None:
    result = values.size("here", value)
    assert (result, type(result), values.size_bytes(result)) == (value, str, count)


@pytest.mark.parametrize(
    "value",
    [
        "10mb", "10", "0", "0k", "10 m", "10m\n", "", "m", "1.5m", "-1m", "1t", "\uff11m", "10kk", "unlimited",
        "9999999999g",
        10, 0, True, None, [], {},
    ],
)  # fmt: skip
def test_size_refuses(value: object) -> None:
    assert "a size above zero with its unit (k, m or g)" in refusal(values.size, value)


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("1g", {"units": "km"}),
        ("31k", {"minimum": "32k"}),
        ("2m", {"maximum": "1m"}),
    ],
)
def test_size_within_its_bounds(value: str, options: dict[str, t.Any]) -> None:
    assert refusal(values.size, value, **options).startswith(f'here: "{value}" is refused; accepted: a size')


@pytest.mark.parametrize(
    "address",
    [
        "app:8000",
        "app.example.com:1",
        "my_app:65535",
        "APP:80",
        "1st.example:80",
        "192.0.2.1:80",
        "[::1]:80",
        "[2001:db8::1]:8000",
        "[::ffff:192.0.2.1]:80",
        "unix:/run/app.sock",
        "unix:/run/a..b/app:1#2.sock",
        "unix:/" + "x" * 106,
        Text("app:8000"),
        "a" * 63 + ":80",
    ],
)
def test_server_address_accepts(address: str) -> None:
    result = values.server_address("here", address)
    assert (result, type(result)) == (address, str)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("app", "host:port"),
        ("app:", "port being from 1 to 65535"),
        (":80", "host:port"),
        ("", "host:port"),
        ("app:0", "port being from 1 to 65535"),
        ("app:65536", "port being from 1 to 65535"),
        ("app:99999999999", "port being from 1 to 65535"),
        ("app:080", "port being from 1 to 65535"),
        ("app:+80", "port being from 1 to 65535"),
        ("app:8_0", "port being from 1 to 65535"),
        ("app:80\n", "port being from 1 to 65535"),
        ("app:80/path", "port being from 1 to 65535"),
        ("app:\uff18\uff10", "in ASCII"),
        ("bücher.example:80", "punycode"),
        ("app.example.:80", "the host being a name or an IPv4 address"),
        ("-app:80", "the host being a name"),
        ("app..example:80", "the host being a name"),
        ("a" * 64 + ":80", "the host being a name"),
        (".".join(["a" * 60] * 5) + ":80", "the host being a name"),
        ("ap p:80", "the host being a name"),
        ("app;:80", "the host being a name"),
        ("app}:80", "the host being a name"),
        ('app":80', "the host being a name"),
        ("$host:80", "the host being a name"),
        ("app\0:80", "the host being a name"),
        ("user@app:80", "the host being a name"),
        ("*.example.com:80", "the host being a name"),
        ("1.2.3:80", "the host being a name or an IPv4 address"),
        ("2130706433:80", "the host being a name or an IPv4 address"),
        ("0x7f.0x1:80", "the host being a name or an IPv4 address"),
        ("010.0.0.1:80", "the host being a name or an IPv4 address"),
        ("256.0.0.1:80", "the host being a name or an IPv4 address"),
        ("http://app:80", "host:port"),
        ("::1:80", "goes in brackets: [::1]:80"),
        ("::1", "goes in brackets: [::1]:8000"),
        ("2001:db8::1", "goes in brackets: [2001:db8::1]:8000"),
        ("2001:db8::1:8000", "goes in brackets: [2001:db8::1]:8000"),
        ("a:b:c", "host:port"),
        ("[::1]", "host:port"),
        ("[::1]80", "host:port"),
        ("[::1", "host:port"),
        ("[::1]:0", "port being from 1 to 65535"),
        ("[fe80::1%eth0]:80", "no IPv6 address stands in the brackets"),
        ("[192.0.2.1]:80", "no IPv6 address stands in the brackets"),
        ("[app]:80", "no IPv6 address stands in the brackets"),
        ("[]:80", "no IPv6 address stands in the brackets"),
        ("[[::1]]:80", "no IPv6 address stands in the brackets"),
        ("unix:", "unix:/absolute/path"),
        ("unix:run/app.sock", "unix:/absolute/path"),
        ("UNIX:/run/app.sock", "host:port"),
        ("unix:/", "not ending in a slash"),
        ("unix:/run/app/", "not ending in a slash"),
        ("unix:/run/.", "not ending in a slash"),
        ("unix:/run/../app.sock", "without white space, quotes, .."),
        ("unix:/run/..", "without white space, quotes, .."),
        ("unix:/run/a b", "without white space"),
        ("unix:/run/a\n", "without white space"),
        ("unix:/run/a\0", "without white space"),
        ("unix:/run/é", "without white space"),
        ("unix:/run/a\u2028b", "without white space"),
        ("unix:/run/\ud800", "without white space"),
        *[(f"unix:/run/a{character}b", "any of ;{}$\\`") for character in ";{}\"'$\\`"],
        ("unix:/" + "x" * 107, "at most 107 bytes"),
        (None, "host:port"),
        (8000, "host:port"),
        (True, "host:port"),
        (["app:80"], "host:port"),
        (b"app:80", "host:port"),
    ],
)
def test_server_address_refuses(address: object, told: str) -> None:
    line = refusal(values.server_address, address)
    assert line.startswith("here: ")
    assert told in line.partition("; accepted: ")[2]
    assert line.isprintable()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("app:80", "APP:80", True),
        ("app:80", "app:81", False),
        ("app:80", "app2:80", False),
        ("[::1]:80", "[0:0:0:0:0:0:0:1]:80", True),
        ("[2001:DB8::A]:80", "[2001:db8:0::a]:80", True),
        ("[::ffff:192.0.2.1]:80", "192.0.2.1:80", True),
        ("[::1]:80", "[::2]:80", False),
        ("unix:/run/a", "unix:/run//a", True),
        ("unix:/run/a", "unix://run/./a", True),
        ("unix:/run/a", "unix:/run/A", False),
    ],
)
def test_same_server(one: str, other: str, same: bool) -> None:
    assert (values.same_server(one) == values.same_server(other)) is same


def test_known_keys_names_the_first_stranger() -> None:
    values.known_keys("here", {"a": 1, Text("b"): 2}, ("a", "b"))
    assert refusal(values.known_keys, {"a": 1, "c": 2}, ("a", "b")) == (
        "here.c: 2 is refused; accepted: only the keys a, b"
    )
    assert refusal(values.known_keys, {1: 2}, ("a",)) == "here.1: 2 is refused; accepted: only the keys a"
    assert refusal(values.known_keys, {"c": 2}, ("a",), {"c": "d instead"}) == (
        "here.c: 2 is refused; accepted: d instead"
    )


def test_choice() -> None:
    assert values.choice("here", Text("a"), ("a", "b")) == "a"
    assert refusal(values.choice, "c", ("a", "b")) == 'here: "c" is refused; accepted: one of a, b'
    assert refusal(values.choice, ["a"], ("a", "b")) == 'here: ["a"] is refused; accepted: one of a, b'
    assert refusal(values.choice, "c", ("a",), {"c": "not c"}) == 'here: "c" is refused; accepted: not c'


@pytest.mark.parametrize("value", [None, True, 5, "text", ["a"], ("a", 1)])
def test_mapping_refuses(value: object) -> None:
    assert refusal(values.mapping, value).endswith(" is refused; accepted: a dictionary")


@pytest.mark.parametrize("value", [None, True, 5, "text", {}, {"a"}, b"text"])
def test_sequence_refuses(value: object) -> None:
    assert refusal(values.sequence, value).endswith(" is refused; accepted: a list")


@pytest.mark.parametrize("value", [None, True, 5, b"text", [], {}])
def test_text_refuses(value: object) -> None:
    assert refusal(values.text, value).endswith(" is refused; accepted: a string")


def test_containers_may_be_subclasses() -> None:
    assert values.mapping("here", collections.OrderedDict(a=1)) == {"a": 1}
    assert values.sequence("here", ("a", 1)) == ["a", 1]
    assert values.text("here", Text("a")) == "a"


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((1,), {}, {"input": 1}),
        ((1, 2), {"second": 3}, {"input": 1, "first": 2, "second": 3}),
        ((), {"input": 1}, {"input": 1}),
    ],
)
def test_arguments(args: tuple[int, ...], kwargs: dict[str, int], expected: dict[str, int]) -> None:
    assert values.arguments(("input", "first", "second"), args, kwargs) == expected


@pytest.mark.parametrize(
    ("args", "kwargs", "line"),
    [
        ((1,), {"frist": 2}, "frist: 2 is refused; accepted: only the arguments first, second"),
        ((1,), {"a\nb": 2}, '"a\\nb": 2 is refused; accepted: only the arguments first, second'),
        ((1, 2), {"first": 3}, "first: 3 is refused; accepted: this argument once, by position or by name"),
        ((1, 2, 3, 4), {}, "argument 3: 4 is refused; accepted: nothing more than first, second"),
        ((), {}, "input: null is refused; accepted: the filter's input, which is required"),
    ],
)
def test_arguments_refuses(args: tuple[int, ...], kwargs: dict[str, int], line: str) -> None:
    with pytest.raises(Refused) as caught:
        values.arguments(("input", "first", "second"), args, kwargs)
    assert str(caught.value) == line


def test_a_filter_without_arguments_says_so() -> None:
    with pytest.raises(Refused, match="accepted: no arguments"):
        values.arguments(("input",), (1, 2), {})
    with pytest.raises(Refused, match="accepted: no arguments"):
        values.arguments(("input",), (1,), {"first": 2})


def test_values_that_json_cannot_hold_are_refused_like_others() -> None:
    circle: list[t.Any] = []
    circle.append(circle)
    for value, shown in (({(1, 2): 3}, "(a dictionary)"), (circle, "(a list)"), (10**5000, "(a number)")):
        assert refusal(values.boolean, value) == f"here: {shown} is refused; accepted: true or false"
