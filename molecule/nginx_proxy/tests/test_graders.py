"""What others say of the proxy: the smallest site, every feature at once, and all sites of the scenario together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graders import exposure, gixy, gixy_of, issues, scan
from machine import Machine
from playbook import Playbook
from proxy_sites import only, sites
from sslyze.scanner.models import ServerScanResult

Scans = dict[str, ServerScanResult]

#: The scenario's own are shorter than the silence in which sslyze waits for a question about client certificates.
PATIENT: dict[str, Any] = {"nginx_proxy_client_timeouts": {}}


def test_gixy_finds_what_is_wrong(tmp_path: Path) -> None:
    # Or an empty list would say nothing below.
    bad = tmp_path / "nginx.dump"
    text = "# configuration file /etc/nginx/nginx.conf:\nhttp { server { location /a { alias /b/; } } }\n"
    bad.write_text(text, encoding="utf-8")
    assert "alias_traversal" in [finding["plugin"] for finding in gixy_of(bad)]


def test_systemd_finds_nginx_locked_up(machine: Machine) -> None:
    assert exposure(machine, "nginx.service") <= 3.0


class Alone:
    """A host with this one site."""

    NAME = ""

    @pytest.fixture(scope="class")
    @classmethod
    def scans(cls, play: Playbook, machines: list[Machine], tmp_path_factory: pytest.TempPathFactory) -> Scans:
        play(extra={**only(cls.NAME), **PATIENT}, code=0)
        return scan(machines, f"{cls.NAME}.example.test", tmp_path_factory.mktemp("scan"))

    def test_it_is_served(self, machine: Machine, scans: Scans) -> None:
        assert machine.ask(f"https://{self.NAME}.example.test/").json()["origin"] == "first"

    def test_gixy_finds_nothing(self, machine: Machine, scans: Scans, tmp_path: Path) -> None:
        assert [(finding["plugin"], finding["reason"], finding["line"]) for finding in gixy(machine, tmp_path)] == []

    @pytest.mark.parametrize("profile", ["intermediate", "own intermediate"])
    def test_sslyze_calls_it_compliant(self, machine: Machine, scans: Scans, profile: str) -> None:
        assert issues(scans[machine.name], profile) == {}

    def test_sslyze_says_what_is_wrong(self, machine: Machine, scans: Scans) -> None:
        assert "tls_versions" in issues(scans[machine.name], "modern")


class TestSmallest(Alone):
    NAME = "smallest"


class TestEverything(Alone):
    NAME = "everything"


class TestModernProfile:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _modern(cls, play: Playbook) -> None:
        modern = [{**site, "tls": {**site["tls"], "profile": "modern"}} for site in sites()]
        play(extra={"nginx_proxy_sites": modern, **PATIENT}, code=0)

    @pytest.mark.parametrize("name", ["smallest", "everything"])
    def test_sslyze_calls_the_site_compliant(self, machines: list[Machine], tmp_path: Path, name: str) -> None:
        scans = scan(machines, f"{name}.example.test", tmp_path)
        assert {host: issues(scans[host], "modern") for host in scans} == {machine.name: {} for machine in machines}

    def test_tls_1_2_is_refused(self, machine: Machine) -> None:
        assert machine.ask("https://smallest.example.test/", "--tls-max", "1.2").code == 35

    def test_tls_1_3_is_spoken(self, machine: Machine) -> None:
        assert machine.ask("https://smallest.example.test/", "--tlsv1.3").status == 200


@pytest.fixture(scope="module", autouse=True)
def _back(play: Playbook) -> Iterator[None]:
    """Leave the hosts as converge left them."""
    yield
    play(code=0)
