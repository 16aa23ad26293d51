# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word "down" behind a host's line: read, put, taken away and taken over."""

from __future__ import annotations

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import (
    FILE,
    NONE,
    Server,
    id_of_marks,
    keep_marks,
    marks_of,
    servers_of,
    with_marks,
)

HEAD = "# About the file; # with signs.\nmap $server_port $health_marks { default none; }\n"
A, B, C = "10.0.0.1:8000", "[2001:db8::2]:8000", "10.0.0.3:9000"


def block(name: str, *servers: str) -> str:
    return (
        f"\nupstream {name} {{\n    zone upstream_{name} 64k;\n" + "".join(f"    {line}\n" for line in servers) + "}\n"
    )


def line(address: str, host: str) -> str:
    return f"server {address} max_fails=1 fail_timeout=5s; # {host}"


NOTES = block("site__notes", line(A, "app1"), line(B, "app2"), line(C, "app3.example.com"))
#: The proxy's own by its socket, which nobody asks.
LOCAL = block("site__local", "server unix:/opt/notes/current.sock; # proxy1", line(A, "app1"))
ONE = block("site__one", line(A, "app1"))


def test_the_servers_with_their_hosts() -> None:
    assert servers_of(HEAD + with_marks(NOTES + LOCAL, {B})) == [
        Server("site__notes", A, "app1", False),
        Server("site__notes", B, "app2", True),
        Server("site__notes", C, "app3.example.com", False),
        Server("site__local", "unix:/opt/notes/current.sock", "proxy1", False),
        Server("site__local", A, "app1", False),
    ]


@pytest.mark.parametrize(
    ("text", "addresses", "marked"),
    [
        (NOTES, set(), []),
        (NOTES, {A}, [("site__notes", A)]),
        (NOTES, {B, C}, [("site__notes", B), ("site__notes", C)]),
        # Nobody would be left.
        (NOTES, {A, B, C}, []),
        (ONE, {A}, []),
        # In one block it is the last, in the other one it is not.
        (NOTES + ONE, {A}, [("site__notes", A)]),
        (NOTES + ONE, {A, B, C}, []),
        (LOCAL, {A}, [("site__local", A)]),
        (NOTES, {"10.0.0.9:8000"}, []),
        # Part of another address.
        (NOTES, {"0.0.0.1:8000", "10.0.0.1:800"}, []),
        ("", {A}, []),
    ],
)
def test_marks(text: str, addresses: set[str], marked: list[tuple[str, str]]) -> None:
    new = with_marks(HEAD + text, addresses)
    assert [(server.upstream, server.address) for server in servers_of(new) if server.down] == marked
    assert marks_of(new) == {address for _upstream, address in marked}
    assert (id_of_marks(new) == NONE) is (not marked)
    # The same once more changes nothing, and without marks it is the text as it was rendered.
    assert with_marks(new, addresses) == new
    assert with_marks(new, set()) == HEAD + text


def test_the_word_stands_where_nginx_reads_it() -> None:
    assert f"    server {A} max_fails=1 fail_timeout=5s down; # app1\n" in with_marks(HEAD + NOTES, {A})


def test_other_marks_have_another_id() -> None:
    texts = [with_marks(HEAD + NOTES + LOCAL, marks) for marks in ((), (A,), (B,), (A, B))]
    assert len({id_of_marks(text) for text in texts}) == 4
    assert id_of_marks("upstream a {\n}\n") == NONE


@pytest.mark.parametrize(
    ("rendered", "live", "kept"),
    [
        (NOTES, with_marks(NOTES, {A}), {A}),
        # The host has left, or has another port.
        (block("site__notes", line(B, "app2"), line(C, "app3")), with_marks(NOTES, {A}), set()),
        (NOTES.replace(A, "10.0.0.1:8001"), with_marks(NOTES, {A}), set()),
        # All but the marked one have left.
        (ONE, with_marks(NOTES, {A}), set()),
        # A new site with the same hosts.
        (NOTES + block("site__new", line(A, "app1"), line(B, "app2")), with_marks(NOTES, {A}), {A}),
        (NOTES, "", set()),
    ],
)
def test_a_new_text_takes_marks_over(rendered: str, live: str, kept: set[str]) -> None:
    files = keep_marks({FILE: HEAD + rendered, "other": "text"}, {FILE: HEAD + live} if live else {})
    assert marks_of(files[FILE]) == kept
    assert files["other"] == "text"


def test_without_health_checks_there_is_nothing_to_take_over() -> None:
    assert keep_marks({"main.conf": "text"}, {FILE: with_marks(HEAD + NOTES, {A})}) == {"main.conf": "text"}
