# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static files of releases: which lie published before, after and without a switch, and that none is half there."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import stat
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import published_files
from ansible_collections.asgi.deploy.plugins.module_utils.published import Published

STATIC = [{"folder": "static", "as": "static"}]

Files = t.Mapping[str, str | None]
Make = t.Callable[..., str]


@pytest.fixture
def release(tmp_path: Path) -> Make:
    """Makes a release of its static files, name to text; a name that ends with a slash is an empty folder."""

    def make(name: str, files: Files, folder: str = "static") -> str:
        app = tmp_path / "releases" / name / "app"
        (app / folder).mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            full = app / folder / path
            if text is None:
                full.mkdir(parents=True)
            else:
                full.parent.mkdir(parents=True, exist_ok=True)
                full.write_text(text, encoding="utf-8")
                # As those of an archive that pack() made.
                os.utime(full, (0, 0))
                full.chmod(0o640)
        return str(app)

    return make


@pytest.fixture
def site(tmp_path: Path) -> Published:
    return Published("notes", STATIC, root=str(tmp_path / "www"))


def seen(site: Published, name: str = "static") -> dict[str, str]:
    """Return what nginx would find: relative path to text."""
    top = Path(site.folder) / name
    return {
        os.path.relpath(path, top): path.read_text(encoding="utf-8")
        for path in sorted(top.rglob("*"))
        if path.is_file()
    }


def folders(site: Published) -> list[str]:
    top = Path(site.folder) / "static"
    return sorted(os.path.relpath(path, top) for path in top.rglob("*") if path.is_dir())


def deploy(site: Published, app: str, *others: str) -> None:
    assert site.problem(app) is None
    site.add(app)
    site.settle(app, others)
    assert site.is_settled(app, others)


def test_the_first_release(site: Published, release: Make) -> None:
    app = release("1", {"app.1.js": "one", "css/style.css": "one", "css/style.css.gz": "packed"})
    assert not site.is_settled(app, [])
    site.add(app)
    assert seen(site) == {"app.1.js": "one", "css/style.css": "one", "css/style.css.gz": "packed"}
    assert site.settle(app, []) is False
    assert site.is_settled(app, [])
    assert site.settle(app, []) is False


def test_a_switch(site: Published, release: Make) -> None:
    """Before it the old content, after it the new one, and the hashed names of both all the time."""
    one = release("1", {"app.1.js": "one", "style.css": "old", "gone.css": "old"})
    two = release("2", {"app.2.js": "two", "style.css": "new"})
    deploy(site, one)
    site.add(two)
    assert seen(site) == {"app.1.js": "one", "app.2.js": "two", "style.css": "old", "gone.css": "old"}
    assert not site.is_settled(two, [one])
    assert site.settle(two, [one]) is True
    assert seen(site) == {"app.1.js": "one", "app.2.js": "two", "style.css": "new", "gone.css": "old"}
    assert site.is_settled(two, [one])


def test_a_release_that_goes_takes_its_files_along(site: Published, release: Make) -> None:
    one, two, three = (
        release(str(n), {f"deep/er/app.{n}.js": str(n), f"only{n}/x.js": "", "a.css": str(n)}) for n in (1, 2, 3)
    )
    deploy(site, one)
    deploy(site, two, one)
    deploy(site, three, two)
    assert seen(site) == {
        "a.css": "3",
        "deep/er/app.2.js": "2",
        "deep/er/app.3.js": "3",
        "only2/x.js": "",
        "only3/x.js": "",
    }
    assert folders(site) == ["deep", "deep/er", "only2", "only3"]


def test_of_two_kept_releases_the_newer_one_has_the_name(site: Published, release: Make) -> None:
    one = release("1", {"a.css": "1"})
    two = release("2", {"a.css": "2"})
    three = release("3", {})
    deploy(site, one)
    deploy(site, two, one)
    deploy(site, three, two, one)
    assert seen(site) == {"a.css": "2"}
    # The way back.
    deploy(site, one, three, two)
    assert seen(site) == {"a.css": "1"}


def test_a_switch_that_failed(site: Published, release: Make) -> None:
    one = release("1", {"app.1.js": "one", "a.css": "1", "dir/x": ""})
    two = release("2", {"app.2.js": "two", "a.css": "2", "dir/y": "", "new/z": ""})
    deploy(site, one)
    site.add(two)
    site.withdraw(two, [one])
    assert seen(site) == {"app.1.js": "one", "a.css": "1", "dir/x": ""}
    assert folders(site) == ["dir"]
    assert site.is_settled(one, [])


def test_a_failed_switch_to_a_kept_release_takes_nothing(site: Published, release: Make) -> None:
    one = release("1", {"app.1.js": "one"})
    two = release("2", {"app.2.js": "two"})
    deploy(site, one)
    deploy(site, two, one)
    site.add(one)
    site.withdraw(one, [two, one])
    assert seen(site) == {"app.1.js": "one", "app.2.js": "two"}
    assert site.is_settled(two, [one])


def test_a_first_release_that_failed_leaves_nothing(site: Published, release: Make) -> None:
    app = release("1", {"deep/app.js": "", "empty/": None})
    site.add(app)
    site.withdraw(app, [])
    assert not os.path.exists(site.folder)
    site.withdraw(app, [])


def test_same_size_same_time_other_content(site: Published, release: Make) -> None:
    """Releases of an archive have no times: nginx would give both files one ETag, and browsers keep the old one."""
    one, two = release("1", {"a.css": "1"}), release("2", {"a.css": "2"})
    deploy(site, one)
    path = Path(site.folder, "static/a.css")
    before = path.stat()
    assert before.st_mtime > time.time() - 60
    deploy(site, two, one)
    assert path.read_text(encoding="utf-8") == "2"
    assert path.stat().st_mtime_ns > before.st_mtime_ns


def test_what_has_not_changed_keeps_its_etag(site: Published, release: Make) -> None:
    one, two = release("1", {"a.css": "1"}), release("2", {"a.css": "1"})
    deploy(site, one)
    before = os.stat(Path(site.folder, "static/a.css"))
    deploy(site, two, one)
    assert os.stat(Path(site.folder, "static/a.css")) == before


def test_a_file_becomes_a_folder_and_back(site: Published, release: Make) -> None:
    one = release("1", {"a": "file", "b/c/d": "in a folder", "b/e": ""})
    two = release("2", {"a/x": "in a folder", "b": "file"})
    deploy(site, one)
    site.add(two)
    # Both cannot be there; until the switch those of the live release are.
    assert seen(site) == {"a": "file", "b/c/d": "in a folder", "b/e": ""}
    site.settle(two, [one])
    assert seen(site) == {"a/x": "in a folder", "b": "file"}
    assert site.is_settled(two, [one])
    deploy(site, one, two)
    assert seen(site) == {"a": "file", "b/c/d": "in a folder", "b/e": ""}
    site.add(two)
    site.withdraw(two, [one])
    assert site.is_settled(one, [two])


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_nginx_can_read_all_of_it(site: Published, release: Make, umask: int) -> None:
    app = release("1", {"deep/er/app.js": "", "run.sh": ""})
    os.chmod(Path(app, "static/run.sh"), 0o6755)
    before = os.umask(umask)
    try:
        deploy(site, app)
    finally:
        os.umask(before)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode)
        for path in [Path(site.folder).parent, Path(site.folder), *Path(site.folder, "static").rglob("*")]
    }
    assert modes == {"www": 0o755, "notes": 0o755, "deep": 0o755, "er": 0o755, "app.js": 0o644, "run.sh": 0o644}
    # Half-written files, and whose releases these are, are nobody's business.
    assert stat.S_IMODE(os.stat(Path(site.folder, ".asgi-deploy")).st_mode) == 0o700


def test_the_folders_of_others_stay_as_they_are(site: Published, release: Make) -> None:
    os.makedirs(site.folder)
    os.chmod(site.folder, 0o2775)
    Path(site.folder, "index.html").write_text("theirs", encoding="utf-8")
    app = release("1", {"a/b.js": ""})
    deploy(site, app)
    assert stat.S_IMODE(os.stat(site.folder).st_mode) == 0o2775
    assert stat.S_IMODE(os.stat(Path(site.folder, "static/a")).st_mode) == 0o755
    assert site.remove() is True
    assert os.listdir(site.folder) == ["index.html"]
    assert site.remove() is False


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_somebody_else_has_put_there_is_not_taken(
    site: Published, release: Make, tmp_path: Path, kind: str
) -> None:
    app = release("1", {"a.js": ""})
    place = Path(site.folder, "static")
    place.parent.mkdir(parents=True)
    if kind == "folder":
        place.mkdir()
        (place / "upload.jpg").touch()
    elif kind == "file":
        place.touch()
    else:
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    problem = site.problem(app)
    assert problem == (
        f"gunicorn_app_static[0].as: {place} is there already and is not of this role; move it, or choose another name"
    )
    for attempt in (lambda: site.add(app), lambda: site.settle(app, [])):
        with pytest.raises(FileExistsError, match="not of this role"):
            attempt()
    assert os.listdir(site.folder) == ["static"]
    assert (place / "upload.jpg").exists() is (kind == "folder")


def test_an_empty_folder_that_was_made_for_it_is_taken(site: Published, release: Make) -> None:
    os.makedirs(Path(site.folder, "static"))
    deploy(site, release("1", {"a.js": "1"}))
    assert seen(site) == {"a.js": "1"}


def test_the_folder_is_missing(site: Published, release: Make) -> None:
    app = release("1", {"a.js": ""}, folder="dist")
    assert site.problem(app) == "gunicorn_app_static[0].folder: the release has no folder static"
    both = Published("notes", [{"folder": "dist", "as": "x"}, {"folder": "dist/a.js", "as": "y"}], root="/nonexistent")
    assert both.problem(app) == "gunicorn_app_static[1].folder: the release has no folder dist/a.js"


def test_a_release_of_before_without_the_folder(site: Published, release: Make) -> None:
    old = release("0", {"x": ""}, folder="other")
    app = release("1", {"a.js": "1"})
    deploy(site, app, old)
    assert seen(site) == {"a.js": "1"}
    # Back to it: its pages have no such files.
    site.add(old)
    site.settle(old, [app])
    assert seen(site) == {"a.js": "1"}
    assert site.is_settled(old, [app])


@pytest.mark.parametrize(
    ("link", "target", "said"),
    [
        ("static/x", "/etc/passwd", "static/x leads out of the source"),
        ("static/x", "../../release.json", "static/x leads out of the source"),
        ("static/x", "../../app-old/secret", "static/x leads out of the source"),
        ("static/deep/x", "/etc", "static/deep/x leads out of the source"),
        ("static/x", "/nonexistent", "static/x leads out of the source"),
        ("static/x", "../out", "static/x leads out of the source"),
        ("static/deep/x", "..", "static/deep/x leads back to a folder that it is in"),
        ("static/x", ".", "static/x leads back to a folder that it is in"),
    ],
)
def test_links_that_nobody_may_follow(site: Published, release: Make, link: str, target: str, said: str) -> None:
    app = release("1", {"a.js": "1", "deep/b.js": "2"})
    Path(app, "../release.json").write_text("{}", encoding="utf-8")
    Path(app, "../app-old").mkdir()
    Path(app, "../app-old/secret").write_text("secret", encoding="utf-8")
    Path(app, "out").symlink_to("/etc/hostname")
    Path(app, link).symlink_to(target)
    assert site.problem(app) == f"gunicorn_app_static[0].folder: {said}"
    # Also where nobody has asked.
    site.add(app)
    site.settle(app, [])
    assert seen(site) == {"a.js": "1", "deep/b.js": "2"}


def test_the_folder_itself_is_a_link(site: Published, release: Make, tmp_path: Path) -> None:
    inside = release("1", {"a.js": "1"}, folder="dist")
    Path(inside, "static").symlink_to("dist")
    deploy(site, inside)
    assert seen(site) == {"a.js": "1"}
    outside = release("2", {}, folder="dist")
    Path(outside, "static").symlink_to(tmp_path)
    assert site.problem(outside) == "gunicorn_app_static[0].folder: static leads out of the source"


def test_links_inside_the_source_are_files_of_their_own(site: Published, release: Make) -> None:
    app = release("1", {"a.1.js": "1", "real/b.js": "2"})
    Path(app, "shared").mkdir()
    Path(app, "shared/c.js").write_text("3", encoding="utf-8")
    Path(app, "static/a.js").symlink_to("a.1.js")
    Path(app, "static/linked").symlink_to("real")
    Path(app, "static/shared").symlink_to("../shared")
    # Points at nothing, or at itself: there is nothing to publish.
    Path(app, "static/broken").symlink_to("nothing.js")
    Path(app, "static/itself").symlink_to("itself")
    deploy(site, app)
    assert seen(site) == {
        "a.1.js": "1",
        "a.js": "1",
        "linked/b.js": "2",
        "real/b.js": "2",
        "shared/c.js": "3",
    }
    assert not any(path.is_symlink() for path in Path(site.folder).rglob("*"))


def test_two_folders_that_link_to_each_other_end(site: Published, release: Make) -> None:
    app = release("1", {"a/x.js": "", "b/y.js": ""})
    Path(app, "static/a/b").symlink_to("../b")
    Path(app, "static/b/a").symlink_to("../a")
    assert "leads back" in (site.problem(app) or "")


def test_odd_names(site: Published, release: Make) -> None:
    app = release("1", {"with space.js": "1", "new\nline": "2", "-rf": "3", "'\"$(x)": "4"})
    raw = os.fsencode(app) + b"/static/caf\xe9/\xff.js"
    os.makedirs(os.path.dirname(raw))
    with open(raw, "w", encoding="utf-8") as stream:
        stream.write("5")
    deploy(site, app)
    assert os.path.exists(os.fsencode(site.folder) + b"/static/caf\xe9/\xff.js")
    assert len(seen(site)) == 5
    two = release("2", {})
    deploy(site, two)
    assert seen(site) == {}
    os.symlink("/etc", os.fsencode(app) + b"/static/\xff")
    # Ansible's answer is UTF-8.
    assert (site.problem(app) or "").encode() == (
        b"gunicorn_app_static[0].folder: static/\\udcff leads out of the source"
    )


def test_hidden_files_and_what_is_no_file_are_not_published(site: Published, release: Make) -> None:
    app = release(
        "1", {".env": "SECRET=1", ".git/HEAD": "", "a/.htpasswd": "", "a/b.js": "1", ".well-known/security.txt": "2"}
    )
    os.mkfifo(Path(app, "static/pipe"))
    deploy(site, app)
    assert seen(site) == {"a/b.js": "1", ".well-known/security.txt": "2"}
    assert folders(site) == [".well-known", "a"]


def test_empty_folders(site: Published, release: Make) -> None:
    app = release("1", {"empty/": None, "a/empty/": None})
    deploy(site, app)
    # nginx would log an error for each request where the folder itself is missing.
    assert os.listdir(Path(site.folder, "static")) == []


def test_several_folders_with_names_of_their_own(release: Make, tmp_path: Path) -> None:
    app = release("1", {"a.js": "1"}, folder="web/dist")
    release("1", {"a.js": "2"}, folder="media")
    static = [{"folder": "web/dist", "as": "assets"}, {"folder": "media", "as": "media"}]
    site = Published("notes", static, root=str(tmp_path / "www"))
    deploy(site, app)
    assert (seen(site, "assets"), seen(site, "media")) == ({"a.js": "1"}, {"a.js": "2"})
    # One is taken out of the inventory, then both.
    less = Published("notes", static[:1], root=str(tmp_path / "www"))
    assert not less.is_settled(app, [])
    assert less.settle(app, []) is True
    assert less.is_settled(app, [])
    assert sorted(os.listdir(less.folder)) == [".asgi-deploy", "assets"]
    none = Published("notes", [], root=str(tmp_path / "www"))
    assert not none.is_settled(app, [])
    none.add(app)
    assert none.settle(app, []) is True
    assert none.is_settled(app, [])
    assert not os.path.exists(none.folder)
    assert none.settle(app, []) is False


def test_a_failed_release_with_a_new_folder_leaves_the_old_ones(release: Make, tmp_path: Path) -> None:
    one = release("1", {"a.js": "1"})
    deploy(Published("notes", STATIC, root=str(tmp_path / "www")), one)
    two = release("2", {"a.js": "1"})
    release("2", {"b.js": ""}, folder="media")
    more = Published("notes", [*STATIC, {"folder": "media", "as": "media"}], root=str(tmp_path / "www"))
    more.add(two)
    more.withdraw(two, [one])
    assert sorted(os.listdir(more.folder)) == [".asgi-deploy", "static"]
    # And is nobody's any more.
    Path(more.folder, "media").mkdir()
    Path(more.folder, "media/theirs").touch()
    assert "not of this role" in (more.problem(two) or "")
    assert Published("notes", STATIC, root=str(tmp_path / "www")).is_settled(one, [])


@pytest.mark.parametrize("harm", ["changed", "missing", "more", "closed", "closed folder", "replaced by a link"])
def test_what_a_hand_has_changed_is_mended(site: Published, release: Make, harm: str) -> None:
    app = release("1", {"a/b.js": "good", "c.js": "good"})
    deploy(site, app)
    path = Path(site.folder, "static/a/b.js")
    time.sleep(0.01)
    if harm == "changed":
        path.write_text("evil", encoding="utf-8")
        os.utime(path, (0, 0))
    elif harm == "missing":
        path.unlink()
    elif harm == "more":
        path.with_name("more.js").touch()
    elif harm == "closed":
        path.chmod(0o600)
    elif harm == "closed folder":
        path.parent.chmod(0o700)
    else:
        path.unlink()
        path.symlink_to(Path(app, "static/a/b.js"))
    assert not site.is_settled(app, [])
    assert site.settle(app, []) is True
    assert site.is_settled(app, [])
    assert seen(site) == {"a/b.js": "good", "c.js": "good"}
    assert not path.is_symlink()
    assert [stat.S_IMODE(os.stat(each).st_mode) for each in (path, path.parent)] == [0o644, 0o755]


def test_a_touched_file_is_no_change(site: Published, release: Make) -> None:
    app = release("1", {"a.js": "1"})
    deploy(site, app)
    time.sleep(0.01)
    os.chmod(Path(site.folder, "static/a.js"), 0o644)
    assert not site.is_settled(app, [])
    assert site.settle(app, []) is False
    assert site.is_settled(app, [])


def test_a_full_disk_leaves_what_was_there(site: Published, release: Make) -> None:
    """The limit on a file's size stands for it: the second file cannot be written to its end."""
    one = release("1", {"a.js": "1", "b.js": "1"})
    two = release("2", {"a.js": "2", "b.js": "2" * 100_000, "c/c.js": "2", "d.js": "2" * 100_000})
    deploy(site, one)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError, match=r"www/notes/static/d\.js") as failed:
            site.add(two)
        with pytest.raises(OSError, match=r"www/notes/static/b\.js"):
            site.settle(two, [one])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert failed.value.errno == errno.EFBIG
    assert seen(site) == {"a.js": "1", "b.js": "1"}
    assert folders(site) == []
    assert sorted(os.listdir(Path(site.folder, ".asgi-deploy"))) == ["folders.json", "settled.json"]
    assert site.is_settled(one, [])
    deploy(site, two, one)


def test_a_disk_that_fails_between_two_renames_of_add(
    site: Published, release: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = release("1", {"a.js": "1"}), release("2", {"b.js": "2", "c/c.js": "2", "d.js": "2"})
    deploy(site, one)
    rename = os.replace

    def failing(source: str, target: str) -> None:
        if target.endswith("/d.js"):
            raise OSError(errno.ENOSPC, "No space left on device", target)
        rename(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(OSError, match="No space left"):
        site.add(two)
    assert seen(site) == {"a.js": "1"}
    assert folders(site) == []
    assert site.is_settled(one, [])


def killed(work: t.Callable[[], object], renames: int) -> bool:
    """Do ``work`` in a process of its own, which is killed before the rename after that many."""
    child = os.fork()
    if child == 0:
        rename, left = os.replace, [renames]

        def dying(source: str, target: str) -> None:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(source, target)

        os.replace = dying  # type: ignore[assignment]
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize("count", [0, 1, 2])
@pytest.mark.parametrize("step", ["add", "settle"])
def test_a_run_that_was_killed(site: Published, release: Make, step: str, count: int) -> None:
    """What it has left, the next run takes on from, whichever way that goes."""
    one = release("1", {"a.css": "1", "b.css": "1", "c.css": "1"})
    two = release("2", {"a.css": "2", "b.css": "2", "c.css": "2", "d.js": "2", "e.js": "2", "f.js": "2"})
    deploy(site, one)
    if step == "add":
        assert killed(lambda: site.add(two), count)
    else:
        site.add(two)
        assert killed(lambda: site.settle(two, [one]), count)
    found = seen(site)
    # Old or new, never a part, and nothing that was there is missing.
    assert set(found.values()) <= {"1", "2"}
    assert {"a.css", "b.css", "c.css"} <= set(found)
    assert not site.is_settled(two, [one])
    if step == "add":
        # It never was live.
        site.settle(one, [])
        assert seen(site) == {"a.css": "1", "b.css": "1", "c.css": "1"}
    else:
        deploy(site, two, one)
        assert seen(site) == dict.fromkeys(["a.css", "b.css", "c.css", "d.js", "e.js", "f.js"], "2")
    assert sorted(os.listdir(Path(site.folder, ".asgi-deploy"))) == ["folders.json", "settled.json"]


def test_no_reader_ever_sees_a_part(site: Published, release: Make) -> None:
    """A reader opens one file again and again while releases replace it: old or new, whole, and never absent."""
    texts = [letter * 300_000 for letter in "12"]
    one, two = (release(text[0], {"app.js": text}) for text in texts)
    deploy(site, one)
    path, wrong, stopping, reads = Path(site.folder, "static/app.js"), [], threading.Event(), [0]

    def read() -> None:
        while not stopping.is_set():
            try:
                if path.read_text(encoding="utf-8") not in texts:
                    wrong.append("a part")
            except FileNotFoundError:
                wrong.append("absent")
            reads[0] += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _round in range(5):
            deploy(site, two, one)
            deploy(site, one, two)
    finally:
        stopping.set()
        reader.join()
    assert reads[0] > 10
    assert wrong == []


def test_the_cpu_grows_with_the_number_of_files_and_not_with_its_square(site: Published, release: Make) -> None:
    """Eight times the files: a square would be 64 times the CPU. How long the disk takes is not ours."""

    def cpu(name: str, count: int) -> float:
        files = {f"{n % 50}/{n}.js": str(n) * 200 for n in range(count)}
        one, two = release(f"{name}1", files), release(f"{name}2", {**files, "new.js": ""})
        began = time.process_time()
        site.add(one)
        site.settle(one, [])
        site.add(two)
        site.settle(two, [one])
        assert site.is_settled(two, [one])
        return time.process_time() - began

    cpu("warm", 100)
    assert cpu("many", 4000) < 24 * cpu("few", 500)


def test_a_disk_that_did_not_take_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        def __init__(self, _name: None, use_errno: bool) -> None:
            pass

        def syncfs(self, _descriptor: int) -> int:
            ctypes.set_errno(errno.EIO)
            return -1

    published_files.sync_disk(str(tmp_path))
    monkeypatch.setattr(ctypes, "CDLL", Libc)
    with pytest.raises(OSError, match="Input/output error") as failed:
        published_files.sync_disk(str(tmp_path))
    assert failed.value.filename == str(tmp_path)
