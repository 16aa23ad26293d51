"""Values of the environment and the password of an index: in the processes that need them, and nowhere to be seen."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from machine import Machine, wait_for
from origin import on_each
from playbook import Outcome, Playbook
from trial import background, trial, version, wait_for_one_slot

VALUE = f"value-{secrets.token_hex(16)}"
PASSWORD = f"password-{secrets.token_hex(16)}"
WORDS = "/root/secret-words"
INDEX = {"url": "http://127.0.0.1:8901/simple/", "username": "deployer", "password": PASSWORD}
EXTRA: dict[str, Any] = {"gunicorn_app_env": {"TRIAL_SECRET": VALUE}, "gunicorn_app_index": INDEX}
#: Where root's files may hold a secret; what of it others can read is asked for separately.
PLACES = "/etc /opt /root /run /srv /tmp /usr/local /var"


@pytest.fixture(scope="module", autouse=True)
def _index(machines: list[Machine], play: Playbook) -> Iterator[None]:
    """An index on each host that wants the password, with the wheels that the application needs there."""

    def prepare(machine: Machine) -> None:
        machine.run("mkdir -p /srv/index && chmod 755 /srv/index")
        machine.run("test -e /srv/tools || python3 -m venv /srv/tools")
        machine.run(
            "PIP_CACHE_DIR=/var/cache/notes/pip /srv/tools/bin/pip download --quiet --dest /srv/index"
            " --requirement $(readlink --canonicalize /opt/notes/current)/app/requirements.txt 2>&1"
        )
        machine.write(WORDS, f"{VALUE}\n{PASSWORD}\n")
        machine.write("/root/index-credentials", f"deployer:{PASSWORD}")
        machine.run(f"chmod 600 {WORDS} /root/index-credentials; rm -f /root/index.log")
        arguments = ("8901", "/srv/index", "/root/index-credentials", "/root/index.log")
        machine.background("private_index.py", *arguments)

    on_each(machines, prepare)
    for machine in machines:
        wait_for("the index", lambda machine=machine: machine.ask(INDEX["url"]).status == 401)  # type: ignore[misc]
    yield
    for machine in machines:
        machine.run("pkill --full '8901 [/]srv/index'")
        machine.run("rm -r /srv/index /srv/tools /root/index-credentials /root/index.log /root/secret-words")
    play(code=0)
    wait_for_one_slot(machines)


def seen(outcome: Outcome) -> list[str]:
    return [name for name, secret in (("value", VALUE), ("password", PASSWORD)) if secret in outcome.output]


class TestGoodRelease:
    @pytest.fixture(scope="class")
    @classmethod
    def done(
        cls, machines: list[Machine], play: Playbook, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[Outcome, dict[str, Any]]:
        source = trial(tmp_path_factory.mktemp("private"), "private")
        hooks = {"before": [{"command": ["python", "-m", "trial.hook", "migrate"], "once": False}]}
        with background(machines, "watch_secrets.py", "secrets", WORDS) as reports:
            outcome = play("-vvv", "--diff", extra={**source, **EXTRA, "gunicorn_app_hooks": hooks}, code=0)
        return outcome, reports

    def test_they_were_of_use(self, machine: Machine, done: object) -> None:
        assert version(machine) == "private"
        assert machine.ask("/version").json()["secret"] == hashlib.sha256(VALUE.encode()).hexdigest()
        asked = machine.run("cat /root/index.log").splitlines()
        assert [line for line in asked if line.startswith("right /files/gunicorn-")], asked

    def test_not_in_the_output(self, done: tuple[Outcome, dict[str, Any]]) -> None:
        assert seen(done[0]) == []

    def test_not_in_the_list_of_processes(self, machine: Machine, done: tuple[Outcome, dict[str, Any]]) -> None:
        report = done[1][machine.name]
        assert report["found"] == []
        assert report["looks"] > 20

    def test_not_in_units_or_the_journal(self, machine: Machine, done: object) -> None:
        count = "| grep --text --count --fixed-strings --file=%s"
        for command in ("systemctl show 'notes*'; systemctl cat 'notes*'", "journalctl --all --output=export"):
            assert machine.both(f"({command}) {count}", WORDS) == (1, "0\n"), command

    def test_only_the_slot_has_the_environment(self, machine: Machine, done: object) -> None:
        files = holding(machine, VALUE)
        assert files == [f"/opt/notes/slots/{machine.slot()}/environment"]
        assert machine.run(f"stat -c '%U %a' {files[0]}").strip() == "root 600"

    def test_nothing_has_the_password(self, machine: Machine, done: object) -> None:
        assert holding(machine, PASSWORD) == []


def holding(machine: Machine, secret: str) -> list[str]:
    """The files of the host that hold a secret, but for those of this test."""
    machine.write("/root/secret-word", secret + "\n")
    command = f"grep --recursive --text --files-with-matches --fixed-strings --file=/root/secret-word {PLACES}"
    listed = machine.host.run(f"{command} 2>/dev/null").stdout.splitlines()
    machine.run("rm /root/secret-word")
    return sorted(name for name in listed if not name.startswith("/root/"))


class TestThingsThatFail:
    """The words of what has failed are shown, without the secrets in them."""

    @pytest.fixture(scope="class", params=["lifespan", "hook", "index"])
    @classmethod
    def failed(
        cls,
        request: pytest.FixtureRequest,
        machines: list[Machine],
        play: Playbook,
        tmp_path_factory: pytest.TempPathFactory,
    ) -> tuple[Outcome, str]:
        extra: dict[str, Any] = dict(EXTRA)
        if request.param == "lifespan":
            extra.update(trial(tmp_path_factory.mktemp("lifespan"), "private", "lifespan"))
            word = "The database said no to"
        elif request.param == "hook":
            extra.update(trial(tmp_path_factory.mktemp("hook"), "leaking"))
            extra["gunicorn_app_hooks"] = {"before": [{"command": ["python", "-m", "trial.hook", "tell", "fail"]}]}
            word = "The hook tell has run for"
        else:
            # In the path as well as in the file of the credentials.
            wrong = {**INDEX, "password": f"{PASSWORD}-wrong"}
            extra.update(trial(tmp_path_factory.mktemp("index"), "other", requirements="gunicorn==26.0.0\n"))
            extra["gunicorn_app_index"] = wrong
            word = "gunicorn"
        return play("-vvv", "--diff", extra=extra, code=2), word

    def test_the_message_is_there_without_them(self, machines: list[Machine], failed: tuple[Outcome, str]) -> None:
        outcome, word = failed
        # A hook runs on the first host alone.
        message = outcome.hosts[machines[0].name].message
        assert word in message
        assert seen(outcome) == []

    def test_nothing_is_left_on_the_host(self, machine: Machine, failed: object) -> None:
        # What the application itself has written to the journal is there, for those who may read it.
        slots = ("/opt/notes/slots/", "/var/log/journal/", "/run/log/journal/")
        assert [name for name in holding(machine, VALUE) if not name.startswith(slots)] == []
        assert holding(machine, PASSWORD) == []
