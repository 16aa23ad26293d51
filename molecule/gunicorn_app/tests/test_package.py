"""An application that nobody here wrote: TiTiler, a server of map tiles, as its authors publish it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from machine import Machine
from playbook import Outcome, Playbook

#: With the module and the health path of its documentation. Twelve lines of inventory, as for the example.
TILES: dict[str, Any] = {
    "name": "tiles",
    "module": "titiler.application.main:app",
    "source": {"type": "package", "name": "titiler.application", "version": "2.4.0"},
    "health_path": "/healthz",
    "workers": 1,
    # rasterio and numpy are larger than what a worker of ours is.
    "worker_memory_mb": 300,
}
SITE = {"name": "tiles", "domains": ["tiles.example.com"], "app": "tiles", "tls": {"source": "self_signed"}}


class TestTiles:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, machines: list[Machine], play: Playbook) -> Iterator[Outcome]:
        notes = {"name": "notes"}
        site = {**SITE, "name": "notes", "domains": ["notes.example.com"], "app": "notes"}
        yield play(
            extra={"gunicorn_app_applications": [notes, TILES], "nginx_proxy_sites": [site, SITE]},
            code=0,
        )
        absent = {"name": "tiles", "state": "absent"}
        play(extra={"gunicorn_app_applications": [notes, absent], "nginx_proxy_sites": [site]}, code=0)

    def test_it_serves(self, machine: Machine, outcome: Outcome) -> None:
        options = ("--insecure", "--resolve", "tiles.example.com:443:127.0.0.1")
        healthy = machine.ask("https://tiles.example.com/healthz", *options)
        assert healthy.status == 200
        assert "titiler" in healthy.json()["versions"]
        api = machine.ask("https://tiles.example.com/api", *options).json()
        assert api["info"]["title"] == "TiTiler"

    def test_it_is_in_the_sandbox(self, machine: Machine, outcome: Outcome) -> None:
        unit = machine.run("systemctl list-units --plain --no-legend 'tiles@*.service' | cut -d ' ' -f 1").strip()
        assert machine.run("systemctl show --property=ProtectSystem --value %s", unit).strip() == "strict"

    def test_the_record_says_what_it_is(self, machine: Machine, outcome: Outcome) -> None:
        record = json.loads(machine.run("cat /opt/tiles/current/release.json"))
        source = record["source"]
        assert (source["type"], source["name"], source["version"]) == ("package", "titiler-application", "2.4.0")

    def test_the_other_application_was_not_touched(self, machine: Machine, outcome: Outcome) -> None:
        assert machine.ask("/version").json()["version"] == "first"
