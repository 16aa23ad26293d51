"""Programs of others that judge a proxy: gixy its configuration, sslyze its TLS, systemd its unit."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from machine import TRUST, Machine
from playbook import ROOT
from sslyze.mozilla_tls_profile.tls_config_checker import (
    SCAN_COMMANDS_NEEDED_BY_MOZILLA_CHECKER,
    MozillaTlsConfiguration,
    ServerNotCompliantWithTlsConfiguration,
    TlsConfigurationAsJson,
    TlsConfigurationEnum,
    check_server_against_tls_configuration,
)
from sslyze.plugins.certificate_info.implementation import CertificateInfoExtraArgument
from sslyze.scanner.models import ScanCommandsExtraArguments, ServerScanRequest, ServerScanResult
from sslyze.scanner.scanner import Scanner
from sslyze.server_setting import ServerNetworkConfiguration, ServerNetworkLocation

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


def scan(machines: Sequence[Machine], name: str, folder: Path) -> dict[str, ServerScanResult]:
    """What sslyze finds of the site `name`, asked from outside of its hosts; the results by the host's name."""
    requests = []
    for machine in machines:
        authority = folder / f"{machine.name}.pem"
        authority.write_text(machine.run("cat %s", TRUST), encoding="utf-8")
        address = machine.run("hostname --ip-address").split()[0]
        request = ServerScanRequest(
            ServerNetworkLocation(name, ip_address=address),
            # In this time of silence it decides that nobody asks for a client certificate.
            ServerNetworkConfiguration(name, network_timeout=2),
            SCAN_COMMANDS_NEEDED_BY_MOZILLA_CHECKER,
            ScanCommandsExtraArguments(certificate_info=CertificateInfoExtraArgument(authority)),
            uuid5(NAMESPACE_DNS, machine.name),
        )
        requests.append(request)
    scanner = Scanner()
    scanner.queue_scans(requests)
    results = {result.uuid: result for result in scanner.get_results()}
    return {machine.name: results[uuid5(NAMESPACE_DNS, machine.name)] for machine in machines}


def issues(result: ServerScanResult, profile: str) -> dict[str, str]:
    """What `sslyze --mozilla_config` or `--custom_tls_config` would have against the server.

    :param profile: intermediate or modern of GUIDELINES; or "own intermediate", the older one that sslyze brings
    """
    if profile.startswith("own "):
        guideline = MozillaTlsConfiguration.get(TlsConfigurationEnum(profile.removeprefix("own ")))
    else:
        values = json.loads(GUIDELINES.read_text(encoding="utf-8"))[profile]
        # All four lists have to be there; it compares with this one.
        values["ciphers"] = {"caddy": [], "go": [], "openssl": [], **values["ciphers"]}
        guideline = TlsConfigurationAsJson(**values)
    try:
        check_server_against_tls_configuration(result, guideline)
    except ServerNotCompliantWithTlsConfiguration as problem:
        return dict(problem.issues)
    return {}


def exposure(machine: Machine, unit: str) -> float:
    """The score of systemd-analyze security: 0 is locked up, 10 open."""
    lines = machine.run("systemd-analyze security --no-pager %s", unit).splitlines()
    (line,) = [line for line in lines if "Overall exposure level" in line]
    return float(line.split(":")[1].split()[0])
