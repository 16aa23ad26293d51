# Copyright (c) 2026, the asgi.deploy authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who signed a commit: an answer that counts only for the keys that it is asked with."""

from __future__ import annotations

import os
import re
import tempfile
import typing as t

from ansible_collections.asgi.deploy.plugins.module_utils.git_source import GitSource
from ansible_collections.asgi.deploy.plugins.module_utils.processes import BuildError, run_as

#: What GnuPG says of a signature that is none, or of a key that has ended.
_BAD = ("BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "NODATA")

_WORDS = {
    "BADSIG": "the signature does not belong to it",
    "ERRSIG": "the signature is by another key",
    "EXPSIG": "the signature has expired",
    "EXPKEYSIG": "the key has expired",
    "REVKEYSIG": "the key has been revoked",
    "NODATA": "it has no OpenPGP signature",
}

_STATUS = re.compile(r"^\[GNUPG:\] ([A-Z_]+)(?: (.*))?$", re.MULTILINE)


def signer_of(git: GitSource, commit: str, keys: t.Sequence[str]) -> str:
    """Return the fingerprint of the key that signed the tag which the version names, or the commit.

    :param keys: OpenPGP public keys, armored
    :raises BuildError: where it is none of them, or one that has expired or been revoked
    """
    # Only its owner can enter it: nobody else can put a key there.
    with tempfile.TemporaryDirectory(prefix="asgi-deploy-gnupg-") as home:
        _import(home, keys)
        problems = []
        tag = git.tag()
        if tag is not None:
            signer, problem = _verdict(git.verify("verify-tag", tag, home))
            # A signed tag of another name may be an old release that somebody wants to be taken for a new one.
            if "tag " + git.version not in git.object_text(tag).split("\n\n")[0].splitlines():
                signer, problem = None, "the signed object is a tag of another name"
            if signer is not None:
                return signer
            problems.append("tag {0}: {1}".format(git.version, problem))
        signer, problem = _verdict(git.verify("verify-commit", commit, home))
        if signer is not None:
            return signer
        problems.append("commit {0}: {1}".format(commit[:12], problem))
    raise BuildError("gunicorn_app_source.signed_by: not signed by any of these keys ({0})".format("; ".join(problems)))


def _import(home: str, keys: t.Sequence[str]) -> None:
    with open(os.path.join(home, "gpg.conf"), "w", encoding="utf-8") as stream:
        # All that is in the keyring was named by the inventory, and needs no trust beside that.
        stream.write("no-autostart\ntrust-model always\nno-auto-key-retrieve\n")
    for number, key in enumerate(keys):
        path = os.path.join(home, "given")
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(key)
        done = run_as(["gpg", "--homedir", home, "--batch", "--import", path], environment=dict(os.environ, LC_ALL="C"))
        if done.code == 127:
            raise BuildError("gunicorn_app_source.signed_by: gpg is not installed on the host")
        if done.code != 0:
            raise BuildError(
                "gunicorn_app_source.signed_by[{0}]: it holds no OpenPGP public key, or a damaged one".format(number)
            )


def _verdict(output: str) -> t.Tuple[t.Optional[str], str]:
    """Return the fingerprint of the primary key behind a good signature, or None and why there is none."""
    said = dict(_STATUS.findall(output))
    bad = next((word for word in _BAD if word in said), None)
    if bad is not None:
        return None, _WORDS[bad]
    if "GOODSIG" in said and "VALIDSIG" in said:
        return str(said["VALIDSIG"].split()[-1]), ""
    return None, _WORDS["NODATA"]
