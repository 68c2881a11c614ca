"""Other properties of our server: group commit, tail latency, start time, memory.

Must not be here: imports (`imports`), subscribers (`followers`), targets (`report.targets`).
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.cases import names
from bench.cases.case import World
from bench.cases.tables import cases_for
from bench.load.client import LoadClient
from bench.load.commits import commit_findings
from bench.load.events import event_findings
from bench.load.followers import bytes_of_follower
from bench.load.imports import messages_a_second
from bench.load.runs import run_findings
from bench.load.single_connection import Maker, SingleConnection
from bench.report.result import Finding
from bench.report.targets import GROWTH, IDLE, IMPORT, RESIDENT, SHARED_COMMITS, START, TAIL
from bench.systems.catalog import OURS, POSTGRES, SLOW_COMMITS, SQLITE
from bench.systems.server import serve
from bench.systems.slow_commits import COMMIT_S, SHARED_BY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.cases.case import Case
    from bench.systems.databases import Prepared
    from bench.systems.server import Server

WRITERS: Final = 32
_MEGABYTE: Final = 1e6
_STARTS: Final = 5


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the measurements; memory growth is measured over `extra_requests`."""

    rounds: int
    seconds: float
    imported: int
    followers: int
    requests: int
    extra_requests: int


def findings(prepared: Prepared, sizes: Sizes) -> Iterator[Finding]:
    """Measure one thing after the other."""
    wanted = (names.PAGE_20, names.REST_20, names.CREATE, names.REST_CREATE)
    with LoadClient() as client:
        with serve(prepared.ours, prepared.url) as server:
            world = World(prepared.keys, Maker(server.port), 0, prepared.long)
            cases = {case.name: case for case in cases_for(OURS, world, wanted)}
            _report_progress(prepared, "32 connections")
            yield _tail(client, server, cases[names.PAGE_20], prepared, sizes)
        if prepared.kind == SQLITE:
            _report_progress(prepared, "commits")
            yield _shared_commits(client, cases[names.REST_CREATE], prepared, sizes)
        _report_progress(prepared, "starts and memory")
        yield _start(cases[names.PAGE_20], prepared)
        yield from _memory(
            client, [cases[name] for name in (names.PAGE_20, names.REST_20, names.CREATE)], prepared, sizes
        )
    _report_progress(prepared, "followers")
    each = bytes_of_follower(prepared, sizes.followers)
    yield Finding(IDLE, prepared.kind, each / 1_000, "KB", f"{sizes.followers:,} over WebSocket")
    _report_progress(prepared, "events")
    yield from event_findings(prepared)
    if prepared.kind == POSTGRES:
        _report_progress(prepared, "commits with followers")
        yield from commit_findings(prepared.ours, sizes.rounds, sizes.seconds)
        _report_progress(prepared, "runs")
        yield from run_findings(prepared.ours, prepared.url)
    _report_progress(prepared, "import")
    yield Finding(IMPORT, prepared.kind, messages_a_second(prepared, sizes.imported), "messages/s", "one core")


def _tail(client: LoadClient, server: Server, case: Case, prepared: Prepared, sizes: Sizes) -> Finding:
    """Compare the 99th percentile with the median, with twice as many clients as elsewhere."""
    client.send_requests(server.port, case, WRITERS, sizes.seconds / 2)
    seen = [client.send_requests(server.port, case, WRITERS, sizes.seconds) for _ in range(sizes.rounds)]
    detail = ", ".join(f"{each.p99_ms:.0f}/{each.p50_ms:.0f} ms" for each in seen)
    return Finding(TAIL, prepared.kind, median(each.p99_ms / each.p50_ms for each in seen), "times", detail)


def _shared_commits(client: LoadClient, case: Case, prepared: Prepared, sizes: Sizes) -> Finding:
    """Compare commits that are shared with one for each message, where each commit takes some milliseconds more."""
    ours = replace(prepared.ours, entry=SLOW_COMMITS)
    rates: dict[str, list[float]] = {"": [], "1": []}
    for _ in range(sizes.rounds):
        for shared_by, seen in rates.items():
            with serve(ours, prepared.url, given={SHARED_BY: shared_by} if shared_by else {}) as server:
                client.send_requests(server.port, case, WRITERS, sizes.seconds / 2)
                result = client.send_requests(server.port, case, WRITERS, sizes.seconds)
                seen.append(result.requests / result.seconds)
    shared, alone = (median(each) for each in rates.values())
    detail = f"{shared:,.0f} a second, {alone:,.0f} with a commit for each; each takes {COMMIT_S * 1_000:g} ms more"
    return Finding(SHARED_COMMITS, prepared.kind, shared / alone, "times", detail)


def _start(case: Case, prepared: Prepared) -> Finding:
    """Measure the time from the command to the first page, on a migrated database."""
    times = []
    for _ in range(_STARTS):
        begin = time.perf_counter()
        with serve(prepared.ours, prepared.url) as server, SingleConnection(server.port) as connection:
            connection.check(case.asks[0])
            times.append((time.perf_counter() - begin) * 1_000)
    return Finding(START, prepared.kind, median(times), "ms", f"{min(times):.0f}..{max(times):.0f}")


def _memory(client: LoadClient, cases: list[Case], prepared: Prepared, sizes: Sizes) -> Iterator[Finding]:
    """Measure the memory of a new server after some requests, reads and writes, and after many more."""
    with serve(prepared.ours, prepared.url) as server:
        _ask_all(client, server, cases, sizes.requests)
        before = server.resident_bytes()
        yield Finding(RESIDENT, prepared.kind, before / _MEGABYTE, "MB", f"{sizes.requests:,} requests")
        if sizes.extra_requests:
            _ask_all(client, server, cases, sizes.extra_requests)
            gained = (server.resident_bytes() - before) / _MEGABYTE
            yield Finding(GROWTH, prepared.kind, gained, "MB", f"{sizes.extra_requests:,} requests")


def _ask_all(client: LoadClient, server: Server, cases: list[Case], requests: int) -> None:
    for case in cases:
        each = requests // len(cases)
        client.send_requests(server.port, case, WRITERS // 2, seconds=each, at_most=each)  # sooner done than that


def _report_progress(prepared: Prepared, what: str) -> None:
    print(f"{prepared.kind}: {what}", file=sys.stderr)
