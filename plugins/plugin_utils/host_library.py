# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role's programs on the host share with the modules: the same files, without Ansible around them."""

from __future__ import annotations

import pathlib
import typing as t

FOLDER = "/usr/local/lib/asgi.deploy"

_MODULE_UTILS = pathlib.Path(__file__).resolve().parents[1] / "module_utils"
_PACKAGE = "ansible_collections.asgi.deploy.plugins.module_utils."


def library(names: t.Iterable[str]) -> dict[str, str]:
    """Return the files of these module_utils for the host, absolute path to text.

    They lie in one folder there and import each other by their bare names.
    """
    texts = {name: (_MODULE_UTILS / f"{name}.py").read_text(encoding="utf-8") for name in names}
    return {f"{FOLDER}/{name}.py": text.replace(f"from {_PACKAGE}", "from ") for name, text in texts.items()}
