# Managed by Ansible (asgi.deploy, role gunicorn_app).
"""Logs on standard error, which systemd hands to the journal: each record with the id of its request.

The id is nginx's own, from the header X-Request-ID, so that a line here and one of nginx's access log
can be brought together.
"""

import contextvars
import json
import logging
import re
import sys
import time

#: Of the request that the running task answers: the header's value as it came, None where there was none.
request_id = contextvars.ContextVar("asgi_deploy_request_id", default=None)

#: Whatever else a client managed to send is no id, and could pass for more than one field of a line.
_ID = re.compile(rb"[!-~]{1,128}")

#: journald cuts a longer line in two, and neither half is JSON. Its LineMax is 48 K.
_LONGEST = 45_000

#: What every record has; the rest came by `extra`. Uvicorn's copy of its message with colours is of no use.
_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "request"}

#: What formatting a message with wrong arguments, or a value that JSON does not know, can raise.
_UNFIT = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


def current_id():
    value = request_id.get()
    return value.decode("ascii") if value is not None and _ID.fullmatch(value) else None


class TextFormatter(logging.Formatter):
    """Gunicorn's own lines, with the request's id where there is one."""

    def __init__(self):
        super().__init__("[%(asctime)s] [%(process)d] [%(levelname)s] %(request)s%(message)s", "%Y-%m-%d %H:%M:%S %z")

    def formatMessage(self, record):
        identity = current_id()
        record.request = f"[{identity}] " if identity else ""
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """One object a line, in ASCII: neither a header nor a traceback can end a line early."""

    def format(self, record):
        entry = self._fields(record)
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD and name not in entry}
        try:
            line = json.dumps({**extra, **entry}, default=str, allow_nan=False)
        except _UNFIT:
            line = json.dumps(entry)
        room = _LONGEST
        while len(line) > _LONGEST:
            # The beginning of a message and the end of a traceback say most.
            room //= 2
            short = {"message": entry["message"][:room]}
            if "exception" in entry:
                short["exception"] = entry["exception"][-room:]
            line = json.dumps({**entry, **short, "truncated": True})
        return line

    def _fields(self, record):
        try:
            message = record.getMessage()
        except _UNFIT:
            message = str(record.msg)
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry = {
            "time": f"{second}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": message,
        }
        identity = current_id()
        if identity:
            entry["request_id"] = identity
        if record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, path, version, status = record.args
            entry.update(client=client, method=method, path=path, http_version=version, status=status)
        if record.exc_info and record.exc_info[0]:
            entry["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            entry["stack"] = self.formatStack(record.stack_info)
        return entry


class NotYetThere(logging.Filter):
    """Passes what no handler of the application's own has written to the journal: each record is there once."""

    def filter(self, record):
        logger = logging.getLogger(record.name)
        while logger is not None:
            if any(self._is_another(handler) for handler in logger.handlers):
                return False
            logger = logger.parent
        return True

    def _is_another(self, handler):
        return getattr(handler, "stream", None) in (sys.stdout, sys.stderr) and self not in handler.filters


def _log_exception(*exception):
    logging.getLogger("uvicorn.error").critical("The process ends.", exc_info=exception)


def settings(level, kind, access):
    """Return the configuration for logging.config, for Gunicorn, Uvicorn and all that propagates to the root."""
    if kind == "json":
        # What Python itself would write are lines of another format.
        logging.captureWarnings(True)
        sys.excepthook = _log_exception
    level = level.upper()
    journal = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "line"}
    errors = {"level": level, "handlers": ["journal"], "propagate": False}
    requests = {"level": "INFO", "handlers": ["journal"] if access else [], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": JsonFormatter if kind == "json" else TextFormatter}},
        "filters": {"once": {"()": NotYetThere}},
        "handlers": {"journal": journal, "rest": {**journal, "filters": ["once"]}},
        "root": {"level": level, "handlers": ["rest"]},
        "loggers": {
            "gunicorn.error": errors,
            # Uvicorn's worker takes the handlers of its access log from Gunicorn's.
            "gunicorn.access": requests,
            "uvicorn": errors,
            "uvicorn.error": errors,
            "uvicorn.access": requests,
        },
    }
