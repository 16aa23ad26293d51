# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing keys: only what is plainly a public key is read, and each by its fingerprint."""

from __future__ import annotations

import base64

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.openpgp import read_keys

#: Made by gpg, which names them by these fingerprints.
ONE = "DBF973058DD1367153F0CC630DF90CDF86ECE8A0"
TWO = "687126D2FEB7EC1AEED1984F6D1926AAFBAF8754"
ARMORED_ONE = b"""\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawCx+BYJKwYBBAHaRw8BAQdAibrJuEjYlBS1jxihKe34LvXA2IUmFXUp/T3q
MuJWbtm0FW9uZSA8b25lQGV4YW1wbGUuY29tPoiQBBMWCAA4FiEE2/lzBY3RNnFT
8MxjDfkM34bs6KAFAmsAsfgCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQ
DfkM34bs6KDTAgD+NFFjbdtLgj2hVNEOZy+ULfcNxlNIlKpGqpfTZF3bi+0A/A3f
NBEBlC7n35/jZYZsHSqU5NgxTctyXBOfnStUV00A
=6yEJ
-----END PGP PUBLIC KEY BLOCK-----
"""
ARMORED_TWO = b"""\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawCx+BYJKwYBBAHaRw8BAQdAOkZvpqyvQdukhvljBocCND3qZIaULhWmhcy3
zEtBaZ60FXR3byA8dHdvQGV4YW1wbGUuY29tPoiQBBMWCAA4FiEEaHEm0v637Bru
0ZhPbRkmqvuvh1QFAmsAsfgCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQ
bRkmqvuvh1RRRwD9G2MR46Dho6zRR2fcaUM6qcdh6ajllwFWyUeYhUMD0poA/iZN
ckvGjBNONdi8yxPpEvafCUoK292j0A1FbtxI+7sD
=ZRos
-----END PGP PUBLIC KEY BLOCK-----
"""


def packets(armored: bytes) -> bytes:
    lines = armored.decode("ascii").split("\n\n", 1)[1].splitlines()
    return base64.b64decode("".join(line for line in lines if line[:1] not in ("=", "-")))


BINARY = packets(ARMORED_ONE)
#: The first packet alone: two bytes of a header, 51 of a key.
KEY = BINARY[:53]


@pytest.mark.parametrize(
    ("data", "fingerprints"),
    [
        (ARMORED_ONE, [ONE]),
        (BINARY, [ONE]),
        (ARMORED_ONE.replace(b"\n", b"\r\n"), [ONE]),
        (ARMORED_ONE.replace(b"BLOCK-----\n", b"BLOCK-----\nVersion: GnuPG v2\n", 1), [ONE]),
        (b"\n" + ARMORED_ONE + b"\n" + ARMORED_TWO, [ONE, TWO]),
        (BINARY + packets(ARMORED_TWO), [ONE, TWO]),
        # The other ways to write the same length.
        (b"\xc6\x33" + KEY[2:], [ONE]),
        (b"\xc6\xff\x00\x00\x00\x33" + KEY[2:], [ONE]),
        (b"\x99\x00\x33" + KEY[2:], [ONE]),
    ],
)
def test_keys(data: bytes, fingerprints: list[str]) -> None:
    read = read_keys(data)
    assert read.fingerprints == fingerprints
    # What apt gets says the same, with no armor around it that it could read otherwise.
    assert read_keys(read.binary) == read
    assert not read.binary.startswith(b"-")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no OpenPGP public key"),
        (b"hello\n", "no OpenPGP public key, or a damaged one"),
        (b"<html>404</html>", "no OpenPGP public key, or a damaged one"),
        (ARMORED_ONE.replace(b"PUBLIC", b"PRIVATE"), "no ASCII-armored OpenPGP public key"),
        # gpg ignores what stands between two blocks, and one that a reader skips is one that nobody has checked.
        (ARMORED_ONE + b"text\n" + ARMORED_TWO, "no ASCII-armored OpenPGP public key"),
        (ARMORED_ONE[:200], "no ASCII-armored OpenPGP public key"),
        (ARMORED_ONE.replace(b"mDME", b"mD!E"), "no ASCII-armored OpenPGP public key"),
        (ARMORED_ONE + b"\xff", "no ASCII-armored OpenPGP public key"),
        (BINARY[:-1], "a damaged one"),
        (BINARY + b"\x99", "a damaged one"),
        (BINARY + b"hello", "a damaged one"),
        # A key in parts, and one of no stated length.
        (b"\xc6\xe1" + KEY[2:], "a damaged one"),
        (b"\x9b" + KEY[2:], "a damaged one"),
        # A secret key, and a signature before any key.
        (b"\x94\x33" + KEY[2:], "something else than public keys"),
        (BINARY[53:], "something else than public keys"),
        (b"\x98\x33\x06" + KEY[3:], "another version than 4"),
    ],
)
def test_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_keys(data)
