# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user can say of a release over many hosts, as a rule with -e: complete and checked."""

from __future__ import annotations

import json
import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

#: One host first; what fails there fails nowhere else.
BATCHES: t.Final = (1, "25%", "100%")

_PERCENT = re.compile(r"(?:100|[1-9]?\d)%")

_SERIAL = 'a list of batches, each a number of hosts from 1 or "1%" to "100%", such as 1,25%,100%'


class Options(t.NamedTuple):
    """``batches`` as Ansible's ``serial`` has them; ``back``: whether finished hosts go back after a failure."""

    batches: list[int | str]
    max_failures: int
    back: bool
    take_over: bool
    report: str | None


def options(values: t.Mapping[str, t.Any]) -> Options:
    """:param values: the variables ``release_…`` that there are; :raises Refused: at the first that cannot be"""
    return Options(
        batches=_batches(values.get("release_serial")),
        max_failures=_count("release_max_failures", values.get("release_max_failures", 0)),
        back=_choice("release_on_failure", values.get("release_on_failure", "stay"), ("stay", "back")) == "back",
        take_over=_choice("release_lock", values.get("release_lock", "keep"), ("keep", "break")) == "break",
        report=_report(values.get("release_report")),
    )


def _batches(given: t.Any) -> list[int | str]:
    if given is None:
        return list(BATCHES)
    items = given
    if isinstance(given, str):
        # What follows -e is text: a list in JSON or with commas.
        try:
            items = json.loads(given)
        except ValueError:
            items = given.strip("[] ").split(",")
    if not isinstance(items, list):
        items = [items]
    found = [_batch(item, given) for item in items]
    if not found:
        raise Refused("release_serial", given, _SERIAL)
    return found


def _batch(item: t.Any, given: t.Any) -> int | str:
    text = str(item).strip().strip("'\"") if isinstance(item, (int, str)) and not isinstance(item, bool) else ""
    if _PERCENT.fullmatch(text) and text != "0%":
        return text
    # Of more digits than any fleet has hosts, Python would make no number.
    if re.fullmatch(r"[1-9]\d{0,5}", text):
        return int(text)
    raise Refused("release_serial", given, _SERIAL)


def _count(path: str, value: t.Any) -> int:
    if isinstance(value, bool) or not re.fullmatch(r"\d{1,6}", str(value)):
        raise Refused(path, value, "the number of hosts that may fail before the release stops, 0 or more")
    return int(value)


def _choice(path: str, value: t.Any, choices: t.Sequence[str]) -> str:
    if value not in choices:
        raise Refused(path, value, " or ".join(choices))
    return str(value)


def _report(value: t.Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not os.path.isdir(os.path.dirname(os.path.abspath(value))) or os.path.isdir(value):
        raise Refused("release_report", value, "the path of a file on the controller, in a folder that is there")
    return os.path.abspath(value)
