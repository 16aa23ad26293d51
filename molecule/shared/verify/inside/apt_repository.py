"""Make a signed package repository of one suite: the host's own nginx under a higher version, and a newer openssl that
nobody should ever install from there. Needs gpg and gpg-agent. Prints the key's fingerprint.

apt_repository.py FOLDER VERSION
"""

import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time


def call(*command: str, cwd: "pathlib.Path | None" = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def repack(folder: pathlib.Path, version: str) -> pathlib.Path:
    """Return the file of the package; the one it was made from stays beside it, to go back to."""
    call("apt-get", "download", "nginx", cwd=folder)
    (original,) = folder.glob("nginx_*.deb")
    os.rename(original, folder / "before.deb")
    tree = folder / "tree"
    call("dpkg-deb", "--raw-extract", str(folder / "before.deb"), str(tree))
    control = tree / "DEBIAN/control"
    fields = control.read_text(encoding="utf-8").splitlines()
    ours = {"Version:": version, "Maintainer:": "Nobody <nobody@example.com>"}
    changed = [f"{key} {ours[key]}" if (key := line.split(" ")[0]) in ours else line for line in fields]
    control.write_text("\n".join(changed) + "\n", encoding="utf-8")
    package = folder / f"nginx_{version}.deb"
    call("dpkg-deb", "--build", "--root-owner-group", "-Znone", str(tree), str(package))
    return package


def stanza(package: pathlib.Path) -> str:
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    place = f"Filename: {package.name}\nSize: {package.stat().st_size}\nSHA256: {digest}\n"
    return call("dpkg-deb", "--field", str(package)) + place


def main(folder: pathlib.Path, version: str) -> str:
    folder.mkdir()
    architecture = call("dpkg", "--print-architecture").strip()
    codename = call("sh", "-c", '. /etc/os-release && echo "$VERSION_CODENAME"').strip()
    other = f"Package: openssl\nVersion: {version}\nArchitecture: {architecture}\nFilename: none.deb\nSize: 1\n"
    other += f"SHA256: {'0' * 64}\nMaintainer: Nobody <nobody@example.com>\nDescription: never to be installed\n"
    index = f"nginx/binary-{architecture}/Packages"
    suite = folder / "dists" / codename
    (suite / index).parent.mkdir(parents=True)
    (suite / index).write_text(stanza(repack(folder, version)) + "\n" + other, encoding="utf-8")
    content = (suite / index).read_bytes()
    release = {
        "Origin": "nginx",
        "Suite": codename,
        "Codename": codename,
        "Date": time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime()),
        "Architectures": architecture,
        "Components": "nginx",
        "SHA256": f"\n {hashlib.sha256(content).hexdigest()} {len(content)} {index}",
    }
    (suite / "Release").write_text("".join(f"{key}: {value}\n" for key, value in release.items()), encoding="utf-8")
    home = folder / "home"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--passphrase", ""]
    call(*gpg, "--quick-generate-key", "repository@example.com", "ed25519", "sign", "never")
    call(*gpg, "--clearsign", "--output", str(suite / "InRelease"), str(suite / "Release"))
    call(*gpg, "--armor", "--output", str(folder / "key.asc"), "--export")
    listed = call(*gpg, "--with-colons", "--list-keys")
    call("gpgconf", "--homedir", str(home), "--kill", "all")
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))


print(json.dumps(main(pathlib.Path(sys.argv[1]), sys.argv[2])))
