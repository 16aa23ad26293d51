# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation inside the plugins is YAML: `make sanity` finds it too, a minute later."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
FILES = sorted([*PLUGINS.glob("modules/*.py"), *PLUGINS.glob("filter/*.py")])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_documentation_can_be_read(path: Path) -> None:
    texts = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()
        and node.targets[0].id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    }  # fmt: skip
    assert set(texts) == {"DOCUMENTATION", "EXAMPLES", "RETURN"}
    documentation = yaml.safe_load(texts["DOCUMENTATION"])
    assert documentation.get("module", documentation.get("name")) == path.stem
    assert yaml.safe_load(texts["EXAMPLES"])
    yaml.safe_load(texts["RETURN"])
