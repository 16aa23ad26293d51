# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkers for single values: each returns the value as a plain type, or raises ``Refused``.

``path`` is always the field with its place (``servers[1].weight``); :func:`field` and :func:`item` build it.
ansible-core passes tagged subclasses of ``str``, ``int``, ``dict`` …, hence ``isinstance`` and plain copies.
Patterns use ``fullmatch`` and ``[0-9]``: ``$`` lets a final newline through, ``\\d`` digits of every script.
"""

from __future__ import annotations

import collections.abc as c
import ipaddress
import math
import posixpath
import re
import typing as t
from fractions import Fraction

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused, show

#: What nginx's integers hold on every platform; nothing a server needs comes near it.
LARGEST = 2**31 - 1

#: The word for "no limit" where nginx would write 0: a 0 that nobody meant switches a limit off in silence.
UNLIMITED = "unlimited"

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_DURATION = re.compile(
    r"(?:([0-9]{1,10})d)?(?:([0-9]{1,10})h)?(?:([0-9]{1,10})m)?(?:([0-9]{1,10})s)?(?:([0-9]{1,10})ms)?"
)
_MILLISECONDS = (86_400_000, 3_600_000, 60_000, 1000, 1)
_SIZE = re.compile(r"([0-9]{1,10})([kKmMgG])")
_BYTES = {"k": 2**10, "m": 2**20, "g": 2**30}

_SERVER = "host:port, [IPv6 address]:port or unix:/absolute/path"
_PORT = re.compile(r"[1-9][0-9]{0,4}")
#: Underscores are no part of an Internet host name, but Docker and /etc/hosts give such names to machines.
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
#: The resolver reads names like 1.2.3 or 0x7f.1 as IPv4 addresses that nobody meant (1.2.3 is 1.2.0.3).
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
#: Visible ASCII without what ends a token, quotes, escapes or expands in nginx's syntax.
_SOCKET_PATH = re.compile(r"/(?:(?![;{}\"'$\\`])[!-~])+")
#: ``sun_path`` holds 108 bytes with the final NUL; nginx stops at a longer path.
_SOCKET_PATH_BYTES = 107


def field(path: str, key: t.Any) -> str:
    """Return the path of ``key`` inside ``path``; a hostile key is escaped, for it is about to be printed."""
    name = str(key) if isinstance(key, str) and _KEY.fullmatch(key) else show(key)
    return f"{path}.{name}" if path else name


def item(path: str, index: int) -> str:
    """Return the path of the item ``index`` of the list at ``path``."""
    return f"{path}[{index}]"


def mapping(path: str, value: t.Any, accepted: str = "a dictionary") -> c.Mapping[t.Any, t.Any]:
    """Return ``value`` if it is a dictionary."""
    if not isinstance(value, c.Mapping):
        raise Refused(path, value, accepted)
    return value


def sequence(path: str, value: t.Any, accepted: str = "a list") -> list[t.Any]:
    """Return a list's items. A string is no list: iterating over it would give characters."""
    if not isinstance(value, (list, tuple)):
        raise Refused(path, value, accepted)
    return list(value)


def known_keys(
    path: str,
    value: c.Mapping[t.Any, t.Any],
    keys: c.Iterable[str],
    explained: c.Mapping[str, str] | None = None,
) -> None:
    """Refuse the first key that is not in ``keys``, by name.

    :param explained: keys that people try for a reason, with what to tell them instead of the list of keys
    """
    keys = tuple(keys)
    for key in value:
        if isinstance(key, str) and key in keys:
            continue
        hint = (explained or {}).get(key) if isinstance(key, str) else None
        raise Refused(field(path, key), value[key], hint or f"only the keys {', '.join(keys)}")


def text(path: str, value: t.Any, accepted: str = "a string") -> str:
    """Return ``value`` as a plain string if it is one."""
    if not isinstance(value, str):
        raise Refused(path, value, accepted)
    return str(value)


def unfit(value: str) -> bool:
    """Return whether no file can hold ``value``: it has a NUL, or half a character (which JSON can write)."""
    return "\0" in value or any("\ud800" <= character <= "\udfff" for character in value)


def choice(path: str, value: t.Any, choices: c.Iterable[str], explained: c.Mapping[str, str] | None = None) -> str:
    """Return ``value`` if it is one of ``choices``; ``explained`` is as in :func:`known_keys`."""
    choices = tuple(choices)
    if isinstance(value, str):
        if value in choices:
            return str(value)
        if explained and value in explained:
            raise Refused(path, value, explained[value])
    raise Refused(path, value, "one of " + ", ".join(choices))


def boolean(path: str, value: t.Any) -> bool:
    """Return ``value`` if it is true or false; ``"no"`` is a string, and would count as true."""
    if not isinstance(value, bool):
        raise Refused(path, value, "true or false")
    return bool(value)


def integer(path: str, value: t.Any, minimum: int = 0, maximum: int = LARGEST) -> int:
    """Return ``value`` if it is an integer within the bounds.

    Booleans are refused although Python counts them as integers, and so are strings and ``2.0``.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole and minimum <= value <= maximum:
        return int(value)
    if maximum < LARGEST or (whole and value > maximum):
        raise Refused(path, value, f"an integer from {minimum} to {maximum}")
    raise Refused(path, value, f"an integer of {minimum} or more")


def number(path: str, value: t.Any, above: int = 0, maximum: int = LARGEST, accepted: str | None = None) -> Fraction:
    """Return an integer or a float that is greater than ``above``, exactly as it was written.

    A float becomes the decimal that the user typed (0.1 is 1/10), so that a boundary is where one expects it.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and above < value <= maximum:
        # NaN fails the comparison and infinity exceeds the maximum.
        return Fraction(int(value)) if isinstance(value, int) else Fraction(repr(float(value)))
    wanted = accepted or f"a number above {above}"
    excessive = isinstance(value, (int, float)) and not math.isnan(value) and value > maximum
    raise Refused(path, value, f"{wanted}, at most {maximum}" if excessive else wanted)


def duration(path: str, value: t.Any, *, milliseconds: bool = True, unlimited: bool = False) -> str:
    """Return a time as nginx writes it: ``500ms``, ``60s``, ``1m30s``, largest unit first, each unit once.

    The unit is required, because ``10`` is seconds in one tool and milliseconds in the next. Zero is refused.

    :param milliseconds: False where nginx counts whole seconds (``fail_timeout=500ms`` does not load)
    :param unlimited: whether the word ``unlimited`` is accepted (and returned) for "never"
    """
    units = "ms, s, m, h or d" if milliseconds else "s, m, h or d"
    accepted = f"a time above zero with its unit ({units}), such as 60s or 1m30s"
    if unlimited:
        accepted += f", or {UNLIMITED}"
        if isinstance(value, str) and value == UNLIMITED:
            return UNLIMITED
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise Refused(path, value, accepted)
    if value.endswith("ms") and not milliseconds:
        raise Refused(path, value, accepted)
    total = duration_ms(value)
    if total == 0:
        raise Refused(path, value, accepted)
    if total > LARGEST * 1000:
        raise Refused(path, value, f"{accepted}, at most {LARGEST}s")
    return str(value)


def duration_ms(value: str) -> int:
    """Return the milliseconds of a time that :func:`duration` returned (not of ``unlimited``)."""
    match = _DURATION.fullmatch(value)
    if match is None:
        raise Refused("time", value, "what duration() returned")
    return sum(int(count) * unit for count, unit in zip(match.groups(), _MILLISECONDS, strict=True) if count)


def size(
    path: str,
    value: t.Any,
    *,
    units: str = "kmg",
    unlimited: bool = False,
    minimum: str | None = None,
    maximum: str | None = None,
) -> str:
    """Return a size as nginx writes it: ``64k``, ``10m``, ``1g``; unit required, one letter, zero refused.

    :param units: ``km`` for memory (nginx reads no ``g`` for zones and buffers), ``kmg`` for files and bodies
    :param unlimited: whether the word ``unlimited`` is accepted (and returned) for "no limit"
    :param minimum, maximum: bounds, themselves sizes
    """
    letters = f"{', '.join(units[:-1])} or {units[-1]}"
    accepted = f"a size above zero with its unit ({letters}), such as {'64k or 10m' if 'k' in units else '512m or 2g'}"
    if minimum is not None:
        accepted += f", at least {minimum}"
    if maximum is not None:
        accepted += f", at most {maximum}"
    if unlimited:
        accepted += f", or {UNLIMITED}"
        if isinstance(value, str) and value == UNLIMITED:
            return UNLIMITED
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2].lower() not in units:
        raise Refused(path, value, accepted)
    count = size_bytes(value)
    below = count < (size_bytes(minimum) if minimum is not None else 1)
    if below or count > (size_bytes(maximum) if maximum is not None else LARGEST * _BYTES["k"]):
        raise Refused(path, value, accepted)
    return str(value)


def size_bytes(value: str) -> int:
    """Return the bytes of a size that :func:`size` returned (not of ``unlimited``)."""
    match = _SIZE.fullmatch(value)
    if match is None:
        raise Refused("size", value, "what size() returned")
    return int(match[1]) * _BYTES[match[2].lower()]


def server_address(path: str, value: t.Any) -> str:
    """Return the address of an upstream's server, as it was written.

    Accepted: ``host:port``, ``[IPv6]:port``, ``unix:/absolute/path``. The port is required: nginx would
    silently take 80, where no application server listens.
    """
    address = text(path, value, _SERVER)
    if address.startswith("unix:"):
        return _unix_address(path, address)
    if not address.isascii():
        raise Refused(path, value, f"{_SERVER}, in ASCII (an international name in punycode)")
    host, colon, port = address.rpartition(":")
    if not address.startswith("[") and address.count(":") > 1:
        raise Refused(path, value, _SERVER + _hint_of_brackets(address))
    if not colon or not host or host.startswith("[") != host.endswith("]"):
        raise Refused(path, value, _SERVER)
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise Refused(path, value, f"{_SERVER}, the port being from 1 to 65535")
    if host.startswith("["):
        if not _ipv6(host[1:-1]):
            raise Refused(path, value, f"{_SERVER}; no IPv6 address stands in the brackets")
    elif not _ipv4(host) and not _host_name(host):
        raise Refused(path, value, f"{_SERVER}, the host being a name or an IPv4 address")
    return address


def in_brackets(address: str) -> str:
    """Return a host as it stands before a port: an IPv6 address in brackets, everything else as it is."""
    return f"[{address}]" if ":" in address and not address.startswith("[") else address


def same_server(address: str) -> str:
    """Return one spelling for all the spellings of an address that :func:`server_address` returned."""
    if address.startswith("unix:"):
        # POSIX lets exactly two leading slashes stand; Linux makes them one.
        return "unix:" + posixpath.normpath("/" + address[len("unix:") :].lstrip("/"))
    host, _colon, port = address.rpartition(":")
    if host.startswith("["):
        ipv6 = ipaddress.IPv6Address(host[1:-1])
        # ::ffff:192.0.2.1 reaches the same socket as 192.0.2.1.
        host = str(ipv6.ipv4_mapped) if ipv6.ipv4_mapped else f"[{ipv6}]"
    return f"{host.lower()}:{port}"


def _hint_of_brackets(address: str) -> str:
    host, _colon, port = address.rpartition(":")
    if _ipv6(host) and _PORT.fullmatch(port):
        return f"; an IPv6 address goes in brackets: [{host}]:{port}"
    return f"; an IPv6 address goes in brackets: [{address}]:8000" if _ipv6(address) else ""


def _unix_address(path: str, address: str) -> str:
    socket = address[len("unix:") :]
    accepted = "unix:/absolute/path without white space, quotes, .. or any of ;{}$\\`, not ending in a slash"
    if not _SOCKET_PATH.fullmatch(socket) or ".." in socket.split("/") or socket.endswith(("/", "/.")):
        raise Refused(path, address, accepted)
    if len(socket) > _SOCKET_PATH_BYTES:
        raise Refused(path, address, f"unix:/absolute/path, the path of at most {_SOCKET_PATH_BYTES} bytes")
    return address


def _ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    # Python accepts a zone (fe80::1%eth0), nginx does not.
    return "%" not in host


def _host_name(host: str) -> bool:
    labels = host.split(".")
    return (
        len(host) <= 253
        and all(_LABEL.fullmatch(label) for label in labels)
        and not _NUMERIC_LABEL.fullmatch(labels[-1])
    )


def arguments(names: c.Sequence[str], args: c.Sequence[t.Any], kwargs: c.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Give the arguments of a filter their names, as Python would, but with our own words for a mistake.

    Ansible calls a filter as a plain function and prints Python's ``TypeError`` to the user otherwise.

    :param names: every argument in order; the first is the filter's input, and required
    """
    if len(args) > len(names):
        raise Refused(f"argument {len(names)}", args[len(names)], _options("nothing more than", names))
    bound = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in names:
            raise Refused(field("", name), value, _options("only the arguments", names))
        if name in bound:
            raise Refused(name, value, "this argument once, by position or by name")
        bound[name] = value
    if names[0] not in bound:
        raise Refused(names[0], None, "the filter's input, which is required")
    return bound


def _options(words: str, names: c.Sequence[str]) -> str:
    return f"{words} {', '.join(names[1:])}" if len(names) > 1 else "no arguments"
