"""The access log: what is in it, where it goes, and that no client can put a lie into it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from machine import Machine, wait_for
from origin import mark
from playbook import Outcome, Playbook
from proxy_sites import only

SITE = "https://logged.example.test"
LOG = "/var/log/nginx/access.log"


def content(machine: Machine, path: str = LOG) -> bytes:
    return base64.b64decode(machine.run("base64 --wrap=0 %s", path))


def lines(machine: Machine, marked: str, path: str = LOG) -> list[bytes]:
    """The lines with the mark. A request that is logged comes after it, so that nothing is waited for in vain."""
    after = mark()
    machine.ask(f"{SITE}/{after}")
    wait_for("nginx writes its log", lambda: after.encode() in content(machine, path))
    return [line for line in content(machine, path).split(b"\n") if marked.encode() in line]


def entries(machine: Machine, marked: str, path: str = LOG) -> list[dict[str, Any]]:
    # Strictly: bytes that are no UTF-8 are no JSON.
    return [json.loads(line.decode("utf-8")) for line in lines(machine, marked, path)]


#: What a client sends, between the request line's path and the end of a header.
HOSTILE = [
    ("/MARK", 'User-Agent: "}},\\"status\\":\\"200\\" \\x22 \\ \t %s $host <b>'),
    ("/MARK?x=\"'\\", "User-Agent: x"),
    ("/MARK?%0a%0d%22%00", "User-Agent: x"),
    ("/MARK", "User-Agent: \x01\x1b[31m\x7f\x08"),
    ("/MARK", "User-Agent: Gr\xc3\xbc\xc3\x9fe \xe2\x98\x83"),
    ("/MARK", "User-Agent: not UTF-8: \xff\xfe\xc3\x28 \xed\xa0\x80 \xf5\x80\x80\x80"),
    ("/MARK?\xff\xc0\x80", "Referer: \xe2\x28\xa1"),
    ("/MARK", "Referer: x\r\n folded"),
    ("/MARK", 'Referer: x\n"status":"200"'),
    ("/MARK", "User-Agent: " + "x" * 6000 + '"'),
    ("/MARK", "Cookie: \xff\r\nAuthorization: Basic //////8="),
]


@pytest.mark.parametrize(("path", "header"), HOSTILE, ids=range(len(HOSTILE)))
def test_each_line_is_json_whatever_a_client_sends(machine: Machine, path: str, header: str) -> None:
    marked = mark()
    request = f"GET {path.replace('MARK', marked)} HTTP/1.1\r\nHost: logged.example.test\r\n{header}\r\n"
    if not header.startswith("User-Agent: "):
        # A target that is no text is not in the log.
        request += f"User-Agent: {marked}\r\n"
    wanted = {"name": "logged.example.test", "parts": [[0, f"{request}Connection: close\r\n\r\n"]]}
    (heard,) = machine.python("exchange.py", json.dumps([wanted]))
    status = heard["answer"].split()[1]
    (entry,) = entries(machine, marked)
    assert (entry["status"], entry["host"], entry["method"]) == (status, "logged.example.test", "GET")
    agent = header.removeprefix("User-Agent: ").encode("latin-1")
    if header.startswith("User-Agent: ") and status == "200" and not agent.startswith(b"not UTF-8"):
        assert entry["user_agent"].encode() == agent


def test_what_a_line_tells(machine: Machine) -> None:
    marked = mark()
    answer = machine.ask(f"{SITE}/{marked}?status=404", "--http2", "--referer", "https://a.example/")
    (entry,) = entries(machine, marked)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", entry.pop("time"))
    assert entry.pop("request_id") == answer.header("x-request-id")
    assert 0 <= entry.pop("seconds") < 5
    assert 0 <= float(entry.pop("upstream_seconds")) < 5
    assert entry.pop("user_agent").startswith("curl/")
    assert entry.pop("bytes") == len(answer.body.encode())
    assert {key: value for key, value in entry.items() if value} == {
        "remote_addr": "127.0.0.1",
        "host": "logged.example.test",
        "method": "GET",
        "uri": f"/{marked}?status=404",
        "protocol": "HTTP/2.0",
        "status": "404",
        "upstream": "127.0.0.1:9000",
        "upstream_status": "404",
        "tls": "TLSv1.3",
        "referer": "https://a.example/",
    }


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/health", False),
        ("/health?status=204", False),
        ("/health?status=404", True),
        ("/health?status=503", True),
        ("/healthy", True),
        ("/health/ready", True),
        ("/silent/", False),
        ("/silent/?status=500", False),
    ],
)
def test_a_quiet_path_is_logged_when_it_fails(machine: Machine, path: str, logged: bool) -> None:
    marked = mark()
    machine.ask(SITE + path, "--user-agent", marked)
    assert len(lines(machine, marked)) == int(logged)


def test_the_files_are_for_nginx_and_the_administrators(machine: Machine) -> None:
    listed = machine.run("find /var/log/nginx -name '*.log' -printf '%f %m %u:%g\\n'").splitlines()
    assert "access.log 640 www-data:adm" in listed
    assert {line.split(" ", 1)[1] for line in listed} == {"640 www-data:adm"}
    assert machine.run("stat --format='%a %G' /var/log/nginx").strip() == "755 adm"


def test_a_rotation_goes_on_logging(machine: Machine) -> None:
    marked = mark()
    machine.ask(f"{SITE}/{marked}")
    assert len(lines(machine, marked)) == 1
    before = set(machine.run("pgrep --parent $(cat /run/nginx.pid)").split())
    machine.run("logrotate --force /etc/logrotate.d/nginx")
    assert marked.encode() in content(machine, f"{LOG}.1")
    assert lines(machine, marked) == []
    assert machine.run("stat --format='%%a %%U:%%G' %s", LOG).strip() == "640 www-data:adm"
    # Reopened, not restarted; one of an earlier reload may have ended since.
    after = set(machine.run("pgrep --parent $(cat /run/nginx.pid)").split())
    assert after
    assert after <= before


def test_the_counters_are_for_this_host_alone(machine: Machine) -> None:
    answer = machine.ask("http://127.0.0.1:8099/stub_status")
    assert re.match(r"Active connections: \d+ \nserver accepts handled requests\n", answer.body)
    address = machine.run("hostname --ip-address").split()[0]
    assert machine.ask(f"http://{address}:8099/stub_status").code == 7
    assert machine.ask("https://smallest.example.test/stub_status").json()["origin"] == "first"


class Elsewhere:
    LOG: ClassVar[dict[str, Any]]

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def outcome(cls, play: Playbook) -> Outcome:
        return play(extra={**only("logged", "smallest"), "nginx_proxy_access_log": cls.LOG}, code=0)


class TestCombinedBySite(Elsewhere):
    LOG: ClassVar[dict[str, Any]] = {"format": "combined", "per_site": True}

    def test_each_site_has_its_file(self, machine: Machine) -> None:
        logged, smallest = mark(), mark()
        machine.ask(f"{SITE}/{logged}", "--user-agent", 'a"b\x1b')
        machine.ask(f"https://smallest.example.test/{smallest}")
        (line,) = lines(machine, logged, "/var/log/nginx/logged.access.log")
        expected = rf'127\.0\.0\.1 - - \[[^]]+\] "GET /{logged} HTTP/2\.0" 200 \d+ "-" "a\\x22b\\x1B"'
        assert re.fullmatch(expected, line.decode())
        other = "/var/log/nginx/smallest.access.log"
        wait_for("the other site's line", lambda: smallest.encode() in content(machine, other))
        assert smallest.encode() not in content(machine, "/var/log/nginx/logged.access.log")
        assert smallest.encode() not in content(machine)

    def test_quiet_paths_stay_quiet(self, machine: Machine) -> None:
        marked = mark()
        machine.ask(f"{SITE}/health?{marked}")
        assert lines(machine, marked, "/var/log/nginx/logged.access.log") == []

    def test_the_files_are_rotated_with_the_others(self, machine: Machine) -> None:
        machine.run("logrotate --force /etc/logrotate.d/nginx")
        marked = mark()
        machine.ask(f"{SITE}/{marked}")
        assert len(lines(machine, marked, "/var/log/nginx/logged.access.log")) == 1


class TestSyslog(Elsewhere):
    LOG: ClassVar[dict[str, Any]] = {"target": "syslog", "server": "127.0.0.1:5140"}

    @pytest.fixture(autouse=True)
    def _listener(self, machine: Machine, outcome: Outcome) -> Iterator[None]:
        machine.background("udp.py", "5140", "/run/datagrams")
        wait_for("the listener", lambda: machine.succeeds("ss -Hlun | grep -q 127.0.0.1:5140"))
        yield
        machine.run("kill $(cat /run/datagrams.pid)")

    def test_the_lines_go_to_the_server(self, machine: Machine) -> None:
        marked = mark()
        machine.ask(f"{SITE}/{marked}")
        wait_for("the datagram", lambda: marked.encode() in content(machine, "/run/datagrams"))
        (line,) = [line for line in content(machine, "/run/datagrams").split(b"\n") if marked.encode() in line]
        head, _brace, rest = line.decode().partition("{")
        assert re.match(r"<\d+>", head)
        assert json.loads("{" + rest)["uri"] == f"/{marked}"
        assert marked.encode() not in content(machine)


class TestJournal(Elsewhere):
    LOG: ClassVar[dict[str, Any]] = {"target": "stdout"}

    def test_the_lines_are_in_the_journal_of_the_unit(self, machine: Machine) -> None:
        marked = mark()
        machine.ask(f"{SITE}/{marked}")

        def journal() -> list[str]:
            output = machine.run("journalctl --unit=nginx.service --output=cat --no-pager --since=-1m")
            return [line for line in output.splitlines() if marked in line]

        wait_for("the line in the journal", lambda: bool(journal()))
        (line,) = journal()
        assert json.loads(line)["uri"] == f"/{marked}"
        assert marked.encode() not in content(machine)


class TestOff(Elsewhere):
    LOG: ClassVar[dict[str, Any]] = {"target": "off"}

    def test_nothing_is_logged(self, machine: Machine) -> None:
        marked = mark()
        machine.ask(f"{SITE}/{marked}")
        machine.run("sleep 1.5")
        assert machine.both("grep -rl %s /var/log/nginx", marked) == (1, "")
        assert marked not in machine.run("journalctl --unit=nginx.service --output=cat --no-pager --since=-1m")


@pytest.fixture(scope="module", autouse=True)
def _back(play: Playbook) -> Iterator[None]:
    """Leave the hosts as converge left them."""
    yield
    play(code=0)
