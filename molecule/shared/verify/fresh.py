"""Hosts that nothing was ever deployed to, beside those of a scenario."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import docker
from containers import start, wait_until_booted
from fixtures import DOMAINS
from machine import Machine
from playbook import Playbook, scenario


@contextmanager
def fresh_hosts(purpose: str) -> Iterator[list[Machine]]:
    """Start one for each platform of the scenario, and take them away again.

    :param purpose: the end of their names
    """
    wanted = scenario()
    name = wanted["scenario"]["name"]
    labels = {"owner": "asgi-deploy", "asgi-deploy.test": os.environ["MOLECULE_PROJECT_DIRECTORY"]}
    network = f"asgi-{name}{os.environ.get('ASGI_RUN', '')}"
    client = docker.from_env()
    containers = []
    try:
        for platform in wanted["platforms"]:
            own = f"{platform['name']}-{purpose}"
            containers.append(start(client, own, platform["image"], network, labels, platform["hosts"]))
        for container in containers:
            wait_until_booted(container)
        yield [Machine(str(container.name), DOMAINS[name]) for container in containers]
    finally:
        for container in containers:
            container.remove(force=True, v=True)
        client.close()


def play_on(hosts: Sequence[Machine], folder: Path, group: str = "proxies") -> Playbook:
    """:param folder: for the inventory. :param group: what the hosts are in"""
    inventory = folder / "hosts.json"
    names = {machine.name: {"ansible_connection": "community.docker.docker"} for machine in hosts}
    inventory.write_text(json.dumps({group: {"hosts": names}}), encoding="utf-8")
    return Playbook(list(names), [inventory])


def copy(path: str, old: Machine, new: Machine) -> None:
    """Copy a file from one host to the same folder of another."""
    client = docker.from_env()
    stream, _status = client.containers.get(old.name).get_archive(path)
    assert client.containers.get(new.name).put_archive(str(Path(path).parent), b"".join(stream))
    client.close()
