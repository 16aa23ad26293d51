"""Logs as one JSON object a line on stderr, which systemd hands to the journal.

JSON escapes line ends and control characters, so no header or path that a client sends can
end a line early and forge the next one.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
import uuid
from contextvars import ContextVar
from datetime import datetime, timezone

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

_PLAIN_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LONGEST = 1024


def accept_request_id(value: str | None) -> str:
    """Return the id nginx gave the request, or a new one if there is none of a sane shape.

    nginx sends 32 hex digits and overwrites what the client sent. Anything else did not come
    through it, and is not worth searching the logs for.
    """
    return value if value is not None and _PLAIN_ID.fullmatch(value) else uuid.uuid4().hex


def clip(value: str) -> str:
    """Shorten a text that the client chose: one request must not fill the journal."""
    return value if len(value) <= _LONGEST else value[:_LONGEST] + "..."


class JsonFormatter(logging.Formatter):
    """A record as one line of ASCII JSON; `extra={"fields": {...}}` adds keys to it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
        }
        for key, value in getattr(record, "fields", {}).items():
            # The keys above stay: a field cannot pass for the level or the request id.
            entry.setdefault(key, value)
        if record.exc_info:
            entry["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return json.dumps(entry, default=str)


def configure() -> None:
    """Send this process's logs, uvicorn's included, through the JSON formatter.

    Called when the worker starts rather than on import: by then gunicorn and uvicorn have set
    up their own handlers, in whatever order, and importing the module has no side effect.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    # Ours from an earlier call goes, or every line would come twice.
    others = [h for h in root.handlers if not isinstance(h.formatter, JsonFormatter)]
    root.handlers = [*others, handler]
    root.setLevel(logging.INFO)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = []
        logger.propagate = True
    # The access log is our own (middleware.py), with the request id; without a handler uvicorn
    # does not even assemble its lines.
    access = logging.getLogger("uvicorn.access")
    access.handlers = []
    access.propagate = False
