# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies that do not do the same work are not compared."""

from __future__ import annotations

import pytest

from tests.bench import equals, proxy
from tests.bench.report import BenchError

HEAD = (
    "HTTP/2 200 \r\nserver: nginx\r\ndate: Fri, 20 Nov 2026 20:18:37 GMT\r\ncontent-length: 18\r\n"
    "Content-Security-Policy: default-src 'self'; report-uri https://a.test/x?y=1\r\nx-request-id: 76dbf9df\r\n\r\n"
)


def test_what_a_proxy_adds_is_found() -> None:
    assert equals.response_headers(HEAD) == {
        "server": "nginx",
        "content-security-policy": "default-src 'self'; report-uri https://a.test/x?y=1",
    }


def test_haproxy_is_told_to_add_the_same() -> None:
    headers = {"server": "nginx", "x-odd": 'say "100%" $HOME \\'}
    assert equals.haproxy_responses(headers).splitlines() == [
        '    http-response set-header server "nginx"',
        '    http-response set-header x-odd "say \\"100%%\\" \\$HOME \\\\" unless { res.hdr(x-odd) -m found }',
    ]


SNIPPET = """\
# proxy_set_header Commented out;
proxy_set_header Host $host;
proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Script-Name "";
proxy_set_header X-Client-Verify $client_verify;
proxy_set_header X-Client-Subject $ssl_client_s_dn;
proxy_set_header Connection $proxy_connection;
"""


def test_haproxy_is_told_to_pass_on_the_same() -> None:
    headers = equals.request_headers(SNIPPET)
    assert headers == {
        "X-Real-IP": "$remote_addr",
        "X-Script-Name": '""',
        "X-Client-Verify": "$client_verify",
        "X-Client-Subject": "$ssl_client_s_dn",
    }
    arrived = {"host": "bench.test", "x-real-ip": "127.0.0.1", "x-client-verify": "NONE"}
    assert equals.haproxy_requests(headers, arrived).splitlines() == [
        "    http-request set-header X-Real-IP %[src]",
        "    http-request del-header X-Script-Name",
        '    http-request set-header X-Client-Verify "NONE"',
        "    http-request del-header X-Client-Subject",
    ]


def test_different_answers_are_not_compared() -> None:
    equals.check_responses({"a": "1"}, {"a": "1"})
    with pytest.raises(BenchError, match="'x-frame-options', 'DENY'"):
        equals.check_responses({"a": "1", "x-frame-options": "DENY"}, {"a": "1"})
    with pytest.raises(BenchError, match="different headers"):
        equals.check_responses({"a": "1"}, {"a": "2"})


def test_different_requests_are_not_compared() -> None:
    # Each has its own port and makes its own ids.
    equals.check_requests({"x-forwarded-port": "443"}, {"x-forwarded-port": "9443"})
    with pytest.raises(BenchError, match="x-client-verify"):
        equals.check_requests({"host": "a", "x-client-verify": "NONE"}, {"host": "a"})


def test_a_forged_header_that_survives_is_told() -> None:
    with pytest.raises(BenchError, match="x-real-ip through HAProxy"):
        equals.check_requests({"x-real-ip": "127.0.0.1"}, {"x-real-ip": "forged"})


@pytest.mark.parametrize(("lines", "equal"), [(3000, True), (2985, True), (2900, False), (0, False), (6000, False)])
def test_logging_less_is_told(lines: int, equal: bool) -> None:
    before = {"HAProxy": 100}
    if equal:
        proxy.check_logged(before, {"HAProxy": 100 + lines}, 3000)
    else:
        with pytest.raises(BenchError, match=f"HAProxy wrote {lines} lines for 3000 requests"):
            proxy.check_logged(before, {"HAProxy": 100 + lines}, 3000)
