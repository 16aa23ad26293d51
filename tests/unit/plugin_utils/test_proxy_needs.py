# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proxy needs of its host, and the programs that stand on their own there."""

from __future__ import annotations

import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils.host_library import FOLDER, library
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_needs import LIBRARY, folders, packages, repository_of
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES

Normalise = t.Callable[..., dict[str, t.Any]]

SITE = {"name": "notes", "domains": ["notes.example.com"], "app": "notes"}


@pytest.mark.parametrize(
    ("brotli", "further"),
    [(False, []), (True, ["libnginx-mod-http-brotli-filter", "libnginx-mod-http-brotli-static"])],
)
def test_packages(normalised: Normalise, brotli: bool, further: list[str]) -> None:
    proxy = normalised("nginx_proxy", nginx_proxy_brotli=brotli)
    assert packages(proxy) == ["nginx", "openssl", "logrotate", *further]


@pytest.mark.parametrize(("site", "cache"), [(SITE, False), ({**SITE, "cache": {}}, True)])
def test_folders(normalised: Normalise, site: dict[str, t.Any], cache: bool) -> None:
    proxy = normalised("nginx_proxy", nginx_proxy_sites=[site], nginx_proxy_acme_webroot="/srv/acme")
    paths = [item["path"] for item in folders(proxy)]
    assert paths == ["/srv/acme", "/etc/nginx/maintenance", *(["/var/cache/nginx"] if cache else [])]


DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_CODENAME=trixie\n'
UBUNTU = 'NAME="Ubuntu"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n'
GIVEN = {"url": None, "key_url": "https://example.com/key", "fingerprints": ["A" * 40]}


@pytest.mark.parametrize(
    ("given", "release", "url", "codename"),
    [
        (None, DEBIAN, "https://nginx.org/packages/debian", "trixie"),
        (None, UBUNTU, "https://nginx.org/packages/ubuntu", "noble"),
        ("https://mirror.example.com/nginx", DEBIAN, "https://mirror.example.com/nginx", "trixie"),
    ],
)
def test_repository(given: str | None, release: str, url: str, codename: str) -> None:
    assert repository_of({**GIVEN, "url": given}, release) == {**GIVEN, "url": url, "codename": codename}


@pytest.mark.parametrize("release", ["ID=alpine\nVERSION_CODENAME=x\n", "ID=debian\n", ""])
def test_no_repository(release: str) -> None:
    with pytest.raises(Refused, match=r'^nginx_proxy_repository: "nginx" is refused; accepted: distribution'):
        repository_of(GIVEN, release)


@pytest.mark.parametrize("sandbox", [True, False])
def test_the_drop_in(sandbox: bool) -> None:
    render = renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")
    text = render("host/nginx.service.j2", sandbox=sandbox, worker_files=1000)
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    assert settings["LimitNOFILE"] == "1000:524288"
    assert settings["Restart"] == "on-failure"
    assert ("NoNewPrivileges" in settings) is sandbox
    assert ("ProtectSystem" in settings) is sandbox
    assert "LimitNOFILE=600000:600000" in render("host/nginx.service.j2", sandbox=sandbox, worker_files=600000)


def test_the_program_stands_alone(tmp_path: Path) -> None:
    """The same files as the modules', side by side, with no Ansible to import."""
    for path, text in library(LIBRARY).items():
        assert Path(path).parent == Path(FOLDER)
        (tmp_path / Path(path).name).write_text(text, encoding="utf-8")
    program = tmp_path / "nginx_rollback.py"
    program.write_text((ROLES / "nginx_proxy/files/nginx_rollback.py").read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", str(program)], capture_output=True, check=False, text=True)
    # Isolated, Python does not look beside the program; then nothing else may be imported but by these names.
    assert "No module named 'atomic'" in done.stderr
    done = subprocess.run([sys.executable, str(program), "--help"], capture_output=True, check=False, text=True, env={})
    assert done.returncode == 0, done.stderr
    assert "asgi-deploy-nginx-rollback" in done.stdout
