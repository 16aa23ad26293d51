"""Logs: one JSON object a line whatever a client sends, and one id through all of them."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from machine import Machine, wait_for


def access_log(machine: Machine, text: str) -> list[dict[str, Any]]:
    """The lines of nginx's access log with `text` in them; nginx writes them within a second."""
    lines: list[str] = []

    def found() -> bool:
        lines[:] = machine.both("grep --fixed-strings -- %s /var/log/nginx/access.log", text)[1].splitlines()
        return bool(lines)

    wait_for(f"{text} in the access log", found)
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    ("agent", "status"),
    [
        ('"}},\\"status\\":"200" \\x22 \\ \t %s $host <b> Grüße ☃', 200),
        # Control characters: nginx passes them on, the application refuses them.
        ('"\x01\x1b[31m\x7f"', 400),
    ],
)
def test_a_hostile_user_agent_cannot_forge_a_line(machine: Machine, agent: str, status: int) -> None:
    mark = secrets.token_hex(8)
    answer = machine.ask("/version?x=%22%0a&y=\"'", "--user-agent", mark + agent)
    assert answer.status == status
    (line,) = access_log(machine, mark)
    assert line["user_agent"] == mark + agent
    assert line["status"] == str(status)
    assert line["protocol"] == "HTTP/2.0"
    assert line["host"] == "notes.example.com"


def test_one_request_id_in_the_answer_and_in_both_logs(machine: Machine) -> None:
    answer = machine.ask("/whoami", "--header", "X-Request-ID: chosen-by-the-client")
    request_id = answer.header("x-request-id")
    assert answer.json()["request_id"] == request_id
    (line,) = access_log(machine, request_id)
    assert line["uri"] == "/whoami"
    unit = machine.unit()
    journal: list[str] = []

    def logged() -> bool:
        text = machine.run("journalctl --unit=%s --output=cat --no-pager", unit)
        journal[:] = [entry for entry in text.splitlines() if request_id in entry]
        return bool(journal)

    wait_for("the request in the application's journal", logged)
    (entry,) = [json.loads(entry) for entry in journal]
    assert (entry["request_id"], entry["path"], entry["status"]) == (request_id, "/whoami", 200)
