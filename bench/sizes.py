"""Measure how our server's cost grows with size: `python -m bench.sizes`, on both databases.

Sizes are the length of a thread, the size of a page, subscribers and concurrent clients. Prints Markdown.
Must not be here: other systems (`__main__`), how a request is measured (`instructions`, `load`).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cases import reads
from bench.cases.case import Case, World
from bench.cases.names import PAGE_20, PAGE_MIDDLE
from bench.cases.tables import cases_for
from bench.corpus.messages import MADE
from bench.counting import count_cases
from bench.load.client import LoadClient
from bench.load.followers import allow_files, followers
from bench.load.single_connection import Maker
from bench.report import curves
from bench.report.curves import Curve, Point
from bench.report.machine import machine
from bench.report.plot import draw_curves
from bench.report.tables import NAMES
from bench.systems.catalog import OURS, SYSTEMS
from bench.systems.databases import database, empty_beside, prepared
from bench.systems.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.load.client import JobResult
    from bench.systems.databases import Prepared
    from bench.systems.server import Server

_OURS: Final = SYSTEMS[OURS]
_LENGTH: Final = "length of the thread"
_SHORT: Final = {PAGE_20: "newest 20", PAGE_MIDDLE: "20 after the middle"}
_MEASURE: Final = 10_000
_TOGETHER: Final = 16  # clients, where they are not what grows


@dataclass(frozen=True, slots=True)
class Settings:
    """Tools for a measurement at one size."""

    client: LoadClient
    counts: bool
    seconds: float

    def cpu_us(self, server: Server, case: Case) -> float:
        """Measure the server's CPU time a request, after warming up."""
        self.client.send_requests(server.port, case, _TOGETHER, self.seconds / 5)
        before = server.cpu_s()
        seen = self.client.send_requests(server.port, case, _TOGETHER, self.seconds)
        return (server.cpu_s() - before) * 1e6 / seen.requests


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on one database after the other, and print the result."""
    options = _options().parse_args(arguments)
    found: list[Curve] = []
    with LoadClient() as client:
        settings = Settings(client, not options.no_instructions, options.seconds)
        for name in options.databases:
            with database(name) as url:
                found += _lengths(url, options.lengths, settings)
                with tempfile.TemporaryDirectory() as folder, empty_beside(url, "sizes", Path(folder)) as empty:
                    ready = prepared(empty, _OURS, 20_000, 10_000)
                    found += [*_pages(ready, options.pages, settings), *_clients(ready, options.clients, settings)]
                    found += _subscribers(ready, options.subscribers)
    found.sort(key=lambda each: each.name)
    facts = machine()
    print(
        curves.as_tables(found),
        *_grown(found),
        "; ".join(f"{name}: {value}" for name, value in facts.items()),
        sep="\n\n",
    )
    if options.json is not None:
        curves.write(found, facts, options.json)
    if options.plot is not None:
        draw_curves(found, options.plot)


def _lengths(url: str, lengths: Sequence[int], settings: Settings) -> list[Curve]:
    """Read the newest page, and a page after a cursor in the middle, of ever longer threads."""
    points: dict[tuple[str, str], list[Point]] = {}
    kind = ""
    for length in lengths:
        with tempfile.TemporaryDirectory() as folder, empty_beside(url, f"sizes_{length}", Path(folder)) as empty:
            ready = prepared(empty, _OURS, length * 11 // 10, length)
            kind = ready.kind
            _report_progress(f"{kind}: {_LENGTH} {length:,}")
            for (what, unit), value in _costs_of_pages(ready, settings):
                points.setdefault((what, unit), []).append(Point(length, value))
    return [Curve(f"{_LENGTH}: {unit}", kind, what, "messages", unit, each) for (what, unit), each in points.items()]


def _costs_of_pages(ready: Prepared, settings: Settings) -> Iterator[tuple[tuple[str, str], float]]:
    with serve(_OURS, ready.url) as server:
        for each in cases_for(OURS, World(ready.keys, Maker(server.port), 0, ready.long), tuple(_SHORT)):
            yield (_SHORT[each.name], "CPU µs"), settings.cpu_us(server, each)
    if settings.counts:
        for found in count_cases(ready, [_OURS], tuple(_SHORT)):
            yield (_SHORT[found.case], "thousand instructions"), found.kilo_instructions


def _grown(found: Sequence[Curve]) -> Iterator[str]:
    """Format the ratio of the longest thread to one of 10,000 messages; the target is within a tenth."""
    for each in found:
        values = {point.size: point.value for point in each.points}
        longest = max(values)
        if each.name.startswith(_LENGTH) and longest > _MEASURE and _MEASURE in values:
            ratio = values[longest] / values[_MEASURE]
            yield f"{each.what} of {longest:,}, {NAMES[each.database]}, {each.unit}: {ratio:.2f} of {_MEASURE:,}"


def _pages(ready: Prepared, sizes: Sequence[int], settings: Settings) -> list[Curve]:
    """Measure pages of each size."""
    with serve(_OURS, ready.url) as server:
        cost = [
            Point(size, settings.cpu_us(server, _page(ready, server, size)))
            for size in _with_progress(ready, "page of", sizes)
        ]
    return [Curve("size of a page", ready.kind, "GraphQL page", "messages", "CPU µs", cost)]


def _page(ready: Prepared, server: Server, size: int) -> Case:
    return Case(PAGE_20, reads.page(limit=size)(World(ready.keys, Maker(server.port), 0, ready.long)))


def _clients(ready: Prepared, numbers: Sequence[int], settings: Settings) -> list[Curve]:
    """Measure a page of 20 for each number of concurrent clients."""
    allow_files(2 * max(numbers))
    with serve(_OURS, ready.url) as server:
        case = _page(ready, server, 20)
        settings.client.send_requests(server.port, case, _TOGETHER, settings.seconds / 5)
        seen: dict[int, JobResult] = {
            number: settings.client.send_requests(server.port, case, number, settings.seconds)
            for number in _with_progress(ready, "clients", numbers)
        }
    rates = [Point(number, each.requests / each.seconds) for number, each in seen.items()]
    middle = [Point(number, each.p50_ms) for number, each in seen.items()]
    slow = [Point(number, each.p99_ms) for number, each in seen.items()]
    return [
        Curve("clients: rate", ready.kind, "GraphQL page of 20", "clients", "requests/s", rates),
        Curve("clients: waiting", ready.kind, "p50", "clients", "ms", middle, "log"),
        Curve("clients: waiting", ready.kind, "p99", "clients", "ms", slow, "log"),
    ]


def _subscribers(ready: Prepared, numbers: Sequence[int]) -> list[Curve]:
    """Measure memory and delivery time of ten messages for each number of subscribers to ten threads."""
    allow_files(2 * max(numbers))
    memory, delivery = list[Point](), list[Point]()

    async def follow(server: Server, number: int) -> None:
        async with followers(server, ready.keys[MADE]) as following:
            await following.add(number)
            memory.append(Point(number, server.resident_bytes() / 1e6))
            await following.say()
            begin = time.perf_counter()
            await following.say()
            delivery.append(Point(number, (time.perf_counter() - begin) * 1_000))

    for number in _with_progress(ready, "subscribers", numbers):
        with serve(_OURS, ready.url) as server:
            asyncio.run(follow(server, number))
    return [
        Curve("subscribers: memory", ready.kind, "whole server", "subscribers", "MB", memory),
        Curve("subscribers: delivery", ready.kind, "ten messages to all", "subscribers", "ms", delivery, "log"),
    ]


def _with_progress(ready: Prepared, what: str, sizes: Iterable[int]) -> Iterator[int]:
    for size in sizes:
        _report_progress(f"{ready.kind}: {what} {size:,}")
        yield size


def _report_progress(what: str) -> None:
    print(what, file=sys.stderr)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "databases", metavar="DATABASE", nargs="*", default=["sqlite", "postgres"], help="sqlite, postgres or a URL"
    )
    for name, default, what in (
        ("lengths", [10**power for power in range(2, 7)], "lengths of the thread; 10000000 takes 15 minutes to fill"),
        ("pages", [1, 5, 10, 20, 50, 100], "messages a page"),
        ("clients", [1, 4, 16, 64, 256], "concurrent clients"),
        ("subscribers", [10, 100, 300, 1_000], "subscribers over WebSocket"),
    ):
        parser.add_argument(f"--{name}", type=int, nargs="+", default=default, metavar="N", help=f"{what} %(default)s")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds for each size [%(default)s]")
    parser.add_argument(
        "--no-instructions", action="store_true", help="do not count instructions (minutes under valgrind)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the result")
    return parser


if __name__ == "__main__":
    main()
