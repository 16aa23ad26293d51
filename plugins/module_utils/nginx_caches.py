# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folders of the sites' caches, which nginx makes and never removes: a site that is gone would leave its answers.

Runs inside the module nginx_tree and, copied beside it, inside the program asgi-deploy-nginx-rollback: only the
standard library, and nothing of Ansible.
"""

from __future__ import annotations

import os
import re
import shutil
import typing as t

#: The role's own folder for them; anything elsewhere is somebody else's.
CACHES = "/var/cache/nginx"

_FILE = re.compile(r"sites/([^/]+)/cache\.conf")
_PATH = re.compile(r"^\s*proxy_cache_path\s+(/[^\s;]+)\s", re.MULTILINE)


def caches_of(files: t.Mapping[str, str]) -> t.Set[str]:
    """Return the folders that a generation has nginx make: those that are named after their site, where ours are."""
    found = set()
    for name, text in files.items():
        site, path = _FILE.fullmatch(name), _PATH.search(text)
        if site and path and path[1] == os.path.join(CACHES, site[1]):
            found.add(path[1])
    return found


def remove_caches(paths: t.Iterable[str]) -> None:
    for path in paths:
        # Out of the way first: a worker of an earlier configuration may be writing to it.
        aside = os.path.join(os.path.dirname(path), ".gone-" + os.path.basename(path))
        if os.path.isdir(aside):
            shutil.rmtree(aside)
        if os.path.isdir(path) and not os.path.islink(path):
            os.rename(path, aside)
            shutil.rmtree(aside)


def remove_empty(paths: t.Iterable[str]) -> None:
    """Remove what a test alone has made: a test changes nothing."""
    for path in paths:
        if os.path.isdir(path) and not os.listdir(path):
            os.rmdir(path)
