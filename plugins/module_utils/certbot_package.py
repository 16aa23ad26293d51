# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The distribution's certbot: which one a host has, or will have, and what that one knows."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text

#: Of the releases whose certbot is older than what somebody may ask for: a new host's apt knows no package yet.
_OF_RELEASES = {("debian", "12"): "2.1.0", ("ubuntu", "22.04"): "1.21.0", ("ubuntu", "24.04"): "2.9.0"}

_VERSION = re.compile(r"\s*(?:[0-9]+:)?([0-9]+(?:\.[0-9]+)+)")

#: By it certbot was taught `--preferred-profile`.
_WITH_PROFILES = (4, 0)

Run = t.Callable[..., t.Tuple[int, str, str]]


def packaged_version(run: Run, os_release: str = "/etc/os-release") -> t.Optional[str]:
    """Return the version that is installed, or else the one that apt would install; None where nothing tells."""
    installed = _installed(run, "certbot")
    if installed:
        return _upstream(installed)
    candidate = _candidates(run, "certbot").get("certbot")
    release = dict(re.findall(r'^([A-Z_]+)="?([^"\n]*)"?$', read_text(os_release) or "", re.MULTILINE))
    of_release = _OF_RELEASES.get((release.get("ID", ""), release.get("VERSION_ID", "")))
    return (_upstream(candidate) if candidate else None) or of_release


def has_plugin(run: Run, plugin: str) -> t.Optional[bool]:
    """Return whether the distribution packages certbot's DNS plugin; None where apt knows nothing yet."""
    package = "python3-certbot-dns-" + plugin
    if _installed(run, package):
        return True
    candidates = _candidates(run, "certbot", package)
    return package in candidates if "certbot" in candidates else None


def knows_profiles(version: str) -> bool:
    return tuple(map(int, re.findall(r"\d+", version)[:2])) >= _WITH_PROFILES


def _installed(run: Run, package: str) -> t.Optional[str]:
    code, output, _errors = run(["dpkg-query", "--show", "--showformat=${db:Status-Abbrev} ${Version}", package])
    return output[2:].strip() if code == 0 and output.startswith("ii") else None


def _candidates(run: Run, *packages: str) -> t.Dict[str, str]:
    """Return the packages that apt would install, and their versions."""
    _code, output, _errors = run(["apt-cache", "policy", *packages], environ_update={"LC_ALL": "C.UTF-8"})
    found = re.findall(r"^(\S+):\n(?: .*\n)*? *Candidate: *([^(\s]\S*)$", output, re.MULTILINE)
    return dict(found)


def _upstream(version: str) -> t.Optional[str]:
    match = _VERSION.match(version)
    return match[1] if match else None
