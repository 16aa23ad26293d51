"""Certificates of a host in the scenario certbot: what certbot has, what nginx serves, and what the host says of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from machine import Machine

FACT = "/etc/ansible/facts.d/asgi_deploy_certificates.fact"
TEXTFILE = "/var/lib/prometheus/node-exporter/asgi_deploy_certificates.prom"
PROGRAM = "asgi-deploy-certificates"
#: For the service of certbot's timer and for ours, which watches.
UNITS = ("certbot.service", f"{PROGRAM}.service")

SITES = {
    "shop": ["shop.example.test"],
    "blog": ["blog.example.test"],
}


def sites(**changes: Sequence[str] | None) -> dict[str, Any]:
    """The inventory's sites with other domains, or further ones. A site whose value is None is left out."""
    wanted = {name: domains for name, domains in {**SITES, **changes}.items() if domains is not None}
    return {"nginx_proxy_sites": [site(name, domains) for name, domains in wanted.items()]}


def site(name: str, domains: Sequence[str], **more: Any) -> dict[str, Any]:
    # The folder is there for the inventory's two; the others answer 404 for all but challenges.
    static = [{"path": "/", "folder": f"/srv/{name}/", "fallback": "index.html"}]
    return {"name": name, "domains": list(domains), "static": static, **more}


@dataclass(frozen=True)
class Lineage:
    """A certificate of certbot's, and the site of the same name."""

    machine: Machine
    name: str

    @property
    def folder(self) -> str:
        return f"/etc/letsencrypt/live/{self.name}"

    @property
    def domain(self) -> str:
        return SITES.get(self.name, [f"{self.name}.example.test"])[0]

    def exists(self) -> bool:
        return self.machine.succeeds(f"test -e {self.folder}/fullchain.pem")

    def on_disk(self) -> str:
        """The fingerprint of what certbot has."""
        return self._openssl(f"cat {self.folder}/cert.pem", "-fingerprint -sha256")

    def served(self) -> str:
        """The fingerprint of what nginx serves."""
        return self._openssl(self._ask(), "-fingerprint -sha256")

    def names(self) -> set[str]:
        """The names in the certificate that is served."""
        return set(re.findall(r"DNS:([^,\s]+)", self._openssl(self._ask(), "-ext subjectAltName")))

    def issuer(self) -> str:
        """Of the certificate that is served: the CA, or itself with the bootstrap pair."""
        return self._openssl(self._ask(), "-issuer")

    def key_type(self) -> str:
        """`ecdsa` or `rsa`, of the certificate that is served."""
        text = self._openssl(self._ask(), "-text")
        (algorithm,) = re.findall(r"Public Key Algorithm: (\S+)", text)
        return {"id-ecPublicKey": "ecdsa", "rsaEncryption": "rsa"}[algorithm]

    def link(self) -> str:
        return self.machine.run(f"readlink /etc/nginx/tls/{self.name}/current").strip()

    def _ask(self) -> str:
        return f"openssl s_client -connect 127.0.0.1:443 -servername {self.domain} </dev/null 2>/dev/null"

    def _openssl(self, source: str, what: str) -> str:
        return self.machine.run(f"{source} | openssl x509 -noout {what}").strip()

    @property
    def renewal_file(self) -> str:
        return f"/etc/letsencrypt/renewal/{self.name}.conf"

    def renewal(self) -> dict[str, str]:
        """The keys of certbot's renewal file, of all its sections."""
        text = self.machine.run(f"cat {self.renewal_file}")
        pairs = (line.split(" = ", 1) for line in text.splitlines() if " = " in line and not line.startswith("#"))
        return dict(pairs)

    def threshold(self) -> int:
        """Of the renewal file, in hours: how long before the end certbot renews."""
        number, unit = self.renewal()["renew_before_expiry"].split()
        return int(number) * {"days": 24, "day": 24, "hours": 1, "hour": 1}[unit]

    def make_due(self) -> None:
        """Let certbot find at its next run that it has to renew, as it would near the end."""
        # In one step: a play that writes its threshold in between would leave two, which certbot cannot read.
        line = f"renew_before_expiry = {_AT_ONCE}"
        self.machine.run(f"sed -i -e '1i {line}' -e '/renew_before_expiry/d' {self.renewal_file}")


#: Longer than any certificate lives.
_AT_ONCE = "9999 days"


def no_longer_due(machine: Machine) -> None:
    """Give the lineages that a test has made due their own thresholds again."""
    due = f"grep --files-with-matches '{_AT_ONCE}' /etc/letsencrypt/renewal/*.conf"
    machine.run(f"files=$({due}) && sed -i '/{_AT_ONCE}/d' $files && {PROGRAM}; true")


def shop(machine: Machine) -> Lineage:
    return Lineage(machine, "shop")


def blog(machine: Machine) -> Lineage:
    return Lineage(machine, "blog")


def renew(machine: Machine) -> bool:
    """Run the timer's job, and say whether its unit succeeded."""
    return machine.succeeds("systemctl start certbot.service")


def watch(machine: Machine) -> bool:
    """Run our own timer's job, which renews nothing, and say whether its unit succeeded."""
    return machine.succeeds(f"systemctl start {PROGRAM}.service")


def fact(machine: Machine) -> dict[str, Any]:
    """The local fact, as Ansible's setup reads it."""
    read: dict[str, Any] = json.loads(machine.run(f"cat {FACT}"))
    return read


def problems(machine: Machine) -> str:
    """All problems of the fact, for looking into."""
    told = fact(machine)
    return "\n".join([*told["problems"], *(line for one in told["certificates"].values() for line in one["problems"])])


def metrics(machine: Machine) -> dict[str, float]:
    """The textfile for Prometheus: each metric with its labels, as it stands there, to its value."""
    lines = [line for line in machine.run(f"cat {TEXTFILE}").splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def assert_well(machine: Machine, *names: str) -> None:
    """Nothing is wrong, and what is on disk is what is served."""
    assert machine.both(PROGRAM) == (0, "")
    assert problems(machine) == ""
    assert machine.failed_units() == []
    for name in names or SITES:
        lineage = Lineage(machine, name)
        assert lineage.served() == lineage.on_disk(), lineage.name


def assert_visible(machine: Machine, unit: str, *words: str) -> None:
    """Something is wrong, and the unit, the fact and the textfile say so."""
    assert unit in machine.failed_units()
    told = problems(machine)
    for word in words:
        assert word in told, told
    assert fact(machine)["problems"]
    assert sum(value for name, value in metrics(machine).items() if "_problems" in name) > 0


@contextmanager
def drop_in(machine: Machine, unit: str, text: str) -> Iterator[None]:
    """Run the block with a further drop-in of a unit. It is not on disk: a restart of the host ends it."""
    folder = f"/run/systemd/system/{unit}.d"
    # After ours in the order of their names.
    machine.run("mkdir -p %s && printf %%s %s >%s", folder, text, f"{folder}/zz-test.conf")
    machine.run("systemctl daemon-reload")
    try:
        yield
    finally:
        machine.run(f"rm {folder}/zz-test.conf && systemctl daemon-reload")


@contextmanager
def later(machine: Machine, seconds: int) -> Iterator[None]:
    """Run the block with a clock that is ahead for certbot and for the program, when their units start them."""
    environment = {
        "LD_PRELOAD": machine.run("dpkg -L libfaketime | grep '/libfaketime[.]so[.]1$'").strip(),
        "FAKETIME": f"+{seconds}s",
        # systemd-run, by which the program tests nginx's configuration, fails with another clock than systemd's.
        "FAKETIME_ONLY_CMDS": "python3",
    }
    lines = ["[Service]", *(f"Environment={key}={value}" for key, value in environment.items()), ""]
    with drop_in(machine, UNITS[0], "\n".join(lines)), drop_in(machine, UNITS[1], "\n".join(lines)):
        yield
