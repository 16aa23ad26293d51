# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application's two slots in a folder, with the role's own files, started as systemd starts them."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise
from ansible_collections.asgi.deploy.plugins.plugin_utils.slot_files import slot_files

ROLE = ROLES / "gunicorn_app"
PROBE = "0123456789abcdef0123456789abcdef"

#: systemd hands the socket over as descriptor 3, and names the process that it is for.
_AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""


def eventually(condition: t.Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Slot:
    """One slot with its socket, which is there before the server and after it."""

    def __init__(self, folder: Path, name: str, python: Path, listener: socket.socket) -> None:
        self.folder = folder / "slots" / name
        self.socket = folder / "run" / f"{name}.sock"
        self.log = folder / f"{name}.log"
        self._python = python
        self._listener = listener
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify_path = folder / f"{name}.notify"
        self._notify.bind(str(self._notify_path))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, module: str = "application:app", wait: bool = True, **environment: str) -> Slot:
        if (self.folder / "uvicorn_server.py").exists():
            command = [str(self._python), str(self.folder / "uvicorn_server.py")]
        else:
            configuration = str(self.folder / "gunicorn.conf.py")
            command = [str(self._python.parent / "gunicorn"), "--config", configuration]
        interpreter = str(self._python)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [interpreter, "-c", _AS_SYSTEMD, str(self._listener.fileno()), *command, module],
                cwd=self.folder / "app",
                env={"PATH": os.defpath, "NOTIFY_SOCKET": str(self._notify_path), **environment},
                pass_fds=(self._listener.fileno(),),
                stderr=log,
                stdout=log,
            )
        if wait:
            assert self.ready(15), self.text()
        return self

    def ready(self, seconds: float) -> bool:
        """Wait for READY as systemd would, but not longer than the process lives."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self._notify], [], [], 0.1)[0]:
                return self._notify.recv(4096).startswith(b"READY=1\n")
            if self.process is not None and self.process.poll() is not None:
                return False
        return False

    def words(self) -> int:
        """Return how often the server has told systemd something since, and forget it."""
        count = 0
        while select.select([self._notify], [], [], 0)[0]:
            self._notify.recv(4096)
            count += 1
        return count

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def ended(self, seconds: float = 20) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            # How it ends by itself is what tests are about; this only clears up.
            for pid in [self.process.pid, *children(self.process.pid)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self._notify.close()
        self._listener.close()


class Slots:
    """Both slots of an application with these variables."""

    def __init__(self, folder: Path, python: Path, **variables: t.Any) -> None:
        self.link = folder / "current.sock"
        self._folder = folder
        known = {
            "ansible_facts": {"processor_nproc": 2, "memtotal_mb": 4096},
            "inventory_hostname": "web1",
            "gunicorn_app_name": "notes",
            "gunicorn_app_module": "application:app",
            "gunicorn_app_source": {"type": "git", "url": "https://git.example.com/notes.git", "version": "v1"},
            "gunicorn_app_workers": None if variables.get("gunicorn_app_server") == "uvicorn" else 1,
            **variables,
        }
        application = normalise("gunicorn_app", Host(known, lambda value: value))["applications"][0]
        files = slot_files(renderer(str(ROLE), "gunicorn_app"), application, ROLE / "files")
        (folder / "run").mkdir()
        self.blue, self.green = (self._slot(name, files[name], python) for name in ("blue", "green"))

    def _slot(self, name: str, files: dict[str, str], python: Path) -> Slot:
        for path, text in files.items():
            if path.startswith("/opt/notes/"):
                place = self._folder / path.removeprefix("/opt/notes/")
                place.parent.mkdir(parents=True, exist_ok=True)
                here = text.replace("/opt/notes/", f"{self._folder}/").replace("/run/notes/", f"{self._folder}/run/")
                place.write_text(here, encoding="utf-8")
        slot = self._folder / "slots" / name
        (slot / "probe").write_text(PROBE + "\n", encoding="utf-8")
        (slot / "app").mkdir()
        shutil.copy(Path(__file__).with_name("application.py"), slot / "app")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self._folder / "run" / f"{name}.sock"))
        listener.listen(2048)
        return Slot(self._folder, name, python, listener)

    def flip(self, slot: Slot) -> None:
        new = self.link.with_name("new.sock")
        new.symlink_to(slot.socket)
        new.rename(self.link)

    def close(self) -> None:
        self.blue.close()
        self.green.close()


def children(pid: int) -> list[int]:
    """Return the processes that ``pid`` has started."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text(encoding="ascii").split()] if path.exists() else []
