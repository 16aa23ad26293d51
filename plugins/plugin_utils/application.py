# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The normaliser of the role gunicorn_app: what the user wrote, checked and made complete."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.app_environment import normalise_environment
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_hop import NOBODY, Around, normalise_hop
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_proof import Served, normalise_proof
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_server import normalise_server
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_source import normalise_source
from ansible_collections.asgi.deploy.plugins.plugin_utils.app_systemd import normalise_systemd
from ansible_collections.asgi.deploy.plugins.plugin_utils.paths import absolute_path, app_root, app_socket
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.values import integer

#: Users and units that a Debian host has already: an application of that name would take them over.
# fmt: off
TAKEN_NAMES = frozenset(
    [
        "_apt", "adm", "avahi", "backup", "bin", "certbot", "chrony", "cron", "daemon", "dbus", "dnsmasq",
        "games", "getty", "gnats", "irc", "list", "lp", "mail", "man", "messagebus", "mysql", "news", "nginx",
        "nobody", "ntp", "openvpn", "polkitd", "postfix", "postgres", "postgresql", "proxy", "redis", "root",
        "ssh", "sshd", "staff", "sudo", "sync", "sys", "syslog", "systemd", "tss", "tty", "user", "users",
        "uucp", "uuidd", "www-data",
    ]
)
# fmt: on

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\(\))?", re.ASCII)
_GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def application_name(path: str, value: t.Any) -> str:
    """Return ``value`` where it is a name that units, users and paths can bear."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Refused(path, value, "[a-z][a-z0-9_-]*, 32 characters at most")
    # The second are folders in /run that all roles share.
    if value in TAKEN_NAMES or value.startswith(("systemd-", "asgi-deploy")):
        raise Refused(path, value, "a name that no user or service of the system has")
    return value


def normalise_application(
    values: t.Mapping[str, t.Any], served: Served | None = None, around: Around = NOBODY
) -> dict[str, t.Any]:
    """Return the complete structure of one application, but for the number of its workers.

    :param values: the role's variables, already of the spec's shape
    :param served: how nginx serves the application, None where no site does
    :param around: who passes on to it
    :raises Refused: naming ``gunicorn_app_…`` with its place
    """
    name = application_name("gunicorn_app_name", values["gunicorn_app_name"])
    general = {"name": name, "state": values["gunicorn_app_state"], "root": app_root(name)}
    if general["state"] == "absent":
        # Nothing else has to be said of it, nor to be right.
        return general
    for key, kind in (("module", "str"), ("source", "dict")):
        if values[f"gunicorn_app_{key}"] is None:
            raise Refused(f"gunicorn_app_{key}", None, f"a value ({kind}); it is required")
    module = _match("gunicorn_app_module", values["gunicorn_app_module"], _MODULE, "package.module:attribute")
    if values["gunicorn_app_server"] == "gunicorn" and "." in module.partition(":")[2]:
        raise Refused("gunicorn_app_module", module, "package.module:name, Gunicorn knows no attributes of attributes")
    _match("gunicorn_app_proxy_group", values["gunicorn_app_proxy_group"], _GROUP, "the name of a group")
    absolute_path("gunicorn_app_python", values["gunicorn_app_python"])
    hop = normalise_hop(values, around)
    if served and around.behind:
        # Confirmed at the port, where a proxy's request would come in; with TLS behind it, for this host has no
        # certificate of a proxy.
        way = {"socket": app_socket(name)} if hop and hop["tls"] else {"port": hop["port"] if hop else None}
        served = served._replace(https=False, whole=True, **way) if hop else None
    application = {
        **general,
        "hop": hop,
        "socket": app_socket(name),
        "module": values["gunicorn_app_module"],
        **normalise_source(values),
        "env": normalise_environment(values["gunicorn_app_env"]),
        **normalise_proof(values, served),
        **normalise_server(values),
        **normalise_systemd(values),
        "python": values["gunicorn_app_python"],
        "proxy_group": values["gunicorn_app_proxy_group"],
        # Two are the least that can be gone back from.
        "releases": integer("gunicorn_app_releases", values["gunicorn_app_releases"], 2, 1000),
    }
    _check_static(application["static"], application["source"])
    return application


def _check_static(static: t.Sequence[t.Mapping[str, str]], source: t.Mapping[str, t.Any]) -> None:
    """Refuse folders of a source that cannot have them. What git or an archive brings is seen when it is there."""
    for index, item in enumerate(static):
        path = f"gunicorn_app_static[{index}].folder"
        if source["type"] == "package":
            raise Refused(path, item["folder"], "no static folders with type package, whose files are in its libraries")
        if source["type"] == "directory" and not os.path.isdir(os.path.join(source["path"], item["folder"])):
            raise Refused(path, item["folder"], f"a folder that is in {source['path']}")


def _match(path: str, value: str, pattern: re.Pattern[str], accepted: str) -> str:
    if not pattern.fullmatch(value):
        raise Refused(path, value, accepted)
    return value
