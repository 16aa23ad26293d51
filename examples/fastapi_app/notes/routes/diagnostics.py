"""What runs here, and what reaches it through the proxy."""

from __future__ import annotations

import os
import platform

from fastapi import APIRouter, Request

router = APIRouter(tags=["diagnostics"])


@router.get("/")
async def root(request: Request) -> dict[str, str]:
    """Name the application and its version."""
    return {"name": "notes", "version": request.app.state.settings.version}


@router.get("/version")
async def version(request: Request) -> dict[str, str | int | bool]:
    """Say exactly which process answered.

    `worker` is new with each start of a worker, so a restart shows even if the pid repeats.
    """
    settings = request.app.state.settings
    return {
        "version": settings.version,
        "python": platform.python_version(),
        "pid": os.getpid(),
        "worker": request.app.state.worker,
        # Enough to see that the environment arrived; the value is never shown.
        "secret_configured": settings.secret is not None,
    }


@router.get("/whoami")
async def whoami(request: Request) -> dict[str, str | dict[str, str] | None]:
    """Show the client and the headers as the application sees them, behind all proxies."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        # A header that came twice shows as such: that is usually the proxy fault looked for.
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return {
        "client": request.client.host if request.client else None,
        "scheme": request.url.scheme,
        "host": request.headers.get("host"),
        "headers": headers,
        "request_id": request.state.request_id,
    }
