# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases that real pip builds from an index: what is in them, what the next one shares, and what trouble leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import index_access, installers
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError

PASSWORD = "hunter2/+=$%&!?@:;"
MODULES = f"venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"

#: A build backend that is part of the source, so that nothing has to be fetched for it.
BACKEND = """
import os, pathlib, zipfile
def build_wheel(folder, settings=None, metadata=None):
    STEP
    with zipfile.ZipFile(folder + "/own-1.0-py3-none-any.whl", "w") as packed:
        packed.writestr("own.py", pathlib.Path("own.txt").read_text())
        packed.writestr("own-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: own\\nVersion: 1.0\\n")
        packed.writestr("own-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        packed.writestr("own-1.0.dist-info/RECORD", "own.py,,\\nown-1.0.dist-info/RECORD,,\\n")
    return "own-1.0-py3-none-any.whl"
"""


def with_project(builder: t.Any, step: str = "pass", text: str = "own = 1\n") -> None:
    table = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    builder.write("pyproject.toml", table)
    builder.write("backend.py", BACKEND.replace("STEP", step))
    builder.write("own.txt", text)


def text_of(release: Path, module: str) -> str:
    return (release / MODULES / f"{module}.py").read_text(encoding="utf-8")


def processes() -> str:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


class TestRelease:
    def test_what_is_written_down(self, builder: t.Any) -> None:
        release = builder.build()
        record = json.loads((release / "release.json").read_text(encoding="utf-8"))
        assert record["release"] == release.name == builder.releases.find(release.name.partition("-")[2])
        assert record["source"] == {"type": "directory", "digest": "1"}
        assert record["packages"] == {"gunicorn": "1.0", "uvicorn": "1.0", "uvicorn-worker": "1.0"}
        assert record["installer"]["name"] == "pip"
        assert record["installer"]["version"][0].isdigit()
        assert record["python"] == {"path": sys.executable, "version": sys.version.split()[0]}
        assert (record["server"], record["requirements"]) == ("gunicorn", "requirements.txt")
        assert record["code"] == builder.releases.code(release.name)
        assert len(record["code"]) == 12

    def test_nobody_else_can_write_and_nothing_is_left_beside(self, builder: t.Any) -> None:
        builder.write("main.py", "app = 1\n")
        release = builder.build()
        assert sorted(os.listdir(release)) == ["app", "release.json", "venv"]
        assert [path for path in release.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022] == []
        assert not (release / "venv/bin/pip").exists()
        done = subprocess.run([release / "venv/bin/gunicorn"], capture_output=True, text=True, check=True)
        assert done.stdout == f"{release}/{MODULES}/gunicorn.py\n"

    def test_a_word_in_a_comment_is_no_build_system(self, builder: t.Any) -> None:
        builder.write("pyproject.toml", "# No [build-system]: it is run from its folder.\n[project]\nname = 'own'\n")
        assert "own" not in builder.releases.record(builder.build().name)["packages"]

    def test_the_application_as_a_library(self, builder: t.Any) -> None:
        with_project(builder)
        assert text_of(builder.build(), "own") == "own = 1\n"

    def test_a_package(self, builder: t.Any) -> None:
        builder.index.add("notes", "1.4.2")
        builder.index.add("gunicorn", "2.0", script=True)
        source = {"type": "package", "digest": "notes==1.4.2", "name": "notes", "version": "1.4.2", "extras": []}
        packages = ["gunicorn<2", "uvicorn", "uvicorn-worker"]
        release = builder.build(source, requirements=None, packages=packages)
        assert os.listdir(release / "app") == []
        found = builder.releases.record(release.name)["packages"]
        assert (found["notes"], found["gunicorn"]) == ("1.4.2", "1.0")

    def test_uvicorn_alone(self, builder: t.Any) -> None:
        builder.write("requirements.txt", builder.lock.splitlines()[1] + "\n")
        release = builder.build(server="uvicorn")
        assert builder.releases.finished() == [release.name]


class TestSharing:
    def test_unchanged_dependencies_are_linked(self, builder: t.Any) -> None:
        first = builder.build()
        asked = len(builder.index.asked)
        second = builder.build()
        assert len(builder.index.asked) == asked
        assert (first / MODULES / "gunicorn.py").samefile(second / MODULES / "gunicorn.py")
        assert not (first / "venv/pyvenv.cfg").samefile(second / "venv/pyvenv.cfg")
        done = subprocess.run([second / "venv/bin/gunicorn"], capture_output=True, text=True, check=True)
        assert done.stdout == f"{second}/{MODULES}/gunicorn.py\n"
        builder.releases.remove(first.name)
        third = builder.build()
        assert len(builder.index.asked) == asked
        first_, third_ = (json.loads((path / "release.json").read_text()) for path in (second, third))
        assert first_["packages"] == third_["packages"]
        subprocess.run([third / "venv/bin/uvicorn"], check=True, capture_output=True)

    def test_a_changed_lock(self, builder: t.Any) -> None:
        builder.build()
        builder.write("requirements.txt", builder.lock + builder.index.add("other", "2.0"))
        assert builder.releases.record(builder.build().name)["packages"]["other"] == "2.0"
        builder.write("requirements.txt", builder.lock)
        assert "other" not in builder.releases.record(builder.build().name)["packages"]

    def test_requirements_without_hashes_are_looked_up_again(self, builder: t.Any) -> None:
        builder.write("requirements.txt", "gunicorn\nuvicorn\nuvicorn-worker\n")
        builder.build()
        builder.index.add("gunicorn", "1.1", script=True)
        assert builder.releases.record(builder.build().name)["packages"]["gunicorn"] == "1.1"

    @pytest.mark.parametrize("name", ["gunicorn.py", "gunicorn-1.0.dist-info/METADATA"])
    def test_what_a_hand_has_changed_ends_with_its_release(self, builder: t.Any, name: str) -> None:
        first = builder.build()
        text = (first / MODULES / name).read_text(encoding="utf-8")
        (first / MODULES / name).write_text("patched\n", encoding="utf-8")
        assert (builder.build() / MODULES / name).read_text(encoding="utf-8") == text

    @pytest.mark.parametrize("name", ["gunicorn.py", "gunicorn-1.0.dist-info/RECORD"])
    def test_what_a_hand_has_removed(self, builder: t.Any, name: str) -> None:
        first = builder.build()
        (first / MODULES / name).unlink()
        assert (builder.build() / MODULES / name).exists()

    def test_what_a_hand_has_added(self, builder: t.Any) -> None:
        first = builder.build()
        (first / MODULES / "added.py").touch()
        assert not (builder.build() / MODULES / "added.py").exists()

    def test_a_link_that_a_package_has_put_there(self, builder: t.Any, tmp_path: Path) -> None:
        """Root would copy what it leads to: all is installed anew."""
        first = builder.build()
        (tmp_path / "shadow").write_text("secret", encoding="utf-8")
        (first / "venv/bin/evil").symlink_to(tmp_path / "shadow")
        with (first / MODULES / "gunicorn-1.0.dist-info/RECORD").open("a", encoding="utf-8") as stream:
            stream.write("../../../bin/evil,,\n")
        second = builder.build()
        assert not os.path.lexists(second / "venv/bin/evil")
        assert not (first / MODULES / "gunicorn.py").samefile(second / MODULES / "gunicorn.py")
        subprocess.run([second / "venv/bin/gunicorn"], check=True, capture_output=True)

    def test_the_application_itself_is_never_shared(self, builder: t.Any) -> None:
        with_project(builder)
        first = builder.build()
        with_project(builder, text="own = 2\n")
        second = builder.build()
        assert (text_of(first, "own"), text_of(second, "own")) == ("own = 1\n", "own = 2\n")
        (builder.source / "pyproject.toml").unlink()
        assert not (builder.build() / MODULES / "own.py").exists()


class TestTrouble:
    def refused(self, builder: t.Any, **changed: t.Any) -> str:
        """Build in vain: nothing is left, no secret is shown, and the next one works."""
        before = builder.left() if os.path.isdir(builder.releases.folder) else []
        with pytest.raises(BuildError) as caught:
            builder.build(**changed)
        assert builder.left() == before
        assert PASSWORD not in str(caught.value)
        assert not os.path.exists(os.path.join(index_access.FOLDER, builder.releases.name))
        return str(caught.value)

    def test_a_wrong_hash(self, builder: t.Any) -> None:
        builder.write("requirements.txt", builder.lock[:-5] + "0000\n")
        assert "DO NOT MATCH THE HASHES" in self.refused(builder)
        builder.write("requirements.txt", builder.lock)
        builder.build()

    def test_one_hash_is_missing(self, builder: t.Any) -> None:
        builder.index.add("other", "2.0")
        builder.write("requirements.txt", builder.lock + "other==2.0\n")
        assert "--require-hashes mode" in self.refused(builder)

    def test_a_package_that_is_not_there(self, builder: t.Any) -> None:
        builder.write("requirements.txt", "nowhere==1\n")
        assert "No matching distribution found for nowhere==1" in self.refused(builder)

    def test_a_build_that_puts_a_link_for_its_folder(self, builder: t.Any) -> None:
        step = "app = os.getcwd(); os.chdir('/'); os.rename(app, app + '-'); os.symlink(app + '-', app)"
        with_project(builder, step=step + "; os.chdir(app)")
        assert "has replaced its folder app by a link" in self.refused(builder)

    def test_no_requirements_file(self, builder: t.Any) -> None:
        message = self.refused(builder, requirements="locked.txt")
        assert message == "gunicorn_app_requirements: the source has no file locked.txt"

    @pytest.mark.parametrize(
        ("source", "options", "place"),
        [
            ("directory", {}, "requirements.txt does"),
            ("directory", {"server": "uvicorn"}, None),
            ("package", {"packages": ["gunicorn", "uvicorn"]}, "gunicorn_app_server_packages does"),
        ],
    )
    def test_no_server(self, builder: t.Any, source: str, options: dict[str, t.Any], place: str | None) -> None:
        builder.index.add("notes", "1.0")
        builder.write("requirements.txt", "".join(builder.lock.splitlines(keepends=True)[:2]))
        described = {"type": source, "digest": "notes==1.0"} if source == "package" else None
        if place is None:
            builder.build(described, **options)
            return
        message = self.refused(builder, described=described, **options)
        assert message == f"{place} not bring uvicorn_worker: add gunicorn, uvicorn, uvicorn-worker to it"

    def test_uv_without_its_lock(self, builder: t.Any) -> None:
        builder.write("pyproject.toml", "[project]\nname = 'own'\n")
        message = self.refused(builder, installer="uv", requirements=None)
        assert message == "gunicorn_app_installer: uv needs uv.lock, and the source has none"

    def test_an_index_that_is_not_there(self, builder: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
        environment = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
        monkeypatch.setattr(index_access, "_proxies", lambda: environment)
        builder.index.url = "http://127.0.0.1:9/simple"
        assert "Connection refused" in self.refused(builder)

    def test_a_login(self, builder: t.Any) -> None:
        builder.index.password = PASSWORD
        release = builder.build()
        command = ["grep", "-rF", PASSWORD, release, builder.releases.cache]
        found = subprocess.run(command, capture_output=True, check=False)
        assert (found.returncode, found.stdout) == (1, b"")

    def test_a_login_that_is_refused(self, builder: t.Any) -> None:
        builder.index.password = "another"
        assert "401 Client Error" in self.refused(builder)

    def test_a_project_that_does_not_build(self, builder: t.Any) -> None:
        with_project(builder, 'raise SystemExit("the compiler says no")')
        assert "the compiler says no" in self.refused(builder)
        with_project(builder)
        builder.build()

    def test_a_project_that_prints_the_password(self, builder: t.Any) -> None:
        builder.index.password = PASSWORD
        with_project(builder, 'raise SystemExit(open(os.environ["NETRC"]).read() + "and so on")')
        message = self.refused(builder)
        assert "password ***" in message
        assert "and so on" in message

    def test_no_process_outlives_the_build(self, builder: t.Any) -> None:
        # A session of its own, twice removed from us. With its output open pip itself would wait for it.
        command = "(setsid sleep 4321 &) >/dev/null 2>&1; setsid sleep 4321 >/dev/null 2>&1 &"
        with_project(builder, f"import subprocess; subprocess.Popen({command!r}, shell=True)")
        builder.build()
        assert "sleep 4321" not in processes()

    def test_a_build_that_hangs(self, builder: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
        builder.build()
        monkeypatch.setattr(installers, "SECONDS", 4)
        with_project(builder, "print('here it hangs', flush=True); import time; time.sleep(4322)")
        began = time.monotonic()
        assert "was not done after 4 s" in self.refused(builder)
        assert time.monotonic() - began < 20
        assert "4322" not in processes()

    def test_what_a_killed_build_left(self, builder: t.Any, tmp_path: Path) -> None:
        builder.index.password = PASSWORD
        left = Path(builder.releases.path("20260101T000000Z-0123456789ab"))
        (left / "app").mkdir(parents=True)
        own = tmp_path / "run" / builder.releases.name
        own.mkdir(parents=True)
        (own / "netrc").write_text(PASSWORD, encoding="utf-8")
        release = builder.build()
        assert builder.left() == [release.name]
        assert not own.exists()
