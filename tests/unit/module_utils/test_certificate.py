# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs made by openssl: which ones nginx could serve, and what is said of the others."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.asgi.deploy.plugins.module_utils.certificate import (
    covers,
    create_self_signed,
    problems_of,
    read_certificate,
    served_fingerprint,
)

MakePair = t.Callable[..., Path]

DAY = 86400
NAME = "a.example.com"


def parts(folder: Path) -> tuple[str, str]:
    return str(folder / "fullchain.pem"), str(folder / "privkey.pem")


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def test_read_certificate(make_pair: MakePair) -> None:
    folder = make_pair("A.example.com", "*.b.example.com")
    certificate, _key = parts(folder)
    read = read_certificate(certificate)
    assert read.names == {"a.example.com", "*.b.example.com"}
    assert read.issuer == "Test authority"
    assert abs(read.not_after - time.time() - 90 * DAY) < 3600
    der = ssl.PEM_cert_to_DER_cert(Path(certificate).read_text(encoding="ascii"))
    assert read.fingerprint == hashlib.sha256(der).hexdigest()


def test_the_first_of_a_chain_counts(make_pair: MakePair, tmp_path: Path) -> None:
    leaf, issuer = (Path(parts(make_pair(name))[0]).read_text(encoding="ascii") for name in (NAME, "ca.example.com"))
    chain = tmp_path / "chain.pem"
    chain.write_text("a comment, Jos\u00e9\n" + leaf + issuer, encoding="utf-8")
    assert read_certificate(str(chain)).names == {NAME}


def test_no_names(make_pair: MakePair) -> None:
    certificate, key = parts(make_pair())
    assert read_certificate(certificate).names == frozenset()
    assert problems_of(certificate, key, [NAME]) == [f"{certificate} does not cover {NAME}, only no name"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage",
        b"\xff\xfe\x00",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
        b"-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\n",
    ],
)
def test_garbage_for_a_certificate(make_pair: MakePair, tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_bytes(content)
    message = f"{bad} holds no certificate in PEM form"
    with pytest.raises(ValueError, match="holds no certificate in PEM form") as caught:
        read_certificate(str(bad))
    assert str(caught.value) == message
    assert problems_of(str(bad), parts(make_pair(NAME))[1], [NAME]) == [message]


def test_a_pair_that_is_not_there(make_pair: MakePair, tmp_path: Path) -> None:
    certificate, key = parts(make_pair(NAME))
    absent = str(tmp_path / "absent.pem")
    assert problems_of(absent, key, [NAME]) == [f"{absent} does not exist"]
    assert problems_of(certificate, absent, [NAME]) == [f"{absent} does not exist"]
    assert problems_of(str(tmp_path), key, [NAME]) == [f"{tmp_path} holds no certificate in PEM form"]


@pytest.mark.parametrize("kind", ["ec", "rsa:2048", "ed25519"])
def test_a_pair_that_fits(make_pair: MakePair, kind: str) -> None:
    assert problems_of(*parts(make_pair(NAME, kind=kind)), [NAME]) == []


@pytest.mark.parametrize("kind", ["ec", "rsa:2048", "ed25519"])
def test_the_key_of_another_certificate(make_pair: MakePair, kind: str) -> None:
    certificate, _own = parts(make_pair(NAME))
    _other, key = parts(make_pair(NAME, kind=kind))
    assert problems_of(certificate, key, [NAME]) == [f"{key} is not the key of {certificate}"]


def test_a_key_that_openssl_finds_too_small(make_pair: MakePair) -> None:
    certificate, key = parts(make_pair(NAME, kind="rsa:1024"))
    assert problems_of(certificate, key, [NAME]) == [f"{certificate} is too weak for OpenSSL: ee key too small"]


def test_an_encrypted_key(make_pair: MakePair, tmp_path: Path) -> None:
    certificate, key = parts(make_pair(NAME))
    locked = str(tmp_path / "locked.pem")
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:hunter2", "-out", locked)
    message = f"{locked} is encrypted, and nobody is there to tell nginx the password"
    assert problems_of(certificate, locked, [NAME]) == [message]


@pytest.mark.parametrize("content", ["", "garbage", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_garbage_for_a_key(make_pair: MakePair, tmp_path: Path, content: str) -> None:
    certificate, _key = parts(make_pair(NAME))
    bad = tmp_path / "bad.key"
    bad.write_text(content, encoding="ascii")
    assert problems_of(certificate, str(bad), [NAME]) == [f"{bad} holds no private key in PEM form"]


def test_a_certificate_for_a_key(make_pair: MakePair) -> None:
    certificate, _key = parts(make_pair(NAME))
    assert problems_of(certificate, certificate, [NAME]) == [f"{certificate} holds no private key in PEM form"]


def test_expired(make_pair: MakePair) -> None:
    certificate, key = parts(make_pair(NAME))
    end = read_certificate(certificate).not_after
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(end))
    assert problems_of(certificate, key, [NAME], now=end - 1) == []
    assert problems_of(certificate, key, [NAME], now=end) == [f"{certificate} expired on {when}"]


def test_not_covering(make_pair: MakePair) -> None:
    certificate, key = parts(make_pair(NAME, "b.example.com"))
    assert problems_of(certificate, key, [NAME, "c.example.com", "d.example.com"]) == [
        f"{certificate} does not cover c.example.com, d.example.com, only {NAME}, b.example.com"
    ]


def test_every_problem_is_told(make_pair: MakePair) -> None:
    certificate, key = parts(make_pair(NAME))[0], parts(make_pair(NAME))[1]
    assert len(problems_of(certificate, key, ["x.example.com"], now=time.time() + 91 * DAY)) == 3


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (["a.example.com"], "a.example.com", True),
        (["*.example.com"], "a.example.com", True),
        (["*.example.com"], "*.example.com", True),
        (["*.example.com"], "example.com", False),
        (["*.example.com"], "a.b.example.com", False),
        (["*.b.example.com"], "*.example.com", False),
        (["example.com"], "a.example.com", False),
        (["localhost"], "localhost", True),
        ([], "a.example.com", False),
    ],
)
def test_covers(names: list[str], wanted: str, expected: bool) -> None:
    assert covers(names, wanted) is expected


def test_create_self_signed(tmp_path: Path) -> None:
    folder = tmp_path / "bootstrap"
    names = ["notes.example.com", "*.notes.example.com"]
    create_self_signed(str(folder), names)
    certificate, key = parts(folder)
    assert problems_of(certificate, key, names, now=time.time() + 3649 * DAY) == []
    assert read_certificate(certificate).names == set(names)
    assert os.stat(key).st_mode & 0o777 == 0o600
    assert os.stat(folder).st_mode & 0o777 == 0o755
    command = ["openssl", "x509", "-in", certificate, "-noout", "-text"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.count("Basic Constraints") == 1
    assert "CA:FALSE" in text

    first = read_certificate(certificate).fingerprint
    create_self_signed(str(folder), names[:1])
    assert problems_of(certificate, key, names[:1]) == []
    assert read_certificate(certificate).fingerprint != first
    # Nothing is left beside it.
    assert os.listdir(tmp_path) == ["bootstrap"]


def test_create_self_signed_refused_by_openssl(tmp_path: Path) -> None:
    folder = tmp_path / "bootstrap"
    create_self_signed(str(folder), [NAME])
    before = read_certificate(parts(folder)[0])
    with pytest.raises(ValueError, match=r"^openssl could not make a pair: .*(?i:error)"):
        create_self_signed(str(folder), ["a,b"])
    assert read_certificate(parts(folder)[0]) == before
    assert os.listdir(tmp_path) == ["bootstrap"]


def test_runs_alone(make_pair: MakePair, tmp_path: Path) -> None:
    """The file is copied to hosts, beside a program that has nothing of Ansible."""
    source = Path(__file__).resolve().parents[3] / "plugins/module_utils/certificate.py"
    shutil.copy(source, tmp_path)
    script = "import sys, certificate; print(certificate.read_certificate(sys.argv[1]).issuer)"
    done = subprocess.run(
        ["/usr/bin/env", "python3", "-c", script, parts(make_pair(NAME))[0]],
        cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "Test authority\n"


@pytest.mark.parametrize("spoken", [True, False])
@pytest.mark.parametrize("expected", [True, False])
def test_served_fingerprint(make_pair: MakePair, spoken: bool, expected: bool) -> None:
    """A server that expects the PROXY protocol answers nobody else, and one that does not refuses it."""
    certificate, key = parts(make_pair(NAME))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    lines: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            connection, _address = server.accept()
            with connection:
                if expected:
                    while not (lines and lines[-1] == b"\n"):
                        lines.append(connection.recv(1))
                        if lines[0] != b"P":
                            return
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    return

        thread = threading.Thread(target=answer)
        thread.start()
        served = served_fingerprint(NAME, port, proxy_protocol=spoken)
        thread.join()
    assert served == (read_certificate(certificate).fingerprint if spoken == expected else None)
    if spoken and expected:
        assert re.fullmatch(rb"PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ %d\r\n" % port, b"".join(lines))
