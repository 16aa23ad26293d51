# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes this checkout importable as ``ansible_collections.asgi.deploy``, whatever its folder is called.

Three packages are registered by hand: no link, no copy and no pytest plugin is needed, and the tests of pure
Python run even where ansible-core is not installed.
"""

from __future__ import annotations

import sys
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _package(name: str, paths: list[str]) -> None:
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = paths
    module = types.ModuleType(name)
    module.__spec__ = spec
    module.__path__ = paths
    sys.modules[name] = module
    parent, _dot, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)


_package("ansible_collections", [])
_package("ansible_collections.asgi", [])
_package("ansible_collections.asgi.deploy", [str(ROOT)])
