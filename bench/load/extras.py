"""What else our server is to come to: shared commits, its slowest answers, how soon it starts, what memory it takes.

Must not be here: imports (`importing`), subscribers (`following`), what is wanted (`targets`).
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from bench.cases import GRAPHQL_20, GRAPHQL_CREATE, REST_20, REST_CREATE, Asked, cases_of
from bench.load.client import Firing
from bench.load.followers import bytes_of_follower
from bench.load.imports import messages_a_second
from bench.load.single_connection import Line
from bench.report.result import Finding
from bench.report.targets import GROWTH, IDLE, IMPORT, RESIDENT, SHARED_COMMITS, START, TAIL
from bench.systems.catalog import BARE, OURS, SQLITE, SYSTEMS
from bench.systems.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.cases import Case
    from bench.systems.databases import Prepared
    from bench.systems.server import Server

WRITERS: Final = 32
_MEGABYTE: Final = 1e6
_STARTS: Final = 5


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything; `more_requests` are those that memory must not grow by."""

    rounds: int
    seconds: float
    imported: int
    followers: int
    requests: int
    more_requests: int


def findings(prepared: Prepared, sizes: Sizes) -> Iterator[Finding]:
    """Measure one thing after the other."""
    cases = {case.name: case for case in cases_of(OURS, Asked(prepared.loaded, prepared.key, {REST_20: 0}))}
    with Firing() as firing:
        with serve(SYSTEMS[OURS], prepared.url) as server:
            _tell(prepared, "32 connections")
            yield _tail(firing, server, cases[GRAPHQL_20], prepared, sizes)
            if prepared.kind == SQLITE:
                yield _shared_commits(firing, server, cases[REST_CREATE], prepared, sizes)
        _tell(prepared, "starts and memory")
        yield _start(cases[GRAPHQL_20], prepared)
        yield from _memory(firing, [cases[name] for name in (GRAPHQL_20, REST_20, GRAPHQL_CREATE)], prepared, sizes)
    _tell(prepared, "followers")
    each = bytes_of_follower(prepared, sizes.followers)
    yield Finding(IDLE, prepared.kind, each / 1_000, "KB", f"{sizes.followers:,} over WebSocket")
    _tell(prepared, "import")
    yield Finding(IMPORT, prepared.kind, messages_a_second(prepared.url, sizes.imported), "messages/s", "one core")


def _tail(firing: Firing, server: Server, case: Case, prepared: Prepared, sizes: Sizes) -> Finding:
    """Compare the slowest of a hundred answers with the one in the middle, with twice as many clients as elsewhere."""
    firing.fire(server.port, case, WRITERS, sizes.seconds / 2)
    seen = [firing.fire(server.port, case, WRITERS, sizes.seconds) for _ in range(sizes.rounds)]
    told = ", ".join(f"{each.p99_ms:.0f}/{each.p50_ms:.0f} ms" for each in seen)
    return Finding(TAIL, prepared.kind, median(each.p99_ms / each.p50_ms for each in seen), "times", told)


def _shared_commits(firing: Firing, server: Server, case: Case, prepared: Prepared, sizes: Sizes) -> Finding:
    """Compare with the bare app, which commits each message by itself, on the same file and in turn with it.

    The bare app is the fastest that one commit for each message can be: it checks nothing, and its writer never waits
    for anything but the disk.
    """
    with serve(SYSTEMS[BARE], prepared.url) as bare:
        rates: dict[int, list[float]] = {server.port: [], bare.port: []}
        for _ in range(sizes.rounds):
            for port, seen in rates.items():
                asked = firing.fire(port, case, WRITERS, sizes.seconds)
                seen.append(asked.requests / asked.seconds)
    ours, theirs = (median(each) for each in rates.values())
    told = f"{ours:,.0f} a second; the bare app, a commit for each message, {theirs:,.0f}"
    return Finding(SHARED_COMMITS, prepared.kind, ours / theirs, "times", told)


def _start(case: Case, prepared: Prepared) -> Finding:
    """Take the time from the command to a whole page, on a migrated database."""
    times = []
    for _ in range(_STARTS):
        begin = time.perf_counter()
        with serve(SYSTEMS[OURS], prepared.url) as server, Line(server.port) as line:
            line.ask(case.requests[0])
            times.append((time.perf_counter() - begin) * 1_000)
    return Finding(START, prepared.kind, median(times), "ms", f"{min(times):.0f}..{max(times):.0f}")


def _memory(firing: Firing, cases: list[Case], prepared: Prepared, sizes: Sizes) -> Iterator[Finding]:
    """Look at what a new server holds after some requests, pages and creations in equal parts, and after many more."""
    with serve(SYSTEMS[OURS], prepared.url) as server:
        _ask_all(firing, server, cases, sizes.requests)
        before = server.resident_bytes()
        yield Finding(RESIDENT, prepared.kind, before / _MEGABYTE, "MB", f"{sizes.requests:,} requests")
        if sizes.more_requests:
            _ask_all(firing, server, cases, sizes.more_requests)
            gained = (server.resident_bytes() - before) / _MEGABYTE
            yield Finding(GROWTH, prepared.kind, gained, "MB", f"{sizes.more_requests:,} requests")


def _ask_all(firing: Firing, server: Server, cases: list[Case], requests: int) -> None:
    for case in cases:
        each = requests // len(cases)
        firing.fire(server.port, case, WRITERS // 2, seconds=each, at_most=each)  # sooner done than that


def _tell(prepared: Prepared, what: str) -> None:
    print(f"{prepared.kind}: {what}", file=sys.stderr)
