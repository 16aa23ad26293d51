# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two slots of an application, as the files that they consist of."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.asgi.deploy.plugins.plugin_utils.gunicorn_settings import settings_text

SLOTS = ("blue", "green")

_FOLDER = "{root}/slots/{slot}/"

#: Template to the place where a slot has its file.
_TEMPLATES = {
    "service.j2": "/etc/systemd/system/{name}@{slot}.service",
    "socket.j2": "/etc/systemd/system/{name}@{slot}.socket",
    "slot_settings.py.j2": _FOLDER + "slot_settings.py",
}
#: What a slot has besides, by its server.
_OWN_TEMPLATES = {"gunicorn": {"gunicorn.conf.py.j2": _FOLDER + "gunicorn.conf.py"}, "uvicorn": {}}
_SOURCES = ("draining_server.py", "held_websockets.py", "request_guard.py", "slot_logging.py", "systemd_notify.py")
_OWN_SOURCES = {"gunicorn": ("draining_worker.py", "worker_replacement.py"), "uvicorn": ("uvicorn_server.py",)}

#: What has a meaning between the double quotes of systemd's environment files.
_ESCAPES = str.maketrans({character: "\\" + character for character in '\\"`$'})


def slot_files(
    render: t.Callable[..., str], application: t.Mapping[str, t.Any], sources: pathlib.Path
) -> dict[str, dict[str, str]]:
    """Return each slot's files, path on the host to text, without the environment.

    :param sources: the folder of the role's files on the controller
    """
    server = application["server"]
    templates = {**_TEMPLATES, **_OWN_TEMPLATES[server]}
    structure = {**application, "settings_text": settings_text(application["settings"])}
    python = {name: (sources / name).read_text(encoding="utf-8") for name in (*_SOURCES, *_OWN_SOURCES[server])}
    return {
        slot: {
            **{
                path.format(slot=slot, **application): render(template, slot=slot, **structure)
                for template, path in templates.items()
            },
            **{_FOLDER.format(slot=slot, **application) + name: text for name, text in python.items()},
        }
        for slot in SLOTS
    }


def environment_text(render: t.Callable[..., str], application: t.Mapping[str, t.Any]) -> str:
    """Return the environment file, which is secret."""
    quoted = [(name, value.translate(_ESCAPES)) for name, value in sorted(application["env"].items())]
    return render("environment.j2", quoted_env=quoted)
