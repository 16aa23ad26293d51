"""Packages of one environment in another. What an installer makes of it is in tests/unit/builds."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.shared_packages import NotShared, share_packages

PACKAGES = "lib/python3.11/site-packages"
SCRIPT = "#!{0}/bin/python\nprint(1)\n"


class Place(t.NamedTuple):
    """``old`` has a package with a module and a script, ``new`` its interpreter alone; ``host`` is the host's."""

    old: Path
    new: Path
    host: Path

    def share(self) -> None:
        share_packages(str(self.old), str(self.new))

    def claim(self, path: str) -> Path:
        """Have the package's record name a file more, relative to the environment."""
        with (self.old / PACKAGES / "notes-1.0.dist-info/RECORD").open("a", encoding="utf-8") as stream:
            stream.write(f"../../../{path},,\n")
        return self.old / path


@pytest.fixture
def place(tmp_path: Path, write: t.Callable[[Path, str], Path]) -> Place:
    host = tmp_path / "host"
    write(host / "shadow", "secret")
    write(host / "python3", "the interpreter")
    for name in ("old", "new"):
        (tmp_path / name / "venv/bin").mkdir(parents=True)
        (tmp_path / name / "venv/bin/python").symlink_to(host / "python3")
    old = tmp_path / "old/venv"
    write(old / PACKAGES / "notes.py", "one = 1\n")
    write(old / PACKAGES / "notes-1.0.dist-info/RECORD", "notes.py,,\nnotes-1.0.dist-info/RECORD,,\n")
    write(old / "bin/notes", SCRIPT.format(old)).chmod(0o4755)
    found = Place(old, tmp_path / "new/venv", host)
    found.claim("bin/notes")
    return found


def has_secret(folder: Path) -> bool:
    return any(path.is_file() and b"secret" in path.read_bytes() for path in folder.rglob("*"))


def test_modules_are_linked_and_scripts_are_copied(place: Place) -> None:
    place.claim(PACKAGES + "/notes.py")
    place.share()
    assert (place.new / PACKAGES / "notes.py").samefile(place.old / PACKAGES / "notes.py")
    assert (place.new / "bin/notes").read_text(encoding="utf-8") == SCRIPT.format(place.new)
    # Not the bit that lets a program run as its owner, which is root here.
    assert (place.new / "bin/notes").stat().st_mode & 0o7777 == 0o755


def test_below_a_folder_that_is_reached_through_a_link(place: Place, tmp_path: Path) -> None:
    (tmp_path / "opt").symlink_to(tmp_path)
    share_packages(str(tmp_path / "opt/old/venv"), str(tmp_path / "opt/new/venv"))
    assert (place.new / PACKAGES / "notes.py").exists()


def a_script(place: Place) -> None:
    place.claim("bin/evil").symlink_to(place.host / "shadow")


def a_module(place: Place) -> None:
    place.claim(PACKAGES + "/evil.py").symlink_to(place.host / "shadow")


def a_folder(place: Place) -> None:
    place.claim(PACKAGES + "/data/shadow").parent.symlink_to(place.host)


def a_folder_of_scripts(place: Place) -> None:
    place.claim("bin/more/shadow").parent.symlink_to(place.host)


def a_record(place: Place) -> None:
    (place.host / "RECORD").write_text("notes.py,,\n", encoding="utf-8")
    (place.old / PACKAGES / "evil-1.0.dist-info").mkdir()
    (place.old / PACKAGES / "evil-1.0.dist-info/RECORD").symlink_to(place.host / "RECORD")


def a_place_of_packages(place: Place) -> None:
    (place.host / "evil-1.0.dist-info").mkdir()
    (place.host / "evil-1.0.dist-info/RECORD").write_text("shadow,,\n", encoding="utf-8")
    (place.old / "lib/python3.99").mkdir()
    (place.old / "lib/python3.99/site-packages").symlink_to(place.host)


def all_of_it(place: Place) -> None:
    moved = place.old.rename(place.host / "venv")
    place.old.symlink_to(moved)


def a_named_pipe(place: Place) -> None:
    os.mkfifo(place.claim("bin/evil"))


def the_interpreter(place: Place) -> None:
    place.claim("bin/python").unlink()
    (place.old / "bin/python").write_text("secret", encoding="utf-8")


def a_name_that_is_none(place: Place) -> None:
    place.claim("bin/no\0tes")


def a_folder_of_the_new_one(place: Place) -> None:
    (place.new / "lib/python3.11").mkdir(parents=True)
    (place.new / PACKAGES).symlink_to(place.host)


@pytest.mark.parametrize(
    "trick",
    [
        a_script,
        a_module,
        a_folder,
        a_folder_of_scripts,
        a_record,
        a_place_of_packages,
        all_of_it,
        a_named_pipe,
        the_interpreter,
        a_name_that_is_none,
        a_folder_of_the_new_one,
    ],
)
def test_no_link_leads_to_what_is_the_hosts(place: Place, trick: t.Callable[[Place], None]) -> None:
    trick(place)
    before = {path.name for path in place.host.iterdir()}
    with pytest.raises(NotShared):
        place.share()
    assert not has_secret(place.new)
    assert {path.name for path in place.host.iterdir()} == before
    assert (place.host / "python3").read_text(encoding="utf-8") == "the interpreter"
    assert (place.host / "shadow").stat().st_nlink == 1


def test_of_two_packages_with_one_file_the_later_ones_stays(place: Place) -> None:
    place.claim("bin/notes")
    place.share()
    assert (place.new / "bin/notes").exists()
