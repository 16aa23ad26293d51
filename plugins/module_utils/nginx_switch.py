# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a generation live, see that nginx serves it, or return to the one before; and going back to an old one.

Runs inside the module nginx_tree and, copied beside it, inside the program asgi-deploy-nginx-rollback: only the
standard library, and nothing of Ansible.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import LOCKS, read_text, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import FILE as MARKS
from ansible_collections.asgi.deploy.plugins.module_utils.host_marks import keep_marks
from ansible_collections.asgi.deploy.plugins.module_utils.nginx import Nginx, explain
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_caches import caches_of, remove_empty
from ansible_collections.asgi.deploy.plugins.module_utils.nginx_generations import (
    TRIAL,
    Generations,
    Refusal,
    id_of,
    remove_trials,
    write_generation,
)
from ansible_collections.asgi.deploy.plugins.module_utils.tls_folder import TlsFolders

ENTRY = "/etc/nginx/nginx.conf"
ERROR_LOG = "/var/log/nginx/error.log"

_REASON = re.compile(r"\[(?:emerg|alert|crit)\] [0-9#]+: ")

Confirm = t.Callable[[str], t.Optional[str]]


class Files(t.NamedTuple):
    """A generation's files, relative path to text: for everybody, and for nginx alone."""

    open: t.Mapping[str, str]
    private: t.Mapping[str, str]


@contextlib.contextmanager
def checked_folder() -> t.Iterator[str]:
    """Give a folder for a tree that is only tested: below /run, since nginx.service does not see the host's /tmp."""
    os.makedirs(LOCKS, mode=0o700, exist_ok=True)
    remove_trials(LOCKS)
    folder, lock = _new_trial()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
        os.close(lock)


def _new_trial() -> t.Tuple[str, int]:
    """Return an empty folder, and the lock by which it is known to be in use."""
    while True:
        folder = tempfile.mkdtemp(prefix=TRIAL, dir=LOCKS)
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            # Until it is locked, it looks like one that was left.
            continue
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(folder):
            return folder, lock
        os.close(lock)


def prove(nginx: Nginx, stage: str, entry: str, files: Files, substitutes: t.Mapping[str, str]) -> None:
    """Test a tree in the folder ``stage``, which is laid out like /etc/nginx.

    :param substitutes: what to write instead of folders that are only there after a real run
    :raises Refusal: with nginx's own message
    """
    write_file(os.path.join(stage, "nginx.conf"), entry)
    written = dict(files.open)
    for folder, substitute in substitutes.items():
        written = {name: text.replace(folder + "/", substitute + "/") for name, text in written.items()}
    write_generation(os.path.join(stage, "deploy", "current"), written, files.private)
    absent = [path for path in caches_of(files.open) if not os.path.lexists(path)]
    message = nginx.test(os.path.join(stage, "nginx.conf"))
    remove_empty(absent)
    if message:
        raise Refusal(explain(message, os.path.join(stage, "deploy/current"), files.open))


def load_and_confirm(nginx: Nginx, generation: str) -> t.Optional[str]:
    """Make nginx load what is live, and wait until it answers as ``generation``. Returns what went wrong, or None."""
    return _load_and_confirm(nginx, "the new generation does not answer", lambda: nginx.confirm(generation))


def load_and_confirm_marks(nginx: Nginx, marks: str) -> t.Optional[str]:
    """Make nginx load what is live, and wait until it tells of ``marks``. Returns what went wrong, or None."""
    return _load_and_confirm(nginx, "does not tell of the new marks", lambda: nginx.confirm_marks(marks))


def _load_and_confirm(nginx: Nginx, otherwise: str, confirmed: t.Callable[[], bool]) -> t.Optional[str]:
    written = _size(ERROR_LOG)
    problem = nginx.load()
    if problem is not None:
        return "nginx did not take the configuration: " + problem
    if confirmed():
        return None
    reasons = _errors_since(ERROR_LOG, written)
    return "nginx was reloaded, but {0}: it goes on with the configuration it had. ".format(otherwise) + (
        "{0} says:\n".format(ERROR_LOG) + "\n".join(reasons) if reasons else "{0} does not say why.".format(ERROR_LOG)
    )


def _size(path: str) -> int:
    return os.path.getsize(path) if os.path.exists(path) else 0


def _errors_since(path: str, start: int) -> t.List[str]:
    """Return the last of what keeps nginx from working that was written to a log after its byte ``start``.

    What is older belongs to another failure, and what a request ran into is no reason.
    """
    try:
        with open(path, "rb") as stream:
            # A log that is shorter now was rotated.
            stream.seek(start if _size(path) >= start else 0)
            text = stream.read().decode("utf-8", "replace")
    except OSError:
        return []
    lines = [line for line in text.splitlines() if _REASON.search(line)]
    # nginx tries a port five times; the time and the process before the words differ.
    return list({_REASON.split(line, 1)[-1]: line for line in lines}.values())[-5:]


def go_back(generations: Generations, nginx: Nginx, tls: TlsFolders, name: str, confirm: Confirm) -> bool:
    """Put an old generation live. Returns whether anything was changed.

    :param nginx: asks at the old generation's own status port
    :param confirm: loads what is live, and says what went wrong
    :raises Refusal: with the reason; what was live before is live again
    """
    needed = generations.named(name, tls.root)
    if generations.live() == name and nginx.served_generation() == id_of(name):
        # What a killed run may have left to write down.
        generations.confirm(name)
        tls.mark(needed)
        return False
    # A certificate may be gone since then: with the self-signed pair nginx starts at least.
    tls.mend(needed)
    files = files_with_marks(generations, name)
    stage = generations.stage()
    try:
        prove(nginx, stage, read_text(ENTRY) or "", files, {})
    finally:
        shutil.rmtree(stage)
    before = generations.way_back(name)
    put_marks(generations, name, files)
    generations.point(name)
    problem = confirm(id_of(name))
    if problem is not None and before is not None:
        generations.point(before)
        nginx.load()
        raise Refusal(problem + "\nThe configuration before it is live again.")
    if problem is not None:
        raise Refusal(problem)
    generations.confirm(name)
    tls.mark(needed)
    return True


def files_with_marks(generations: Generations, name: str) -> Files:
    """Return the files of an old generation, with the marks of the live one: its own are of the day it was left."""
    files, private = generations.files(name)
    live = generations.live()
    text = read_text(os.path.join(generations.path(live), MARKS)) if live else None
    return Files(keep_marks(files, {MARKS: text or ""}), private)


def put_marks(generations: Generations, name: str, files: Files) -> None:
    """Write what :func:`files_with_marks` said, before the generation is live."""
    path = os.path.join(generations.path(name), MARKS)
    if MARKS in files.open and read_text(path) != files.open[MARKS]:
        write_file(path, files.open[MARKS])


def try_to_go_back(generations: Generations, nginx: Nginx, tls: TlsFolders, name: str) -> None:
    """Prove an old generation without a change to the host.

    :raises Refusal: with nginx's own message
    """
    substitutes = {
        tls.current(folder): os.path.join(tls.folder(folder), "bootstrap")
        for folder in generations.named(name, tls.root)
        if not os.path.exists(tls.current(folder) + "/fullchain.pem")
    }
    with checked_folder() as stage:
        prove(nginx, stage, read_text(ENTRY) or "", files_with_marks(generations, name), substitutes)
