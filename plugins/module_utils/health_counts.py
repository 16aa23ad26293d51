# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What health checks know of a host: whether it counts as down, and what speaks against that.

Runs inside the program asgi-deploy-health: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import LOCKS, read_text, write_file
from ansible_collections.asgi.deploy.plugins.module_utils.health_probe import Target

#: The name of the lock for one who asks.
LOCK = ".health"

#: Gone with a reboot; the marks in nginx's file are not.
STATE = os.path.join(LOCKS, "health.json")
#: Where Debian's node_exporter looks.
TEXTFILE = "/var/lib/prometheus/node-exporter/asgi_deploy_health.prom"


class Count(t.NamedTuple):
    """``row``: answers in a row that say the contrary of ``down``. ``problem``: the last one's, "" for a healthy one.

    Nothing of it changes as long as a host answers as before, so that nothing has to be written.
    """

    down: bool
    row: int = 0
    problem: str = ""


def counted(before: Count, problem: t.Optional[str], fall: int, rise: int) -> Count:
    """Return the count after one more answer. :param problem: why it is not a healthy one, or None"""
    down, said = before.down, problem or ""
    if (problem is not None) == down:
        return Count(down, 0, said)
    row = before.row + 1
    if row < (rise if down else fall):
        return Count(down, row, said)
    return Count(not down, 0, said)


def read_counts(path: str = STATE) -> t.Dict[str, Count]:
    """Return the counts by address; none of a file that a hand or a full disk has spoilt."""
    try:
        hosts = json.loads(read_text(path) or "{}")["hosts"]
        return {host["address"]: Count(bool(host["down"]), int(host["row"]), str(host["problem"])) for host in hosts}
    except (ValueError, KeyError, TypeError):
        return {}


def state_of(
    targets: t.Sequence[Target], counts: t.Mapping[str, Count], marked: t.Container[str]
) -> t.Dict[str, t.Any]:
    """Return what is told to whoever looks. :param marked: the addresses that nginx leaves out"""
    return {
        "hosts": [
            {
                "host": target.host,
                "address": target.address,
                "application": target.application,
                **counts[target.address]._asdict(),
                "left_out": target.address in marked,
            }
            for target in targets
        ]
    }


def table(state: t.Mapping[str, t.Any]) -> str:
    """Return the state for a person: a line for each host."""
    lines = []
    for host in state["hosts"]:
        word = "down" if host["down"] else "up"
        if host["down"] and not host["left_out"]:
            word = "down, but asked"
        parts = [host["application"], host["host"], host["address"], word]
        if host["row"]:
            parts.append("{0} in a row say otherwise".format(host["row"]))
        lines.append("  ".join(filter(None, [*parts, host["problem"]])))
    return "\n".join(lines) or "no host to ask"


def metrics(state: t.Mapping[str, t.Any]) -> str:
    """Return the state for Prometheus."""
    lines = []
    for name, key, wanted, meaning in (
        ("up", "down", False, "Whether a host answers its health path as it should."),
        ("left_out", "left_out", True, "Whether nginx leaves a host out."),
    ):
        metric = "asgi_deploy_host_" + name
        lines += ["# HELP {0} {1}".format(metric, meaning), "# TYPE {0} gauge".format(metric)]
        for host in state["hosts"]:
            labels = ('{0}="{1}"'.format(label, host[label]) for label in ("application", "host", "address"))
            lines.append("{0}{{{1}}} {2}".format(metric, ",".join(labels), int(host[key] is wanted)))
    return "".join(line + "\n" for line in lines)


def publish(state: t.Mapping[str, t.Any], path: str = STATE, textfile: str = TEXTFILE) -> None:
    """Write the state down where it is another one."""
    texts = {path: json.dumps(state, indent=2) + "\n"}
    if os.path.isdir(os.path.dirname(textfile)):
        texts[textfile] = metrics(state)
    for name, text in texts.items():
        if read_text(name) != text:
            os.makedirs(os.path.dirname(name), mode=0o700, exist_ok=True)
            write_file(name, text)
