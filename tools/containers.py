"""Containers that boot systemd: how the demo, Molecule and whatever else needs a host start them.

    containers.py < {"network": "...", "labels": {...}, "hosts": [{"name": "...", "image": "...", ...}]}

Each host may state, besides name and image:
  hosts    names that resolve to the container itself, for the domains of its sites (Pebble asks them)
  aliases  names under which the other containers of the network find it
  volumes  further mounts, as in `docker run --volume`
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import NotFound
from docker.models.containers import Container


def route_mtu() -> int:
    """The MTU of the way out: a bridge with a larger one loses every full packet, and downloads hang."""
    routes = Path("/proc/net/route")
    if routes.exists():
        for line in routes.read_text().splitlines()[1:]:
            interface, destination = line.split()[:2]
            if destination == "00000000":
                return min(1500, int(Path(f"/sys/class/net/{interface}/mtu").read_text()))
    return 1500


def ensure_network(client: docker.DockerClient, name: str, labels: Mapping[str, str]) -> None:
    if not client.networks.list(names=[f"^{name}$"]):
        options = {"com.docker.network.driver.mtu": str(route_mtu())}
        client.networks.create(name, driver="bridge", options=options, labels=dict(labels))


def start(
    client: docker.DockerClient,
    name: str,
    image: str,
    network: str,
    labels: Mapping[str, str],
    hosts: Sequence[str] = (),
    aliases: Sequence[str] = (),
    volumes: Sequence[str] = (),
    ports: Mapping[str, tuple[str, int]] | None = None,
) -> Container:
    endpoint = client.api.create_endpoint_config(aliases=list(aliases))
    return client.containers.run(
        image,
        name=name,
        hostname=name,
        detach=True,
        tty=True,
        labels=dict(labels),
        network=network,
        networking_config={network: endpoint},
        extra_hosts=dict.fromkeys(hosts, "127.0.0.1"),
        ports=dict(ports or {}),
        # What systemd needs as PID 1. Not privileged: that fails on hosts without CAP_SYS_RESOURCE, and would
        # hand the host's devices to the container.
        cap_add=["SYS_ADMIN", "NET_ADMIN"],
        security_opt=["seccomp=unconfined"],
        tmpfs={"/run": "", "/run/lock": "", "/tmp": ""},
        cgroupns="host",
        volumes=["/sys/fs/cgroup:/sys/fs/cgroup:rw", *volumes],
    )


def ask(container: Container, *argv: str) -> str:
    """What a command in the container prints, whatever its exit code."""
    output = container.exec_run(list(argv)).output
    assert isinstance(output, bytes)
    return output.decode(errors="replace").strip()


def wait_until_booted(container: Container, seconds: float = 60) -> None:
    """Wait for systemd, and so for Pebble: its unit is started when it answers."""
    deadline = time.monotonic() + seconds
    state = "nothing"
    while time.monotonic() < deadline:
        # Just after the start there is no bus to ask: "Failed to connect to bus".
        state = ask(container, "systemctl", "is-system-running")
        if state == "running":
            return
        if state == "degraded":
            failed = ask(container, "systemctl", "--failed", "--no-legend", "--plain")
            raise RuntimeError(f"{container.name}: units failed at boot:\n{failed}")
        time.sleep(0.2)
    raise RuntimeError(f"{container.name}: systemd is not up after {seconds:.0f} s (it says: {state})")


def create(wanted: Mapping[str, Any]) -> bool:
    """Start the hosts that do not run yet; say whether there were any."""
    client = docker.from_env()
    ensure_network(client, wanted["network"], wanted["labels"])
    containers, changed = [], False
    for host in wanted["hosts"]:
        try:
            container = client.containers.get(host["name"])
            strange = {key: value for key, value in wanted["labels"].items() if container.labels.get(key) != value}
            if strange or container.status != "running":
                raise RuntimeError(
                    f"{host['name']} exists already, and is {container.status} or of another checkout: "
                    f"docker rm --force {host['name']}, or set ASGI_RUN to keep two runs apart"
                )
        except NotFound:
            options = {key: host[key] for key in ("hosts", "aliases", "volumes") if key in host}
            container = start(client, host["name"], host["image"], wanted["network"], wanted["labels"], **options)
            changed = True
        containers.append(container)
    for container in containers:
        wait_until_booted(container)
    return changed


if __name__ == "__main__":
    try:
        print("changed" if create(json.load(sys.stdin)) else "unchanged")
    except RuntimeError as problem:
        sys.exit(str(problem))
