# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Medians, ratios, targets and tables."""

from __future__ import annotations

import json
import typing as t

import pytest

from tests.bench import host, proxy, sites
from tests.bench.report import Report, Table, Target
from tests.bench.stats import Spread, ratios, rotated, spread, within


def test_the_median_is_not_moved_by_one_bad_round() -> None:
    assert spread([1.4, 1.5, 9.0]) == Spread(1.5, 1.4, 9.0)
    assert spread([1.0, 2.0]) == Spread(1.5, 1.0, 2.0)
    assert str(spread([1.4, 1.456, 9.0])) == "1.46 (1.40 to 9.00)"


def test_ratios_are_those_of_pairs() -> None:
    # The machine was half as fast in the second round: the ratio of the medians would be 1.5, and wrong.
    assert ratios([200.0, 100.0], [100.0, 50.0]) == [2.0, 2.0]


def test_a_round_without_its_pair_is_no_ratio() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])


def test_each_is_first_once() -> None:
    assert [rotated(["a", "b", "c"], n) for n in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


@pytest.mark.parametrize(
    ("rounds", "each", "done"),
    [(11, 1.0, 11), (11, 30.0, 9), (11, 100.0, 5), (3, 1000.0, 3)],
    ids=["quick", "stopped when the time is over", "enough for a median", "no more than asked for"],
)
def test_a_slow_machine_makes_fewer_rounds(rounds: int, each: float, done: int) -> None:
    # Asked when it begins, and before each round from the sixth on.
    times = iter([0.0, *(each * number for number in range(5, 12))])
    assert len(list(within(rounds, 240, clock=lambda: next(times)))) == done


@pytest.mark.parametrize(
    ("relation", "median", "met"),
    [
        ("at least", 1.31, True),
        ("at least", 1.3, True),
        ("at least", 1.29, False),
        ("at most", 1.29, True),
        ("at most", 1.3, True),
        ("at most", 1.31, False),
    ],
)
def test_a_target_is_met_on_its_own_side(relation: t.Literal["at least", "at most"], median: float, met: bool) -> None:
    # The extremes are on both sides of the limit: only the median decides.
    target = Target("speed", Spread(median, 0.1, 9.9), relation, 1.3)
    assert target.met is met
    assert str(target) == f"{'met' if met else 'MISSED'}: speed: {median:.2f} (0.10 to 9.90), {relation} 1.3"


@pytest.fixture
def report() -> Report:
    return Report(
        title="Speed",
        setting={"nginx": "1.26.3", "rounds": "2"},
        table=Table(["what", "s"], [["short", "1.00"], ["a longer one", "12.00"]]),
        targets=[Target("ratio", spread([1.0, 2.0]), "at most", 1.2)],
        rounds=[{"round": 0, "s": 1.0}],
        notes=["by the way"],
    )


def test_columns_stand_below_each_other(report: Report) -> None:
    assert report.text().splitlines() == [
        "Speed",
        "nginx 1.26.3; rounds 2",
        "",
        "what              s",
        "short          1.00",
        "a longer one  12.00",
        "",
        "by the way",
        "MISSED: ratio: 1.50 (1.00 to 2.00), at most 1.2",
    ]


def test_the_same_for_the_documentation(report: Report) -> None:
    assert report.markdown().splitlines() == [
        "### Speed",
        "",
        "nginx 1.26.3; rounds 2",
        "",
        "| what | s |",
        "| --- | ---: |",
        "| short | 1.00 |",
        "| a longer one | 12.00 |",
        "",
        "- by the way",
        "- MISSED: ratio: 1.50 (1.00 to 2.00), at most 1.2",
    ]


def test_everything_is_in_the_json(report: Report) -> None:
    written = json.loads(json.dumps(report.as_json()))
    assert written["rounds"] == [{"round": 0, "s": 1.0}]
    assert written["table"][1] == {"what": "a longer one", "s": "12.00"}
    assert written["targets"] == [
        {
            "name": "ratio",
            "measured": {"median": 1.5, "low": 1.0, "high": 2.0},
            "relation": "at most",
            "limit": 1.2,
            "met": False,
        }
    ]


PLAY = [
    (10.0, "\n"),
    (10.0, "PLAY [Proxy] ****\n"),
    (10.5, "TASK [asgi.deploy.nginx_proxy : Install nginx] ****\n"),
    (11.5, "ok: [bench]\n"),
    (11.6, "TASK [asgi.deploy.nginx_proxy : Put the configuration live] ****\n"),
    (12.6, "TASK [twice] ****\n"),
    (12.7, "TASK [twice] ****\n"),
    (13.0, "PLAY RECAP ****\n"),
    (13.0, "bench   : ok=4    changed=2    unreachable=0    failed=0\n"),
]


def test_a_task_lasts_until_the_next_one_is_announced() -> None:
    seconds = host.task_seconds(PLAY)
    assert seconds == {
        "asgi.deploy.nginx_proxy : Install nginx": pytest.approx(1.1),
        "asgi.deploy.nginx_proxy : Put the configuration live": pytest.approx(1.0),
        "twice": pytest.approx(0.4),
    }
    assert sites.tree_seconds(host.Run(4.0, 2.0, seconds, 0)) == pytest.approx(1.0)


def test_changes_are_counted() -> None:
    assert host.changed([line for _, line in PLAY]) == 2


def test_the_targets_of_the_proxy() -> None:
    """Ours is twice as fast as the plain one and costs 0.8 of HAProxy, whatever the round."""
    found = [
        {"variant": name, "http": http, "rate": rate * pace, "cpu_us": cpu}
        for http in ("HTTP/1.1", "HTTP/2")
        for pace in (1.0, 0.3, 1.1)
        for name, rate, cpu in (
            ("role nginx_proxy", 8000.0, 40.0),
            ("plain proxy_pass", 4000.0, 90.0),
            ("HAProxy", 7000.0, 50.0),
        )
    ]
    targets = proxy.targets(found)
    assert [str(target).partition(": ")[2] for target in targets] == [
        f"{http}, {what}, {limit}"
        for http in ("HTTP/1.1", "HTTP/2")
        for what, limit in (
            ("requests/s of the role's nginx / of the plain proxy: 2.00 (2.00 to 2.00)", "at least 1.3"),
            ("CPU per request of the role's nginx / of HAProxy: 0.80 (0.80 to 0.80)", "at most 1"),
        )
    ]
    assert all(target.met for target in targets)
