# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certbot of its own: in use when it is proven, and not before; what fails leaves the one before.

The virtual environments are real; pip is one that installs what the test says, because no index is asked here.
"""

from __future__ import annotations

import json
import os
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.build_tools import Tools
from ansible_collections.asgi.deploy.plugins.module_utils.certbot_venv import Environments, Wanted
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError

DROP_IN = "[Service]\nExecStart=\nExecStart=/x/certbot\n"
WANTED = Wanted("5.8.0", None, DROP_IN)

#: Writes a certbot that says what PIP_SAYS has, and down what it was asked for; or fails as pip does.
PIP = """
import json, os, sys
says = json.loads(os.environ["PIP_SAYS"])
if says["error"]:
    sys.exit(says["error"])
path = os.path.join(os.path.dirname(sys.executable), "certbot")
script = '#!/bin/sh\\ncase "$1" in --version) echo "{version}";; plugins) echo "{plugins}";; esac\\n'
with open(path, "w") as stream:
    stream.write(script.format(**says))
os.chmod(path, 0o755)
with open(os.path.join(os.path.dirname(path), "asked"), "w") as stream:
    stream.write(" ".join(sys.argv[1:]))
"""

Says = t.Callable[..., None]


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(
        str(tmp_path / "lib/certbot"), str(tmp_path / "bin/certbot"), str(tmp_path / "units/own.conf"), sys.executable
    )


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    pip = tmp_path / "pip"
    pip.mkdir()
    (pip / "__main__.py").write_text(PIP, encoding="utf-8")
    monkeypatch.setattr(Tools, "pip", lambda _self: str(pip))

    def set_up(version: str = "certbot 5.8.0", plugins: str = "* webroot", error: str | None = None) -> None:
        monkeypatch.setenv("PIP_SAYS", json.dumps({"version": version, "plugins": plugins, "error": error}))

    set_up()
    return set_up


def name(version: str, *more: str) -> str:
    return "-".join([version, os.path.basename(os.path.realpath(sys.executable)), *more])


def state(environments: Environments) -> list[str]:
    """Return what is in the folder, the link's target last."""
    folder = Path(environments.folder)
    if not folder.exists():
        return []
    return [*sorted(path.name for path in folder.iterdir() if not path.is_symlink()), os.readlink(environments.current)]


@pytest.mark.usefixtures("says")
def test_installed(environments: Environments) -> None:
    assert environments.is_due(WANTED)
    environments.install(WANTED)
    assert not environments.is_due(WANTED)
    assert state(environments) == [name("5.8.0")] * 2
    assert os.readlink(environments.link) == environments.program
    assert Path(environments.drop_in).read_text(encoding="utf-8") == DROP_IN
    asked = Path(environments.current, "bin/asked").read_text(encoding="utf-8")
    assert asked.endswith(" certbot==5.8.0")


def test_with_a_plugin(environments: Environments, says: Says) -> None:
    wanted = Wanted("5.8.0", "rfc2136", DROP_IN)
    says(plugins="* dns-rfc2136\n* webroot")
    environments.install(WANTED)
    assert environments.is_due(wanted)
    environments.install(wanted)
    assert state(environments)[-1] == name("5.8.0", "rfc2136")
    asked = Path(environments.current, "bin/asked").read_text(encoding="utf-8")
    assert asked.endswith(" certbot==5.8.0 certbot-dns-rfc2136==5.8.0")


@pytest.mark.parametrize(
    ("answers", "plugin", "words"),
    [
        ({"error": "ERROR: Could not find a version that satisfies the requirement"}, None, "ERROR: Could not find"),
        ({"version": "certbot 2.1.0"}, None, "says that it is certbot 2.1.0"),
        ({"version": "certbot 5.9.0", "plugins": "* dns-rfc2136x"}, "rfc2136", "does not know its plugin dns-rfc2136"),
    ],
)
def test_what_fails_leaves_the_one_before(
    environments: Environments, says: Says, answers: dict[str, str], plugin: str | None, words: str
) -> None:
    environments.install(WANTED)
    says(**answers)
    with pytest.raises(BuildError, match=words):
        environments.install(Wanted("5.9.0", plugin, "[Service]\n"))
    assert state(environments) == [name("5.8.0")] * 2
    assert not environments.is_due(WANTED)


def test_the_password_of_a_proxy_is_not_shown(
    environments: Environments, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://me:hunter2@proxy.example.com:3128")
    says(error="ERROR: http://me:hunter2@proxy.example.com:3128 does not answer")
    with pytest.raises(BuildError) as caught:
        environments.install(WANTED)
    assert "http://me:***@proxy.example.com:3128" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_one_before_stays_and_older_ones_go(environments: Environments, says: Says) -> None:
    for version in ("5.6.0", "5.7.0", "5.8.0"):
        says(version=f"certbot {version}")
        environments.install(Wanted(version, None, DROP_IN))
    assert state(environments) == [name("5.7.0"), name("5.8.0"), name("5.8.0")]
    # Back to it no index is asked.
    says(error="the index was asked")
    environments.install(Wanted("5.7.0", None, DROP_IN))
    assert state(environments) == [name("5.7.0"), name("5.8.0"), name("5.7.0")]


@pytest.mark.usefixtures("says")
def test_a_run_that_was_killed(environments: Environments) -> None:
    """What it had made is no environment: nobody has proven it."""
    half = Path(environments.folder, name("5.8.0"), "bin")
    half.mkdir(parents=True)
    (half / "certbot").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    (half / "left").touch()
    environments.install(WANTED)
    assert not environments.is_due(WANTED)
    assert not (half / "left").exists()


@pytest.mark.usefixtures("says")
@pytest.mark.parametrize("lost", ["link", "drop_in", "program"])
def test_what_a_hand_took_away_comes_back(environments: Environments, lost: str) -> None:
    environments.install(WANTED)
    os.unlink(getattr(environments, lost))
    assert environments.is_due(WANTED)
    environments.install(WANTED)
    assert not environments.is_due(WANTED)


@pytest.mark.usefixtures("says")
def test_an_interpreter_of_another_release(environments: Environments, tmp_path: Path) -> None:
    """After an upgrade of the system the old environment has no interpreter any more."""
    environments.install(WANTED)
    other = tmp_path / "python9.9"
    other.touch()
    upgraded = Environments(environments.folder, environments.link, environments.drop_in, str(other))
    assert upgraded.is_due(WANTED)


@pytest.mark.usefixtures("says")
@pytest.mark.parametrize("as_link", [False, True])
def test_somebody_elses_certbot(environments: Environments, tmp_path: Path, as_link: bool) -> None:
    other = Path(environments.link)
    other.parent.mkdir()
    if as_link:
        other.symlink_to("/snap/bin/certbot")
    else:
        other.write_text("theirs", encoding="utf-8")
    problem = f"{environments.link} is there already, and is not of this collection"
    assert environments.link_problem() == problem
    with pytest.raises(BuildError, match=problem):
        environments.install(WANTED)
    environments.remove()
    assert os.path.lexists(other)
    assert not environments.is_due(Wanted(None, None, ""))


@pytest.mark.usefixtures("says")
def test_back_to_the_distributions(environments: Environments) -> None:
    none = Wanted(None, None, "")
    assert not environments.is_due(none)
    environments.install(WANTED)
    assert environments.is_due(none)
    environments.remove()
    assert not environments.is_due(none)
    assert state(environments) == []
    assert not any(os.path.lexists(path) for path in (environments.link, environments.drop_in, environments.folder))
