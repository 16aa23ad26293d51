"""Hosts that nothing was ever deployed to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from containers import start, wait_until_booted
from machine import Machine
from playbook import Playbook, scenario, site

FOLDERS = ("/etc", "/opt", "/usr/local", "/var/lib/dpkg")


@pytest.fixture(scope="module")
def fresh() -> Iterator[list[Machine]]:
    """A new host of each release, beside those of the scenario."""
    client = docker.from_env()
    labels = {"owner": "asgi-deploy", "asgi-deploy.test": os.environ["MOLECULE_PROJECT_DIRECTORY"]}
    network = f"asgi-{scenario()['scenario']['name']}{os.environ.get('ASGI_RUN', '')}"
    containers = []
    try:
        for platform in scenario()["platforms"]:
            name = f"{platform['name']}-fresh"
            containers.append(start(client, name, platform["image"], network, labels, platform["hosts"]))
        for container in containers:
            wait_until_booted(container)
        yield [Machine(str(container.name), "notes.example.com") for container in containers]
    finally:
        for container in containers:
            container.remove(force=True, v=True)
        client.close()


@pytest.fixture(scope="module")
def play_fresh(fresh: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Playbook:
    names: dict[str, Any] = {machine.name: {} for machine in fresh}
    inventory: Path = tmp_path_factory.mktemp("inventory") / "hosts.json"
    variables = {"ansible_connection": "community.docker.docker"}
    groups = {group: {"hosts": names, "vars": variables} for group in ("apps", "proxies")}
    inventory.write_text(json.dumps(groups), encoding="utf-8")
    return Playbook(list(names), [inventory])


def test_check_mode_does_not_fail_and_changes_nothing(fresh: list[Machine], play_fresh: Playbook) -> None:
    before = {machine.name: machine.files(*FOLDERS) for machine in fresh}
    outcome = play_fresh("--check", "--diff", code=0)
    for machine in fresh:
        changed = outcome.hosts[machine.name].changed
        assert {"Prepare the release", "Put the configuration live", "Hold the certificates"} <= set(changed)
        assert machine.files(*FOLDERS) == before[machine.name]
        assert machine.code("getent passwd notes") == 2
        assert (
            machine.run(
                "ls -d /opt/notes /var/lib/notes /var/cache/notes /etc/nginx /etc/letsencrypt 2>/dev/null || true"
            )
            == ""
        )
    assert "+++ after: /etc/nginx/nginx.conf" in outcome.output


def test_check_mode_does_not_need_git(fresh: list[Machine], play_fresh: Playbook) -> None:
    source = {"type": "git", "url": "https://git.example.com/notes", "version": "v1"}
    outcome = play_fresh("--check", extra={"gunicorn_app_source": source}, code=0)
    for machine in fresh:
        assert machine.code("command -v git") != 0
        assert "Prepare the release" in outcome.hosts[machine.name].changed


@pytest.mark.parametrize(
    ("prepare", "undo"),
    [
        ("useradd --create-home notes", "userdel --remove notes"),
        ("mkdir -p /opt/notes/releases/precious", "rm -r /opt/notes"),
        ("mkdir /var/lib/notes && touch /var/lib/notes/precious", "rm -r /var/lib/notes"),
    ],
)
def test_a_name_that_is_somebody_elses_is_refused(
    fresh: list[Machine], play_fresh: Playbook, prepare: str, undo: str
) -> None:
    for machine in fresh:
        machine.run(prepare)
    before = {machine.name: machine.files(*FOLDERS) for machine in fresh}
    outcome = play_fresh(code=2)
    for machine in fresh:
        assert 'gunicorn_app_name: "notes" is refused; accepted: a name ' in outcome.hosts[machine.name].message
        assert outcome.hosts[machine.name].changed == []
        assert machine.files(*FOLDERS) == before[machine.name]
        machine.run(undo)


def test_a_bad_input_leaves_the_host_as_it_was(fresh: list[Machine], play_fresh: Playbook) -> None:
    before = {machine.name: machine.files(*FOLDERS) for machine in fresh}
    outcome = play_fresh(extra=site(body_size="10mb"), code=2)
    for machine in fresh:
        assert "nginx_proxy_sites[0].body_size" in outcome.hosts[machine.name].message
        assert outcome.hosts[machine.name].changed == []
        assert machine.files(*FOLDERS) == before[machine.name]
        assert machine.code("command -v nginx") != 0
