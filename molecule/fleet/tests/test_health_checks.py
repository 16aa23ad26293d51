"""The health checks of the proxy: what they see that requests do not, what they change, and what they leave alone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cut import cut_off
from hop import answering
from machine import Machine, wait_for
from playbook import ROOT, Outcome, Playbook, site
from trial import assert_nothing_lost, background, load, trial, wait_for_one_slot

CHECKS = {"interval": 2, "timeout": 1, "fall": 2, "rise": 2}
ON = {"nginx_proxy_health_checks": CHECKS}
#: Until a host is marked: both questions, nearly one more interval before them, the timeout and nginx's reload.
SECONDS = CHECKS["interval"] * CHECKS["fall"] + CHECKS["interval"] + 5

UNIT = "asgi-deploy-health.service"
TIMER = "asgi-deploy-health.timer"
CURRENT = "/etc/nginx/deploy/current"
HOSTS = f"{CURRENT}/http/applications.conf"
RELEASE = str(ROOT / "playbooks/release.yml")

#: In nginx's folder; the last is what the takeover of Debian's own configuration has kept.
FILES = ["current", "generations", "history", "nginx.conf.before"]

#: Requests a second of the comparison, and seconds for which a host is sick.
PACE, SICK = 60, 12


@pytest.fixture(scope="module", autouse=True)
def _checked(play: Playbook) -> Iterator[None]:
    play(code=0, extra=ON)
    yield
    play(code=0)


def marked(proxy: Machine) -> list[str]:
    """The hosts that nginx leaves out: in its file, and loaded."""
    text = proxy.run(f"cat {HOSTS}")
    told = re.search(r"\$health_marks \{ default (\S+); \}", text)
    assert told
    wait_for("nginx to tell of the marks", lambda: proxy.run("curl -s http://127.0.0.1:8099/marks").strip() == told[1])
    return re.findall(r" down; # (\S+)$", text, re.MULTILINE)


def wait_for_marks(proxy: Machine, apps: list[Machine], seconds: float = SECONDS) -> None:
    names = [app.name for app in apps]
    wait_for(f"marks on {names}", lambda: re.findall(r" down; # (\S+)", proxy.run(f"cat {HOSTS}")) == names, seconds)
    assert marked(proxy) == names


def reloads(proxy: Machine) -> int:
    return int(proxy.run("journalctl --unit=nginx.service --output=cat | grep -c '^Reloaded' || true"))


def journal(proxy: Machine) -> list[str]:
    """All that the health checks have said in this boot."""
    return proxy.run(f"journalctl --unit={UNIT} --output=cat").splitlines()


def result(proxy: Machine) -> str:
    return proxy.run(f"systemctl show --property=Result --value {UNIT}").strip()


@contextmanager
def sick(*apps: Machine, how: str = "unhealthy") -> Iterator[None]:
    """Its health path answers 503, and with "broken" every other page too."""
    for app in apps:
        app.run(f"touch /var/lib/notes/{how}")
    try:
        yield
    finally:
        for app in apps:
            app.run(f"rm -f /var/lib/notes/{how}")


class TestSickHost:
    def test_it_is_left_out_and_comes_back(self, proxy: Machine, apps: list[Machine]) -> None:
        before = reloads(proxy)
        with load([proxy]) as loads:
            with sick(apps[0]):
                wait_for_marks(proxy, apps[:1])
                wait_for("no more requests to it", lambda: answering(proxy, apps) == apps[1:])
                status = proxy.run("asgi-deploy-health --status")
            wait_for_marks(proxy, [])
            wait_for("requests to it", lambda: answering(proxy, apps) == apps)
        assert re.search(rf"notes  {apps[0].name}  \S+:8000  down  .*answered 503", status)
        said = "\n".join(journal(proxy))
        assert f"{apps[0].name} (notes, " in said
        assert "GET /health answered 503 instead of 200" in said
        assert f"nginx leaves out {apps[0].name} from site__notes" in said
        # The two marks, and nothing for all the questions in between.
        assert reloads(proxy) == before + 2
        report = loads[proxy.name]
        # nginx below 1.27.4 closes idle connections of clients at a reload, some of which are just being used.
        assert len(report["failures"]) <= 4, report
        assert not [line for line in report["failures"] if re.search(r" 50\d ", line)], report

    def test_nothing_is_written_when_nothing_changes(self, proxy: Machine) -> None:
        def written() -> dict[str, str]:
            return proxy.files("/etc/nginx", "/etc/asgi-deploy", "/run/asgi-deploy/health.json")

        before, count = written(), reloads(proxy)
        proxy.run(f"sleep {CHECKS['interval'] * 2 + 1}")
        assert (written(), reloads(proxy)) == (before, count)

    def test_when_all_are_sick_all_are_asked(self, proxy: Machine, apps: list[Machine]) -> None:
        count = reloads(proxy)
        with sick(*apps):
            wait_for("all to be down", lambda: proxy.run("asgi-deploy-health --status").count("down, but asked") == 3)
            assert marked(proxy) == []
            assert answering(proxy, apps) == apps
            assert "it is asked all the same, for no other server of site__notes is left" in "\n".join(journal(proxy))
        wait_for("all to be up", lambda: proxy.run("asgi-deploy-health --status").count("  up") == 3)
        # One after the other they may have been marked, if a question came in between.
        assert reloads(proxy) - count <= 4
        assert marked(proxy) == []


class TestMarked:
    """One sequence: a host is marked, and what else is done on the proxy leaves the mark.

    The host is cut off: one that is sick would be given another release by each run.
    """

    CHANGED = site(tls={"source": "self_signed"}, body_size="3m")

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _cut_off(cls, proxy: Machine, apps: list[Machine]) -> Iterator[None]:
        with cut_off(apps[1]):
            wait_for_marks(proxy, apps[1:2])
            yield
        wait_for_marks(proxy, [])

    def test_a_second_run_changes_nothing(self, proxy: Machine, apps: list[Machine], play: Playbook) -> None:
        count = reloads(proxy)
        play(extra=ON).assert_unchanged()
        assert marked(proxy) == [apps[1].name]
        assert reloads(proxy) == count

    def test_check_mode_does_not_talk_of_it(self, play: Playbook) -> None:
        outcome = play("--check", "--diff", extra=ON)
        outcome.assert_unchanged()
        assert HOSTS not in outcome.output

    def test_a_new_configuration_takes_it_over(self, proxy: Machine, apps: list[Machine], play: Playbook) -> None:
        outcome = play("--diff", code=0, extra={**ON, **self.CHANGED})
        assert "client_max_body_size 3m" in outcome.output
        assert HOSTS not in outcome.output
        assert "client_max_body_size 3m" in proxy.run(f"cat {CURRENT}/sites/notes/*.conf")
        assert marked(proxy) == [apps[1].name]

    def test_an_old_generation_gets_it(self, proxy: Machine, apps: list[Machine], play: Playbook) -> None:
        proxy.run("asgi-deploy-nginx-rollback")
        assert "client_max_body_size 3m" not in proxy.run(f"cat {CURRENT}/sites/notes/*.conf")
        assert marked(proxy) == [apps[1].name]
        play(extra=ON).assert_unchanged()


class TestKilled:
    @pytest.mark.parametrize("step", ["staged", "marked"])
    def test_the_next_run_ends_what_was_begun(self, proxy: Machine, apps: list[Machine], step: str) -> None:
        before = len(journal(proxy))
        proxy.background("kill_transaction.py", step)
        with sick(apps[2]):
            wait_for("the kill", lambda: proxy.run("cat /tmp/background.log").strip() == "true", SECONDS)
            wait_for_marks(proxy, apps[2:])
            assert "status=9/KILL" in "\n".join(journal(proxy)[before:])
            wait_for("a run that succeeds", lambda: result(proxy) == "success")
            assert proxy.run("ls -A /etc/nginx/deploy").split() == FILES
        wait_for_marks(proxy, [])


class TestBrokenByHand:
    def test_nothing_is_changed_and_the_unit_fails(self, proxy: Machine, apps: list[Machine]) -> None:
        proxy.run(f"cp {CURRENT}/http/proxy.conf /root/proxy.conf; echo 'nonsense on;' >>{CURRENT}/http/proxy.conf")
        try:
            count, files = reloads(proxy), proxy.files("/etc/nginx")
            with sick(apps[0]):
                wait_for("the unit to fail", lambda: UNIT in proxy.failed_units(), SECONDS)
                assert 'unknown directive "nonsense"' in "\n".join(journal(proxy))
                assert (proxy.files("/etc/nginx"), reloads(proxy)) == (files, count)
                assert proxy.ask("/version").status == 200
                assert "down, but asked" in proxy.run("asgi-deploy-health --status")
                proxy.run(f"cat /root/proxy.conf >{CURRENT}/http/proxy.conf")
                # Mended, the next run does what is due.
                wait_for_marks(proxy, apps[:1])
                wait_for("the unit to be well", lambda: UNIT not in proxy.failed_units())
        finally:
            proxy.run(f"cat /root/proxy.conf >{CURRENT}/http/proxy.conf; rm /root/proxy.conf")
        wait_for_marks(proxy, [])


class TestRelease:
    def test_no_host_is_marked_for_it(
        self, proxy: Machine, apps: list[Machine], play: Playbook, tmp_path: Path
    ) -> None:
        said, count = journal(proxy), reloads(proxy)
        with load([proxy]) as loads:
            play(code=0, playbook=RELEASE, extra={**ON, **trial(tmp_path, "second")})
            wait_for_one_slot(apps)
        assert_nothing_lost(loads[proxy.name], 100)
        assert (journal(proxy), reloads(proxy)) == (said, count)


class TestCompared:
    """Passive detection alone, and the health checks beside it. What is measured is printed, for docs/fleet.md."""

    @pytest.fixture(scope="class")
    @classmethod
    def seen(cls, proxy: Machine, apps: list[Machine]) -> dict[str, dict[str, Any]]:
        found = {}
        for beside in (False, True):
            proxy.run(f"systemctl {'start' if beside else 'stop'} {TIMER}")
            for name, trouble in (("cut", cut_off), ("broken", lambda app: sick(app, how="broken"))):
                with background([proxy], "steady.py", "steady", str(PACE)) as reports:
                    time.sleep(2)
                    with trouble(apps[0]):
                        time.sleep(SICK)
                    time.sleep(SECONDS)
                report = reports[proxy.name]
                found[f"{name} {'checked' if beside else 'alone'}"] = report
                numbers = {key: report[key] for key in ("sent", "seconds", "slow", "closed", "slowest")}
                print(f"\n{name}, checked: {beside}: {numbers}, failed: {len(report['failed'])} {report['failed'][:5]}")
                wait_for_marks(proxy, [])
        return found

    def test_the_load_was_the_same(self, seen: dict[str, dict[str, Any]]) -> None:
        least = PACE * (SICK + SECONDS)
        assert all(report["sent"] > least * 0.8 for report in seen.values()), seen

    def test_a_host_that_answers_errors_is_only_found_by_the_checks(self, seen: dict[str, dict[str, Any]]) -> None:
        alone, checked = len(seen["broken alone"]["failed"]), len(seen["broken checked"]["failed"])
        # A third of the requests, for all the time; with the checks until the second question.
        assert alone > PACE * SICK / 3 * 0.7
        assert 0 < checked < alone * 0.75

    def test_a_host_that_is_gone_costs_no_more_with_the_checks(self, seen: dict[str, dict[str, Any]]) -> None:
        alone, checked = seen["cut alone"], seen["cut checked"]
        assert len(checked["failed"]) <= len(alone["failed"]) + PACE // 3, (alone, checked)
        assert checked["slow"] <= alone["slow"] + PACE // 3, (alone, checked)


class TestOff:
    """Last: with a mark in place the checks are switched off."""

    @pytest.fixture(scope="class")
    @classmethod
    def off(cls, proxy: Machine, apps: list[Machine], play: Playbook) -> Outcome:
        with cut_off(apps[0]):
            wait_for_marks(proxy, apps[:1])
            checked = play("--check", "--diff", code=0)
            assert f"-    server {proxy.run('getent ahostsv4 %s', apps[0].name).split()[0]}:8000" in checked.output
            assert "before: /etc/systemd/system/asgi-deploy-health.timer" in checked.output
            play(code=0)
        return play()

    def test_nothing_of_it_is_left(self, proxy: Machine, off: Outcome) -> None:
        assert proxy.run("find /etc /usr/local /run -path '*asgi*health*' -o -name 'health_*'; true").split() == []
        assert not proxy.succeeds(f"systemctl cat {TIMER}")
        assert not proxy.succeeds(f"systemctl cat {UNIT}")
        assert not proxy.succeeds(f"test -e {HOSTS}")
        assert "down" not in proxy.run(f"cat {CURRENT}/sites/notes/upstream.conf")
        assert proxy.code("curl -s --fail http://127.0.0.1:8099/marks") == 22

    def test_all_hosts_are_asked(self, proxy: Machine, apps: list[Machine], off: Outcome) -> None:
        assert answering(proxy, apps) == apps

    def test_a_second_run_changes_nothing(self, off: Outcome) -> None:
        off.assert_unchanged()
