# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nginx of each Debian release, in a container that lives as long as the tests need it."""

from __future__ import annotations

import io
import re
import tarfile
import typing as t

import docker
import pytest
from docker.models.containers import Container

from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_facts import HostFacts, nginx_version
from ansible_collections.asgi.deploy.plugins.plugin_utils.proxy_tree import build_tree
from ansible_collections.asgi.deploy.plugins.plugin_utils.refusal import Refused
from ansible_collections.asgi.deploy.plugins.plugin_utils.render import renderer
from ansible_collections.asgi.deploy.plugins.plugin_utils.role_inputs import ROLES, Host, normalise

SUITES = ("bookworm", "trixie")
LABELS = {"owner": "asgi-deploy"}

#: Writes the configuration and tests it; a variable carries the text past all quoting.
_SCRIPT = 'printf %s "$CONFIG" > /tmp/asgi-deploy.conf && exec nginx -t -c /tmp/asgi-deploy.conf'

#: What the trees of the tests name: a pair, and a configuration of the host's own.
_CERTIFICATE = (
    "mkdir -p /etc/asgi-tests /etc/nginx/deploy /var/cache/nginx /etc/asgi-tests/conf.d && cd /etc/asgi-tests && "
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout privkey.pem "
    "-out fullchain.pem -days 2 -subj /CN=tests -addext subjectAltName=DNS:example.com 2>&1 && "
    "echo 'map $host $own_of_this_host { default 1; }' > conf.d/own.conf"
)
#: Prints a line "<number> <exit code>" before what nginx said of each tree.
_TEST = """
cd /trees
cp entry.conf /etc/nginx/nginx.conf
for number in $(ls -d [0-9]* | sort -n); do
    ln -sfn /trees/$number /etc/nginx/deploy/current
    output=$(nginx -t 2>&1)
    echo "== $number $?"
    echo "$output"
done
"""

NginxT = t.Callable[[str, str], tuple[int, str]]
Machine = t.Callable[[str], Container]
Verdicts = dict[str, tuple[int, list[str]]]
TreeVerdicts = t.Callable[[str, dict[str, dict[str, t.Any]]], Verdicts]


@pytest.fixture(params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Return the name of a Debian release; a test that asks for it runs once for each."""
    return str(request.param)


@pytest.fixture(scope="session")
def nginx_machine() -> t.Iterator[Machine]:
    """Return a function that gives the container of a suite.

    The images ``asgi-deploy-nginx:<suite>`` must be there. There is no network, so names do not resolve.
    """
    client = docker.from_env()
    containers: dict[str, Container] = {}

    def machine(suite: str) -> Container:
        if suite not in containers:
            # Known before it starts: a container whose start fails is removed as well.
            containers[suite] = client.containers.create(
                f"asgi-deploy-nginx:{suite}",
                entrypoint=["sleep", "infinity"],
                command=[],
                init=True,
                labels=LABELS,
                network_mode="none",
            )
            containers[suite].start()
        return containers[suite]

    try:
        yield machine
    finally:
        for container in containers.values():
            container.remove(force=True)
        client.close()


@pytest.fixture(scope="session")
def nginx_t(nginx_machine: Machine) -> NginxT:
    """Return a function that gives ``nginx -t`` of a suite a configuration: its exit code and its output."""

    def test(suite: str, config_text: str) -> tuple[int, str]:
        result = nginx_machine(suite).exec_run(["sh", "-c", _SCRIPT], environment={"CONFIG": config_text})
        assert isinstance(result.exit_code, int)
        assert isinstance(result.output, bytes)
        return result.exit_code, result.output.decode()

    return test


@pytest.fixture(scope="session")
def tree_verdicts(nginx_machine: Machine) -> TreeVerdicts:
    """Return a function that gives ``nginx -t`` of a suite the tree of each entry of a table of a role's variables.

    The answers are an exit code, and nginx's lines but the good news. One call of the container tests all trees:
    a call costs more than nginx takes.
    """

    def test(suite: str, table: dict[str, dict[str, t.Any]]) -> Verdicts:
        return _tested(nginx_machine(suite), table)

    return test


def _rendered(variables: dict[str, t.Any], nginx: str, ipv6: bool) -> dict[str, str]:
    """Return the files of the tree for the role's ``variables``, those that only nginx may read among them.

    :param nginx: what the host's ``nginx -V`` printed
    """
    host = Host({"inventory_hostname": "web1", "nginx_proxy_sites": [], **variables}, lambda value: value)
    render = renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")
    facts = HostFacts(ipv6, 2, variables.get("addresses", {}))
    tree = build_tree(render, normalise("nginx_proxy", host), nginx_version(nginx), facts)
    return {**tree.files, **tree.private}


def _printed(container: Container, *command: str) -> str:
    result = container.exec_run(list(command))
    assert isinstance(result.output, bytes)
    text = result.output.decode()
    assert result.exit_code == 0, text
    return text


def _tested(container: Container, table: dict[str, dict[str, t.Any]]) -> Verdicts:
    _printed(container, "sh", "-c", _CERTIFICATE)
    version = _printed(container, "nginx", "-V")
    render = renderer(str(ROLES / "nginx_proxy"), "nginx_proxy")
    files = {"entry.conf": render("nginx.conf.j2")}
    links: dict[str, str] = {}
    found: Verdicts = {}
    for number, (name, variables) in enumerate(table.items()):
        try:
            tree = _rendered(variables, version, ipv6=True)
        except Refused as error:
            found[name] = (1, [str(error)])
            continue
        files |= {f"{number}/{file}": text for file, text in tree.items()}
        for site in variables.get("nginx_proxy_sites", []):
            links[f"etc/nginx/tls/{site['name']}/current"] = "/etc/asgi-tests"
    _printed(container, "rm", "-rf", "/trees")
    assert container.put_archive("/", _archive({f"trees/{name}": text for name, text in files.items()}, links))
    output = _printed(container, "sh", "-c", _TEST)
    names = list(table)
    _before, *answers = re.split(r"^== ([0-9]+) ([0-9]+)\n", output, flags=re.MULTILINE)
    for at, code, lines in zip(answers[::3], answers[1::3], answers[2::3], strict=True):
        found[names[int(at)]] = (int(code), [line for line in lines.splitlines() if not _good(line)])
    return found


def _good(line: str) -> bool:
    return line.endswith((" syntax is ok", " test is successful"))


def _archive(files: dict[str, str], links: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            content = text.encode()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in links.items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.SYMTYPE
            member.linkname = target
            archive.addfile(member)
    return buffer.getvalue()
