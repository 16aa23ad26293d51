"""`make demo`: the example application behind TLS in one container, deployed as a user would, and shown."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
from containers import ensure_network, start, wait_until_booted
from demo_show import DemoError, show
from docker.errors import NotFound
from docker.models.containers import Container

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "build/logs/demo.log"
CONTAINER = os.environ.get("DEMO_CONTAINER", "asgi-deploy-demo")
DOMAIN = "demo.localhost"
IMAGE_SUITE = "bookworm"
PLAYBOOK = ["ansible-playbook", "asgi.deploy.site", "--inventory", "inventories/demo"]
#: The container's port to the one preferred on this machine.
PORTS = {80: 8080, 443: 8443}
LABELS = {"owner": "asgi-deploy", "asgi-deploy.demo": str(ROOT)}
#: The tasks that are shown: all but those that ansible-core adds.
TASK = re.compile(r"TASK \[(?:asgi\.deploy\.)?(?!.*: Validating arguments)(.*)\]")
_BEGAN = time.monotonic()


def say(text: str) -> None:
    print(f"[{time.monotonic() - _BEGAN:4.0f} s] {text}", flush=True)


def free_port(preferred: int) -> int:
    for port in range(preferred, preferred + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port != preferred:
            say(f"port {preferred} is busy on this machine: {port} instead")
        return port
    raise DemoError(f"no free port between {preferred} and {preferred + 99} on 127.0.0.1")


def existing(client: docker.DockerClient) -> Container | None:
    """The container of an earlier run, if it is ours and runs."""
    try:
        container = client.containers.get(CONTAINER)
    except NotFound:
        return None
    owner = container.labels.get("asgi-deploy.demo")
    if owner != str(ROOT):
        raise DemoError(f"a container {CONTAINER} of {owner or 'something else'} exists: remove that one first")
    if container.status == "running":
        return container
    # Pebble makes a new root at each start, and forgets its accounts: what was issued before is worthless.
    say(f"removing a container that is {container.status}")
    container.remove(force=True, v=True)
    return None


def new_container(client: docker.DockerClient) -> Container:
    ports = {f"{inside}/tcp": ("127.0.0.1", free_port(preferred)) for inside, preferred in PORTS.items()}
    ensure_network(client, CONTAINER, LABELS)
    container = start(client, CONTAINER, f"asgi-deploy:{IMAGE_SUITE}", CONTAINER, LABELS, hosts=[DOMAIN], ports=ports)
    wait_until_booted(container)
    return container


def published(container: Container) -> dict[int, int]:
    container.reload()
    found = {inside: container.ports.get(f"{inside}/tcp") or [] for inside in PORTS}
    if not all(found.values()):
        raise DemoError(f"{CONTAINER} publishes no ports; remove it with `make demo-down`")
    return {inside: int(bindings[0]["HostPort"]) for inside, bindings in found.items()}


def deploy() -> str:
    """Run the playbook, show its tasks while they run, and return the recap."""
    environment = {**os.environ, "ANSIBLE_PIPELINING": "1", "ANSIBLE_NOCOLOR": "1", "ANSIBLE_NOCOWS": "1"}
    process = subprocess.Popen(
        PLAYBOOK, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    recap = ""
    try:
        with LOG.open("w") as log:
            for line in process.stdout:
                log.write(line)
                if match := TASK.match(line):
                    say(f"    {match[1]}")
                elif re.match(r"\S+ +: ok=", line):
                    recap = " ".join(line.split())
        code = process.wait()
    except KeyboardInterrupt:
        process.terminate()
        raise
    if code != 0:
        lines = LOG.read_text().splitlines()
        # From the last task that began: its error, then the recap.
        last = max((n for n, line in enumerate(lines) if line.startswith("TASK [")), default=0)
        print("\n".join(lines[last:][-80:]))
        raise DemoError(f"ansible-playbook ended with {code} (all of it: {LOG.relative_to(ROOT)})")
    return recap


@contextmanager
def removed_if_interrupted() -> Iterator[None]:
    """A failed demo stays for inspection; one that was interrupted is not wanted."""
    try:
        yield
    except KeyboardInterrupt:
        say("interrupted: removing the container")
        subprocess.run(["tools/demo_down.sh"], cwd=ROOT, check=False)
        sys.exit(130)


def main() -> None:
    LOG.parent.mkdir(parents=True, exist_ok=True)
    say("container engine and image")
    for command in (["tools/engine.sh", "up"], ["tools/images/build.sh", IMAGE_SUITE]):
        if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
            raise DemoError(f"{command[0]} failed")
    client = docker.from_env()
    container = existing(client)
    if container is None:
        say("container with systemd and an ACME server")
        container = new_container(client)
    else:
        say("the container runs already: deploying again, nothing should change")
    ports = published(container)
    say(shlex.join(PLAYBOOK))
    recap = deploy()
    say("asking the site, over TLS that is verified against the ACME server's root")
    show(container, DOMAIN, ports)
    print(f"\nDeployed and checked in {time.monotonic() - _BEGAN:.0f} s ({recap}).")
    print(f"Look around:      docker exec -it {CONTAINER} bash")
    print("Remove all of it: make demo-down")


if __name__ == "__main__":
    try:
        with removed_if_interrupted():
            main()
    except (DemoError, RuntimeError, docker.errors.DockerException) as problem:
        print(f"\nmake demo FAILED: {problem}", file=sys.stderr)
        sys.exit(f"What runs was left for inspection (docker exec -it {CONTAINER} bash); `make demo-down` removes it.")
