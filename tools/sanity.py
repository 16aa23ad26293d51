"""Run `ansible-test sanity` on a copy of the files that the collection's tarball gets; ruff and mypy check the others.

    sanity.py [ARGUMENT OF ANSIBLE-TEST]...

A copy, because ansible-test accepts neither a symlink nor a folder of another name than
ansible_collections/asgi/deploy. It also gets a home of its own: what it installs stays in the checkout, and an
installation that an earlier failure left half done is removed.
"""

from __future__ import annotations

import ast
import fnmatch
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ansible_test
import yaml

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".ansible/sanity"
COPY = ROOT / "build/sanity/ansible_collections/asgi/deploy"
#: Runs the wheel of pip as the script would that ansible-test downloads.
GET_PIP = """\
import runpy
import sys

sys.path.insert(0, {wheel!r})
sys.argv[1:] = ["install", *(a for a in sys.argv[1:] if a not in ("--no-setuptools", "--no-wheel"))]
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def copy_files() -> None:
    shutil.rmtree(COPY, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    left_out = yaml.safe_load((ROOT / "galaxy.yml").read_text())["build_ignore"]
    for name in filter(None, listed.split("\0")):
        if any(fnmatch.fnmatch(name, pattern) or name.startswith(f"{pattern}/") for pattern in left_out):
            continue
        if (ROOT / name).is_file():  # not when deleted and not yet committed
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, COPY / name)
    # ansible-test asks git for the files, and would find the checkout's repository, which ignores build/. Its own
    # virtual environment goes to tests/output, and is none of the files.
    subprocess.run(["git", "init", "--quiet"], cwd=COPY, check=True)
    (COPY / ".git/info/exclude").write_text("/tests/output/\n")


def configure_pip() -> None:
    """Hand pip's settings on: ansible-test drops the environment, and the home is another."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        key, _equals, value = line.partition("=")
        # The environment's come first, and win.
        settings.setdefault(key.rpartition(".")[2], ast.literal_eval(value).replace("\n", "\n  "))
    config = HOME / ".config/pip/pip.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("[global]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))


def seed_pip() -> None:
    """Put pip where ansible-test looks before it asks its download host, which not every network reaches."""
    source = Path(ansible_test.__file__).parent / "_internal/python_requirements.py"
    wanted = re.search(r"\bpip='([\d.]+)'", source.read_text())
    if wanted is None:
        sys.exit(f"{source} does not say which pip it wants any more")
    cache = HOME / ".ansible/test/cache"
    script = cache / f"get_pip_{wanted[1].replace('.', '_')}.py"
    if script.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", cache, f"pip=={wanted[1]}"],
        check=True,
    )
    script.write_text(GET_PIP.format(wheel=str(cache / f"pip-{wanted[1]}-py3-none-any.whl")))


def main() -> int:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    copy_files()
    configure_pip()
    seed_pip()
    done = subprocess.run(
        ["ansible-test", "sanity", "--color", "no", "--venv", "--python", version, *sys.argv[1:]],
        cwd=COPY,
        env={**os.environ, "HOME": str(HOME)},
        check=False,
    )
    if done.returncode:
        shutil.rmtree(HOME / ".ansible/test/venv", ignore_errors=True)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
