# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from h2load and from /proc. The outputs are h2load's own, of Debian 12 and 13, shortened."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from tests.bench.inside import load

HTTP2 = """\
starting benchmark...
spawning thread #0: 16 total client(s). 12000 total requests
TLS Protocol: TLSv1.3
Cipher: TLS_AES_128_GCM_SHA256
Server Temp Key: X25519 253 bits
Application protocol: h2
progress: 10% done
progress: 100% done

finished in 1.35s, 4446.09 req/s, 387.00KB/s
requests: 12000 total, 12000 started, 12000 done, 12000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 12000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 522.33KB (534862) total, 115.33KB (118094) headers (space savings 91.05%), 105.47KB (108000) data
                     min         max         mean         sd        +/- sd
time for request:      932us     41.02ms     14.22ms      5.28ms    71.15%
"""
PLAIN = """\
starting benchmark...
spawning thread #0: 64 total client(s). 6000 total requests
Application protocol: http/1.1

finished in 590.42ms, 10162.33 req/s, 1.39MB/s
requests: 6000 total, 6000 started, 6000 done, 6000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 6000 2xx, 0 3xx, 0 4xx, 0 5xx
"""


def test_the_result_over_tls() -> None:
    assert load.parse(HTTP2) == {
        "requests": 12000,
        "rate": 4446.09,
        "cipher": "TLS_AES_128_GCM_SHA256",
        "protocol": "h2",
    }


def test_the_result_without_tls() -> None:
    assert load.parse(PLAIN) == {"requests": 6000, "rate": 10162.33, "cipher": "none", "protocol": "http/1.1"}


@pytest.mark.parametrize(
    ("there", "instead", "said"),
    [
        ("12000 succeeded, 0 failed", "11990 succeeded, 10 failed", "only 11990 were answered"),
        ("12000 2xx, 0 3xx, 0 4xx, 0 5xx", "11999 2xx, 0 3xx, 0 4xx, 1 5xx", "only 11999 were answered"),
        ("finished in 1.35s, 4446.09 req/s", "could not connect to host", "said nothing of its result"),
        ("requests: 12000 total", "requests: none", "said nothing of its result"),
    ],
)
def test_a_measurement_with_lost_requests_is_none(there: str, instead: str, said: str) -> None:
    assert there in HTTP2
    with pytest.raises(ValueError, match=said):
        load.parse(HTTP2.replace(there, instead))


@pytest.mark.parametrize(
    ("microseconds", "share", "expected"),
    [
        (range(1000, 101_000, 1000), 0.99, 99.0),
        (range(1000, 101_000, 1000), 0.5, 50.0),
        (range(1000, 101_000, 1000), 1.0, 100.0),
        # 12,000 requests: the 120 slowest are above it.
        (range(1, 12_001), 0.99, 11.88),
        ([7000], 0.99, 7.0),
        ([7000, 9000], 0.5, 7.0),
    ],
)
def test_percentiles_are_values_that_were_measured(microseconds: list[int], share: float, expected: float) -> None:
    lines = [f"1795206042894999\t200\t{value}" for value in microseconds]
    # h2load orders by the end of the response, not by how long it took.
    assert load.percentile("\n".join(reversed(lines)) + "\n", share) == expected


def test_more_columns_do_no_harm() -> None:
    # The manual: "More columns may be added later."
    assert load.percentile("1795206042894999\t200\t5000\tnew\n", 0.99) == 5.0


STAT = "812 (nginx) S 811 811 811 0 -1 4194624 3311 0 0 0 1234 66 5 7 20 0 1 0 1163"


@pytest.mark.parametrize("name", ["nginx", "nginx: worker", "a) S 1 (b", "((", "))"])
def test_no_name_of_a_process_shifts_the_fields(name: str) -> None:
    stat = STAT.replace("nginx", name)
    assert load.identity(stat) == (812, 811)
    # User and system, without the 5 and 7 of children that were waited for.
    assert load.ticks(stat) == 1300


def test_the_cpu_of_children_counts() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ntime.sleep(60)"
    parent = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {busy!r}])"
    process = subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        pids = load.processes(process.pid)
        assert len(pids) == 2
        # The clock ticks a hundred times a second, and each process rounds down.
        assert 0.3 - 0.02 <= load.cpu_seconds(pids) < 0.3 + 1.0
        assert load.cpu_seconds([process.pid]) < 0.3
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def test_a_process_without_children_stands_alone() -> None:
    process = subprocess.Popen(["sleep", "60"])
    try:
        # Between fork and exec there is nothing to see yet.
        time.sleep(0.05)
        assert load.processes(process.pid) == [process.pid]
    finally:
        process.kill()
        process.wait()
