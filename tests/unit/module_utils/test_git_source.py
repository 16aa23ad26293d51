# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commits from real repositories, and signatures by real keys."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.git_signature import signer_of
from ansible_collections.asgi.deploy.plugins.module_utils.git_source import GitSource
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError
from ansible_collections.asgi.deploy.plugins.module_utils.sources import NOT_FETCHED, source_of


@pytest.fixture(autouse=True)
def _nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit as nobody in particular, and without what the machine says of git."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "T")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "t@example.com")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("GIT_SSH_COMMAND", raising=False)


class Repository:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str, **environment: str) -> str:
        command = ["git", "-c", "protocol.file.allow=always", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, check=True, capture_output=True, text=True, env={**os.environ, **environment}
        )
        return done.stdout.strip()

    def commit(self, text: str, *options: str, **environment: str) -> str:
        (self.folder / "main.py").write_text(text, encoding="utf-8")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", text, *options, **environment)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


Fetch = t.Callable[..., str]


@pytest.fixture
def fetch(repository: Repository, tmp_path: Path) -> Fetch:
    """Fetch a version into the cache, which stays from one to the next, and return the text of its file."""
    number = iter(range(99))

    def run(version: str, commit: str, url: str | None = None) -> str:
        folder = tmp_path / f"app{next(number)}"
        params = {"type": "git", "url": url or f"file://{repository.folder}", "version": version, "signed_by": []}
        source = source_of(params, None, str(tmp_path / "cache"))
        assert source.described["commit"] == source.described["digest"] == commit
        assert not source.needs_archive
        source.unpack(str(folder))
        assert os.listdir(folder) == ["main.py"]
        return (folder / "main.py").read_text(encoding="utf-8")

    return run


def test_a_branch_that_moves(repository: Repository, fetch: Fetch) -> None:
    for text in ("1", "2"):
        commit = repository.commit(text)
        assert fetch("main", commit) == text
        assert fetch("main", commit) == text
    back = repository.git("rev-parse", "HEAD^")
    repository.git("reset", "--quiet", "--hard", back)
    assert fetch("main", back) == "1"


def test_tags_and_commits(repository: Repository, fetch: Fetch) -> None:
    first, second = repository.commit("1"), repository.commit("2")
    third = repository.commit("3")
    repository.git("tag", "light", first)
    repository.git("tag", "--annotate", "--message", "x", "v2/annotated", second)
    assert fetch("light", first) == "1"
    assert fetch("v2/annotated", second) == "2"
    assert fetch(third, third) == "3"
    # One that no branch ends with, and short names, for which the history is needed.
    assert fetch(second, second) == "2"
    assert fetch(first[:9], first) == "1"
    assert fetch("main", third) == "3"


def test_only_what_is_needed_is_fetched(repository: Repository, fetch: Fetch, tmp_path: Path) -> None:
    first, second = repository.commit("1"), repository.commit("2")
    assert fetch("main", second) == "2"
    known = subprocess.run(["git", "cat-file", "-e", first], cwd=tmp_path / "cache", check=False, capture_output=True)
    assert known.returncode != 0
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_a_commit_of_a_server_that_gives_only_what_has_a_name(repository: Repository, fetch: Fetch) -> None:
    first = repository.commit("1")
    repository.commit("2")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "false")
    # Version 0 of the protocol, where the server decides; later ones give any commit.
    (Path(os.environ["HOME"]) / ".gitconfig").write_text("[protocol]\n\tversion = 0\n", encoding="utf-8")
    assert fetch(first, first) == "1"


def test_a_tag_wins_over_a_branch_of_its_name(repository: Repository, fetch: Fetch) -> None:
    first = repository.commit("1")
    repository.git("tag", "v1")
    repository.git("checkout", "--quiet", "-b", "v1")
    repository.commit("2")
    assert fetch("v1", first) == "1"


def test_a_known_commit_needs_no_server(repository: Repository, fetch: Fetch) -> None:
    commit = repository.commit("1")
    assert fetch(commit, commit) == "1"
    shutil.rmtree(repository.folder)
    assert fetch(commit, commit) == "1"


def wipe(cache: Path) -> None:
    shutil.rmtree(cache)


def clone_of_somebody_else(cache: Path) -> None:
    shutil.rmtree(cache)
    other = Repository(cache)
    other.commit("other")


def file_instead(cache: Path) -> None:
    shutil.rmtree(cache)
    cache.write_text("x", encoding="utf-8")


def link_instead(cache: Path) -> None:
    if not cache.is_symlink():
        cache.rename(cache.with_name("elsewhere"))
        cache.symlink_to("elsewhere")


def objects(cache: Path) -> list[Path]:
    return [path for path in (cache / "objects").rglob("*") if path.is_file()]


def without_objects(cache: Path) -> None:
    for path in objects(cache):
        path.unlink()


def damaged_objects(cache: Path) -> None:
    for path in objects(cache):
        path.chmod(0o644)
        path.write_bytes(b"x" * 100)


def damaged_configuration(cache: Path) -> None:
    (cache / "config").write_text("[core\n", encoding="utf-8")


def locked(cache: Path) -> None:
    for name in ("shallow.lock", "refs/asgi-deploy/wanted.lock", "packed-refs.lock"):
        (cache / name).touch()


DAMAGES: list[t.Callable[[Path], None]] = [
    wipe,
    clone_of_somebody_else,
    file_instead,
    link_instead,
    without_objects,
    damaged_objects,
    damaged_configuration,
    locked,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_cache_that_a_hand_or_a_killed_run_has_broken(
    repository: Repository, fetch: Fetch, tmp_path: Path, damage: t.Callable[[Path], None]
) -> None:
    first = repository.commit("1")
    assert fetch("main", first) == "1"
    damage(tmp_path / "cache")
    assert fetch("main", first) == "1"
    second = repository.commit("2")
    damage(tmp_path / "cache")
    assert fetch("main", second) == "2"
    damage(tmp_path / "cache")
    assert fetch(second, second) == "2"


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("nowhere", "has neither a tag nor a branch nowhere"),
        ("HEAD", "has neither a tag nor a branch HEAD"),
        ("abcdef0", "has no commit abcdef0"),
        ("0" * 40, f"has no commit {'0' * 40}"),
    ],
)
def test_versions_that_are_not_there(repository: Repository, fetch: Fetch, version: str, words: str) -> None:
    repository.commit("1")
    with pytest.raises(BuildError, match=rf"^gunicorn_app_source.version: file:.*{words}$"):
        fetch(version, "")


def test_a_repository_that_is_not_there_leaves_the_cache(repository: Repository, fetch: Fetch, tmp_path: Path) -> None:
    fetch("main", repository.commit("1"))
    before = sorted(objects(tmp_path / "cache"))
    repository.folder.rename(tmp_path / "moved")
    with pytest.raises(BuildError, match=r"^gunicorn_app_source: file://.*: git ls-remote failed:\n.*not"):
        fetch("main", "")
    assert sorted(objects(tmp_path / "cache")) == before


def test_nobody_is_asked_for_a_password(fetch: Fetch, serve: t.Any, tcp_server: t.Any) -> None:
    server, port = tcp_server
    answer = b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'
    with serve(server, answer), pytest.raises(BuildError, match="terminal prompts disabled"):
        fetch("main", "", url=f"http://127.0.0.1:{port}/notes.git")


def test_ssh_asks_nothing(fetch: Fetch, tmp_path: Path) -> None:
    log = tmp_path / "log"
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >>{log}\nexit 1\n', encoding="utf-8")
    ssh.chmod(0o755)
    (Path(os.environ["HOME"]) / ".gitconfig").write_text(f"[core]\n\tsshCommand = {ssh} -i /key\n", encoding="utf-8")
    with pytest.raises(BuildError, match="git ls-remote failed"):
        fetch("main", "", url="ssh://git@git.example.com/notes.git")
    assert "-i /key -o BatchMode=yes -o ConnectTimeout=30" in log.read_text(encoding="utf-8")


def test_submodules_are_refused(repository: Repository, fetch: Fetch, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other")
    other.commit("1")
    repository.git("submodule", "--quiet", "add", f"file://{other.folder}", "lib/other")
    with pytest.raises(BuildError, match=r"^gunicorn_app_source: lib/other is a submodule, and those are not fetched"):
        fetch("main", repository.commit("1"))


def test_a_link_that_leads_out(repository: Repository, fetch: Fetch) -> None:
    (repository.folder / "passwords").symlink_to("/etc/passwd")
    with pytest.raises(BuildError, match=r"^the source holds passwords, which leads out of it"):
        fetch("main", repository.commit("1"))


class TestCheckMode:
    def ask(self, repository: Repository, tmp_path: Path, version: str) -> str:
        url = f"file://{repository.folder}"
        params = {"type": "git", "url": url, "version": version, "signed_by": ["x"]}
        described = source_of(params, None, str(tmp_path / "cache"), check=True).described
        assert described == {**described, "type": "git", "url": url, "version": version}
        return str(described["digest"])

    def test_nothing_is_written(self, repository: Repository, tmp_path: Path) -> None:
        first = repository.commit("1")
        repository.git("tag", "--annotate", "--message", "x", "v1")
        second = repository.commit("2")
        assert self.ask(repository, tmp_path, "main") == second
        assert self.ask(repository, tmp_path, "v1") == first
        assert self.ask(repository, tmp_path, first) == first
        assert self.ask(repository, tmp_path, first[:9]) == NOT_FETCHED
        assert not (tmp_path / "cache").exists()

    def test_a_host_without_git(self, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert self.ask(repository, tmp_path, "main") == NOT_FETCHED


@pytest.fixture(scope="module")
def keys() -> t.Iterator[t.Callable[..., str]]:
    """Return the armored public key, or the fingerprint, of somebody: alice, bob, expired or revoked."""
    # Not below the checkout, however long its path is: the agent's socket lies here, and 107 bytes are the most.
    home = Path(tempfile.mkdtemp(prefix="gpg-"))
    gpg = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]

    def run(*arguments: str, given: str | None = None) -> str:
        return subprocess.run([*gpg, *arguments], check=True, capture_output=True, text=True, input=given).stdout

    for name in ("alice", "bob", "revoked", "expired"):
        # In 2020, so that it could sign and has ended by now.
        old = ["--faked-system-time", "20200101T000000!"] if name == "expired" else []
        run(*old, "--quick-generate-key", f"{name}@example.com", "ed25519", "sign", "1d" if old else "0")

    def ask(name: str, what: str = "key") -> str:
        if what == "home":
            return str(home)
        if what == "key":
            return run("--armor", "--export", f"{name}@example.com")
        lines = run("--with-colons", "--list-keys", f"{name}@example.com").splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr"))

    def revoke() -> None:
        path = home / "openpgp-revocs.d" / f"{ask('revoked', 'fingerprint')}.rev"
        run("--import", given=path.read_text(encoding="utf-8").replace(":-----BEGIN", "-----BEGIN"))

    ask.revoke = revoke  # type: ignore[attr-defined]
    yield ask
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def verdict(repository: Repository, tmp_path: Path, keys: t.Any) -> t.Callable[..., str]:
    def run(version: str, *names: str) -> str:
        git = GitSource(f"file://{repository.folder}", version, str(tmp_path / "cache"))
        return signer_of(git, git.fetch(), [keys(name) for name in names])

    return run


def signed(repository: Repository, keys: t.Any, name: str, text: str = "1", when: str = "") -> str:
    repository.git("config", "gpg.program", fake_time(repository.folder.parent, when) if when else "gpg")
    return repository.commit(text, f"--gpg-sign={keys(name, 'fingerprint')}", GNUPGHOME=keys(name, "home"))


def fake_time(folder: Path, when: str) -> str:
    script = folder / "gpg-then"
    script.write_text(f'#!/bin/sh\nexec gpg --faked-system-time {when} "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return str(script)


class TestSignatures:
    def test_a_signed_commit(self, repository: Repository, keys: t.Any, verdict: t.Any) -> None:
        commit = signed(repository, keys, "alice")
        assert verdict("main", "bob", "alice") == keys("alice", "fingerprint")
        assert verdict(commit, "alice") == keys("alice", "fingerprint")

    def test_it_is_written_down(self, repository: Repository, keys: t.Any, tmp_path: Path) -> None:
        signed(repository, keys, "alice")
        url = f"file://{repository.folder}"
        params = {"type": "git", "url": url, "version": "main", "signed_by": [keys("alice")]}
        described = source_of(params, None, str(tmp_path / "cache")).described
        assert described["signer"] == keys("alice", "fingerprint")

    def test_a_signed_tag(self, repository: Repository, keys: t.Any, verdict: t.Any) -> None:
        repository.commit("1")
        by = keys("alice", "fingerprint")
        repository.git("tag", "--local-user", by, "--message", "x", "v1", GNUPGHOME=keys("alice", "home"))
        assert verdict("v1", "alice") == by
        with pytest.raises(BuildError, match=r"commit .*: it has no OpenPGP signature"):
            verdict("main", "alice")

    def test_a_tag_that_somebody_has_moved(self, repository: Repository, keys: t.Any, verdict: t.Any) -> None:
        repository.commit("1")
        by = keys("alice", "fingerprint")
        repository.git("tag", "--local-user", by, "--message", "x", "v1", GNUPGHOME=keys("alice", "home"))
        repository.git("update-ref", "refs/tags/v2", repository.git("rev-parse", "v1"))
        with pytest.raises(BuildError, match="tag v2: the signed object is a tag of another name"):
            verdict("v2", "alice")

    def test_an_unsigned_tag_on_a_signed_commit(self, repository: Repository, keys: t.Any, verdict: t.Any) -> None:
        signed(repository, keys, "alice")
        repository.git("tag", "--annotate", "--message", "x", "v1")
        repository.git("tag", "light")
        assert verdict("v1", "alice") == verdict("light", "alice") == keys("alice", "fingerprint")

    @pytest.mark.parametrize(
        ("signer", "accepted", "words"),
        [
            (None, "alice", "it has no OpenPGP signature"),
            ("bob", "alice", "the signature is by another key"),
        ],
    )
    def test_refused(
        self, repository: Repository, keys: t.Any, verdict: t.Any, signer: str | None, accepted: str, words: str
    ) -> None:
        commit = signed(repository, keys, signer) if signer else repository.commit("1")
        with pytest.raises(BuildError) as caught:
            verdict("main", accepted)
        assert str(caught.value) == (
            f"gunicorn_app_source.signed_by: not signed by any of these keys (commit {commit[:12]}: {words})"
        )

    def test_a_key_that_has_expired(self, repository: Repository, keys: t.Any, verdict: t.Any) -> None:
        signed(repository, keys, "expired", when="20200101T120000!")
        with pytest.raises(BuildError, match=r"commit .*: the key has expired\)$"):
            verdict("main", "expired", "alice")

    def test_a_key_that_was_revoked(self, repository: Repository, keys: t.Any, verdict: t.Any) -> None:
        signed(repository, keys, "revoked")
        assert verdict("main", "revoked") == keys("revoked", "fingerprint")
        keys.revoke()
        with pytest.raises(BuildError, match=r"commit .*: the key has been revoked\)$"):
            verdict("main", "revoked")

    def test_a_commit_that_was_changed_after_it_was_signed(
        self, repository: Repository, keys: t.Any, verdict: t.Any
    ) -> None:
        commit = signed(repository, keys, "alice")
        text = repository.git("cat-file", "commit", commit)
        forged = subprocess.run(
            ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
            cwd=repository.folder,
            input=text.replace("T <t@", "A <a@") + "\n",
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        repository.git("update-ref", "refs/heads/main", forged)
        with pytest.raises(BuildError, match="the signature does not belong to it"):
            verdict("main", "alice")

    def test_the_keys_of_the_host_do_not_count(
        self, repository: Repository, keys: t.Any, verdict: t.Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        signed(repository, keys, "bob")
        monkeypatch.setenv("GNUPGHOME", keys("bob", "home"))
        with pytest.raises(BuildError, match="the signature is by another key"):
            verdict("main", "alice")

    def test_a_signature_of_ssh_that_the_host_trusts(
        self, repository: Repository, keys: t.Any, verdict: t.Any, tmp_path: Path
    ) -> None:
        key = tmp_path / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        allowed = tmp_path / "allowed"
        allowed.write_text("t@example.com " + key.with_suffix(".pub").read_text(), encoding="utf-8")
        (Path(os.environ["HOME"]) / ".gitconfig").write_text(
            f'[gpg]\n\tformat = ssh\n[gpg "ssh"]\n\tallowedSignersFile = {allowed}\n', encoding="utf-8"
        )
        repository.commit("1", f"--gpg-sign={key}")
        repository.git("verify-commit", "HEAD")
        with pytest.raises(BuildError, match="it has no OpenPGP signature"):
            verdict("main", "alice")

    def test_a_key_that_is_none(self, repository: Repository, tmp_path: Path) -> None:
        repository.commit("1")
        git = GitSource(f"file://{repository.folder}", "main", str(tmp_path / "cache"))
        with pytest.raises(BuildError, match=r"^gunicorn_app_source.signed_by\[0\]: it holds no OpenPGP public key"):
            signer_of(git, git.fetch(), ["-----BEGIN PGP PUBLIC KEY BLOCK-----\nx"])
