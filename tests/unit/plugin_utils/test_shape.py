# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A spec is held against what YAML and Ansible hand over, nested defaults included."""

from __future__ import annotations

import collections
import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.shape import conform, plain


class Text(str):
    """Stands for the tagged strings of ansible-core."""


class Whole(int):
    """Stands for the tagged integers of ansible-core."""


class Real(float):
    """Stands for the tagged floats of ansible-core."""


class Lazy(collections.UserDict[str, t.Any]):
    """Stands for the lazy dictionaries of ansible-core."""


@pytest.mark.parametrize(
    ("value", "expected", "kind"),
    [
        (Text("a"), "a", str),
        (Whole(1), 1, int),
        (Real(1.5), 1.5, float),
        (True, True, bool),
        (None, None, type(None)),
        (("a", Text("b")), ["a", "b"], list),
        ({"a"}, ["a"], list),
        (Lazy({Text("a"): Lazy({"b": (Whole(1),)})}), {"a": {"b": [1]}}, dict),
        # What YAML made of `on:` and `1:` must not turn into a name.
        ({True: 1, 1.5: 2, None: 3}, {True: 1, 1.5: 2, None: 3}, dict),
    ],
)
def test_plain(value: t.Any, expected: t.Any, kind: type) -> None:
    result = plain(value)
    assert result == expected
    assert {type(result)} == {kind}


def test_plain_reaches_keys_and_items() -> None:
    [(key, [item])] = plain(Lazy({Text("a"): [Text("b")]})).items()
    assert type(key) is type(item) is str


SPEC: dict[str, dict[str, t.Any]] = {
    "text": {"type": "str", "default": "x"},
    "count": {"type": "int"},
    "share": {"type": "float"},
    "flag": {"type": "bool", "default": False},
    "kind": {"choices": ["a", "b"]},
    "kinds": {"type": "list", "elements": "str", "choices": ["a", "b"]},
    "anything": {"type": "raw"},
    "secret": {"type": "str", "no_log": True, "choices": ["hunter2"]},
    "secrets": {"type": "list", "elements": "str", "no_log": True},
    "items": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"required": True},
            "inner": {"type": "dict", "default": {}, "options": {"size": {"default": "1m"}, "none": {}}},
        },
    },
    "free": {"type": "dict", "default": {}},
}

DEFAULTS: dict[str, t.Any] = {
    "text": "x", "count": None, "share": None, "flag": False, "kind": None, "kinds": None, "anything": None,
    "secret": None, "secrets": None, "items": [], "free": {},
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {}),
        ({"count": None, "kind": None, "secrets": None}, {}),
        # A role sees every variable of the host.
        ({"other": 1}, {}),
        ({"text": Text("y"), "count": Whole(3)}, {"text": "y", "count": 3}),
        ({"text": 5}, {"text": "5"}),
        ({"text": ""}, {"text": ""}),
        ({"count": "-4"}, {"count": -4}),
        ({"share": "1.5"}, {"share": 1.5}),
        ({"share": 2}, {"share": 2.0}),
        ({"flag": "Yes"}, {"flag": True}),
        ({"flag": "off"}, {"flag": False}),
        ({"kind": "b", "kinds": ["a", "b"]}, {"kind": "b", "kinds": ["a", "b"]}),
        ({"anything": ("a", 1)}, {"anything": ["a", 1]}),
        ({"items": [{"name": "n"}]}, {"items": [{"name": "n", "inner": {"size": "1m", "none": None}}]}),
        ({"items": ({"name": "n"},)}, {"items": [{"name": "n", "inner": {"size": "1m", "none": None}}]}),
        ({"items": [Lazy(name="n", inner=Lazy(size="2"))]},
         {"items": [{"name": "n", "inner": {"size": "2", "none": None}}]}),
        ({"free": {"a": [Whole(1)]}}, {"free": {"a": [1]}}),
    ],
)  # fmt: skip
def test_accepted(given: dict[str, t.Any], expected: dict[str, t.Any]) -> None:
    assert conform(SPEC, given) == {**DEFAULTS, **expected}


def test_defaults_are_not_shared() -> None:
    conform(SPEC, {})["free"]["a"] = 1
    assert conform(SPEC, {})["free"] == {}


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"text": True}, "text: true is refused; accepted: a string (quote it)"),
        ({"text": 1.10}, "text: 1.1 is refused; accepted: a string (quote it)"),
        ({"text": ["a"]}, 'text: ["a"] is refused; accepted: a string (quote it)'),
        ({"count": True}, "count: true is refused; accepted: a whole number"),
        ({"count": 4.0}, "count: 4.0 is refused; accepted: a whole number"),
        ({"count": "4\n"}, 'count: "4\\n" is refused; accepted: a whole number'),
        ({"count": "+4"}, 'count: "+4" is refused; accepted: a whole number'),
        ({"count": ""}, 'count: "" is refused; accepted: a whole number'),
        ({"count": "\u0664"}, 'count: "\\u0664" is refused; accepted: a whole number'),
        ({"share": True}, "share: true is refused; accepted: a number"),
        ({"share": "1e3"}, 'share: "1e3" is refused; accepted: a number'),
        ({"share": float("nan")}, "share: NaN is refused; accepted: a number"),
        ({"share": float("inf")}, "share: Infinity is refused; accepted: a number"),
        ({"share": 10**400}, "share: 1" + "0" * 76 + "... is refused; accepted: a number"),
        ({"flag": 1}, "flag: 1 is refused; accepted: true or false"),
        ({"flag": "maybe"}, 'flag: "maybe" is refused; accepted: true or false'),
        ({"flag": "yes\n"}, 'flag: "yes\\n" is refused; accepted: true or false'),
        ({"kind": "c"}, 'kind: "c" is refused; accepted: one of a, b'),
        ({"kinds": ["a", "c"]}, 'kinds[1]: "c" is refused; accepted: one of a, b'),
        ({"kinds": "a"}, 'kinds: "a" is refused; accepted: a list of str'),
        ({"kinds": b"a"}, "kinds: \"b'a'\" is refused; accepted: a list of str"),
        ({"secret": "guess"}, "secret: (hidden) is refused; accepted: one of hunter2"),
        ({"secret": ["guess"]}, "secret: (hidden) is refused; accepted: a string (quote it)"),
        ({"secrets": ["a", ["guess"]]}, "secrets[1]: (hidden) is refused; accepted: a string (quote it)"),
        ({"items": {}}, "items: {} is refused; accepted: a list of dict"),
        ({"text": None}, "text: null is refused; accepted: a value (str); leave it out for the default"),
        ({"items": None}, "items: null is refused; accepted: a value (list); leave it out for the default"),
        ({"items": [{"name": "n", "inner": None}]},
         "items[0].inner: null is refused; accepted: a value (dict); leave it out for the default"),
        ({"items": [None]}, "items[0]: null is refused; accepted: a dict"),
        ({"items": [[]]}, "items[0]: [] is refused; accepted: a dictionary"),
        ({"items": [{}]}, "items[0].name: null is refused; accepted: a value (str); it is required"),
        (
            {"items": [{"name": "n"}, {"name": "n", "inner": {"sise": 1}}]},
            "items[1].inner.sise: 1 is refused; accepted: only the keys size, none; did you mean size?",
        ),
        ({"items": [{"na\nme": 1}]},
         'items[0]."na\\nme": 1 is refused; accepted: only the keys name, inner; did you mean name?'),
        ({"items": [{None: 1}]}, "items[0].null: 1 is refused; accepted: only the keys name, inner"),
        ({"items": [{"name": "n", "api_token": "guess"}]},
         "items[0].api_token: (hidden) is refused; accepted: only the keys name, inner"),
        ({"free": "a"}, 'free: "a" is refused; accepted: a dictionary'),
    ],
)  # fmt: skip
def test_refused(given: dict[str, t.Any], line: str) -> None:
    with pytest.raises(Refused) as caught:
        conform(SPEC, given)
    assert str(caught.value) == line


def test_unknown_keys_are_refused_below_the_top() -> None:
    with pytest.raises(Refused, match=r"^here\.other: 1 is refused"):
        conform({"text": {"type": "str"}}, {"other": 1}, "here")


@pytest.mark.parametrize(
    ("index", "line"),
    [
        ({"pasword": "guess"}, "index.pasword: (hidden) is refused; accepted: only the keys user, password; did you"),
        ({"word": "guess"}, "index.word: (hidden) is refused; accepted: only the keys user, password"),
        ({"password": ["guess"]}, "index.password: (hidden) is refused; accepted: a string (quote it)"),
        ("guess", "index: (hidden) is refused; accepted: a dictionary"),
    ],
)
def test_what_stands_beside_a_secret_is_not_shown(index: t.Any, line: str) -> None:
    """A token is as secret as a dictionary of secrets is."""
    spec = {
        "index": {"type": "dict", "options": {"user": {"type": "str"}, "password": {"type": "str", "no_log": True}}}
    }
    with pytest.raises(Refused) as caught:
        conform(spec, {"index": index})
    assert str(caught.value).startswith(line)
