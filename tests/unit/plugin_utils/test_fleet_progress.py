# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a release over many hosts has come, and what is told of it at its end."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.plugin_utils import fleet_progress as progress
from ansible_collections.asgi.deploy.plugins.plugin_utils import fleet_summary as summary
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_journal import Journal
from ansible_collections.asgi.deploy.plugins.plugin_utils.fleet_run import journal, of_result, words_of_failure

HOSTS = ("web1", "web2", "web3")
Entry = dict[str, t.Any]


def begin(**changes: t.Any) -> Entry:
    known = {
        "kind": "begin",
        "playbook": "release",
        "id": "x",
        "by": "alice@laptop",
        "began": 1796040000.0,
        "check_mode": False,
        "hosts": list(HOSTS),
        "only": None,
        "max_failures": 0,
        "back": False,
    }
    return {**known, **changes}


def lock(host: str, release: str | None = "1-a", **changes: t.Any) -> Entry:
    lived = [{"release": release, "at": "1", "how": "deployed"}] if release else []
    there = [{"name": release, "code": release[2:]}] if release else []
    standing = {"name": "notes", "live": release, "releases": there, "lived": lived}
    known = {"address": f"{host}.internal", "wanted": {"notes": "previous"}, "ports": {"notes": 8001}}
    return {"kind": "lock", "host": host, "applications": [standing], **known, **changes}


def step(kind: str, host: str, **known: t.Any) -> Entry:
    return {"kind": kind, "host": host, "application": "notes", **known}


def prepared(host: str, due: bool = True) -> Entry:
    return step("prepare", host, due=due, changed=due, release="2-b" if due else "1-a")


def live(host: str) -> Entry:
    return step("live", host, changed=True, release="2-b", seconds=2.5)


def failed(kind: str, host: str, **known: t.Any) -> Entry:
    # A lock is the host's, everything else an application's.
    whose = {} if kind == "lock" else {"application": "notes"}
    return {"kind": kind, "host": host, **whose, "failed": f"{host} said no", "seconds": 1.0, **known}


def free(host: str, release: str | None) -> Entry:
    return {"kind": "free", "host": host, "applications": [{"name": "notes", "live": release}]}


def counted(proxy: str, **lost: int) -> Entry:
    servers = [{"host": host, "application": "notes", "lost": number, "retried": 1} for host, number in lost.items()]
    return {
        "kind": "requests",
        "host": proxy,
        "requests": {"servers": servers, "without_server": 2, "not_counted": None},
    }


LOCKED = [begin(), *map(lock, HOSTS)]
PREPARED = [*LOCKED, *map(prepared, HOSTS)]


def results(entries: list[Entry]) -> str:
    return ", ".join(row["result"] for row in progress.rows(entries))


class TestGoesOn:
    @pytest.mark.parametrize(
        ("entries", "why"),
        [
            ([begin()], None),
            (PREPARED, None),
            ([*PREPARED, live("web1")], None),
            ([*LOCKED, failed("prepare", "web2")], "1 of 3 hosts failed before anything was switched"),
            # However many may fail: nothing has been proven anywhere.
            (
                [begin(max_failures=2), failed("lock", "web1"), failed("lock", "web2")],
                "2 of 3 hosts failed before anything was switched",
            ),
            ([*PREPARED, failed("live", "web1")], "1 of 3 hosts failed"),
            ([begin(max_failures=1), failed("live", "web1")], None),
            # Of two applications of one host, both.
            ([begin(max_failures=1), failed("live", "web1"), failed("live", "web1")], None),
            (
                [begin(max_failures=1), failed("live", "web1"), failed("live", "web2")],
                "2 of 3 hosts failed, more than release_max_failures (1)",
            ),
        ],
    )
    def test_or_stops(self, entries: list[Entry], why: str | None) -> None:
        assert progress.stopped(entries) == why


class TestWayBack:
    def test_finished_hosts_go_back_and_failed_ones_that_have_the_new_release(self) -> None:
        entries = [
            *PREPARED,
            live("web1"),
            # A hook failed after the switch.
            failed("live", "web2", live="2-b"),
            failed("live", "web3", live="1-a"),
        ]
        assert progress.way_back(entries) == {
            "web1": [{"name": "notes", "release": "1-a", "first": "web1"}],
            "web2": [{"name": "notes", "release": "1-a", "first": "web1"}],
        }

    def test_one_that_nobody_reached_is_asked_again(self) -> None:
        assert list(progress.way_back([*PREPARED, failed("live", "web2")])) == ["web2"]

    def test_a_first_release_has_none(self) -> None:
        assert progress.way_back([begin(), lock("web1", None), prepared("web1"), live("web1")]) == {}


class TestTargets:
    @staticmethod
    def lived(host: str, *releases: str) -> Entry:
        standing = {
            "name": "notes",
            "live": releases[-1],
            "releases": [{"name": name, "code": name[-1]} for name in releases],
            "lived": [{"release": name, "at": str(at), "how": "deployed"} for at, name in enumerate(releases)],
        }
        return {**lock(host), "applications": [standing]}

    def test_what_runs_once_runs_where_something_moves(self) -> None:
        entries = [
            begin(),
            self.lived("web1", "1-a"),
            self.lived("web2", "1-a", "2-b"),
            self.lived("web3", "3-a", "4-b"),
        ]
        assert progress.way_to_targets(entries) == (
            {
                "web2": [{"name": "notes", "release": "1-a", "first": "web2"}],
                "web3": [{"name": "notes", "release": "3-a", "first": "web2"}],
            },
            None,
        )

    def test_a_refusal(self) -> None:
        hosts, why = progress.way_to_targets([begin(), *(self.lived(host, "1-a") for host in HOSTS)])
        assert hosts == {}
        assert why is not None
        assert why.startswith('gunicorn_app_release: "previous" is refused; ')

    def test_without_the_lock_of_all(self) -> None:
        entries = [begin(), self.lived("web1", "1-a", "2-b"), failed("lock", "web2")]
        assert progress.way_to_targets(entries) == ({}, "1 of 3 hosts failed before anything was switched")


class TestRows:
    @pytest.mark.parametrize(
        ("entries", "told"),
        [
            ([*PREPARED, *map(live, HOSTS)], "live, live, live"),
            ([*PREPARED, live("web1"), failed("live", "web2")], "live, failed, untouched"),
            ([*LOCKED, *(prepared(host, due=False) for host in HOSTS)], "unchanged, unchanged, unchanged"),
            ([*LOCKED, prepared("web1"), failed("prepare", "web2")], "untouched, failed, untouched"),
            ([begin(), lock("web1"), failed("lock", "web2")], "untouched, failed, untouched"),
            (
                [*PREPARED, live("web1"), failed("live", "web2"), step("back", "web1", changed=True)],
                "went back, failed, untouched",
            ),
            # It never had another one in the end, and was asked all the same.
            (
                [*PREPARED, failed("live", "web1"), step("back", "web1", changed=False)],
                "failed, untouched, untouched",
            ),
            ([*PREPARED, live("web1"), failed("back", "web1")], "failed, untouched, untouched"),
            # The host itself, before anything was asked of its application.
            (
                [*LOCKED, prepared("web1"), {"kind": "prepare", "host": "web2", "failed": "no such package"}],
                "untouched, failed, untouched",
            ),
            (
                [
                    *LOCKED,
                    step("prepare", "web1", would="build and switch", release="b"),
                    step("prepare", "web2", would="switch", release="2-b"),
                    prepared("web3", due=False),
                ],
                "would be built and go live, would go live, unchanged",
            ),
            ([begin(playbook="rollback"), *map(lock, HOSTS), step("back", "web2", changed=True)],
             "unchanged, went back, unchanged"),
            ([begin(playbook="rollback"), *map(lock, HOSTS), step("back", "web2", changed=False)],
             "unchanged, unchanged, unchanged"),
            ([begin(playbook="rollback"), *map(lock, HOSTS), step("back", "web2", would="switch", release="1-a")],
             "unchanged, would go back, unchanged"),
            ([begin(playbook="rollback"), *map(lock, HOSTS), {"kind": "refused", "why": "no"}],
             "untouched, untouched, untouched"),
        ],
    )  # fmt: skip
    def test_results(self, entries: list[Entry], told: str) -> None:
        assert results(entries) == told

    def test_what_is_live_is_what_the_host_says(self) -> None:
        # The second's hook failed after the switch.
        entries = [*PREPARED, live("web1"), failed("live", "web2"), free("web1", "2-b"), free("web2", "2-b")]
        found = [(row["from"], row["to"], row["seconds"]) for row in progress.rows(entries)]
        assert found == [("1-a", "2-b", 2.5), ("1-a", "2-b", 1.0), ("1-a", "1-a", None)]

    def test_of_a_host_that_does_not_answer_at_the_end_nobody_knows(self) -> None:
        assert [row["to"] for row in progress.rows([*PREPARED, failed("live", "web1")])] == [None, "1-a", "1-a"]

    def test_requests_of_all_proxies_together(self) -> None:
        entries = [*PREPARED, live("web1"), counted("proxy1", web1=2), counted("proxy2", web1=1, web2=1, elsewhere=9)]
        found = [(row["lost"], row["retried"]) for row in progress.rows(entries)]
        assert found == [(3, 2), (1, 1), (0, 0)]

    @pytest.mark.parametrize(
        ("entries", "why"),
        [
            (PREPARED, progress.NOTHING),
            ([*PREPARED, live("web1")], "no host of the group proxies is in this run"),
            (
                [
                    *PREPARED,
                    live("web1"),
                    counted("proxy1", web1=0),
                    {"kind": "requests", "host": "proxy2", "requests": {"not_counted": "nginx writes no access log"}},
                ],
                "proxy2: nginx writes no access log",
            ),
            (
                [*PREPARED, live("web1"), {"kind": "position", "host": "proxy2", "failed": "no route\nto it"},
                 counted("proxy1", web1=0)],
                "proxy2: no route",
            ),
        ],
    )  # fmt: skip
    def test_one_proxy_that_has_not_counted_is_enough(self, entries: list[Entry], why: str) -> None:
        assert progress.not_counted(entries) == why
        assert {row["lost"] for row in progress.rows(entries)} == {None}


class TestServers:
    def test_by_socket_on_the_same_host_and_by_port_on_all(self) -> None:
        entries = [begin(), lock("web1"), lock("web2", address="[fd00::2]"), failed("lock", "web3")]
        found = [(item["host"], item["address"]) for item in progress.servers(entries, "web1")]
        assert found == [
            ("web1", "unix:/opt/notes/current.sock"),
            ("web1", "web1.internal:8001"),
            ("web2", "[fd00::2]:8001"),
        ]

    def test_the_position_is_the_proxys_own(self) -> None:
        positions = [{"kind": "position", "host": host, "positions": {"since": host}} for host in HOSTS]
        assert progress.log_position([*PREPARED, *positions, live("web1")], "web2") == {"since": "web2"}
        assert progress.log_position([*PREPARED, *positions, live("web1")], "proxy") is None
        assert progress.log_position([*PREPARED, *positions], "web2") is None


class TestSummary:
    def test_the_table(self) -> None:
        entries = [*PREPARED, live("web1"), failed("live", "web2"), counted("web1", web1=2), free("web1", "2-b"),
                   free("web2", "1-a"), {"kind": "free", "host": "web3", "failed": "gone"}]  # fmt: skip
        assert summary.table(summary.report(entries)) == [
            "host  from  to   seconds  result     requests lost  retried",
            "web1  1-a   2-b  2.5      live       2              1",
            "web2  1-a   1-a  1.0      failed     0              0",
            "web3  1-a   1-a  -        untouched  0              0",
            "2 further requests found no server that was left to try",
            "the lock could not be given back on web3: it ends by itself",
        ]

    def test_an_application_that_alone_was_meant_is_named(self) -> None:
        entries = [
            begin(only="notes"),
            *map(lock, HOSTS),
            *map(prepared, HOSTS),
            *(free(host, "1-a") for host in HOSTS),
        ]
        assert "only notes (app=notes), no other application of these hosts" in summary.table(summary.report(entries))

    def test_what_was_not_counted_is_said(self) -> None:
        lines = summary.table(summary.report([*PREPARED, live("web1"), *(free(host, "2-b") for host in HOSTS)]))
        assert lines[1] == "web1  1-a   2-b  2.5      live       not counted    -"
        assert lines[-1] == "requests lost: not counted (no host of the group proxies is in this run)"

    @pytest.mark.parametrize("entries", [LOCKED, [begin(playbook="rollback"), *map(lock, HOSTS)]])
    def test_the_shorter_one(self, entries: list[Entry]) -> None:
        assert summary.table(summary.report(entries))[0].split() == ["host", "from", "to", "seconds", "result"]

    def test_several_applications_have_a_column(self) -> None:
        both: Entry = {"name": "api", "live": None, "releases": [], "lived": []}
        first = lock("web1")
        entries = [
            begin(hosts=["web1"]),
            {**first, "applications": [*first["applications"], both]},
            free("web1", "1-a"),
        ]
        assert [line.split()[:3] for line in summary.table(summary.report(entries))] == [
            ["host", "application", "from"],
            ["web1", "notes", "1-a"],
            ["web1", "api", "-"],
        ]

    @pytest.mark.parametrize(
        ("entries", "hosts"),
        [
            ([*LOCKED, *(free(host, "1-a") for host in HOSTS)], []),
            ([begin(check_mode=True), *map(lock, HOSTS)], []),
            # What never came as far as to say that it failed has not given it back either.
            ([*LOCKED, free("web1", "1-a")], ["web2", "web3"]),
            ([begin(), lock("web1"), failed("lock", "web2"), free("web1", "1-a")], []),
        ],
    )
    def test_who_holds_the_lock_still(self, entries: list[Entry], hosts: list[str]) -> None:
        assert summary.report(entries)["lock_kept_on"] == hosts

    def test_it_is_json(self) -> None:
        json.dumps(summary.report([*PREPARED, live("web1")]))

    @pytest.mark.parametrize(
        ("entries", "told"),
        [
            (PREPARED, None),
            ([*PREPARED, *map(live, HOSTS)], None),
            ([*PREPARED, failed("live", "web2")], "Stopped: 1 of 3 hosts failed.\nweb2, notes: web2 said no"),
            (
                [begin(max_failures=1), *PREPARED[1:], failed("live", "web2"), live("web1"), live("web3")],
                "1 of 3 hosts failed.\nweb2, notes: web2 said no",
            ),
            (
                [begin(playbook="rollback"), *map(lock, HOSTS), {"kind": "refused", "why": "x: is refused"}],
                "x: is refused",
            ),
            (
                [begin(hosts=list("abcde")), *(failed("lock", host) for host in "abcde")],
                "Stopped: 5 of 5 hosts failed before anything was switched.\na: a said no\nb: b said no\nc: c said no\n"
                "… and 2 more, see above.",
            ),
        ],
    )
    def test_the_end(self, entries: list[Entry], told: str | None) -> None:
        found = summary.report(entries)
        assert summary.failed(found) == (told is not None)
        if told is not None:
            assert summary.failure(found) == told


class TestJournal:
    def test_it_begins_anew(self, tmp_path: Path) -> None:
        known = journal(str(tmp_path))
        known.begin(id="1")
        known.note("lock", host="web1")
        known.begin(id="2")
        assert known.beginning() == {"kind": "begin", "id": "2"}
        assert known.entries() == [known.beginning()]

    def test_a_step_is_noted_with_its_outcome(self, tmp_path: Path) -> None:
        known = Journal(str(tmp_path / "journal"))
        known.begin()
        with known.noting("live", ValueError, host="web1") as noted:
            noted.update(of_result({"release": "1-a", "seconds": 9.5, "diff": ["long"], "failed": True, "msg": "no"}))
        with pytest.raises(ValueError, match="out of reach"), known.noting("live", ValueError, host="web2"):
            raise ValueError("out of reach")
        first, second = known.entries()[1:]
        assert first == {"kind": "live", "host": "web1", "release": "1-a", "seconds": 9.5, "failed": "no"}
        assert (second["host"], second["failed"]) == ("web2", "out of reach")

    @pytest.mark.parametrize(
        ("result", "words"),
        [
            ({"failed": True, "msg": "no"}, "no"),
            ({"msg": "One or more", "results": [{"msg": "", "failed": False}, {"msg": "no", "failed": True}]}, "no"),
            ({"results": []}, ""),
        ],
    )
    def test_what_a_task_failed_with(self, result: Entry, words: str) -> None:
        assert words_of_failure(result) == words

    def test_of_what_was_interrupted_there_is_no_word(self, tmp_path: Path) -> None:
        """It would look like a success."""
        known = Journal(str(tmp_path / "journal"))
        known.begin()
        with pytest.raises(KeyboardInterrupt), known.noting("live", ValueError, host="web1"):
            raise KeyboardInterrupt
        assert len(known.entries()) == 1
