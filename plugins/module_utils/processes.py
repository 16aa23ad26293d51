# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that fetch and build: with a time limit, as another user, and without anything that outlives them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
import time
import typing as t

#: Of a command's output this much of the end is kept.
_BYTES = 64 * 1024

#: What a user is shown of it.
_LINES = 20

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None)


class BuildError(Exception):
    """A source could not be had, or a release not be built; the text says why, with the tool's own last lines."""


class Done(t.NamedTuple):
    """``code`` is None for a command that was killed because its time was over."""

    code: t.Optional[int]
    output: str

    def lines(self) -> str:
        """Return the end of the output, for a message."""
        return "\n".join(self.output.strip().splitlines()[-_LINES:]) or "(no output)"

    def problem(self, what: str, seconds: float) -> t.Optional[str]:
        """Return why the command failed, or None where it did not."""
        if self.code == 0:
            return None
        why = "failed" if self.code is not None else "was not done after {0:.0f} s".format(seconds)
        return "{0} {1}:\n{2}".format(what, why, self.lines())


def run_as(
    command: t.Sequence[str],
    user: t.Any = None,
    folder: str = "/",
    environment: t.Optional[t.Mapping[str, str]] = None,
    seconds: float = 60,
    secrets: t.Collection[str] = (),
    umask: int = 0o027,
    standard_input: str = "",
) -> Done:
    """Run a command to its end, and end whatever it has started.

    :param user: entry of the password database, None for the user that we are
    :param secrets: what is replaced in the output
    """
    before = _descendants()
    # What a process leaves behind becomes our child, also one that made itself a session of its own.
    _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # No pipe: a process that goes on in the background would keep it open, and us waiting.
    with tempfile.TemporaryFile() as stream, tempfile.TemporaryFile() as given:
        given.write(standard_input.encode())
        given.seek(0)
        try:
            process = subprocess.Popen(
                list(command),
                cwd=folder,
                env=None if environment is None else dict(environment),
                stdin=given if standard_input else subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: _become(user, umask),
            )
        except OSError as error:
            return Done(127, "{0}: {1}".format(command[0], error.strerror))
        code = None
        try:
            code = process.wait(max(0.1, seconds))
        except subprocess.TimeoutExpired:
            pass
        finally:
            _end(before)
            process.wait()
            _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _BYTES))
        output = stream.read().decode(errors="replace")
    for secret in secrets:
        output = output.replace(secret, "***")
    return Done(code, output)


def _become(user: t.Any, umask: int) -> None:
    if user is not None and user.pw_uid != os.getuid():
        os.initgroups(user.pw_name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    os.umask(umask)
    # After the change of user, which clears it: the command ends with us, also when we are killed.
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _end(before: t.Collection[int]) -> None:
    """Kill all descendants of ours that were not there before, and those that they start meanwhile."""
    while True:
        left = _descendants() - set(before)
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for pid in left:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                # Not ours yet: its parent has been killed as well, and so it comes to us.
                continue


def end_those_of(folder: str, seconds: float = 5) -> None:
    """Kill the processes that name a file below ``folder`` in their command line or work there, and see them end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = [pid for pid in _processes() if pid != os.getpid() and _is_of(pid, folder)]
        if not found:
            return
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def _is_of(pid: int, folder: str) -> bool:
    try:
        with open("/proc/{0}/cmdline".format(pid), "rb") as stream:
            words = stream.read().decode(errors="replace").split("\0")
        words.append(os.readlink("/proc/{0}/cwd".format(pid)))
    except OSError:
        return False
    return any(word == folder or folder + "/" in word for word in words)


def _processes() -> t.List[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _descendants() -> t.Set[int]:
    children: t.Dict[int, t.List[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/{0}/stat".format(name), encoding="utf-8", errors="replace") as stream:
                    # The command's name, in brackets, may hold anything.
                    parent = int(stream.read().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    found: t.Set[int] = set()
    waiting = [os.getpid()]
    while waiting:
        new = children.get(waiting.pop(), [])
        found.update(new)
        waiting += new
    return found
