"""That HAProxy does the same work as the role's nginx: what arrives is compared, not what is configured."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tests.bench.report import BenchError

#: HAProxy's words for what changes from request to request. Everything else is a constant here, where nobody shows
#: a client certificate: what arrives once arrives always.
_VALUES = {
    "$remote_addr": "%[src]",
    "$host": "%[req.hdr(host)]",
    "$scheme": "https",
    "$server_port": "%[dst_port]",
    "$request_id": "%[unique-id]",
}
#: Between two proxies' connections, not for the application.
_HOP = {"host", "upgrade", "connection"}
#: Of the answer itself, or another one each time; HAProxy's configuration has the last one.
_VARYING = {"date", "content-type", "content-length", "transfer-encoding", "connection", "x-request-id"}


def response_headers(head: str) -> dict[str, str]:
    """Return the headers that a proxy added or may have added, from the head of an answer."""
    pairs = [line.partition(":") for line in head.splitlines()[1:] if ":" in line]
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return {name: value for name, value in headers.items() if name not in _VARYING}


def request_headers(snippet: str) -> dict[str, str]:
    """Return what nginx sets each header of a request to, from its configuration."""
    found = re.findall(r"^\s*proxy_set_header\s+(\S+)\s+(.+?);", snippet, re.M)
    return {name: value for name, value in found if name.lower() not in _HOP}


def haproxy_requests(headers: Mapping[str, str], arrived: Mapping[str, str]) -> str:
    """Return the lines of HAProxy's configuration that treat a request's headers as the role's nginx does.

    :param headers: what the role sets, in nginx's words
    :param arrived: what the application got of a request through the role's nginx
    """
    lines = []
    for name, value in headers.items():
        known = {header.lower(): text for header, text in arrived.items()}.get(name.lower())
        wanted = _VALUES.get(value, quoted(known) if known else "")
        words = f"set-header {name} {wanted}" if wanted else f"del-header {name}"
        lines.append(f"    http-request {words}\n")
    return "".join(lines)


def quoted(value: str) -> str:
    """Return a literal as HAProxy reads it: inside double quotes it still expands variables, and %[...] in any case."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("%", "%%")
    return f'"{escaped}"'


def haproxy_responses(headers: Mapping[str, str]) -> str:
    """Return the lines of HAProxy's configuration that set these headers as the role's nginx does."""
    lines = []
    for name, value in headers.items():
        # The application's own header wins, but for the server's name.
        unless = "" if name == "server" else f" unless {{ res.hdr({name}) -m found }}"
        lines.append(f"    http-response set-header {name} {quoted(value)}{unless}\n")
    return "".join(lines)


def check_responses(ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    if ours != theirs:
        differing = sorted(set(ours.items()) ^ set(theirs.items()))
        raise BenchError(f"the role's nginx and HAProxy answer with different headers: {differing}")


def check_requests(ours: Mapping[str, str], theirs: Mapping[str, str]) -> None:
    """The values may differ (each has its own port and makes its own ids); forged ones must not have survived."""
    if set(ours) != set(theirs):
        raise BenchError(
            "the role's nginx and HAProxy pass on different headers: " + ", ".join(sorted(set(ours) ^ set(theirs)))
        )
    survived = sorted(
        f"{name} through {proxy}"
        for proxy, headers in (("nginx", ours), ("HAProxy", theirs))
        for name, value in headers.items()
        if "forged" in value
    )
    if survived:
        raise BenchError(f"forged headers were passed on: {', '.join(survived)}")
