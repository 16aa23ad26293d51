"""Applications for the tests: variants of the example, and a small one that is built in seconds."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from playbook import ROOT

EXAMPLE = ROOT / "examples/fastapi_app"
#: What a release cannot do without, as the example has locked it.
SERVERS = ("click", "gunicorn", "h11", "uvicorn", "uvicorn-worker")

SMALL = """\
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"small, from git"})
"""


def example(folder: Path, edits: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Copy the example into `folder` with `edits` (file to old text and new), and return it as a source."""
    shutil.copytree(EXAMPLE / "notes", folder / "notes")
    shutil.copy(EXAMPLE / "requirements.txt", folder)
    for name, (old, new) in edits.items():
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text, f"{name} no longer holds {old!r}"
        (folder / name).write_text(text.replace(old, new), encoding="utf-8")
    return {"type": "directory", "path": str(folder)}


def requirements() -> str:
    """The example's lock, cut down to SERVERS."""
    text = (EXAMPLE / "requirements.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^([a-z0-9-]+)==.*(?:\n[ \t].*)*", text, re.MULTILINE)
    assert set(SERVERS) <= set(blocks), blocks
    found = (m[0] for m in re.finditer(r"^[a-z0-9-]+==.*(?:\n[ \t].*)*", text, re.MULTILINE))
    return "\n".join(block for block in found if block.partition("=")[0] in SERVERS) + "\n"
