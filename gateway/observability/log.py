"""Log formats: one JSON object a line, or coloured text at a terminal.

Never in it: texts of messages, metadata, variables, query strings, keys, passwords.
Must not be here: when something is logged.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import MemoryHandler, WatchedFileHandler
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import orjson

from gateway.observability import audit
from gateway.observability.audit import LOGGER
from gateway.observability.record import PROBES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gateway.observability.record import Observer, RequestRecord

_FIRST_ERROR: Final = 400
_LONGEST_REASON: Final = 500
_MOST_WAITING: Final = 1_000  # lines of a command


def log_config(audit_log: str = "") -> dict[str, Any]:
    """Return the configuration of `logging`, for our messages and those of uvicorn and libraries.

    The audit log is separate: its messages are JSON already, and go to a file if one is configured.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": {"()": f"{__name__}.formatter"}, "audit": {"format": "%(message)s"}},
        "filters": {"ours": {"()": f"{__name__}.WithoutPaths"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "ours", "filters": ["ours"]},
            "audit": {"()": f"{__name__}.audit_handler", "path": audit_log, "formatter": "audit"},
        },
        "loggers": {"gateway": {"level": "INFO"}, LOGGER: {"level": "INFO", "handlers": ["audit"], "propagate": False}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
    }


def audit_handler(path: str) -> logging.Handler:
    """Create the handler of the audit log: it appends to a file, or writes to standard error."""
    return _AuditFile(path) if path else logging.StreamHandler()


@contextmanager
def audited(path: str) -> Iterator[None]:
    """Write the audit log of a command, after the output of the command."""
    handler = audit_handler(path)
    waiting = MemoryHandler(_MOST_WAITING, flushLevel=logging.CRITICAL, target=handler)
    audit.log.addHandler(waiting)
    level, audit.log.propagate = audit.log.level, False
    audit.log.setLevel(logging.INFO)
    try:
        yield
    finally:
        waiting.close()
        handler.close()
        audit.log.removeHandler(waiting)
        audit.log.setLevel(level)
        audit.log.propagate = True


class _AuditFile(WatchedFileHandler):
    """A file that only its owner can read, reopened after log rotation."""

    def __init__(self, path: str) -> None:
        super().__init__(path, encoding="utf-8", delay=True)

    def _open(self) -> Any:
        file = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(file, self.mode, encoding=self.encoding)


def formatter() -> logging.Formatter:
    """Create the formatter of messages."""
    return _terminal_formatter() if sys.stderr.isatty() else _AsJson()


def _terminal_formatter() -> logging.Formatter:
    # A server has no terminal, and would keep 80 modules in memory: structlog loads Rich, and that loads Pygments.
    import structlog  # noqa: PLC0415  (see above)

    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, structlog.stdlib.add_log_level, stamp],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.ExceptionRenderer(_traceback),
            structlog.dev.ConsoleRenderer(),
        ],
    )


def request_log() -> Observer:
    """Create the observer that writes one line for each request, connection and operation; of probes only failures.

    The lines do not use `logging`, whose records would take longer than everything else.
    """
    write = _to_terminal() if sys.stderr.isatty() else _as_json(sys.stderr.buffer)

    def observe(record: RequestRecord) -> None:
        if record.route not in PROBES or record.status >= _FIRST_ERROR:
            write(log_fields(record))

    return observe


def _as_json(stream: BinaryIO) -> Callable[[dict[str, Any]], None]:
    def write(event: dict[str, Any]) -> None:
        stream.write(orjson.dumps(event, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))
        stream.flush()

    return write


def _to_terminal() -> Callable[[dict[str, Any]], None]:
    import structlog  # noqa: PLC0415  (see `_terminal_formatter`)

    render = structlog.dev.ConsoleRenderer()

    def write(event: dict[str, Any]) -> None:
        event["timestamp"] = event["timestamp"].isoformat().replace("+00:00", "Z")
        sys.stderr.write(str(render(None, "info", event)) + "\n")
        sys.stderr.flush()

    return write


def log_fields(record: RequestRecord) -> dict[str, Any]:
    """Convert a record to the fields of a line."""
    event = {
        "id": record.request_id,
        "principal": record.principal,
        "method": record.method,
        "route": record.route,
        "operation": record.operation,
        "status": record.status,
        "ms": round(record.seconds * 10_000) / 10,
        "statements": record.statements,
        "bytes": record.bytes_out,
        "event": record.kind,
        "level": "info",
        "timestamp": datetime.now(UTC),
    }
    if record.trace:
        event["trace_id"] = record.trace.id
    return event


class WithoutPaths(logging.Filter):
    """Drops uvicorn's lines on WebSockets, which hold the query string; ours replace them."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line is kept."""
        return not str(record.msg).startswith('%s - "WebSocket')


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "event": record.getMessage(),
            "logger": record.name,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC),
        }
        if record.exc_info and record.exc_info[1]:
            line["exception"] = _traceback(record.exc_info)
        return orjson.dumps(line, option=orjson.OPT_UTC_Z).decode()


def _traceback(exc_info: Any) -> str:
    """Format a traceback with only the first line of each error message.

    The other lines can hold data: databases append the row, and SQLAlchemy the statement.
    """
    blocks: list[str] = []
    error: BaseException | None = exc_info[1]
    while error is not None and len(blocks) < 10:  # noqa: PLR2004  (causes may go round in a circle)
        reason = str(error).partition("\n")[0][:_LONGEST_REASON]
        name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        frames = "".join(traceback.format_tb(error.__traceback__))
        blocks.append(f"Traceback (most recent call last):\n{frames}{name}: {reason}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nwhich followed from:\n\n".join(blocks)
