"""Sources and installers, each once through the whole role: a signed branch of a git repository and a signed tag, an
archive by its URL and by its path, pip and uv, an index that wants a password.

The classes of this file are one sequence; each begins where the one before it ended. What serves is three applications
beside the scenario's own, so that a run of the playbook is one for all of them.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import secrets
import tarfile
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from machine import Machine, wait_for
from origin import on_each
from playbook import Outcome, Playbook
from trial import background, trial, wait_for_one_slot

PLACE = "/srv/sources"
REPOSITORY = f"{PLACE}/repository"
ARCHIVE = f"{PLACE}/files/shipped.tar.gz"
WORDS = "/root/sources-words"

TOKEN = f"token-{secrets.token_hex(16)}"
PASSWORD = f"password-{secrets.token_hex(16)}"
INDEX = {"url": "http://127.0.0.1:8902/simple/", "username": "deployer", "password": PASSWORD}
WRONG = {**INDEX, "password": f"wrong-{PASSWORD}"}
FILES = "http://127.0.0.1:8903"
WHO = "releases@example.com"
#: Where a build or a run may leave something.
PLACES = "/etc /opt /run /srv /tmp /usr/local /var"

NAMES = ("code", "locked", "shipped")
SERVER = {"click", "gunicorn", "h11", "uvicorn", "uvicorn-worker"}
REQUIREMENTS = "gunicorn==27.0.1\nuvicorn==0.54.0\nuvicorn-worker==0.4.0\n"
#: For Linux alone: the index has no packages that only others need.
PROJECT = """\
[project]
name = "trial"
version = "1.0"
requires-python = ">=3.11"
dependencies = [{dependencies}]

[dependency-groups]
dev = ["iniconfig"]

[tool.uv]
environments = ["sys_platform == 'linux'"]
"""


def project(*more: str) -> str:
    return PROJECT.format(dependencies=", ".join(json.dumps(line) for line in (*REQUIREMENTS.split(), *more)))


@pytest.fixture(scope="module", autouse=True)
def _servers(machines: list[Machine], play: Playbook) -> Iterator[None]:
    """On each host an index and a server of files that want to know who asks; at the end only the scenario's own."""

    def prepare(machine: Machine) -> None:
        machine.run(f"mkdir -p {PLACE}/files {PLACE}/wheels && chmod 755 {PLACE}")
        # The role fetches it with the first application that wants it.
        machine.run("rm -rf /usr/local/lib/asgi.deploy/tools/uv-*")
        pip = "python3 $(ls -d /usr/local/lib/asgi.deploy/tools/pip-* | head -n 1)/pip"
        # The wheels are the same on both, and so is what uv writes into its lock.
        options = "--quiet --only-binary=:all: --python-version=3.11 --cache-dir=/var/cache/notes/pip"
        machine.run(f"{pip} download {options} --dest={PLACE}/wheels iniconfig uv %s %s %s 2>&1", *REQUIREMENTS.split())
        machine.write(WORDS, f"{TOKEN}\n{PASSWORD}\n")
        machine.write("/root/sources-token", TOKEN)
        machine.write("/root/sources-login", f"deployer:{PASSWORD}")
        machine.write("/root/sources-netrc", f"machine 127.0.0.1 login deployer password {PASSWORD}\n")
        machine.run("chmod 600 /root/sources-*")
        machine.background("private_index.py", "8902", f"{PLACE}/wheels", "/root/sources-login", "/root/sources-index")
        machine.background("token_files.py", "8903", f"{PLACE}/files", "/root/sources-token", "/root/sources-asked")

    on_each(machines, prepare)
    for machine in machines:
        for url, status in ((INDEX["url"], 401), (f"{FILES}/x", 403)):
            wait_for(url, lambda machine=machine, url=url, status=status: machine.ask(url).status == status)  # type: ignore[misc]
    yield
    absent = [{"name": name, "state": "absent"} for name in NAMES]
    play(extra={"gunicorn_app_applications": [{"name": "notes"}, *absent]}, code=0)
    for machine in machines:
        machine.run("pkill --full '[/]srv/sources/'")
        machine.run(f"rm -rf {PLACE} /root/sources-*")
        machine.run("rm -rf %s %s %s", *(f"/var/lib/{name}" for name in NAMES))
    wait_for_one_slot(machines)


@pytest.fixture(scope="module")
def lock(machines: list[Machine], _servers: None) -> str:
    """What uv makes of the project, with the index as the only one."""
    return lock_of(machines[0], project())


def lock_of(machine: Machine, text: str) -> str:
    """Return the lock of a project."""
    folder = f"{PLACE}/lock"
    uv = f"{PLACE}/uv"
    machine.run(
        f"test -e {uv} || (python3 -m zipfile --extract {PLACE}/wheels/uv-*.whl {PLACE}/unpacked"
        f" && mv {PLACE}/unpacked/uv-*.data/scripts/uv {uv} && chmod 755 {uv})"
    )
    machine.run(f"mkdir -p {folder}")
    machine.write(f"{folder}/pyproject.toml", text)
    machine.run(
        f"cd {folder} && NETRC=/root/sources-netrc UV_CACHE_DIR={PLACE}/cache {uv} lock --quiet --no-python-downloads"
        " --python=/usr/bin/python3 --default-index=%s 2>&1",
        INDEX["url"],
    )
    return machine.run(f"cat {folder}/uv.lock") + "\n"


def application(folder: Path, name: str, lock: str) -> Path:
    trial(folder, name, requirements=REQUIREMENTS)
    (folder / "pyproject.toml").write_text(project(), encoding="utf-8")
    (folder / "uv.lock").write_text(lock, encoding="utf-8")
    return folder


def pack(folder: Path) -> bytes:
    """Return the folder as an archive, which has it as the one thing on its top, as code hosts make them."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        archive.add(folder, arcname="trial-1.0")
    return stream.getvalue()


def send(machine: Machine, path: str, content: bytes) -> None:
    machine.run(f"echo %s | base64 --decode >{path}", base64.b64encode(content).decode())


def checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture(scope="module")
def archive(machines: list[Machine], lock: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The application as the server of files has it."""
    content = pack(application(tmp_path_factory.mktemp("shipped"), "shipped", lock))
    for machine in machines:
        send(machine, ARCHIVE, content)
    return content


def code(version: str, keys: list[str]) -> dict[str, Any]:
    source = {"type": "git", "url": REPOSITORY, "version": version, "signed_by": keys}
    return {"name": "code", "workers": 1, "source": source}


def tag(version: str, keys: list[str]) -> dict[str, Any]:
    return {"type": "git", "url": f"file://{REPOSITORY}", "version": version, "signed_by": keys}


def by_url(sum_of: bytes) -> dict[str, Any]:
    return {"type": "archive", "url": f"{FILES}/shipped.tar.gz?token={TOKEN}", "checksum": checksum(sum_of)}


def shipped(source: dict[str, Any]) -> dict[str, Any]:
    return {"name": "shipped", "workers": 1, "index": INDEX, "source": source}


def by_uv(source: dict[str, Any], index: dict[str, str] = INDEX) -> dict[str, Any]:
    return {"name": "locked", "workers": 1, "installer": "uv", "index": index, "source": source}


def together(*applications: dict[str, Any]) -> dict[str, Any]:
    return {"gunicorn_app_applications": [{"name": "notes"}, *applications]}


# What is there of an application, and what a build may leave.


def version(machine: Machine, name: str) -> str:
    """What answers on the application's own socket."""
    asked = machine.run(f"curl --silent --unix-socket /opt/{name}/current.sock http://localhost/version")
    return str(json.loads(asked)["version"])


def record(machine: Machine, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.run(f"cat /opt/{name}/current/release.json"))
    return found


def standing(machine: Machine, name: str) -> list[str]:
    """What a deployment that fails leaves as it was: links, releases, units, processes."""
    commands = (
        f"readlink /opt/{name}/current.sock /opt/{name}/current",
        f"ls -d /opt/{name}/releases/* /etc/systemd/system/{name}@*",
        f"systemctl list-units --plain --no-legend '{name}@*' | cut -d ' ' -f 1 | sort",
        f"ps -u {name} -o pid= -o args=",
    )
    return [machine.run(f"{command} 2>/dev/null || true") for command in commands]


def assert_nothing_left(machine: Machine) -> None:
    """Nothing that a build or a look at a signature needs for itself is there."""
    for place in ("/run/asgi-deploy-build/*", "/tmp/asgi-deploy-*", "/opt/*/releases/*/app.download"):
        assert machine.run(f"ls -d {place} 2>/dev/null || true") == ""
    assert machine.run("ls /usr/local/lib/asgi.deploy/tools/ -A | grep '^[.]new' || true") == ""
    assert machine.failed_units() == []


def has_one_slot(machine: Machine, name: str) -> bool:
    return len(standing(machine, name)[2].split()) == 2


def shown(outcome: Outcome) -> list[str]:
    return [name for name, secret in (("token", TOKEN), ("password", PASSWORD)) if secret in outcome.output]


def assert_not_kept(machine: Machine) -> None:
    """Neither secret is in a file of the host, but for this test's own in /root, nor in the journal."""
    options = "--text --fixed-strings --file=%s"
    listed = machine.both(f"grep --recursive --files-with-matches {options} {PLACES} 2>/dev/null", WORDS)
    assert listed == (1, ""), listed
    assert machine.both(f"journalctl --all --output=export | grep --count {options}", WORDS) == (1, "0\n")


def git(machine: Machine, *arguments: str) -> str:
    command = f"GNUPGHOME={PLACE}/gnupg git -C {REPOSITORY} -c user.name=Releases -c user.email={WHO}"
    command += f" -c user.signingkey={WHO}" + " %s" * len(arguments)
    return machine.run(command, *arguments).strip()


def commit(machine: Machine, name: str, *options: str) -> str:
    """Commit the application under another name; return the commit."""
    machine.run(f"sed --in-place 's/^NAME = .*/NAME = \"{name}\"/' {REPOSITORY}/trial/__init__.py")
    git(machine, "add", "--all")
    git(machine, "commit", "--quiet", "--message", name, *options)
    return git(machine, "rev-parse", "HEAD")


def wheel_of_uv(machine: Machine) -> str:
    """The version of uv that the index has."""
    return machine.run(f"basename {PLACE}/wheels/uv-*.whl").split("-")[1]


def fingerprint(machine: Machine) -> str:
    listed = machine.run(f"gpg --homedir={PLACE}/gnupg --batch --with-colons --list-keys 2>/dev/null")
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))


class TestNothingLive:
    """First deployments that fail: no repository, another checksum, a wrong password."""

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, play: Playbook, lock: str, archive: bytes, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
        folder = application(tmp_path_factory.mktemp("locked"), "locked", lock)
        applications = (
            code("main", ["-----BEGIN PGP PUBLIC KEY BLOCK-----"]),
            by_uv({"type": "directory", "path": str(folder)}, WRONG),
            shipped(by_url(b"something else")),
        )
        return play("-vvv", "--diff", extra=together(*applications), code=2)

    def test_each_says_what_it_was(self, machine: Machine, outcome: Outcome, archive: bytes) -> None:
        missing, refused, other = outcome.hosts[machine.name].failed
        assert missing.startswith(
            f"gunicorn_app_source: {REPOSITORY}: git ls-remote failed:\n"
            f"fatal: '{REPOSITORY}' does not appear to be a git repository\n"
        )
        assert "No matching distribution found for uv" in refused
        assert "\nCould not fetch URL http://127.0.0.1:8902/simple/uv/: 401 " in refused
        assert other.splitlines()[0] == (
            f"gunicorn_app_source.url: {FILES}/shipped.tar.gz?***: its checksum is {checksum(archive)},"
            f" not {checksum(b'something else')}"
        )
        for message in (missing, refused, other):
            assert message.endswith("There is no release before it: the application is not served.")

    def test_nothing_is_left(self, machine: Machine, outcome: Outcome) -> None:
        for name in NAMES:
            assert standing(machine, name) == [""] * 4, name
        assert_nothing_left(machine)
        assert "Put the release live" not in outcome.hosts[machine.name].changed

    def test_no_secret_was_shown(self, outcome: Outcome) -> None:
        assert shown(outcome) == []

    def test_the_scenarios_own_serves(self, machine: Machine, outcome: Outcome) -> None:
        assert version(machine, "notes") == "first"


@pytest.fixture(scope="module")
def keys(machines: list[Machine], archive: bytes) -> list[str]:
    """The key of each host; and the repository there, with a signed commit on main, and the signed tag v1 of a commit
    that is not signed itself. Git and gpg are those that the role has installed.
    """

    def prepare(machine: Machine) -> str:
        machine.run("apt-get install -qq --no-install-recommends gpg-agent >/dev/null 2>&1")
        gpg = f"gpg --homedir={PLACE}/gnupg --batch --quiet"
        machine.run(f"mkdir -m 700 {PLACE}/gnupg && {gpg} --passphrase '' --quick-gen-key {WHO} ed25519 sign 2>&1")
        machine.run(f"mkdir {REPOSITORY} && tar -xzf {ARCHIVE} -C {REPOSITORY} --strip-components=1")
        git(machine, "init", "--quiet", "--initial-branch=main")
        commit(machine, "locked")
        git(machine, "tag", "--sign", "--message=1", "v1")
        commit(machine, "code-1", "--gpg-sign")
        return machine.run(f"{gpg} --armor --export")

    return list(on_each(machines, prepare).values())


class TestLive:
    """All three, with all that is printed and a look at each process."""

    @pytest.fixture(scope="class")
    @classmethod
    def done(
        cls, machines: list[Machine], play: Playbook, archive: bytes, keys: list[str]
    ) -> tuple[Outcome, dict[str, Any]]:
        applications = code("main", keys), by_uv(tag("v1", keys)), shipped(by_url(archive))
        with background(machines, "watch_secrets.py", "secrets", WORDS) as reports:
            outcome = play("-vvv", "--diff", extra=together(*applications), code=0)
        return outcome, reports

    def test_each_serves(self, machine: Machine, done: object) -> None:
        assert [version(machine, name) for name in NAMES] == ["code-1", "locked", "shipped"]
        assert_nothing_left(machine)

    def test_the_record_of_the_branch(self, machine: Machine, done: object) -> None:
        found = record(machine, "code")
        assert found["source"] == {
            "type": "git",
            "url": REPOSITORY,
            "version": "main",
            "commit": git(machine, "rev-parse", "main"),
            "digest": git(machine, "rev-parse", "main"),
            "signer": fingerprint(machine),
        }
        assert found["installer"]["name"] == "pip"
        assert found["requirements"] == "requirements.txt"
        assert f"Python {found['python']['version']}" == machine.run("/usr/bin/python3 --version").strip()
        assert set(found["packages"]) >= SERVER
        pins = dict(line.split("==") for line in REQUIREMENTS.split())
        assert {name: found["packages"][name] for name in pins} == pins

    def test_the_record_of_the_tag(self, machine: Machine, done: object) -> None:
        source = record(machine, "locked")["source"]
        assert source["version"] == "v1"
        assert source["commit"] == git(machine, "rev-parse", "v1^{commit}")
        assert source["signer"] == fingerprint(machine)

    def test_the_record_of_the_archive(self, machine: Machine, done: object, archive: bytes) -> None:
        assert record(machine, "shipped")["source"] == {
            "type": "archive",
            "url": f"{FILES}/shipped.tar.gz?***",
            "checksum": checksum(archive),
            "digest": checksum(archive).partition(":")[2],
        }

    def test_uv_installs_what_the_lock_names_and_nothing_for_development(
        self, machine: Machine, done: object, lock: str
    ) -> None:
        locked = {item["name"]: item["version"] for item in tomllib.loads(lock)["package"]}
        assert set(locked) == {"trial", "iniconfig", *SERVER}
        found = record(machine, "locked")
        assert found["packages"] == {name: locked[name] for name in SERVER}
        assert found["installer"] == {"name": "uv", "version": wheel_of_uv(machine)}
        assert found["requirements"] is None

    def test_the_packages_came_from_the_index_that_asks(self, machine: Machine, done: object) -> None:
        asked = machine.run("cat /root/sources-index").splitlines()
        for name in ("gunicorn", "uv", "uvicorn"):
            assert [line for line in asked if line.startswith(f"right /files/{name}-")], name
        assert "right /shipped.tar.gz" in machine.run("cat /root/sources-asked").splitlines()

    def test_no_secret_was_shown(self, machine: Machine, done: tuple[Outcome, dict[str, Any]]) -> None:
        outcome, reports = done
        assert shown(outcome) == []
        assert reports[machine.name]["found"] == []
        assert reports[machine.name]["looks"] > 20

    def test_no_secret_is_on_the_host(self, machine: Machine, done: object) -> None:
        assert_not_kept(machine)


class TestAgain:
    """The branch, the tag and the archive are where they were: the hosts ask, and have it all."""

    def test_it_changes_nothing(self, play: Playbook, archive: bytes, keys: list[str]) -> None:
        play(extra=together(code("main", keys), by_uv(tag("v1", keys)), shipped(by_url(archive)))).assert_unchanged()


class TestNext:
    """The branch has moved, and the archive comes from the controller."""

    @pytest.fixture(scope="class")
    @classmethod
    def packed(cls, lock: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
        path = tmp_path_factory.mktemp("next") / "shipped.tar.gz"
        path.write_bytes(pack(application(tmp_path_factory.mktemp("folder"), "shipped-2", lock)))
        return path

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, machines: list[Machine], keys: list[str]) -> dict[str, list[str]]:
        for machine in machines:
            commit(machine, "code-2", "--gpg-sign")
        return {machine.name: standing(machine, "locked") for machine in machines}

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, play: Playbook, keys: list[str], packed: Path) -> Outcome:
        source = {"type": "archive", "path": str(packed), "checksum": checksum(packed.read_bytes())}
        return play(extra=together(code("main", keys), by_uv(tag("v1", keys)), shipped(source)), code=0)

    def test_each_serves(self, machine: Machine, outcome: Outcome) -> None:
        assert [version(machine, name) for name in NAMES] == ["code-2", "locked", "shipped-2"]
        assert_nothing_left(machine)

    def test_the_records_say_what_they_are(self, machine: Machine, outcome: Outcome, packed: Path) -> None:
        assert record(machine, "code")["source"]["commit"] == git(machine, "rev-parse", "main")
        found = record(machine, "shipped")["source"]
        assert found == {"type": "archive", "checksum": checksum(packed.read_bytes()), "digest": found["digest"]}

    def test_what_has_not_changed_was_not_touched(
        self, machine: Machine, outcome: Outcome, before: dict[str, list[str]]
    ) -> None:
        assert standing(machine, "locked") == before[machine.name]


class TestRefused:
    """The branch has moved to a commit that nobody signed, the archive is another one, and the index refuses the
    password when it is asked for a package that is new in the lock.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def before(cls, machines: list[Machine], keys: list[str]) -> dict[str, list[list[str]]]:
        more = project("iniconfig")

        def move(machine: Machine) -> None:
            machine.write(f"{REPOSITORY}/uv.lock", lock_of(machine, more))
            machine.write(f"{REPOSITORY}/pyproject.toml", more)
            commit(machine, "code-3")
            git(machine, "tag", "--sign", "--message=2", "v2")

        on_each(machines, move)
        for machine in machines:
            for name in NAMES:
                wait_for(f"{machine}: one slot of {name}", partial(has_one_slot, machine, name), 30)
        return {machine.name: [standing(machine, name) for name in NAMES] for machine in machines}

    @pytest.fixture(scope="class")
    @classmethod
    def outcome(cls, before: object, play: Playbook, keys: list[str]) -> Outcome:
        applications = code("main", keys), by_uv(tag("v2", keys), WRONG), shipped(by_url(b"another one"))
        return play("-vvv", "--diff", extra=together(*applications), code=2)

    def test_each_says_what_it_was(self, machine: Machine, outcome: Outcome, archive: bytes) -> None:
        unsigned, refused, other = outcome.hosts[machine.name].failed
        assert unsigned.splitlines()[0] == (
            "gunicorn_app_source.signed_by: not signed by any of these keys"
            f" (commit {git(machine, 'rev-parse', 'main')[:12]}: it has no OpenPGP signature)"
        )
        assert "iniconfig" in refused
        assert "401 Unauthorized" in refused
        assert f"its checksum is {checksum(archive)}, not {checksum(b'another one')}" in other.splitlines()[0]

    def test_what_was_live_serves_on_and_nothing_is_left(
        self, machine: Machine, outcome: Outcome, before: dict[str, list[list[str]]]
    ) -> None:
        assert [standing(machine, name) for name in NAMES] == before[machine.name]
        for name, message in zip(NAMES, outcome.hosts[machine.name].failed, strict=True):
            release = machine.run(f"basename $(readlink /opt/{name}/current)").strip()
            assert message.splitlines()[-1] == f"The release before it, {release}, serves on."
        assert [version(machine, name) for name in NAMES] == ["code-2", "locked", "shipped-2"]
        assert_nothing_left(machine)

    def test_no_secret_was_shown_or_kept(self, machine: Machine, outcome: Outcome) -> None:
        assert shown(outcome) == []
        assert_not_kept(machine)
