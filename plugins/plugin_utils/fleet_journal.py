# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has happened in a release so far, on all hosts: a file on the controller, a line for each step.

Tasks of one run are processes of their own, and each host's variables cost time to read: with a file, what the
controller does for a host is the same in a fleet of two and of two hundred.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import time
import typing as t

Entry = dict[str, t.Any]


class Journal:
    """:param path: a file in a folder that only the user can read, as it holds messages of applications"""

    def __init__(self, path: str) -> None:
        self.path = path

    def begin(self, **known: t.Any) -> None:
        """Begin anew: what an earlier playbook of the same run has left is none of this release."""
        with open(self.path, "w", encoding="utf-8") as stream:
            stream.write(_line("begin", known))

    def note(self, kind: str, **known: t.Any) -> None:
        with open(self.path, "a", encoding="utf-8") as stream:
            # Lines of several hosts at the same time must not mix.
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(_line(kind, known))

    def entries(self) -> list[Entry]:
        with open(self.path, encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]

    def beginning(self) -> Entry:
        """Return what :meth:`begin` has been given."""
        with open(self.path, encoding="utf-8") as stream:
            return t.cast("Entry", json.loads(stream.readline()))

    @contextlib.contextmanager
    def noting(self, kind: str, errors: type[Exception], **known: t.Any) -> t.Iterator[Entry]:
        """Note a step when it is over, also one that fails.

        :param errors: with which it may end
        :returns: a dictionary to put into what is noted of it; as long as it is empty, nothing is
        """
        found: Entry = {}
        began = time.monotonic()
        try:
            yield found
        except errors as error:
            found["failed"] = str(error)
            raise
        finally:
            # Of what was interrupted there is nothing to say.
            if found:
                self.note(kind, **{"seconds": round(time.monotonic() - began, 1), **known, **found})


def _line(kind: str, known: t.Mapping[str, t.Any]) -> str:
    return json.dumps({"kind": kind, **known}) + "\n"
