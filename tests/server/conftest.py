# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release's virtual environment with the versions that the example pins, made once, and slots that use it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import typing as t
import venv
from pathlib import Path

import pytest

from tests.server.slots import Slots

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "examples/fastapi_app/requirements.txt"
VENV = ROOT / "build/server-venv"

MakeSlots = t.Callable[..., Slots]


@pytest.fixture(scope="session")
def release_python() -> Path:
    stamp = VENV / "made-from"
    python = VENV / "bin/python"
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text(encoding="ascii") != wanted:
        shutil.rmtree(VENV, ignore_errors=True)
        venv.create(VENV, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "--requirement", str(LOCK)], check=True)
        stamp.write_text(wanted, encoding="ascii")
    return python


@pytest.fixture
def make_slots(release_python: Path) -> t.Iterator[MakeSlots]:
    """Return a function from the role's variables, without their prefix, to slots that end with the test."""
    made: list[Slots] = []
    # Short: the path of a socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="slots-") as folder:

        def make(**variables: t.Any) -> Slots:
            place = Path(folder) / str(len(made))
            place.mkdir()
            made.append(
                Slots(place, release_python, **{f"gunicorn_app_{name}": value for name, value in variables.items()})
            )
            return made[-1]

        yield make
        for slots in made:
            slots.close()
