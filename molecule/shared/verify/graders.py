"""Programs of others that judge a proxy: gixy its configuration, sslyze its TLS, systemd its unit."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from machine import TRUST, Machine
from playbook import ROOT

GUIDELINES = ROOT / "molecule/nginx_proxy/tests/mozilla_6_0.json"


def gixy(machine: Machine, folder: Path) -> list[dict[str, Any]]:
    """What gixy has against the whole configuration that nginx reads, its package's own files included."""
    dump = folder / "nginx.dump"
    dump.write_text(machine.run("nginx -T 2>/dev/null"), encoding="utf-8")
    return gixy_of(dump)


def gixy_of(dump: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["gixy", "--format=json", str(dump)], capture_output=True, text=True, check=False, timeout=120
    )
    # 1 stands for findings as well as for a crash; only the first has a list.
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def sslyze(machine: Machine, name: str, folder: Path, against: str) -> str:
    """Scan the site `name` from outside of its host. Returns what sslyze says of its compliance.

    :param against: intermediate or modern of GUIDELINES; or "own intermediate", the older ones that sslyze brings
    """
    authority = folder / "authority.pem"
    authority.write_text(machine.run("cat %s", TRUST), encoding="utf-8")
    if against.startswith("own "):
        profile = [f"--mozilla_config={against.removeprefix('own ')}"]
    else:
        guideline = json.loads(GUIDELINES.read_text(encoding="utf-8"))[against]
        # sslyze wants all four lists, and compares with this one.
        guideline["ciphers"] = {"caddy": [], "go": [], "openssl": [], **guideline["ciphers"]}
        (folder / "profile.json").write_text(json.dumps(guideline), encoding="utf-8")
        profile = [f"--custom_tls_config={folder / 'profile.json'}"]
    address = machine.run("hostname --ip-address").split()[0]
    done = subprocess.run(
        ["sslyze", *profile, f"--certinfo_ca_file={authority}", f"--sni={name}", f"{address}:443"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    _scan, _heading, verdict = done.stdout.partition("COMPLIANCE AGAINST")
    assert verdict, done.stdout + done.stderr
    return verdict


def exposure(machine: Machine, unit: str) -> float:
    """The score of systemd-analyze security: 0 is locked up, 10 open."""
    lines = machine.run("systemd-analyze security --no-pager %s", unit).splitlines()
    (line,) = [line for line in lines if "Overall exposure level" in line]
    return float(line.split(":")[1].split()[0])
