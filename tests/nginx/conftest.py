# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real nginx of each Debian release, in a container that lives as long as the tests need it."""

from __future__ import annotations

import typing as t

import docker
import pytest
from docker.models.containers import Container

SUITES = ("bookworm", "trixie")
LABELS = {"owner": "asgi-deploy"}

#: Writes the configuration and tests it; a variable carries the text past all quoting.
_SCRIPT = 'printf %s "$CONFIG" > /tmp/asgi-deploy.conf && exec nginx -t -c /tmp/asgi-deploy.conf'

NginxT = t.Callable[[str, str], tuple[int, str]]


@pytest.fixture(params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Return the name of a Debian release; a test that asks for it runs once for each."""
    return str(request.param)


@pytest.fixture(scope="session")
def nginx_t() -> t.Iterator[NginxT]:
    """Return a function that gives ``nginx -t`` of a suite a configuration: its exit code and its output.

    The images ``asgi-deploy-nginx:<suite>`` must be there. There is no network, so names do not resolve.
    """
    client = docker.from_env()
    containers: dict[str, Container] = {}

    def test(suite: str, config_text: str) -> tuple[int, str]:
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
        result = containers[suite].exec_run(["sh", "-c", _SCRIPT], environment={"CONFIG": config_text})
        assert isinstance(result.exit_code, int)
        assert isinstance(result.output, bytes)
        return result.exit_code, result.output.decode()

    try:
        yield test
    finally:
        for container in containers.values():
            container.remove(force=True)
        client.close()
