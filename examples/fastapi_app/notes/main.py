"""The application: `notes.main:app` for a server, `create_app(settings)` for a test."""

from __future__ import annotations

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from notes import logs
from notes.middleware import RequestLog, TrustedHostExceptHealth
from notes.routes import diagnostics, health, notes, transfer
from notes.settings import Settings
from notes.storage import Storage

logger = logging.getLogger("notes")


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; nothing is opened before the server starts it."""
    settings = settings or Settings.from_environment()
    storage = Storage(settings.database)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logs.configure()
        # Here and not in create_app(): with gunicorn's preload_app the application is built
        # before the fork, and neither a database connection nor this id may be shared by it.
        app.state.worker = secrets.token_hex(4)
        # An exception ends the worker before it takes a request: a release that cannot reach
        # its database is never switched to.
        await asyncio.to_thread(storage.open)
        logger.info(
            "started",
            extra={"fields": {"version": settings.version, "worker": app.state.worker}},
        )
        yield
        await asyncio.to_thread(storage.close)
        logger.info("stopped", extra={"fields": {"worker": app.state.worker}})

    app = FastAPI(title="notes", version=settings.version, lifespan=lifespan)
    app.state.settings = settings
    app.state.storage = storage
    for router in (diagnostics.router, health.router, notes.router, transfer.router):
        app.include_router(router)
    app.add_exception_handler(sqlite3.OperationalError, _database_failed)
    app.add_exception_handler(RequestValidationError, _invalid)
    # The last one added is the outermost: refused hosts are logged too.
    app.add_middleware(TrustedHostExceptHealth, allowed_hosts=settings.allowed_hosts)
    app.add_middleware(RequestLog)
    return app


async def _database_failed(request: Request, error: Exception) -> JSONResponse:
    """Answer 503, which a client may retry, and keep the reason in the log."""
    logger.error("the database does not answer: %s", error)
    return JSONResponse({"detail": "the database does not answer"}, status_code=503)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """Answer 422 with what is wrong and where, without FastAPI's copy of the input.

    JSON can carry what cannot be sent back (NaN, half a surrogate pair): the copy would turn
    such a request into a 500. And an input that was refused may still be a secret.
    """
    errors = cast(RequestValidationError, error).errors()
    detail = [{key: item[key] for key in ("type", "loc", "msg")} for item in errors]
    return JSONResponse({"detail": detail}, status_code=422)


app = create_app()
