"""A CA and the certificates of a hop with mutual TLS, by the commands that the documentation shows."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/applications/proxies-on-other-hosts.md"


def commands() -> str:
    [text] = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(text)


def make(folder: Path, script: str | None = None) -> Path:
    """Run them in ``folder``, which is returned; ``script`` in their place."""
    subprocess.run(["sh", "-ec", script or commands()], cwd=folder, check=True, capture_output=True)
    return folder


def renew(folder: Path) -> None:
    """Make the certificates anew, by the same CA."""
    make(folder, "".join(f"{line}\n" for line in commands().splitlines() if "-out ca.pem" not in line))


def variables(folder: Path) -> dict[str, dict[str, str]]:
    """Return both roles' variables for these files."""

    def end(name: str) -> dict[str, str]:
        return {"ca": f"{folder}/ca.pem", "certificate": f"{folder}/{name}.pem", "key": f"{folder}/{name}.key"}

    return {"gunicorn_app_port_tls": end("notes"), "nginx_proxy_app_tls": end("proxies")}
