# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocols, ciphers and key exchange groups: Mozilla's profiles, and the user's own lists.

OpenSSL leaves out what it does not know of a list as long as one name is left: a slip would weaken or
empty the policy without a word, so every name is held against what is known here.
"""

from __future__ import annotations

import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

PROTOCOLS = {"intermediate": ["TLSv1.2", "TLSv1.3"], "modern": ["TLSv1.3"]}

#: Mozilla's guidelines 6.0, intermediate: forward secrecy and authenticated encryption, nothing else.
CIPHERS = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
]
#: Others of the same strength that somebody's rules may ask for. None with DHE: nginx offers those only with a file
#: of parameters, and leaves them out without a word.
_FURTHER_CIPHERS = [
    "ECDHE-ECDSA-AES128-CCM",
    "ECDHE-ECDSA-AES256-CCM",
]

#: Safe against a recording that is decrypted by a quantum computer later. OpenSSL has it from 3.5 on.
POST_QUANTUM = "X25519MLKEM768"
CURVES = [POST_QUANTUM, "X25519", "prime256v1", "secp384r1"]
_FURTHER_CURVES = ["X448", "secp521r1"]


def tls_policy(
    profile: str,
    protocols: t.Sequence[str] | None,
    ciphers: t.Sequence[str] | None,
    curves: t.Sequence[str] | None,
) -> dict[str, t.Any]:
    """Return ``profile``, ``protocols``, ``ciphers`` and ``curves``; the user's lists win over the profile's."""
    own = any(value is not None for value in (protocols, ciphers, curves))
    wanted = _known("nginx_proxy_tls_protocols", protocols, PROTOCOLS[profile], PROTOCOLS["intermediate"])
    if ciphers is not None and "TLSv1.2" not in wanted:
        raise Refused("nginx_proxy_tls_ciphers", list(ciphers), "ciphers with TLSv1.2 only; those of TLSv1.3 are fixed")
    if curves is not None and set(curves) == {POST_QUANTUM}:
        # No TLS 1.2, and no older OpenSSL: nearly everybody would be turned away.
        raise Refused("nginx_proxy_tls_curves", list(curves), f"a group besides {POST_QUANTUM}, such as X25519")
    return {
        "profile": profile,
        "own": own,
        "protocols": wanted,
        "ciphers": _known("nginx_proxy_tls_ciphers", ciphers, CIPHERS, CIPHERS + _FURTHER_CIPHERS),
        "curves": _known("nginx_proxy_tls_curves", curves, CURVES, CURVES + _FURTHER_CURVES),
    }


def _known(path: str, values: t.Sequence[str] | None, default: list[str], known: list[str]) -> list[str]:
    if values is None:
        return default
    if not values:
        raise Refused(path, [], "at least one name, or no list at all")
    for index, value in enumerate(values):
        if value not in known:
            raise Refused(f"{path}[{index}]", value, f"one of {', '.join(known)}")
        if value in values[:index]:
            raise Refused(f"{path}[{index}]", value, "each name once")
    return list(values)
