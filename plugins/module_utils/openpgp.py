# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenPGP public keys as a repository hands them out: which they are, by their fingerprints.

Hosts need not have gnupg, which brings a dozen packages. What is read here is what apt gets to see: the packets
are written out again, and anything that is not plainly a public key is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

_BLOCK = re.compile(
    r"-----BEGIN PGP PUBLIC KEY BLOCK-----\r?\n(?:[A-Za-z]+: [^\n]*\n)*\r?\n([A-Za-z0-9+/=\s]+?)"
    r"(?:\r?\n=[A-Za-z0-9+/]{4})?\s*-----END PGP PUBLIC KEY BLOCK-----\s*"
)

#: Primary key, and what may follow one: signatures, its owner's names and pictures, subkeys.
_PRIMARY = 6
_ALLOWED = (_PRIMARY, 2, 13, 14, 17)


class Keys(t.NamedTuple):
    """The primary keys' fingerprints, and all the packets as binary, as apt takes them."""

    fingerprints: t.List[str]
    binary: bytes


def read_keys(data: bytes) -> Keys:
    """Return the keys of a file, ASCII-armored or binary.

    :raises ValueError: where it is anything but OpenPGP public keys
    """
    binary = _without_armor(data) if data.lstrip().startswith(b"-----BEGIN") else data
    fingerprints: t.List[str] = []
    position = 0
    while position < len(binary):
        tag, start, end = _packet(binary, position)
        if tag not in _ALLOWED or (tag != _PRIMARY and not fingerprints):
            raise ValueError("it holds something else than public keys (packet type {0})".format(tag))
        if tag == _PRIMARY:
            fingerprints.append(_fingerprint(binary[start:end]))
        position = end
    if not fingerprints:
        raise ValueError("it holds no OpenPGP public key")
    return Keys(fingerprints, binary)


def _without_armor(data: bytes) -> bytes:
    try:
        text = data.decode("ascii").lstrip()
        binary = b""
        while text:
            block = _BLOCK.match(text)
            if block is None:
                raise ValueError
            binary += base64.b64decode("".join(block[1].split()), validate=True)
            text = text[block.end() :]
        return binary
    except (ValueError, binascii.Error):
        raise ValueError("it is no ASCII-armored OpenPGP public key") from None


def _packet(data: bytes, position: int) -> t.Tuple[int, int, int]:
    """Return a packet's type, and where its content begins and ends."""
    first = data[position]
    try:
        if not first & 0x80:
            raise ValueError
        if first & 0x40:
            tag, length = first & 0x3F, data[position + 1]
            start = position + 2
            if 192 <= length < 224:
                length = ((length - 192) << 8) + data[position + 2] + 192
                start = position + 3
            elif length == 255:
                length = int.from_bytes(data[position + 2 : position + 6], "big")
                start = position + 6
            elif length >= 224:
                # In parts, which no key is.
                raise ValueError
        else:
            tag, kind = (first >> 2) & 0x0F, first & 0x03
            if kind == 3:
                # Up to the end of the file, whatever that holds.
                raise ValueError
            start = position + 1 + (1 << kind)
            length = int.from_bytes(data[position + 1 : start], "big")
        if start + length > len(data):
            raise ValueError
    except (ValueError, IndexError):
        raise ValueError("it is no OpenPGP public key, or a damaged one") from None
    return tag, start, start + length


def _fingerprint(key: bytes) -> str:
    if not key or key[0] != 4 or len(key) > 0xFFFF:
        raise ValueError("it holds a public key of another version than 4")
    # By the standard; nobody can choose another key that has the same.
    return hashlib.sha1(b"\x99" + len(key).to_bytes(2, "big") + key).hexdigest().upper()
