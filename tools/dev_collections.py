"""Fill .ansible/collections: a link to this checkout, and the collections that only the bench needs.

Those come out of the `ansible` wheel on the package index, so Galaxy is not needed. The roles use none of them.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib.metadata import version

import yaml

WANTED = ("community.docker", "community.library_inventory_filtering_v1")
# ansible N is built on ansible-core 2.(N + 7): a release for each core of requirements/dev.txt, its wheel's hash.
WHEELS = {
    "2.19": ("12.3.0", "cd156f82fa87f7a899212b0efa9f7ca3a24d609212de9f78428a572eb01e5414"),
    "2.21": ("14.5.0", "245623ccc2d31d0f6f4bdb63168d550cad305fb032cc43d96e8f61ce8ab0ba84"),
}
ROOT = pathlib.Path(__file__).resolve().parent.parent
COLLECTIONS = ROOT / ".ansible/collections"


def link_checkout() -> None:
    """Make this checkout importable under its collection's name, whatever its folder is called."""
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text())
    link = COLLECTIONS / "ansible_collections" / galaxy["namespace"] / galaxy["name"]
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()
    # Relative: the checkout may be moved, or mounted elsewhere.
    link.symlink_to("../../../..", target_is_directory=True)


def fetch_others() -> None:
    """Extract WANTED from the wheel that fits the installed ansible-core."""
    core = ".".join(version("ansible-core").split(".")[:2])
    number, digest = WHEELS[core]
    stamp = COLLECTIONS / "ansible-version"
    if stamp.exists() and stamp.read_text() == number:
        return
    with tempfile.TemporaryDirectory() as scratch:
        requirement = pathlib.Path(scratch, "requirement.txt")
        requirement.write_text(f"ansible=={number} --hash=sha256:{digest}\n")
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--only-binary=:all:", "--require-hashes", "--dest", scratch, "--requirement", str(requirement)],
            check=True,
        )  # fmt: skip
        wheel = next(pathlib.Path(scratch).glob("ansible-*.whl"))
        folders = ["ansible_collections/" + name.replace(".", "/", 1) + "/" for name in WANTED]
        for folder in folders:
            shutil.rmtree(COLLECTIONS / folder, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(COLLECTIONS, [n for n in archive.namelist() if n.startswith(tuple(folders))])
    stamp.write_text(number)


if __name__ == "__main__":
    link_checkout()
    fetch_others()
