# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What certificates need of their host besides the certificates: packages, programs, units, files with secrets."""

from __future__ import annotations

import json
import posixpath
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.dns_credentials import credentials_file, unit_environment
from ansible_collections.asgi.deploy.plugins.plugin_utils.host_library import FOLDER, library
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES

Structure = t.Mapping[str, t.Any]

ROLE = "certbot"

#: What the program on the host imports.
LIBRARY = (
    "acme_account",
    "atomic",
    "ca_words",
    "certbot_order",
    "certbot_turn",
    "certificate",
    "certificate_alarm",
    "certificate_command",
    "certificate_deploy",
    "certificate_renewal",
    "certificate_run",
    "certificate_state",
    "certificate_status",
    "challenge_options",
    "nginx",
    "nginx_sandbox",
    "processes",
    "renewal",
    "renewal_file",
)

PROGRAM = f"{FOLDER}/deploy_certificates.py"
COMMAND = "/usr/local/sbin/asgi-deploy-certificates"
#: What the program reads. It may hold the alarm's address, which is a secret.
CONFIG = "/etc/asgi-deploy/certificates.json"

#: Virtual environments with a certbot of their own, and the link to the one in use.
ENVIRONMENTS = f"{FOLDER}/certbot"

#: The distribution's authorities, which its certbot asks by itself. One from PyPI brings its own list instead, and
#: would not know a private one that the administrator has installed.
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"

_UNITS = "/etc/systemd/system"

#: Path on the host to the template and the mode. What is in here is root's, and anybody may read it.
_RENDERED = {
    COMMAND: ("command.j2", "0755"),
    "/etc/letsencrypt/renewal-hooks/deploy/asgi-deploy": ("deploy_hook.j2", "0755"),
    f"{_UNITS}/certbot.service.d/asgi-deploy.conf": ("certbot.service.j2", "0644"),
    f"{_UNITS}/asgi-deploy-certificates.service": ("watch.service.j2", "0644"),
    f"{_UNITS}/asgi-deploy-certificates.timer": ("watch.timer.j2", "0644"),
    f"{_UNITS}/asgi-deploy-certificates-alarm@.service": ("alarm.service.j2", "0644"),
}


def packages(structure: Structure) -> list[str]:
    """Return the distribution's packages to install. Its certbot brings the timer, whichever certbot that starts."""
    if structure["version"] is not None:
        return ["certbot", "python3-venv"]
    dns = structure["dns"]
    return ["certbot", *([f"python3-certbot-dns-{dns['plugin']}"] if dns else [])]


def certbot_program(structure: Structure) -> str:
    return "/usr/bin/certbot" if structure["version"] is None else f"{ENVIRONMENTS}/current/bin/certbot"


def certbot_environment(structure: Structure) -> dict[str, str]:
    """Return what certbot needs in its environment, whoever starts it."""
    bundle = structure["ca_bundle"] or (AUTHORITIES if structure["version"] else None)
    return {**({"REQUESTS_CA_BUNDLE": bundle} if bundle else {}), **unit_environment(structure["dns"])}


def environment_of(structure: Structure) -> dict[str, t.Any]:
    """Return the parameters of the module certbot_venv."""
    version, dns = structure["version"], structure["dns"]
    if version is None:
        return {"version": None, "plugin": None, "drop_in": ""}
    render = renderer(str(ROLES / ROLE), ROLE)
    drop_in = render("certbot.version.j2", certbot=certbot_program(structure))
    return {"version": version, "plugin": dns["plugin"] if dns else None, "drop_in": drop_in}


def host_parameters(structure: Structure, name: str) -> dict[str, t.Any]:
    """Return the parameters of the module certbot_host. :param name: the host's in the inventory"""
    return {
        "host": name,
        "folders": folders(structure),
        "files": json.dumps(files(structure)),
        "private": private_files(structure),
        "packages": packages(structure),
        "environment": environment_of(structure),
    }


def folders(structure: Structure) -> dict[str, str]:
    """Return the folders and the modes that they have to have; those above them are made as they come."""
    credentials = {posixpath.dirname(path): "0700" for path, _text in _credentials(structure)}
    return {
        "/etc/asgi-deploy": "0755",
        "/var/lib/asgi-deploy": "0755",
        "/var/lib/asgi-deploy/certificates": "0700",
        **credentials,
    }


def files(structure: Structure) -> dict[str, dict[str, str]]:
    """Return the files that anybody on the host may read: absolute path to ``text`` and ``mode``."""
    render = renderer(str(ROLES / ROLE), ROLE)
    names = {
        "command": COMMAND,
        "program": PROGRAM,
        "certbot": certbot_program(structure),
        "environment": certbot_environment(structure),
    }
    program = (ROLES / ROLE / "files" / "deploy_certificates.py").read_text(encoding="utf-8")
    return {
        **{path: {"text": text, "mode": "0644"} for path, text in library(LIBRARY).items()},
        PROGRAM: {"text": program, "mode": "0644"},
        **{
            path: {"text": render(template, **{**structure, **names}), "mode": mode}
            for path, (template, mode) in _RENDERED.items()
        },
    }


def private_files(structure: Structure) -> dict[str, str]:
    """Return the files that only root may read, absolute path to text."""
    return {CONFIG: config_text(structure), **dict(_credentials(structure))}


def _credentials(structure: Structure) -> list[tuple[str, str]]:
    file = credentials_file(structure["dns"])
    return [file] if file else []


def config_text(structure: Structure) -> str:
    """Return what the program on the host has to know."""
    present = [item for item in structure["certificates"] if item["state"] == "present"]
    config = {
        "tls_dir": structure["tls_dir"],
        "certificates": [{"name": item["name"], "domains": item["domains"]} for item in present],
        "server": structure["server"],
        # With this it registers anew where the CA has forgotten the account; not for one that the CA ties to its own.
        "account": {
            "certbot": certbot_program(structure),
            "email": structure["email"],
            "external": structure["eab"] is not None,
        },
        "deploy_command": structure["deploy_command"],
        "textfile_dir": structure["textfile_dir"],
        "alarm": structure["alarm"],
    }
    return json.dumps(config, indent=2) + "\n"
