# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a role's templates from its normalised structure, on the controller, without Ansible."""

from __future__ import annotations

import functools
import pathlib
import typing as t

import jinja2

#: First in every file: who wrote it, and what happens to a change made by hand.
BANNER = (
    "# Managed by Ansible (asgi.deploy, role {role}). A change made here is undone by the next run:\n"
    "# change the inventory instead."
)


@functools.cache
def renderer(role_path: str, role: str) -> t.Callable[..., str]:
    """Return ``render(template, **structure)`` for the templates of the role at ``role_path``.

    A name that the structure does not have is an error, not an empty string: templates hold no defaults.

    All templates are compiled here. An action plugin calls this when it is imported, which Ansible does before it forks
    a process for each host and task: what one of these compiles is gone with it.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(role_path) / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        autoescape=False,  # noqa: S701: the output is no HTML; what goes in has been checked before
    )
    for name in environment.list_templates():
        environment.get_template(name)
    banner = BANNER.format(role=role)

    def render(template: str, **structure: t.Any) -> str:
        return environment.get_template(template).render(ansible_managed=banner, **structure)

    return render
