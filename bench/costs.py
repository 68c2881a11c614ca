"""Measure what each case of our server costs over one connection on PostgreSQL: CPU time of both, and bytes of the log.

No target may be met by pushing work into the database, so both are compared with an earlier run.
Must not be here: other systems (`rounds`), instructions (`counting`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from bench.cases.case import Case, World
from bench.cases.tables import cases_for
from bench.load.client import LoadClient
from bench.load.single_connection import Maker
from bench.report.result import Cost
from bench.systems.catalog import OURS
from bench.systems.server import serve
from bench.systems.usage import usage_after, usage_before

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.systems.databases import Prepared

REQUESTS: Final = 100
_WARM_UP: Final = 20
_PATIENCE_S: Final = 60.0


def cost_cases(ready: Prepared, only: Sequence[str]) -> Iterator[Cost]:
    """Send a number of requests of one case after the other."""
    with LoadClient() as client, serve(ready.ours, ready.url) as server:
        world = World(ready.keys, Maker(server.port), REQUESTS + _WARM_UP, ready.long)
        for case in cases_for(OURS, world, only):
            print(f"{ready.kind}, costs: {case.name}", file=sys.stderr)
            first, rest = _parted(case)
            client.send_requests(server.port, first, 1, _PATIENCE_S, _WARM_UP)
            before = usage_before(ready, server)
            seen = client.send_requests(server.port, rest, 1, _PATIENCE_S, REQUESTS)
            used = usage_after(ready, server).since(before)
            server_us, database_us = (seconds * 1e6 / seen.requests for seconds in (used.server_s, used.database_s))
            yield Cost(ready.kind, case.name, server_us, database_us, used.wal_bytes / seen.requests)


def _parted(case: Case) -> tuple[Case, Case]:
    """Part the requests into those of the warm-up and others, where each can be sent only once."""
    if len(case.asks) < REQUESTS:
        return case, case
    return Case(case.name, case.asks[:_WARM_UP]), Case(case.name, case.asks[_WARM_UP:])
