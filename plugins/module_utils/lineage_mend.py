# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a certbot that was killed, or a full disk, has left of a lineage.

certbot takes half a lineage for none, orders, and then either fails for the folders that are there or writes the
certificate beside it, as ``<name>-0001``: the CA's quota is spent, and nobody serves what came.
"""

from __future__ import annotations

import os
import time
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import target_of, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.certificate import could_load, read_certificate
from ansible_collections.asgi.deploy.plugins.module_utils.lineage import HOME, Lineage

KINDS = ("cert", "privkey", "chain", "fullchain")

#: What certbot cannot use any more, for people to look at; keys are among it.
REMAINS = os.path.join("asgi-deploy", "remains")


def mend(lineage: Lineage, tls_dir: str) -> t.Optional[str]:
    """Make certbot see the lineage whole, or not at all. Returns what was done, or None where it is one or the other.

    :raises ValueError: where nginx uses the half that is there
    """
    archive = os.path.join(HOME, "archive", lineage.name)
    parts = [path for path in (lineage.folder, archive, lineage.renewal.path) if os.path.lexists(path)]
    has_files = all(_is_there(kind, os.path.join(lineage.folder, kind + ".pem")) for kind in KINDS)
    has_settings = all(lineage.renewal.get(kind) for kind in KINDS) and lineage.renewal.get("server") is not None
    if not parts or (has_files and has_settings):
        return None
    if has_files:
        write_file(lineage.renewal.path, _settings(lineage, archive))
        return "{0} was not there, or not whole, and is written anew".format(lineage.renewal.path)
    used = _used(lineage, tls_dir)
    if used:
        raise ValueError("{0} is not whole, and nginx uses it for {1}".format(lineage.folder, ", ".join(used)))
    aside = os.path.join(HOME, REMAINS, "{0}-{1}".format(lineage.name, int(time.time())))
    os.makedirs(aside, mode=0o700)
    for path in parts:
        os.rename(path, os.path.join(aside, os.path.basename(os.path.dirname(path))))
    return "it was not whole; what was there is in " + aside


def _is_there(kind: str, link: str) -> bool:
    """Return whether certbot could use the file. A power cut leaves empty ones, and certbot fails at them each time."""
    if not os.path.islink(link) or not os.path.exists(link):
        return False
    if kind == "privkey":
        return os.stat(link).st_size > 0
    try:
        read_certificate(link)
    except ValueError:
        return False
    return True


def _settings(lineage: Lineage, archive: str) -> str:
    """Return the least that certbot takes for a renewal file. The order that follows fills in the rest."""
    lines = ["archive_dir = " + archive]
    lines += ["{0} = {1}".format(kind, os.path.join(lineage.folder, kind + ".pem")) for kind in KINDS]
    return "\n".join(lines) + "\n\n[renewalparams]\n"


def _used(lineage: Lineage, tls_dir: str) -> t.List[str]:
    """Return the sites that read a pair there. One that nginx cannot load is no use to it, and no loss."""
    names = sorted(os.listdir(tls_dir)) if os.path.isdir(tls_dir) else []
    whole = could_load(lineage.certificate, lineage.key)
    links = {name: os.path.join(tls_dir, name, "current") for name in names}
    return [name for name, link in links.items() if whole and target_of(link) == lineage.folder]
