from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils import build_tools as module
from ansible_collections.asgi.deploy.plugins.module_utils.build_tools import Tools, explained
from ansible_collections.asgi.deploy.plugins.module_utils.processes import Done

NOTHING = (
    "pip install uv failed:\nERROR: Could not find a version that satisfies the requirement uv (from versions: none)"
)
REASON = "Could not fetch URL http://index/simple/uv/: 401 Client Error: Unauthorized for url - skipping"
LOG = f"Looking in indexes: http://index/simple\n{REASON}\nWARNING: {REASON}\n"


@pytest.mark.parametrize(
    ("problem", "log", "told"),
    [
        (NOTHING, LOG, f"{NOTHING}\n{REASON}"),
        (NOTHING, LOG.replace("index/", "me:secret@index/"), f"{NOTHING}\n{REASON.replace('index/', 'me:***@index/')}"),
        # It could read the index, and there is no such package; or it was killed before it wrote a log.
        (NOTHING, "Looking in indexes: http://index/simple\n", NOTHING),
        (NOTHING, None, NOTHING),
    ],
)
def test_why_pip_found_nothing(tmp_path: Path, problem: str, log: str | None, told: str) -> None:
    path = tmp_path / "pip.log"

    def again(option: str) -> Done:
        assert option == f"--log={path}"
        if log is not None:
            path.write_text(log, encoding="utf-8")
        return Done(1, "")

    assert explained(problem, again, str(path), ["secret"]) == told


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_log_that_the_user_has_put_there_is_not_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "pip.log"
    (tmp_path / "hosts.log").write_text(LOG, encoding="utf-8")
    path.symlink_to("hosts.log") if kind == "link" else os.mkfifo(path)
    assert explained(NOTHING, lambda option: Done(1, ""), str(path), []) == NOTHING


def test_another_problem_is_not_tried_again(tmp_path: Path) -> None:
    def again(option: str) -> Done:
        raise AssertionError(option)

    assert explained("No space left on device", again, str(tmp_path / "pip.log"), []) == "No space left on device"


def test_a_tool_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FOLDER", str(tmp_path))
    synced = []

    def sync(folder: str) -> None:
        synced.append((sorted(os.listdir(folder)), [name for name in os.listdir(tmp_path) if name[0] != "."]))

    monkeypatch.setattr(module, "sync_disk", sync)
    monkeypatch.setattr(Tools, "_make_pip", lambda self, folder: os.makedirs(os.path.join(folder, "pip")))
    path = Tools("/usr/bin/python3", "Python 3.11.2").pip()
    name = "pip-usr-bin-python3-3.11.2"
    assert (path, synced) == (str(tmp_path / name / "pip"), [([name], [])])
