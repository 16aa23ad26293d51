# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a configuration is the live one already and nginx would load it again: then it needs no trial of its own."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, read_tree
from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import FILE, with_marks
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Nginx, Run
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_entry import ENTRY
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import HOME, Generations
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_sandbox import sandbox_of


def digest_of(files: t.Mapping[str, str], entry: str) -> str:
    """Return what stands for a whole tree and the ``nginx.conf`` before it: with it the texts need not be sent."""
    digest = hashlib.sha256()
    for name, text in sorted([*files.items(), (ENTRY, entry)]):
        digest.update("{0}\0{1}\0".format(name, text).encode())
    return digest.hexdigest()


def is_proven(run: Run, wanted: t.Mapping[str, str], home: str = HOME, entry: str = ENTRY) -> bool:
    """Return whether what is wanted is live, unchanged by hand, and passes nginx's test now.

    The test is a new one: what a package or a hand changed beside the tree shows up in it.

    :param wanted: ``digest``, of the tree, and ``drop_in``, the text of our drop-in, in whose sandbox nginx is tested
    """
    try:
        files = read_tree(Generations(home).current + "/")
        if FILE in files:
            # What health checks have marked is no difference: no run changes it.
            files[FILE] = with_marks(files[FILE], ())
        live = digest_of(files, read_text(entry) or "")
    except OSError:
        # Then it is not what we have made, and the trial says what it is.
        return False
    if live != wanted["digest"]:
        return False
    return Nginx(run, status_port=0, sandbox=sandbox_of(wanted["drop_in"])).test(entry) is None
