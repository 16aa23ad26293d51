# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What docs/sites.md and docs/sites/ show, as nginx of both releases loads it: without a warning."""

from __future__ import annotations

import re
import typing as t

import docs_examples
import pytest

Verdicts = dict[str, tuple[int, list[str]]]

#: What the examples name stands here for the pair of the container, made by conftest.
_PEM = re.compile(r"/etc/ssl/(\S+)\.(pem|key)")


def here(value: t.Any) -> t.Any:
    """Return ``value`` with the files of the container in it."""
    if isinstance(value, dict):
        return {key: here(item) for key, item in value.items()}
    if isinstance(value, list):
        return [here(item) for item in value]
    if isinstance(value, str) and (match := _PEM.fullmatch(value)):
        return f"/etc/asgi-tests/{'privkey' if match[2] == 'key' else 'fullchain'}.pem"
    return docs_examples.templated(value)


EXAMPLES = {
    example.place: {**docs_examples.surroundings(), **here(example.variables)}
    for example in docs_examples.examples(docs_examples.SITES)
}


@pytest.fixture(scope="module")
def verdicts(tree_verdicts: t.Callable[[str, dict[str, t.Any]], Verdicts]) -> t.Callable[[str], Verdicts]:
    known: dict[str, Verdicts] = {}

    def of(suite: str) -> Verdicts:
        if suite not in known:
            known[suite] = tree_verdicts(suite, EXAMPLES)
        return known[suite]

    return of


@pytest.mark.parametrize("place", EXAMPLES)
def test_example_loads_without_a_warning(suite: str, verdicts: t.Callable[[str], Verdicts], place: str) -> None:
    assert verdicts(suite)[place] == (0, [])
