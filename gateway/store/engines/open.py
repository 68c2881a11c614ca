"""Choosing the database that a URL names, and what else depends on that choice; the only place that knows both.

Must not be here: how either of them works (`sqlite`, `postgres`).
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from sqlalchemy import make_url

from gateway.errors import InvalidSetting
from gateway.store.engines.postgres import BY_TRANSACTION, POOLER, open_postgres
from gateway.store.engines.sqlite import can_lose_commits, open_sqlite

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import URL

    from gateway.store.engines.base import Engines

_OPENERS: Final[dict[str, Callable[[URL], Engines]]] = {"sqlite": open_sqlite, "postgresql": open_postgres}


def open_engines(url: str) -> Engines:
    """Create the engines for a database URL; nothing is connected yet.

    Errors: InvalidSetting where the URL is of another database.
    """
    parsed = make_url(url)
    opener = _OPENERS.get(parsed.get_backend_name())
    if opener is None:
        raise InvalidSetting(f"expected a URL of sqlite or postgresql, but got {parsed.get_backend_name()!r}")
    return opener(parsed)


def migrates_itself(url: str) -> bool:
    """Say whether a server migrates this database when it starts: only SQLite, which no other host can serve."""
    return make_url(url).get_backend_name() == "sqlite"


def url_to_listen_at(database_url: str, listen_url: str) -> str:
    """Return the URL to LISTEN at: LISTEN lasts as long as its connection, so it cannot go through a pooler.

    Errors: InvalidSetting where there is a pooler and no URL of PostgreSQL itself.
    """
    if not listen_url and make_url(database_url).query.get(POOLER) == BY_TRANSACTION:
        raise InvalidSetting(
            "GATEWAY_LISTEN_URL: expected the address of PostgreSQL itself, since followers cannot be notified of "
            "changes through a PgBouncer in transaction mode"
        )
    return listen_url or database_url


def refuse_several_processes(url: str) -> None:
    """Refuse several server processes on a database that could lose their commits.

    Errors: InvalidSetting.
    """
    if not migrates_itself(url) or not can_lose_commits():
        return
    message = (
        f"GATEWAY_WORKERS: expected 1, since SQLite {sqlite3.sqlite_version} can lose messages when several processes "
        "write. Use PostgreSQL, or a Python with SQLite 3.51.3 or later."
    )
    raise InvalidSetting(message)
