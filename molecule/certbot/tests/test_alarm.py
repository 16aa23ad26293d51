"""Something is wrong with the certificates, and somebody is told: by a command and by a webhook, once of each thing,
and once that all is well again. The webhook's address is a secret.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from lineages import assert_well, renew, shop, watch
from machine import INSIDE, Machine, wait_for
from pebble import Pebble
from playbook import Outcome, Playbook

ALONE = str(Path(__file__).resolve().parents[1] / "role_alone.yml")

PORT = 8931
SECRET = "t0ken-of-the-webhook"
HEARD, SENT = "/var/tmp/alarm-heard", "/var/tmp/webhook-sent"
#: A line for each call: what it was, the unit, and what came on standard input.
COMMAND = f'echo "$ASGI_DEPLOY_ALARM $ASGI_DEPLOY_UNIT: $(paste -sd "|")" >>{HEARD}'
ALARM = {
    "certbot_alarm_command": COMMAND,
    "certbot_alarm_webhook": f"http://127.0.0.1:{PORT}/{SECRET}",
}
WATCH = "asgi-deploy-certificates.service"
TELLING = f"asgi-deploy-certificates-alarm@{WATCH}.service"
WORDS, STOP, REPORT = "/root/alarm-words", "/tmp/alarm.stop", "/tmp/alarm.json"


@pytest.fixture(scope="module", autouse=True)
def configured(machines: list[Machine], play: Playbook) -> Iterator[Outcome]:
    yield play("--diff", "-vvv", extra=ALARM, playbook=ALONE, code=0)
    play(playbook=ALONE, code=0)
    for machine in machines:
        machine.run(f"rm -f {HEARD} {SENT} {WORDS} {STOP} {REPORT}")


@contextmanager
def webhook(machine: Machine) -> Iterator[None]:
    """Run the block with somebody at the webhook's address."""
    script = (INSIDE / "webhook.py").read_text(encoding="utf-8")
    command = "systemd-run --quiet --collect --unit=test-webhook /usr/bin/python3 -c %s %s %s"
    machine.run(command, script, str(PORT), SENT)
    wait_for("the webhook", lambda: machine.host.socket(f"tcp://127.0.0.1:{PORT}").is_listening)
    try:
        yield
    finally:
        machine.run("systemctl stop test-webhook.service")


@contextmanager
def seen_in_no_process(machine: Machine, secret: str) -> Iterator[None]:
    """Run the block, in which no process has the word on its command line, which everybody could read."""
    machine.run(f"rm -f {STOP} {REPORT}")
    machine.write(WORDS, secret)
    assert machine.run(f"cat {WORDS}") == secret
    machine.background("watch_secrets.py", STOP, REPORT, WORDS)
    try:
        yield
    finally:
        machine.run(f"touch {STOP}")
    wait_for("the report", lambda: machine.succeeds(f"test -e {REPORT}"))
    report = json.loads(machine.run(f"cat {REPORT}"))
    assert report["looks"] > 10
    assert report["found"] == []


@pytest.fixture
def _ca_down(machine: Machine) -> Iterator[None]:
    machine.run(f"rm -f {HEARD} {SENT}")
    shop(machine).make_due()
    machine.run("systemctl stop pebble.service")
    yield
    machine.run("systemctl start certbot.timer")
    if not machine.succeeds("systemctl is-active pebble.service"):
        Pebble(machine).restart()


def heard(machine: Machine) -> list[str]:
    return machine.run(f"touch {HEARD} && cat {HEARD}").splitlines()


def sent(machine: Machine) -> list[dict[str, Any]]:
    return [json.loads(line) for line in machine.run(f"touch {SENT} && cat {SENT}").splitlines()]


def fails(machine: Machine, run: Any) -> None:
    """Let a unit fail, and wait until whom it concerns was told."""
    assert not run(machine)
    states = "systemctl show --property=ActiveState --value 'asgi-deploy-certificates-alarm@*' || true"
    # systemd queues it before the failed start returns.
    wait_for("the end of the alarm", lambda: "activating" not in machine.run(states), 60)


@pytest.mark.usefixtures("_ca_down")
def test_each_thing_is_told_once(machine: Machine) -> None:
    with webhook(machine), seen_in_no_process(machine, SECRET):
        fails(machine, renew)
        (line,) = heard(machine)
        assert line.startswith("raised certbot.service: the last renewal failed on ")
        assert "Connection refused (https://localhost:14000/dir)" in line
        (message,) = sent(machine)
        assert message["path"] == f"/{SECRET}"
        body = message["body"]
        assert (body["host"], body["unit"]) == (machine.name, "certbot.service")
        assert body["problems"] == line.partition(": ")[2].split("|")
        assert f"- {body['problems'][0]}" in body["text"].splitlines()

        # The same, whoever fails with it.
        fails(machine, renew)
        fails(machine, watch)
        assert (len(heard(machine)), len(sent(machine))) == (1, 1)

        machine.run("systemctl stop certbot.timer")
        fails(machine, watch)
        assert "certbot.timer is inactive" in heard(machine)[1]
        assert len(sent(machine)[1]["body"]["problems"]) == 2
        machine.run("systemctl start certbot.timer")

        Pebble(machine).restart()
        shop(machine).make_due()
        assert renew(machine)
        assert heard(machine)[2] == (
            f"cleared asgi-deploy-certificates: {machine.name}: all is well again with the certificates"
        )
        assert sent(machine)[2]["body"]["problems"] == []
        assert watch(machine)
        assert (len(heard(machine)), len(sent(machine))) == (3, 3)
    assert_well(machine)


@pytest.mark.usefixtures("_ca_down")
def test_an_alarm_that_nobody_hears_is_told_again(machine: Machine) -> None:
    machine.run("systemctl stop certbot.timer")
    fails(machine, watch)
    # By the command it was told; that the webhook does not answer is a failed unit of its own.
    assert len(heard(machine)) == 1
    assert TELLING in machine.failed_units()
    assert "certbot_alarm_webhook: " in machine.run(f"journalctl --unit '{TELLING}' -o cat --lines 5")
    with webhook(machine):
        fails(machine, watch)
        assert (len(heard(machine)), len(sent(machine))) == (1, 1)
        assert TELLING not in machine.failed_units()
        machine.run("systemctl start certbot.timer")
        assert watch(machine)
        assert (len(heard(machine)), len(sent(machine))) == (2, 2)


def test_the_webhooks_address_is_seen_nowhere(machine: Machine, configured: Outcome) -> None:
    assert SECRET not in configured.output
    assert machine.run(f"journalctl --output=export --all | grep --text --count {SECRET} || true").strip() == "0"
    assert SECRET not in machine.run("asgi-deploy-certificates --status")
    readable = "find /etc /run /tmp /usr/local /var -xdev -type f -perm /044 ! -path /var/tmp/webhook-sent"
    assert machine.run(f"{readable} -exec grep -l {SECRET} {{}} + || true") == ""
    assert machine.run("stat --format %%a %s", "/etc/asgi-deploy/certificates.json").strip() == "600"
