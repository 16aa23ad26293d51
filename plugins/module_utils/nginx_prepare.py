# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands around nginx on a host: the files of its unit, its packages, where they come from."""

from __future__ import annotations

import os
import shutil
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import diff_of, read_text
from ansible_collections.asgi.deploy.plugins.module_utils.call import Call, Result
from ansible_collections.asgi.deploy.plugins.module_utils.health_units import HealthUnits
from ansible_collections.asgi.deploy.plugins.module_utils.host_files import Files, of_systemd, stale_files, write_files
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_entry import ENTRY, MARK
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_unit import (
    Unit,
    is_of_the_distribution,
    masked_by,
)
from ansible_collections.asgi.deploy.plugins.module_utils.packages import absent_packages
from ansible_collections.asgi.deploy.plugins.module_utils.signing_key import fetch_keyring, is_kept, write_keyring

DROP_IN = "/etc/systemd/system/nginx.service.d/"

OUTDATED = (
    "nginx was started before its systemd drop-in was written, and is not restarted for it: the sandbox and the "
    "limits in {0}asgi-deploy.conf hold from its next start on. At a quiet time: systemctl restart nginx"
).format(DROP_IN)

NOT_CHECKED = (
    "the signing key at nginx_proxy_repository_key_url was not checked: gpg, which tells whose it is, is not installed "
    "yet, and check mode installs nothing"
)

NOT_OF_THE_DISTRIBUTION = (
    "the nginx that is installed is not the distribution's, which nginx_proxy_repository asks for. It stays, and gets "
    "no more updates: an older version is never installed over a newer one by itself. docs/nginx-generations.md says "
    "how to change it at a quiet time"
)


def due_keyring(call: Call, renewed: bool) -> t.Tuple[bool, t.Optional[bytes]]:
    """Return whether apt's keyring has to be written, and what it has to hold, where that can be told.

    :param renewed: whether the repository's file changes, which names the trusted keys: they are fetched again then
    """
    key = call.params["key"]
    if key is None:
        return False, None
    if shutil.which("gpg") is None:
        if not call.check_mode:
            raise ValueError("gpg is not installed on this host, and without it no signing key can be checked")
        call.warn("{0}: {1}".format(call.params["host"], NOT_CHECKED))
        return renewed or not os.path.exists(key["path"]), None
    if not renewed and is_kept(call.run, key["path"], key["fingerprints"]):
        return False, None
    return True, fetch_keyring(call.run, key["url"], key["fingerprints"])


def prepare_nginx(call: Call) -> Result:
    """Do the work of the module nginx_host.

    :raises ValueError: for a host that nginx cannot be prepared on
    """
    params, key = call.params, call.params["key"]
    mask = masked_by()
    if mask:
        raise ValueError(
            "nginx.service is masked on this host ({0}), so that nginx could not be started; accepted: a host on "
            "which `systemctl unmask nginx.service` was run".format(mask)
        )
    unit = Unit(call.run)
    health = HealthUnits(call.run, params["health_files"], params["health_checks"])
    files = {**params["files"], **health.files()}
    stale = stale_files(files)
    later = waiting(stale) if not call.check_mode else []
    extra = [path for path in params["absent"] if os.path.lexists(path)]
    leftovers = health.leftovers()
    health_later = bool(leftovers) and health.is_needed() and not call.check_mode
    fetch, keyring = due_keyring(call, any(path.endswith(".sources") for path in stale))
    own = is_of_the_distribution(call.run)
    switch = key is not None and own is True
    result: Result = {
        "changed": bool(
            set(stale) - set(later)
            or extra
            or (leftovers and not health_later)
            or health.is_idle()
            or fetch
            or unit.needs_reload()
        ),
        "deferred": bool(later) or health_later,
        "switch": switch,
        "install": absent_packages(call.run, params["packages"]) + (["nginx"] if switch else []),
        "diff": diff_of(
            {path: read_text(path) for path in [*files, *extra, *leftovers] if not path.endswith(".gpg")},
            {
                **{path: wanted["text"] if path not in later else read_text(path) for path, wanted in files.items()},
                **({path: read_text(path) for path in leftovers} if health_later else {}),
            },
        ),
    }
    if not call.check_mode:
        now = {path: wanted for path, wanted in stale.items() if path not in later}
        gone = [] if health_later else leftovers
        if gone:
            health.stop()
        put(unit, now, [*extra, *gone], (key["path"], keyring) if keyring else None)
        health.start(now)
    # Another task asks the same; its trip to the host is saved so.
    result["probe"] = call.run(["/bin/sh", "-c", params["probe"]])[1]
    if unit.is_outdated():
        call.warn("{0}: {1}".format(params["host"], OUTDATED))
    elif not call.check_mode:
        unit.forget()
    if key is None and own is False:
        call.warn("{0}: {1}".format(params["host"], NOT_OF_THE_DISTRIBUTION))
    return result


def waiting(stale: Files) -> t.List[str]:
    """Return the files of the unit that have to wait until a hand-made configuration is taken over.

    The sandbox may be too narrow for it: were the takeover refused, its next start would fail.
    """
    live = read_text(ENTRY)
    if live is None or MARK in live:
        return []
    return [path for path in stale if path.startswith(DROP_IN)]


def put(
    unit: Unit,
    stale: Files,
    extra: t.Sequence[str],
    keyring: t.Optional[t.Tuple[str, bytes]],
) -> None:
    if any(path.startswith(DROP_IN) for path in stale):
        unit.note_change()
    if keyring:
        # First: apt fails as a whole on a repository whose key is not there.
        write_keyring(*keyring)
    write_files(stale)
    for path in extra:
        os.unlink(path)
    if unit.needs_reload() or of_systemd([*stale, *extra]):
        problem = unit.reload()
        if problem:
            raise ValueError("systemctl daemon-reload: " + problem)
