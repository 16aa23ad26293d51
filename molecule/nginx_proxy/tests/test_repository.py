"""nginx from another repository than the distribution's, made for this on the host's own loopback."""

from __future__ import annotations

import base64
import json
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from machine import Machine, wait_for
from playbook import ROOT, Outcome, Playbook
from proxy_sites import only

#: Made by gpg, which names them by these fingerprints.
ONE = "DBF973058DD1367153F0CC630DF90CDF86ECE8A0"
TWO = "687126D2FEB7EC1AEED1984F6D1926AAFBAF8754"
ARMORED_ONE = b"""\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawCx+BYJKwYBBAHaRw8BAQdAibrJuEjYlBS1jxihKe34LvXA2IUmFXUp/T3q
MuJWbtm0FW9uZSA8b25lQGV4YW1wbGUuY29tPoiQBBMWCAA4FiEE2/lzBY3RNnFT
8MxjDfkM34bs6KAFAmsAsfgCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQ
DfkM34bs6KDTAgD+NFFjbdtLgj2hVNEOZy+ULfcNxlNIlKpGqpfTZF3bi+0A/A3f
NBEBlC7n35/jZYZsHSqU5NgxTctyXBOfnStUV00A
=6yEJ
-----END PGP PUBLIC KEY BLOCK-----
"""
ARMORED_TWO = b"""\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawCx+BYJKwYBBAHaRw8BAQdAOkZvpqyvQdukhvljBocCND3qZIaULhWmhcy3
zEtBaZ60FXR3byA8dHdvQGV4YW1wbGUuY29tPoiQBBMWCAA4FiEEaHEm0v637Bru
0ZhPbRkmqvuvh1QFAmsAsfgCGwMFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQ
bRkmqvuvh1RRRwD9G2MR46Dho6zRR2fcaUM6qcdh6ajllwFWyUeYhUMD0poA/iZN
ckvGjBNONdi8yxPpEvafCUoK292j0A1FbtxI+7sD
=ZRos
-----END PGP PUBLIC KEY BLOCK-----
"""


def packets(armored: bytes) -> bytes:
    lines = armored.decode("ascii").split("\n\n", 1)[1].splitlines()
    return base64.b64decode("".join(line for line in lines if line[:1] not in ("=", "-")))


BINARY = packets(ARMORED_ONE)

FOLDER = "/srv/asgi-tests-repository"
VERSION = "99.0-1"
URL = "http://127.0.0.1:8097"
KEYRING, SOURCES, PREFERENCES = (
    "/etc/apt/keyrings/asgi-deploy-nginx.gpg",
    "/etc/apt/sources.list.d/asgi-deploy-nginx.sources",
    "/etc/apt/preferences.d/asgi-deploy-nginx.pref",
)
KEPT = ("/etc/apt", "/etc/nginx", "/etc/systemd/system", "/usr/local")
SITE = "https://smallest.example.test/"
LIBRARY = "/run/asgi-tests-library"
#: What makes a repository, besides the role's own gpg.
SIGNER = "gpg-agent"


def asking(key: str, *fingerprints: str) -> dict[str, Any]:
    """Variables for nginx from the repository; two sites are enough for each run here."""
    return {
        **only("smallest", "unencrypted"),
        "nginx_proxy_brotli": False,
        "nginx_proxy_repository": "nginx",
        "nginx_proxy_repository_url": URL,
        "nginx_proxy_repository_key_url": f"{URL}/{key}",
        "nginx_proxy_repository_fingerprints": list(fingerprints),
    }


def everywhere(machines: list[Machine], work: Any) -> list[Any]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(work, machines))


def packages(machine: Machine) -> dict[str, str]:
    listed = machine.run("dpkg-query --show --showformat='${Package} ${Version} ${db:Status-Abbrev}\n'")
    return {line.split()[0]: line.split()[1] for line in listed.splitlines() if line.split()[2] == "ii"}


def serve(machine: Machine) -> None:
    """The repository's folder is not there yet: the key files beside it are."""
    machine.run("mkdir --parents %s/keys", FOLDER)
    for name, content in {"two.asc": ARMORED_ONE + ARMORED_TWO, "text.asc": b"no key\n"}.items():
        machine.write(f"{FOLDER}/keys/{name}", content.decode("ascii"))
    server = "python3 -m http.server --bind 127.0.0.1 8097 --directory"
    machine.run(f"systemd-run --quiet --unit=asgi-tests-repository {server} {FOLDER}")
    wait_for("the keys are served", partial(machine.succeeds, f"curl --silent --fail {URL}/keys/two.asc"))


def go_back(machine: Machine, before: dict[str, str]) -> None:
    machine.run("systemctl stop asgi-tests-repository.service")
    if packages(machine)["nginx"] != before["nginx"]:
        machine.run("dpkg --install --force-downgrade %s/repository/before.deb", FOLDER)
    more = sorted(set(packages(machine)) - set(before))
    if more:
        machine.run(f"dpkg --purge {shlex.join(more)}")
    machine.run(f"rm -rf {FOLDER} {LIBRARY} /var/lib/apt/lists/127.0.0.1*")


@pytest.fixture(scope="module", autouse=True)
def before(machines: list[Machine], play: Playbook) -> Iterator[dict[str, dict[str, str]]]:
    """Each host's packages, without the repository and gpg."""
    found = dict(zip([machine.name for machine in machines], everywhere(machines, packages), strict=True))
    everywhere(machines, serve)
    try:
        yield found
    finally:
        if any(machine.host.file(SOURCES).exists for machine in machines):
            play(code=0)
        everywhere(machines, lambda machine: go_back(machine, found[machine.name]))


@pytest.fixture(scope="module")
def files(machines: list[Machine], before: object) -> dict[str, dict[str, str]]:
    return {machine.name: machine.files(*KEPT) for machine in machines}


@pytest.fixture(scope="module")
def unchecked(play: Playbook, files: object) -> Outcome:
    """Check mode where gpg is not installed."""
    return play("--check", extra=asking("keys/two.asc", ONE), code=0)


@pytest.fixture(scope="module")
def refused(play: Playbook, unchecked: object) -> Outcome:
    """A key more than is trusted."""
    return play(extra=asking("keys/two.asc", ONE), code=2)


class TestWithoutGpg:
    def test_check_mode_says_that_the_key_was_not_checked(self, machine: Machine, unchecked: Outcome) -> None:
        assert f"{machine}: the signing key at nginx_proxy_repository_key_url was not checked: gpg" in " ".join(
            unchecked.output.split()
        )

    def test_and_what_would_change(self, machine: Machine, unchecked: Outcome) -> None:
        assert unchecked.hosts[machine.name].changed[:2] == ["Install gpg", "Prepare the host"]


class TestRefused:
    def test_one_line_says_which_key(self, machine: Machine, refused: Outcome) -> None:
        reason = f"it has the key {TWO}, which is refused; accepted: {ONE}"
        assert refused.hosts[machine.name].message == f"nginx_proxy_repository_key_url: {URL}/keys/two.asc: {reason}"

    def test_only_gpg_was_installed(self, machine: Machine, refused: Outcome, files: dict[str, dict[str, str]]) -> None:
        assert refused.hosts[machine.name].changed == ["Install gpg"]
        assert machine.files(*KEPT) == files[machine.name]
        assert machine.ask(SITE).status == 200

    def test_nothing_is_left_of_the_check(self, machine: Machine, refused: Outcome) -> None:
        assert machine.run("find /tmp /root -name 'asgi-deploy-*' -o -name .gnupg") == ""
        assert machine.code("pgrep 'gpg-agent|keyboxd|dirmngr'") == 1


#: A file, and the size of the keyring that apt gets of it, or the refusal; trusted is the first key only.
NO_KEY = "it holds no OpenPGP public key, or a damaged one"
EXTRA = f"it has the key {TWO}, which is refused; accepted: {ONE}"
CASES: list[tuple[bytes, int | str]] = [
    (ARMORED_ONE, len(BINARY)),
    (BINARY, len(BINARY)),
    (ARMORED_ONE.replace(b"\n", b"\r\n"), len(BINARY)),
    (ARMORED_ONE.replace(b"BLOCK-----\n", b"BLOCK-----\nVersion: GnuPG v2\n", 1), len(BINARY)),
    (ARMORED_ONE + ARMORED_TWO, EXTRA),
    (ARMORED_ONE + b"text\n" + ARMORED_TWO, EXTRA),
    (BINARY + packets(ARMORED_TWO), EXTRA),
    (ARMORED_TWO, EXTRA),
    # What gpg does not see after the first key, apt does not get.
    (ARMORED_ONE + packets(ARMORED_TWO), len(BINARY)),
    (BINARY + ARMORED_TWO, NO_KEY),
    (b"", NO_KEY),
    (b"<html>404</html>", NO_KEY),
    (ARMORED_ONE[:200], NO_KEY),
    (ARMORED_ONE.replace(b"mDME", b"mD!E"), NO_KEY),
    (BINARY[:-1], NO_KEY),
    (BINARY + b"hello", NO_KEY),
    # A key without anybody's signature, and signatures without a key.
    (BINARY[:53], NO_KEY),
    (BINARY[53:], NO_KEY),
]


@pytest.fixture(scope="module")
def library(machines: list[Machine], refused: Outcome) -> None:
    """The module's own code, on hosts that have gpg by now."""
    for machine in machines:
        machine.run("mkdir --parents %s", LIBRARY)
        for name in ("atomic", "signing_key"):
            text = (ROOT / "plugins/module_utils" / f"{name}.py").read_text(encoding="utf-8")
            text = text.replace("from ansible_collections.asgi.deploy.plugins.module_utils.", "from ")
            machine.write(f"{LIBRARY}/{name}.py", text)


def test_key_files(machine: Machine, library: None) -> None:
    """Those of the world as this host's gpg reads them."""
    given = [(base64.b64encode(data).decode("ascii"), [ONE]) for data, _expected in CASES]
    read = machine.python("signing_keys.py", LIBRARY, json.dumps(given))
    # The second value: from the keyring, the same is read again.
    assert read == [[expected, True] if isinstance(expected, int) else expected for _data, expected in CASES]


@pytest.mark.parametrize(("name", "problem"), [("text.asc", NO_KEY), ("absent.asc", "File not found")])
def test_what_a_server_has_instead(machine: Machine, library: None, name: str, problem: str) -> None:
    (read,) = machine.python("signing_keys.py", LIBRARY, json.dumps([(f"{URL}/keys/{name}", [ONE])]))
    assert read == f"nginx_proxy_repository_key_url: {URL}/keys/{name}: {problem}"


@pytest.fixture(scope="module")
def repository(machines: list[Machine], refused: Outcome) -> dict[str, str]:
    """The fingerprint of each host's own repository."""

    def make(machine: Machine) -> str:
        machine.run("apt-get install --yes --quiet=2 --no-install-recommends %s", SIGNER)
        return str(machine.python("apt_repository.py", f"{FOLDER}/repository", VERSION))

    return dict(zip([machine.name for machine in machines], everywhere(machines, make), strict=True))


@pytest.fixture(scope="module")
def wanted(repository: dict[str, str]) -> dict[str, Any]:
    variables = asking("repository/key.asc", *sorted(repository.values()))
    return {**variables, "nginx_proxy_repository_url": f"{URL}/repository"}


@pytest.fixture(scope="module")
def installed(play: Playbook, wanted: dict[str, Any]) -> Outcome:
    return play(extra=wanted, code=0)


class TestInstalled:
    def test_nginx_comes_from_there_and_serves(
        self, machine: Machine, installed: Outcome, before: dict[str, dict[str, str]]
    ) -> None:
        assert "Install nginx" in installed.hosts[machine.name].changed
        assert packages(machine)["nginx"] == VERSION
        assert machine.ask(SITE).status == 200
        assert machine.failed_units() == []

    def test_nothing_else_is_taken_from_there(
        self, machine: Machine, installed: Outcome, before: dict[str, dict[str, str]]
    ) -> None:
        """Its openssl is newer than the distribution's, and apt knows it."""
        policy = machine.run("apt-cache policy openssl")
        assert VERSION in policy
        assert f"Candidate: {VERSION}" not in policy
        assert f"Candidate: {VERSION}" in machine.run("apt-cache policy nginx")
        simulated = machine.run("apt-get --simulate dist-upgrade")
        assert f"openssl ({VERSION}" not in simulated
        assert packages(machine)["openssl"] == before[machine.name]["openssl"]

    def test_the_key_is_the_repositorys_only(
        self, machine: Machine, installed: Outcome, repository: dict[str, str]
    ) -> None:
        listed = machine.run("gpg --homedir %s/repository/home --with-colons --show-keys %s", FOLDER, KEYRING)
        assert [line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:")] == [
            repository[machine.name]
        ]
        assert machine.run("stat --format='%%a %%U' %s", KEYRING).strip() == "644 root"

    def test_the_second_run_changes_nothing(self, play: Playbook, installed: Outcome, wanted: dict[str, Any]) -> None:
        play(extra=wanted).assert_unchanged()


class TestBackToTheDistribution:
    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, play: Playbook, installed: Outcome) -> Outcome:
        return play(code=0)

    def test_key_source_and_pin_are_gone(self, machine: Machine, outcome: Outcome) -> None:
        for path in (KEYRING, SOURCES, PREFERENCES):
            assert not machine.host.file(path).exists
        assert "Prepare the host" in outcome.hosts[machine.name].changed

    def test_a_warning_says_that_nginx_stays(self, machine: Machine, outcome: Outcome) -> None:
        told = f"{machine}: the nginx that is installed is not the distribution's"
        assert told in " ".join(outcome.output.split())
        assert packages(machine)["nginx"] == VERSION

    def test_nginx_serves_on(self, machine: Machine, outcome: Outcome) -> None:
        assert machine.ask(SITE).status == 200
        assert machine.failed_units() == []
