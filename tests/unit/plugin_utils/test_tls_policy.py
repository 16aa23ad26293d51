# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The profiles and the user's own lists: no name that OpenSSL would leave out without a word."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.tls_policy import CIPHERS, CURVES

Normalise = t.Callable[..., dict[str, t.Any]]
Refusal = t.Callable[..., str]

SITE = {"name": "notes", "domains": ["notes.example.com"], "app": "notes"}
BOTH = ["TLSv1.2", "TLSv1.3"]


@pytest.mark.parametrize(
    ("profile", "lists", "expected"),
    [
        (None, {}, (False, BOTH, CIPHERS, CURVES)),
        ("intermediate", {}, (False, BOTH, CIPHERS, CURVES)),
        ("modern", {}, (False, ["TLSv1.3"], CIPHERS, CURVES)),
        ("modern", {"protocols": BOTH, "ciphers": CIPHERS[:1]}, (True, BOTH, CIPHERS[:1], CURVES)),
        (None, {"protocols": ["TLSv1.3"]}, (True, ["TLSv1.3"], CIPHERS, CURVES)),
        (None, {"protocols": ["TLSv1.2"]}, (True, ["TLSv1.2"], CIPHERS, CURVES)),
        (None, {"ciphers": ["ECDHE-ECDSA-AES256-CCM"]}, (True, BOTH, ["ECDHE-ECDSA-AES256-CCM"], CURVES)),
        (None, {"curves": ["secp521r1", "X448"]}, (True, BOTH, CIPHERS, ["secp521r1", "X448"])),
        (None, {"curves": ["X25519", "X25519MLKEM768"]}, (True, BOTH, CIPHERS, ["X25519", "X25519MLKEM768"])),
    ],
)
def test_policy(normalised: Normalise, profile: str | None, lists: t.Any, expected: tuple[t.Any, ...]) -> None:
    site = {**SITE, "tls": {"profile": profile} if profile else {}}
    variables = {f"nginx_proxy_tls_{name}": value for name, value in lists.items()}
    policy = normalised("nginx_proxy", nginx_proxy_sites=[site], **variables)["tls_policy"]
    assert policy["profile"] == (profile or "intermediate")
    assert (policy["own"], policy["protocols"], policy["ciphers"], policy["curves"]) == expected


@pytest.mark.parametrize(
    ("lists", "place", "value", "accepted"),
    [
        ({"protocols": []}, "protocols", "[]", "at least one name"),
        ({"protocols": ["TLSv1.1"]}, "protocols[0]", '"TLSv1.1"', "one of TLSv1.2, TLSv1.3"),
        ({"protocols": ["TLSv1.2", "SSLv3"]}, "protocols[1]", '"SSLv3"', "one of TLSv1.2, TLSv1.3"),
        ({"protocols": ["tlsv1.3"]}, "protocols[0]", '"tlsv1.3"', "one of TLSv1.2, TLSv1.3"),
        ({"protocols": "TLSv1.3"}, "protocols", '"TLSv1.3"', "a list of str"),
        ({"protocols": ["TLSv1.3", "TLSv1.3"]}, "protocols[1]", '"TLSv1.3"', "each name once"),
        ({"protocols": [1.3]}, "protocols[0]", "1.3", "a string (quote it)"),
        ({"ciphers": []}, "ciphers", "[]", "at least one name"),
        ({"ciphers": [*CIPHERS, "AES128-SHA"]}, f"ciphers[{len(CIPHERS)}]", '"AES128-SHA"', "one of ECDHE-"),
        ({"ciphers": ["HIGH:!aNULL"]}, "ciphers[0]", '"HIGH:!aNULL"', "one of ECDHE-"),
        ({"ciphers": ["TLS_AES_128_GCM_SHA256"]}, "ciphers[0]", '"TLS_AES_128_GCM_SHA256"', "one of ECDHE-"),
        # Without a file of parameters nginx offers none of these, and says nothing.
        ({"ciphers": ["DHE-RSA-AES128-GCM-SHA256"]}, "ciphers[0]", '"DHE-RSA-AES128-GCM-SHA256"', "one of ECDHE-"),
        ({"ciphers": [CIPHERS[0], CIPHERS[0]]}, "ciphers[1]", f'"{CIPHERS[0]}"', "each name once"),
        ({"ciphers": CIPHERS[:1], "protocols": ["TLSv1.3"]}, "ciphers", f'["{CIPHERS[0]}"]', "with TLSv1.2 only"),
        ({"curves": []}, "curves", "[]", "at least one name"),
        ({"curves": ["X25519", "P-256"]}, "curves[1]", '"P-256"', "one of X25519MLKEM768"),
        ({"curves": ["auto"]}, "curves[0]", '"auto"', "one of X25519MLKEM768"),
        ({"curves": ["x25519"]}, "curves[0]", '"x25519"', "one of X25519MLKEM768"),
        ({"curves": ["?X25519"]}, "curves[0]", '"?X25519"', "one of X25519MLKEM768"),
        ({"curves": ["X25519:X448"]}, "curves[0]", '"X25519:X448"', "one of X25519MLKEM768"),
        ({"curves": ["X25519MLKEM768"]}, "curves", '["X25519MLKEM768"]', "a group besides X25519MLKEM768"),
    ],
)
def test_refused(refusal: Refusal, lists: dict[str, t.Any], place: str, value: str, accepted: str) -> None:
    line = refusal("nginx_proxy", **{f"nginx_proxy_tls_{name}": given for name, given in lists.items()})
    assert line.startswith(f"nginx_proxy_tls_{place}: {value} is refused; accepted: ")
    assert accepted in line


def test_ciphers_that_the_modern_profile_never_uses(refusal: Refusal) -> None:
    site = {**SITE, "tls": {"profile": "modern"}}
    line = refusal("nginx_proxy", nginx_proxy_sites=[site], nginx_proxy_tls_ciphers=CIPHERS[:1])
    assert line.startswith("nginx_proxy_tls_ciphers: ")


def test_http3_without_its_protocol(refusal: Refusal) -> None:
    line = refusal("nginx_proxy", nginx_proxy_http3=True, nginx_proxy_tls_protocols=["TLSv1.2"])
    assert line.startswith("nginx_proxy_http3: true is refused; accepted: this with TLSv1.3")
