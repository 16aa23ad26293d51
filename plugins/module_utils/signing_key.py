# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The signing keys of a package repository: fetched, told apart by GnuPG, and handed to apt as GnuPG writes them.

What apt gets is no file of the network, but what GnuPG has read of it. Text around the keys that apt would read in
another way than the check does never reaches it.
"""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.atomic import words_of

Run = t.Callable[[t.List[str]], t.Tuple[int, str, str]]

#: No key file is larger; what is, is no key file.
_MOST_BYTES = 1 << 20


def keyring_of(run: Run, data: bytes, trusted: t.Sequence[str]) -> bytes:
    """Return the keys of a file, ASCII-armored or binary, as a keyring for apt.

    :param trusted: the fingerprints of the only keys that may be in it
    :raises ValueError: where there is another one, or none
    """
    # Only its owner can enter it: nobody else can put a key there.
    with tempfile.TemporaryDirectory(prefix="asgi-deploy-gnupg-") as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--no-options", "--no-autostart", "--trust-model", "always"]
        given, exported = os.path.join(home, "given"), os.path.join(home, "exported")
        with open(given, "wb") as stream:
            stream.write(data)
        code, _output, _errors = run([*gpg, "--import", given])
        found = _primary_keys(run([*gpg, "--with-colons", "--list-keys"])[1])
        if code != 0 or not found:
            raise ValueError("it holds no OpenPGP public key, or a damaged one")
        strange = [one for one in found if one not in trusted]
        if strange:
            raise ValueError(
                "it has the key {0}, which is refused; accepted: {1}".format(", ".join(strange), ", ".join(trusted))
            )
        code, _output, errors = run([*gpg, "--output", exported, "--export", *found])
        if code != 0:
            raise ValueError("gpg --export: " + errors.strip())
        with open(exported, "rb") as stream:
            return stream.read()


def _primary_keys(listing: str) -> t.List[str]:
    """Return the fingerprints in the output of ``--with-colons``, where those of subkeys stand too."""
    found, kind = [], ""
    for line in listing.splitlines():
        fields = line.split(":")
        if fields[0] == "fpr" and kind == "pub":
            found.append(fields[9])
        kind = fields[0]
    return found


def is_kept(run: Run, path: str, trusted: t.Sequence[str]) -> bool:
    """Return whether apt's keyring is there, with trusted keys and nothing else in it."""
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        return keyring_of(run, data, trusted) == data
    except (OSError, ValueError):
        return False


def fetch_keyring(run: Run, url: str, trusted: t.Sequence[str]) -> bytes:
    """Return the keyring for apt from a URL.

    :raises ValueError: where it is not to be had, or is not only what is trusted
    """
    # Here, not above: with HTTP and TLS it is half of the module, and nearly no run needs it. Ansible's own open_url
    # would go to the host with every run, wherever it is imported.
    import http.client
    import urllib.request

    problem = "the answer is no HTTP, or breaks off"
    try:
        # A proxy is taken from the environment.
        with urllib.request.build_opener().open(url, timeout=30) as answer:
            return keyring_of(run, answer.read(_MOST_BYTES), trusted)
    except http.client.HTTPException:
        # Its own text is whatever the server has sent.
        pass
    except OSError as error:
        problem = str(getattr(error, "reason", None) or words_of(error))
    except ValueError as error:
        problem = str(error)
    raise ValueError("nginx_proxy_repository_key_url: {0}: {1}".format(url, problem))


def write_keyring(path: str, keyring: bytes) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = path + ".new"
    with open(temporary, "wb") as stream:
        stream.write(keyring)
    os.chmod(temporary, 0o644)
    os.replace(temporary, path)
