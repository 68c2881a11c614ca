"""Choosing the database that a URL names, and everything that depends on the choice; the only place that knows both.

Must not be here: how either of them works (`sqlite`, `postgres`).
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from gateway.errors import InvalidSetting
from gateway.settings.database_url import is_sqlite, parse_postgres
from gateway.store.engines.postgres import NEVER_IDLE, connector, open_postgres
from gateway.store.engines.sqlite import can_lose_commits, open_sqlite

if TYPE_CHECKING:
    from gateway.settings.database_url import PostgresUrl
    from gateway.store.engines.base import Engines, Timeouts
    from gateway.store.engines.postgres_connector import Connector


def open_engines(url: str, timeouts: Timeouts | None = None) -> Engines:
    """Create the engines for a database URL; nothing is connected yet. Without time-outs none apply.

    Errors: InvalidSetting where the URL is of another database, or this Python's SQLite is too old.
    """
    if is_sqlite(url):
        return open_sqlite(make_url(url))
    return open_postgres(_parsed(url, "GATEWAY_DATABASE_URL"), timeouts)


def connector_to_listen(database_url: str, listen_url: str) -> Connector:
    """Return the function that opens the connection for LISTEN, which is bound to its connection, so a pooler loses it.

    Errors: InvalidSetting where there is a pooler and no URL of PostgreSQL itself.
    """
    parsed = _parsed(database_url, "GATEWAY_DATABASE_URL")
    if not listen_url and parsed.by_transaction:
        raise InvalidSetting(
            "GATEWAY_LISTEN_URL: expected the address of PostgreSQL itself, since followers cannot be notified of "
            "changes through a PgBouncer in transaction mode; or set GATEWAY_HINTS_URL"
        )
    return connector(_parsed(listen_url, "GATEWAY_LISTEN_URL") if listen_url else parsed, NEVER_IDLE)


def _parsed(url: str, variable: str) -> PostgresUrl:
    try:
        return parse_postgres(url)
    except ValueError as error:
        raise InvalidSetting(f"{variable}: {error}") from None


def refuse_several_processes(url: str) -> None:
    """Refuse several server processes on a database that could lose their commits.

    Errors: InvalidSetting.
    """
    if not is_sqlite(url) or not can_lose_commits():
        return
    message = (
        f"GATEWAY_WORKERS: expected 1, since SQLite {sqlite3.sqlite_version} can lose messages when several processes "
        "write. Use PostgreSQL, or a Python with SQLite 3.51.3 or later."
    )
    raise InvalidSetting(message)
