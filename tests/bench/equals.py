"""That HAProxy does the same work as the role's nginx: what arrives is compared, not what is configured."""

from __future__ import annotations

from collections.abc import Mapping

from tests.bench.report import BenchError

#: Sent by the client that checks: a proxy that lets one through saves itself work the other one does.
FORGED = (
    "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
    "X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Scheme", "X-Forwarded-User", "X-Real-IP", "X-Request-ID",
    "X-Scheme", "X-Script-Name", "Front-End-Https", "X-Original-URL", "X-Rewrite-URL", "X-Client-IP",
    "X-Cluster-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Proxy",
)  # fmt: skip
#: Of the answer itself, or another one each time; HAProxy's configuration has the last one.
_VARYING = {"date", "content-type", "content-length", "transfer-encoding", "connection", "x-request-id"}


def response_headers(head: str) -> dict[str, str]:
    """Return the headers that a proxy added or may have added, from the head of an answer."""
    pairs = [line.partition(":") for line in head.splitlines()[1:] if ":" in line]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return {name: value for name, value in headers.items() if name not in _VARYING}


def haproxy_lines(headers: Mapping[str, str]) -> str:
    """Return the lines of HAProxy's configuration that set these headers as the role's nginx does."""
    lines = []
    for name, value in headers.items():
        # Inside double quotes HAProxy still expands variables, and %[...] in any case.
        quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("%", "%%")
        # The application's own header wins, but for the server's name.
        unless = "" if name == "server" else f" unless {{ res.hdr({name}) -m found }}"
        lines.append(f'    http-response set-header {name} "{quoted}"{unless}\n')
    return "".join(lines)


def check_responses(ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    if ours != theirs:
        differing = sorted(set(ours.items()) ^ set(theirs.items()))
        raise BenchError(f"the role's nginx and HAProxy answer with different headers: {differing}")


def check_requests(ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    """The values may differ (each has its own port and makes its own ids); forged ones must not have survived."""
    if set(ours) != set(theirs):
        raise BenchError(
            "the role's nginx and HAProxy pass on different headers (tests/bench/proxies/haproxy.cfg is to follow "
            f"the role's snippets/proxy_headers.conf): {sorted(set(ours) ^ set(theirs))}"
        )
    survived = sorted(
        f"{name} through {proxy}"
        for proxy, headers in (("nginx", ours), ("HAProxy", theirs))
        for name, value in headers.items()
        if "forged" in value
    )
    if survived:
        raise BenchError(f"forged headers were passed on: {', '.join(survived)}")
