# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put marks into the live generation of nginx's configuration: stage, prove, flip, confirm; otherwise flip back.

Runs inside the program asgi-deploy-health: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import locked, read_text, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import FILE, id_of_marks, with_marks
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import LOCK, LOCK_HOLDER, Nginx
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import Generations, Refusal, id_of
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_switch import (
    ENTRY,
    Files,
    load_and_confirm_marks,
    prove,
)

#: Who has the lock, for the message of a play that waits for it.
HOLDER = "asgi-deploy-health"


class Marks:
    """The marks of the live generation."""

    def __init__(self, generations: Generations, nginx: Nginx) -> None:
        self._generations = generations
        self._nginx = nginx
        self._path = os.path.join(generations.current, FILE)

    def put(self, addresses: t.Container[str]) -> bool:
        """Have nginx leave out these addresses and no others. Returns whether anything was changed.

        Nothing is done while somebody else changes the configuration: there is a next time in a few seconds.

        :raises Refusal: with the reason; nginx serves what it did before
        """
        if not self._is_due(addresses):
            return False
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(LOCK, LOCK_HOLDER, 0, HOLDER))
            except ValueError:
                return False
            # Whoever had the lock may have put another configuration there.
            if not self._is_due(addresses):
                return False
            self._generations.clean()
            self._put(with_marks(self._text(), addresses))
            return True

    def _text(self) -> str:
        return read_text(self._path) or ""

    def _is_due(self, addresses: t.Container[str]) -> bool:
        text = self._text()
        wanted = with_marks(text, addresses)
        if not text or (wanted == text and self._nginx.served_marks() == id_of_marks(wanted)):
            return False
        # An nginx that does not run was stopped by somebody; a generation that was never loaded is a play's, which
        # ends or undoes it.
        return self._nginx.served_generation() == id_of(self._generations.live() or "")

    def _put(self, text: str) -> None:
        before = self._text()
        if text == before:
            # Killed after the flip: what is there was proven, and is not loaded yet.
            problem = self._nginx.test(ENTRY) or load_and_confirm_marks(self._nginx, id_of_marks(text))
            if problem:
                raise Refusal(problem)
            return
        self._prove(text)
        write_file(self._path, text)
        problem = load_and_confirm_marks(self._nginx, id_of_marks(text))
        if problem is not None:
            write_file(self._path, before)
            self._nginx.load()
            raise Refusal(problem + "\nThe marks before are in place again.")

    def _prove(self, text: str) -> None:
        """Test the live generation with this text in it, as a whole."""
        files, private = self._generations.files(self._generations.live() or "")
        stage = self._generations.stage()
        try:
            prove(self._nginx, stage, read_text(ENTRY) or "", Files({**files, FILE: text}, private), {})
        finally:
            shutil.rmtree(stage)
