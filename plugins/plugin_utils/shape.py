# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold a role's input against its ``meta/argument_specs.yml``, and fill in the nested defaults.

Ansible validates the same spec, but it names no list index and no value, takes ``true`` for a
number, and leaves nested defaults out. One spec, read twice, keeps documentation and behaviour
from drifting apart.
"""

from __future__ import annotations

import copy
import difflib
import re
import typing as t
from collections.abc import Mapping, Sequence

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import HIDDEN, Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import field

Spec = Mapping[str, t.Any]

#: Keys that somebody may have tried to give a secret by.
_SECRET = re.compile(r"auth|pass|secret|token|credential|private", re.IGNORECASE)

#: Python refuses to print a number of thousands of digits, in words of its own.
_LARGEST = 10**18

_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")


def plain(value: t.Any) -> t.Any:
    """Return ``value`` in Python's own types: Ansible hands over lazy and tagged subclasses."""
    if isinstance(value, Mapping):
        # A key that YAML made true or 1 stays what it is, and is refused where names are checked.
        return {str(key) if isinstance(key, str) else key: plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    return value


def conform(options: Spec, values: Mapping[str, t.Any], path: str = "") -> dict[str, t.Any]:
    """Return ``values`` complete and typed as ``options`` say.

    :param options: the ``options`` of an argument spec
    :param values: what the user wrote; unknown keys are refused where ``path`` is not empty
        (at the top level a role sees every variable of the host, most of them not its own)
    :param path: the place of ``values``, "" for a role's own variables
    :raises Refused: at the first value that does not fit
    """
    if path:
        for key in values:
            if key not in options:
                shown = HIDDEN if _may_hold_secrets(key, options) else values[key]
                raise Refused(field(path, key), shown, _names(key, options))
    complete = {}
    for name, option in options.items():
        where = f"{path}.{name}" if path else name
        value = values.get(name)
        if value is None:
            kind = option.get("type", "str")
            if option.get("required"):
                raise Refused(where, None, f"a value ({kind}); it is required")
            if name in values and option.get("default") is not None:
                # `name:` with nothing behind it is a slip as a rule, and ansible-core refuses it later, unclearly.
                raise Refused(where, None, f"a value ({kind}); leave it out for the default")
            if path and name in values and kind in ("dict", "list"):
                # An allow-list whose entries are all commented out must not open what it was to close.
                raise Refused(where, None, f"a {kind}; leave it out where nothing is to be said")
            value = copy.deepcopy(option.get("default"))
        complete[name] = None if value is None else _typed(option, value, where)
    return complete


def _meant(key: t.Any, options: Spec) -> str | None:
    return next(iter(difflib.get_close_matches(str(key), list(options), n=1)), None)


def _may_hold_secrets(key: t.Any, options: Spec) -> bool:
    """Return whether somebody may have put a secret behind a key that there is not.

    By its name, as a slip for one that holds secrets, or beside them: ``basic_auth: {alice: …}`` without its users.
    """
    meant = options.get(_meant(key, options) or "", {})
    return bool(
        _SECRET.search(str(key))
        or meant.get("no_log")
        or _holds_secrets(meant.get("options", {}))
        or _holds_secrets(options)
    )


def _names(key: t.Any, options: Spec) -> str:
    meant = _meant(key, options)
    hint = f"; did you mean {meant}?" if meant else ""
    return f"only the keys {', '.join(options)}{hint}"


def _holds_secrets(options: Spec) -> bool:
    return any(option.get("no_log") for option in options.values())


def _typed(option: Spec, value: t.Any, path: str) -> t.Any:
    kind = option.get("type", "str")
    shown = HIDDEN if option.get("no_log") or _holds_secrets(option.get("options", {})) else value
    typed = _CHECKS[kind](option, value, path, shown)
    choices = option.get("choices")
    # A list's choices are its elements', as in Ansible.
    if choices and kind != "list" and typed not in choices:
        raise Refused(path, shown, "one of " + ", ".join(map(str, choices)))
    return typed


def _string(option: Spec, value: t.Any, path: str, shown: t.Any) -> str:
    if isinstance(value, str):
        return str(value)
    # Of an integer the spelling matters rarely; of 1.10 and yes always, and YAML has already changed them.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST:
        return str(value)
    raise Refused(path, shown, "a string (quote it)")


def _integer(option: Spec, value: t.Any, path: str, shown: t.Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    # `-e name=4` on the command line arrives as text.
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    raise Refused(path, shown, "a whole number")


def _number(option: Spec, value: t.Any, path: str, shown: t.Any) -> float:
    written = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", value)
    if written or (isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST):
        return float(value)
    raise Refused(path, shown, "a number")


def _boolean(option: Spec, value: t.Any, path: str, shown: t.Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE + _FALSE:
        return value.lower() in _TRUE
    raise Refused(path, shown, "true or false")


def _list(option: Spec, value: t.Any, path: str, shown: t.Any) -> list[t.Any]:
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        raise Refused(path, shown, f"a list of {option.get('elements', 'values')}")
    element = {**option, "type": option.get("elements", "raw")}
    element.pop("default", None)
    items = []
    for index, item in enumerate(value):
        if item is None:
            raise Refused(f"{path}[{index}]", None, f"a {element['type']}")
        items.append(_typed(element, item, f"{path}[{index}]"))
    return items


def _dict(option: Spec, value: t.Any, path: str, shown: t.Any) -> dict[str, t.Any]:
    if not isinstance(value, Mapping):
        raise Refused(path, shown, "a dictionary")
    options = option.get("options")
    return conform(options, value, path) if options else plain(value)


def _raw(option: Spec, value: t.Any, path: str, shown: t.Any) -> t.Any:
    return plain(value)


_CHECKS: dict[str, t.Callable[[Spec, t.Any, str, t.Any], t.Any]] = {
    "str": _string,
    "path": _string,
    "int": _integer,
    "float": _number,
    "bool": _boolean,
    "list": _list,
    "dict": _dict,
    "raw": _raw,
}
