"""Is the process alive, and can it serve?"""

from __future__ import annotations

import asyncio
import logging
import sqlite3

from fastapi import APIRouter, Request, Response

router = APIRouter(prefix="/health", tags=["health"])
logger = logging.getLogger("notes.health")


@router.get("/live")
async def live() -> dict[str, str]:
    """Answer as long as the event loop turns.

    Nothing else is asked: whoever restarts a process because it is not alive would otherwise
    restart every one of them when the database is away, and make a small outage a large one.
    """
    return {"status": "alive"}


@router.get("/ready")
async def ready(request: Request, response: Response) -> dict[str, str]:
    """Answer 200 if requests can be served, 503 if the database does not answer."""
    response.headers["Cache-Control"] = "no-store"
    try:
        await asyncio.to_thread(request.app.state.storage.ping)
    except sqlite3.Error as error:
        # The reason goes to the log only: whoever may ask need not learn paths.
        logger.warning("not ready: %s", error)
        response.status_code = 503
        return {"status": "unavailable", "database": "failed"}
    return {"status": "ready", "database": "ok"}
