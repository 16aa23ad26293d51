# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw nginx directives from the inventory: they may say anything, but only inside their block."""

from __future__ import annotations

import re

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused

_TOKEN = re.compile(
    r"""
      (?P<comment> \#[^\n]* )
    | (?P<quoted> "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
    | (?P<brace> [{}] )
    | (?P<end> ; )
    | (?P<space> \s+ )
    | (?P<open> ["'] )
    | (?P<word> (?: \\. | \$\{\w+\} | [^\s;{}"'\\] )+ )
    """,
    re.VERBOSE | re.DOTALL,
)


def raw_directives(path: str, value: str) -> str:
    """Return ``value`` where its braces and quotes are closed and its last directive is ended.

    One brace too many would end the server block and turn what follows into somebody else's
    configuration, which nginx would accept.

    :raises Refused: naming the line
    """
    depth = 0
    directive = False
    if "\0" in value or "\r" in value:
        raise Refused(path, value, "text without NUL and carriage return")
    for match in _TOKEN.finditer(value):
        line = value.count("\n", 0, match.start()) + 1
        if match["open"]:
            raise Refused(path, value, f"directives whose quotes are closed (line {line})")
        if match["brace"] == "}" and (depth == 0 or directive):
            raise Refused(path, value, f"directives that stay in their own block (line {line} closes too much)")
        depth += {"{": 1, "}": -1}.get(match["brace"] or "", 0)
        if match["brace"] or match["end"]:
            directive = False
        elif match["word"] or match["quoted"]:
            directive = True
    if depth or directive:
        raise Refused(path, value, "directives that end with ; and blocks that end with }")
    return value.strip("\n")
