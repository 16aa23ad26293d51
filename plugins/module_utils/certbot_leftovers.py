# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a host beside what is wanted: credentials that nothing needs any more, and others that renew."""

from __future__ import annotations

import glob
import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_units import TIMERS
from ansible_collections.asgi.deploy.plugins.module_utils.renewal_file import FOLDER as RENEWAL

CREDENTIALS = "/etc/letsencrypt/asgi-deploy"

_CREDENTIALS_OF = re.compile(r"dns-([a-z0-9]+)\.(?:ini|json)")

#: Where cron reads, and whose lines are commands of a script.
_CRONTABS = ("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/crontabs/root")
_CRON_SCRIPTS = ("/etc/cron.hourly/*", "/etc/cron.daily/*", "/etc/cron.weekly/*", "/etc/cron.monthly/*")

_RENEWS = re.compile(r"\bcertbot(?:-auto)?\b.*\brenew\b")

#: The line of Debian's own package, which does nothing where systemd is.
_NOT_WITH_SYSTEMD = "-d /run/systemd/system"


def unused_credentials(keep: t.Collection[str], folder: str = CREDENTIALS, renewal: str = RENEWAL) -> t.List[str]:
    """Return the files with credentials that neither the inventory nor any renewal needs.

    :param keep: the paths that the inventory has
    """
    texts = [read_text(path) or "" for path in glob.glob(os.path.join(glob.escape(renewal), "*.conf"))]
    unused = []
    for path in sorted(glob.glob(os.path.join(glob.escape(folder), "dns-*"))):
        match = _CREDENTIALS_OF.fullmatch(os.path.basename(path))
        if match is None or path in keep:
            continue
        in_use = re.compile(r"^authenticator *= *dns-{0} *$".format(match[1]), re.MULTILINE)
        if not any(in_use.search(text) for text in texts):
            unused.append(path)
    return unused


def remove_unused_credentials(keep: t.Collection[str], folder: str = CREDENTIALS, renewal: str = RENEWAL) -> bool:
    """Remove them. Returns whether there were any."""
    unused = unused_credentials(keep, folder, renewal)
    for path in unused:
        os.unlink(path)
    return bool(unused)


def other_renewers(root: str = "") -> t.List[str]:
    """Return the places from which certbot renews beside its timer: it would be asked twice, and by two clocks."""
    found = []
    for pattern in (*_CRONTABS, *_CRON_SCRIPTS):
        for path in sorted(glob.glob(root + pattern)):
            if os.path.isfile(path) and any(map(_renews, (read_text(path) or "").splitlines())):
                found.append(path[len(root) :])
    for path in sorted(glob.glob(root + "/etc/systemd/system/*.wants/*certbot*.timer")):
        if os.path.basename(path) not in TIMERS:
            found.append(os.path.basename(path))
    return found


def _renews(line: str) -> bool:
    bare = line.strip()
    return not bare.startswith("#") and _NOT_WITH_SYSTEMD not in bare and _RENEWS.search(bare) is not None
