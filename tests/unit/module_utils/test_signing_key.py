# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signing keys: what is asked of gpg, and what its answers mean. Real keys, read by the real gpg of both Debian
releases, are in molecule/nginx_proxy/tests/test_repository.py.
"""

from __future__ import annotations

import os
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.signing_key import (
    fetch_keyring,
    is_kept,
    keyring_of,
    write_keyring,
)

ONE, TWO, SUBKEY = "1" * 40, "2" * 40, "3" * 40


def listing(*fingerprints: str) -> str:
    """What gpg --with-colons says of keys that have a subkey each."""
    lines = ["tru::1:1:0:3:1:5"]
    for fingerprint in fingerprints:
        lines += ["pub:-:255:22:AA:1:::-:::scESC:::::ed25519:::0:", f"fpr:::::::::{fingerprint}:", "grp:::::::::F:"]
        lines += ["uid:-::::1::H::one::::::::::0:", "sub:-:255:18:BB:1::::::e:::::cv25519::", f"fpr:::::::::{SUBKEY}:"]
    return "\n".join(lines) + "\n"


class Gpg:
    """Stands for gpg: knows these keys, whatever it is given."""

    def __init__(self, *known: str, code: int = 0) -> None:
        self.known = known
        self.code = code
        self.homes: set[str] = set()
        self.given = b""

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        assert command[:2] == ["gpg", "--homedir"]
        home = Path(command[2])
        self.homes.add(str(home))
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        if "--import" in command:
            self.given = Path(command[-1]).read_bytes()
            return self.code, "", ""
        if "--export" in command:
            wanted = command[command.index("--export") + 1 :]
            assert wanted == list(self.known)
            Path(command[command.index("--output") + 1]).write_bytes("".join(wanted).encode())
            return 0, "", ""
        return 0, listing(*self.known), ""

    def assert_gone(self) -> None:
        assert self.homes
        assert not any(os.path.exists(home) for home in self.homes)


@pytest.mark.parametrize("known", [[ONE], [ONE, TWO]])
def test_trusted(known: list[str]) -> None:
    gpg = Gpg(*known)
    assert keyring_of(gpg, b"given", [TWO, ONE]) == "".join(known).encode()
    assert gpg.given == b"given"
    gpg.assert_gone()


@pytest.mark.parametrize(
    ("known", "code", "trusted", "reason"),
    [
        ([], 0, [ONE], "no OpenPGP public key"),
        ([], 2, [ONE], "no OpenPGP public key"),
        # A trusted one came, and damage after it.
        ([ONE], 2, [ONE], "or a damaged one"),
        ([ONE, TWO], 0, [ONE], f"it has the key {TWO}, which is refused; accepted: {ONE}"),
        ([ONE], 0, [TWO], f"it has the key {ONE}, which is refused; accepted: {TWO}"),
        # That of a subkey names no key.
        ([ONE], 0, [SUBKEY], f"it has the key {ONE}, which is refused"),
    ],
)
def test_refused(known: list[str], code: int, trusted: list[str], reason: str) -> None:
    gpg = Gpg(*known, code=code)
    with pytest.raises(ValueError, match=reason):
        keyring_of(gpg, b"given", trusted)
    gpg.assert_gone()


@pytest.mark.parametrize(
    ("content", "kept"),
    [(ONE, True), (None, False), (ONE + " and text that apt might read in another way", False), (TWO, False)],
)
def test_kept(tmp_path: Path, content: str | None, kept: bool) -> None:
    path = tmp_path / "key.gpg"
    if content is not None:
        path.write_text(content, encoding="ascii")
    assert is_kept(Gpg(ONE), str(path), [ONE]) is kept


def test_a_key_that_is_not_trusted_any_more_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "key.gpg"
    path.write_text(ONE, encoding="ascii")
    assert not is_kept(Gpg(ONE), str(path), [TWO])


def test_fetched_and_written(tmp_path: Path) -> None:
    source, path = tmp_path / "source.asc", tmp_path / "keyrings" / "key.gpg"
    source.write_bytes(b"given")
    gpg = Gpg(ONE)
    write_keyring(str(path), fetch_keyring(gpg, source.as_uri(), [ONE]))
    assert gpg.given == b"given"
    assert path.read_text(encoding="ascii") == ONE
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert os.listdir(path.parent) == ["key.gpg"]


def test_a_refusal_names_the_variable_and_the_url(tmp_path: Path) -> None:
    absent = (tmp_path / "absent").as_uri()
    with pytest.raises(ValueError, match=rf"^nginx_proxy_repository_key_url: {absent}: .*No such file") as caught:
        fetch_keyring(Gpg(ONE), absent, [ONE])
    assert "\n" not in str(caught.value)
    source = tmp_path / "source.asc"
    source.write_bytes(b"")
    with pytest.raises(ValueError, match=rf"^nginx_proxy_repository_key_url: {source.as_uri()}: it holds no OpenPGP"):
        fetch_keyring(Gpg(), source.as_uri(), [ONE])


def test_a_server_that_speaks_no_http(tcp_server: tuple[socket.socket, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    server, port = tcp_server
    server.listen()

    def answer() -> None:
        connection, _address = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"220 mail.example.com ready\r\n")

    with ThreadPoolExecutor() as pool:
        served = pool.submit(answer)
        url = f"http://127.0.0.1:{port}/key"
        with pytest.raises(ValueError, match=rf"^nginx_proxy_repository_key_url: {url}: ") as caught:
            fetch_keyring(Gpg(ONE), url, [ONE])
        served.result()
    assert str(caught.value).endswith(": the answer is no HTTP, or breaks off")
