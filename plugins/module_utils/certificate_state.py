# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program asgi-deploy-certificates is told, and what it says: its state, Ansible's local fact, Prometheus.

Runs inside that program, copied beside it: only the standard library, and nothing of Ansible.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import read_text, words_of, write_file

#: Written by the role. It may hold the webhook's address, which is a secret.
CONFIG = "/etc/asgi-deploy/certificates.json"

HOME = "/var/lib/asgi-deploy/certificates"
FACT = "/etc/ansible/facts.d/asgi_deploy_certificates.fact"

#: Where Debian's node_exporter looks.
TEXTFILE_DIR = "/var/lib/prometheus/node-exporter"
TEXTFILE = "asgi_deploy_certificates.prom"

Json = t.Dict[str, t.Any]


class Config(t.NamedTuple):
    """What the role has written. ``certificates`` is None on a host that has no such file."""

    tls_dir: str = "/etc/nginx/tls"
    certificates: t.Optional[t.Sequence[t.Mapping[str, t.Any]]] = None
    server: t.Optional[str] = None
    deploy_command: t.Optional[str] = None
    textfile_dir: t.Optional[str] = None
    alarm: t.Mapping[str, t.Optional[str]] = {}
    account: t.Optional[t.Mapping[str, t.Any]] = None


def read_config(path: str = CONFIG) -> Config:
    """:raises ValueError: where the file is not as the role writes it"""
    text = read_text(path)
    if text is None:
        return Config()
    try:
        read = json.loads(text)
        if not isinstance(read, dict):
            raise TypeError
        return Config(**{key: read[key] for key in Config._fields if key in read})
    except (ValueError, TypeError):
        raise ValueError(path + " is not as the role certbot writes it: run the playbook") from None


class Store:
    """The files of this collection's that tell of certificates."""

    def __init__(self, home: str = HOME, fact: str = FACT, textfile_dir: str = TEXTFILE_DIR) -> None:
        self._home = home
        self._fact = fact
        self._textfile_dir = textfile_dir

    def read(self, name: str) -> Json:
        """Return ``name``.json. One that a full disk or a hand has spoilt is as good as none."""
        try:
            read = json.loads(read_text(os.path.join(self._home, name + ".json")) or "")
        except ValueError:
            return {}
        return read if isinstance(read, dict) else {}

    def write(self, name: str, content: Json) -> None:
        os.makedirs(self._home, mode=0o700, exist_ok=True)
        write_file(os.path.join(self._home, name + ".json"), _text(content), 0o600)

    def forget(self, name: str) -> None:
        path = os.path.join(self._home, name + ".json")
        if os.path.exists(path):
            os.unlink(path)

    def publish(self, state: Json, textfile_dir: t.Optional[str]) -> t.List[str]:
        """Write down the state for all who ask. Returns what could not be written: no reason to stop anything."""
        complaints = []
        for write in (self._write_state, self._write_fact):
            try:
                write(state)
            except OSError as error:
                complaints.append("the state was not written down: " + words_of(error))
        folder = textfile_dir or self._textfile_dir
        # A folder that the inventory names has to be there, the other one is on few hosts.
        if textfile_dir or os.path.isdir(folder):
            try:
                write_file(os.path.join(folder, TEXTFILE), textfile(state))
            except OSError as error:
                complaints.append("the metrics were not written down: " + words_of(error))
        return complaints

    def _write_state(self, state: Json) -> None:
        self.write("state", state)

    def _write_fact(self, state: Json) -> None:
        os.makedirs(os.path.dirname(self._fact), mode=0o755, exist_ok=True)
        write_file(self._fact, _text(state))


def _text(content: Json) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"


def textfile(state: Json) -> str:
    """Return the state as Prometheus reads it."""
    samples: t.List[t.Tuple[str, str, float]] = [
        ("certificates_problems", "", len(state["problems"])),
        ("certificates_checked_timestamp_seconds", "", state["checked_at"]),
    ]
    if state["renewal"]:
        samples.append(("certificates_renewal_ok", "", state["renewal"]["ok"]))
        samples.append(("certificates_renewal_timestamp_seconds", "", state["renewal"]["at"]))
    for name, one in sorted(state["certificates"].items()):
        label = "certificate=" + _quoted(name)
        for key in ("not_after", "renew_at"):
            if one[key] is not None:
                samples.append(("certificate_{0}_timestamp_seconds".format(key), label, one[key]))
        samples.append(("certificate_problems", label, len(one["problems"])))
        for site, told in sorted(one["sites"].items()):
            served = one["fingerprint"] is not None and told["served"] == one["fingerprint"]
            samples.append(("certificate_served", label + ",site=" + _quoted(site), served))
    lines = []
    for metric, description in _HELP.items():
        found = [(labels, value) for name, labels, value in samples if name == metric]
        if found:
            lines.append("# HELP asgi_deploy_{0} {1}".format(metric, description))
            lines.append("# TYPE asgi_deploy_{0} gauge".format(metric))
        for labels, value in found:
            lines.append("asgi_deploy_{0}{1} {2:.0f}".format(metric, "{" + labels + "}" if labels else "", value))
    return "\n".join(lines) + "\n"


_HELP = {
    "certificate_not_after_timestamp_seconds": "When the certificate on disk ends.",
    "certificate_renew_at_timestamp_seconds": "From when on certbot renews it.",
    "certificate_served": "Whether nginx serves the site with the certificate on disk.",
    "certificate_problems": "What is wrong with the certificate; asgi-deploy-certificates --status says it.",
    "certificates_problems": "What is wrong, certificates and renewal together.",
    "certificates_checked_timestamp_seconds": "When all of this was looked at.",
    "certificates_renewal_ok": "Whether the last run of certbot.service succeeded.",
    "certificates_renewal_timestamp_seconds": "When certbot.service ran last.",
}


def _quoted(value: str) -> str:
    return '"{0}"'.format(value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n"))
