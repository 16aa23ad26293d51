"""What others say of the proxy: the smallest site, every feature at once, and all sites of the scenario together."""

from __future__ import annotations

from pathlib import Path

import pytest
from graders import exposure, gixy, gixy_of, sslyze
from machine import TRUST, Machine
from playbook import Outcome, Playbook
from proxy_sites import only, sites

PROFILES = ["intermediate", "own intermediate"]


def test_gixy_finds_what_is_wrong(tmp_path: Path) -> None:
    # Or an empty list would say nothing below.
    bad = tmp_path / "nginx.dump"
    bad.write_text(
        "# configuration file /etc/nginx/nginx.conf:\nhttp { server { location /a { alias /b/; } } }\n", encoding="utf-8"
    )
    assert "alias_traversal" in [finding["plugin"] for finding in gixy_of(bad)]


def test_gixy_finds_nothing_with_all_sites(machine: Machine, tmp_path: Path) -> None:
    assert gixy(machine, tmp_path) == []


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", ["smallest", "everything"])
def test_sslyze_calls_the_site_compliant(machine: Machine, tmp_path: Path, name: str, profile: str) -> None:
    verdict = sslyze(machine, f"{name}.example.test", tmp_path, profile)
    assert "OK - Compliant" in verdict, verdict


def test_sslyze_says_what_is_wrong(machine: Machine, tmp_path: Path) -> None:
    verdict = sslyze(machine, "smallest.example.test", tmp_path, "modern")
    assert "TLS versions {'TLSv1.2'} are supported, but should be rejected" in verdict


def test_systemd_finds_nginx_locked_up(machine: Machine) -> None:
    assert exposure(machine, "nginx.service") <= 3.0


class TestSmallestAlone:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def outcome(cls, play: Playbook) -> Outcome:
        return play(extra=only("smallest"), code=0)

    def test_gixy_finds_nothing(self, machine: Machine, tmp_path: Path) -> None:
        assert gixy(machine, tmp_path) == []

    @pytest.mark.parametrize("profile", PROFILES)
    def test_sslyze_calls_it_compliant(self, machine: Machine, tmp_path: Path, profile: str) -> None:
        verdict = sslyze(machine, "smallest.example.test", tmp_path, profile)
        assert "OK - Compliant" in verdict, verdict

    def test_it_is_served(self, machine: Machine) -> None:
        assert machine.ask("https://smallest.example.test/").json()["origin"] == "first"


class TestModernProfile:
    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def outcome(cls, play: Playbook) -> Outcome:
        modern = [{**site, "tls": {**site.get("tls", {}), "profile": "modern"}} for site in sites()]
        return play(extra={"nginx_proxy_sites": modern}, code=0)

    @pytest.mark.parametrize("name", ["smallest", "everything"])
    def test_sslyze_calls_the_site_compliant(self, machine: Machine, tmp_path: Path, name: str) -> None:
        verdict = sslyze(machine, f"{name}.example.test", tmp_path, "modern")
        assert "OK - Compliant" in verdict, verdict

    def test_tls_1_2_is_refused(self, machine: Machine) -> None:
        answer = machine.ask("https://smallest.example.test/", "--tls-max", "1.2")
        assert answer.code == 35

    def test_tls_1_3_is_spoken(self, machine: Machine) -> None:
        assert machine.ask("https://smallest.example.test/", "--cacert", TRUST).status == 200


@pytest.fixture(scope="module", autouse=True)
def _back(play: Playbook) -> object:
    """Leave the hosts as converge left them."""
    yield
    play(code=0)
