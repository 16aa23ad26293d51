# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The two slots of an application, as the files that they consist of."""

from __future__ import annotations

import pathlib
import typing as t

SLOTS = ("blue", "green")

#: Template to the place where a slot has its file.
_FILES = {
    "service.j2": "/etc/systemd/system/{name}@{slot}.service",
    "socket.j2": "/etc/systemd/system/{name}@{slot}.socket",
    "gunicorn.conf.py.j2": "{root}/slots/{slot}/gunicorn.conf.py",
}
_WORKER = "{root}/slots/{slot}/draining_worker.py"

#: What has a meaning between the double quotes of systemd's environment files.
_ESCAPES = str.maketrans({character: "\\" + character for character in '\\"`$'})


def slot_files(
    render: t.Callable[..., str], application: t.Mapping[str, t.Any], worker: pathlib.Path
) -> dict[str, dict[str, str]]:
    """Return each slot's files, path on the host to text, without the environment.

    :param worker: the worker class's file on the controller
    """
    return {
        slot: {
            **{
                path.format(slot=slot, **application): render(template, slot=slot, **application)
                for template, path in _FILES.items()
            },
            _WORKER.format(slot=slot, **application): worker.read_text(encoding="utf-8"),
        }
        for slot in SLOTS
    }


def environment_text(render: t.Callable[..., str], application: t.Mapping[str, t.Any]) -> str:
    """Return the environment file, which is secret."""
    quoted = [(name, value.translate(_ESCAPES)) for name, value in sorted(application["env"].items())]
    return render("environment.j2", quoted_env=quoted)
