# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw directives stay in their block, as nginx divides text into words (and not as one would think)."""

from __future__ import annotations

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.nginx_text import raw_directives
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

ACCEPTED = [
    "",
    "\n",
    "deny all;",
    "\ndeny all;\nallow 192.0.2.1;\n",
    "location /x { return 204; }",
    "location /x { if ($request_method = POST) { return 204; } }",
    "location ~ \\.php$ { deny all; }",
    'location ~ "^/[0-9]{4}$" { deny all; }',
    'add_header X "a; }" always;',
    "add_header X 'a; } \\' \"';",
    'return 200 "a \\" }";',
    "return 200 it's;",
    'set $a x"y;',
    "set $a ${host}x;",
    "set $a $host;",
    "# a comment with } and \" and '\n",
    "deny all; # }",
    "set $a b#c;",
    "return 200 a}b;",
    "set $a \\{;",
    "set $a \\};",
    'if ($a = "b") { return 204; }',
    "add_header X \u00e9;",
    "set $a 'two\nlines';",
]

CLOSES = "directives that stay in their own block (line {0} closes too much)"
UNENDED = "directives that end with ; and blocks that end with }"
OPEN = "directives whose quotes are closed (line {0})"

REFUSED = [
    ("}", CLOSES.format(1)),
    ("deny all;\n}\nserver {", CLOSES.format(2)),
    ("location / { } }", CLOSES.format(1)),
    ("location / {\n  deny all }", CLOSES.format(2)),
    ("deny all", UNENDED),
    ("location / {", UNENDED),
    ("deny all;\n# }\nlocation / {", UNENDED),
    ('add_header X "a;', OPEN.format(1)),
    ("deny all;\nadd_header X 'a;", OPEN.format(2)),
    ('set $a "b\\";', OPEN.format(1)),
    # A quote inside a word is an ordinary letter to nginx: what follows is no string.
    ('set $a b"; } server { listen 8080; set $c d";', CLOSES.format(1)),
    ("set $a b'; } server { listen 8080; set $c d';", CLOSES.format(1)),
    # After a string nginx wants a space or an end.
    ('set $a "b"c;', OPEN.format(1)),
    # Only these four are white space to nginx: with a vertical tab "deny\x0b}" is one word.
    ("location / { deny\x0b}", UNENDED),
    ("location / { a;\u00a0}", UNENDED),
    # A backslash at the end would take the line's end, and the closing brace behind it, into its word.
    ("deny all; \\", "directives that do not end with a backslash"),
    ("deny all\\;", UNENDED),
    ("a\0;", "text of Unicode without NUL and carriage return"),
    ("a;\r\n", "text of Unicode without NUL and carriage return"),
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text: str) -> None:
    assert raw_directives("here", text) == text.strip("\n")


@pytest.mark.parametrize(("text", "accepted"), REFUSED)
def test_refused(text: str, accepted: str) -> None:
    with pytest.raises(Refused) as caught:
        raw_directives("sites[0].extra", text)
    assert (caught.value.path, caught.value.value, caught.value.accepted) == ("sites[0].extra", text, accepted)
