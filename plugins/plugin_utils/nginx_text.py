# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Raw nginx directives from the inventory: they may say anything, but only inside their block."""

from __future__ import annotations

import re

from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import unfit

#: How nginx itself divides text: quotes, # and } mean something only where a word would begin, white space
#: is these four characters, and a string is followed by white space or by an end.
_TOKEN = re.compile(
    r"""
      (?P<space> [ \t\r\n]+ )
    | (?P<comment> \#[^\n]* )
    | (?P<end> ; )
    | (?P<brace> [{}] )
    | (?P<quoted> (?: "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' ) (?=[ \t\r\n;{)]|\Z) )
    | (?P<word> (?!["']) (?: \\. | \$\{* | [^ \t\r\n;{$\\] )+ )
    """,
    re.VERBOSE | re.DOTALL,
)


def raw_directives(path: str, value: str) -> str:
    """Return ``value`` where its braces and quotes are closed and its last directive is ended.

    One brace too many would end the server block and turn what follows into somebody else's
    configuration, which nginx would accept.

    :raises Refused: naming the line
    """
    depth = position = 0
    directive = False
    if unfit(value) or "\r" in value:
        raise Refused(path, value, "text of Unicode without NUL and carriage return")
    while position < len(value):
        line = value.count("\n", 0, position) + 1
        match = _TOKEN.match(value, position)
        if match is None:
            if value[position] in "\"'":
                raise Refused(path, value, f"directives whose quotes are closed (line {line})")
            # It would take the end of the line and the brace that closes the block into its word.
            raise Refused(path, value, "directives that do not end with a backslash")
        position = match.end()
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
