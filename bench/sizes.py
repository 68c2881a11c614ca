"""Show what becomes of our server's cost as things grow: `python -m bench.sizes`, on both databases.

The length of a thread, the size of a page, subscribers, clients that ask side by side. Prints tables in Markdown.
Must not be here: other systems (`run`), what is measured of one request (`instructions`, `firing`).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cases import GRAPHQL_20, GRAPHQL_MIDDLE, REST_20, REST_100, Asked, cases_of, page_case
from bench.instructions.count import count, counter
from bench.load.client import Firing
from bench.load.followers import allow_files, followers
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

    from bench.cases import Case
    from bench.instructions.count import Counter
    from bench.load.client import Seen
    from bench.systems.databases import Prepared
    from bench.systems.server import Server

_OURS: Final = SYSTEMS[OURS]
_LENGTH: Final = "length of the thread"
_SHORT: Final = {GRAPHQL_20: "newest 20", GRAPHQL_MIDDLE: "20 after the middle"}
_MEASURE: Final = 10_000
_TOGETHER: Final = 16  # clients, where they are not what grows


@dataclass(frozen=True, slots=True)
class How:
    """What is needed to measure at one size."""

    firing: Firing
    counting: Counter | None
    seconds: float

    def cpu_us(self, server: Server, case: Case) -> float:
        """Take the server's time on the processor for a request, after a little warming up."""
        self.firing.fire(server.port, case, _TOGETHER, self.seconds / 5)
        before = server.cpu_s()
        seen = self.firing.fire(server.port, case, _TOGETHER, self.seconds)
        return (server.cpu_s() - before) * 1e6 / seen.requests


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure all on one database after the other, and show it."""
    options = _options().parse_args(arguments)
    found: list[Curve] = []
    with Firing() as firing, nullcontext() if options.no_instructions else counter() as counting:
        how = How(firing, counting, options.seconds)
        for name in options.databases:
            with database(name) as url:
                found += _lengths(url, options.lengths, how)
                with tempfile.TemporaryDirectory() as folder, empty_beside(url, "sizes", Path(folder)) as empty:
                    ready = prepared(empty, 20_000, 10_000)
                    found += [*_pages(ready, options.pages, how), *_clients(ready, options.clients, how)]
                    found += _subscribers(ready, options.subscribers)
    found.sort(key=lambda each: each.name)
    facts = machine(counting)
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


def _lengths(url: str, lengths: Sequence[int], how: How) -> list[Curve]:
    """Read the newest page, and one behind a cursor in the middle, of longer and longer threads."""
    points: dict[tuple[str, str], list[Point]] = {}
    kind = ""
    for length in lengths:
        with tempfile.TemporaryDirectory() as folder, empty_beside(url, f"sizes_{length}", Path(folder)) as empty:
            ready = prepared(empty, length * 11 // 10, length)
            kind = ready.kind
            _tell(f"{kind}: {_LENGTH} {length:,}")
            for (what, unit), value in _costs_of_pages(ready, how):
                points.setdefault((what, unit), []).append(Point(length, value))
    return [Curve(f"{_LENGTH}: {unit}", kind, what, "messages", unit, each) for (what, unit), each in points.items()]


def _costs_of_pages(ready: Prepared, how: How) -> Iterator[tuple[tuple[str, str], float]]:
    asked = Asked(ready.loaded, ready.key, {REST_20: 0, REST_100: 0})
    cases = [each for each in cases_of(OURS, asked) if each.name in _SHORT]
    with serve(_OURS, ready.url) as server:
        for each in cases:
            yield (_SHORT[each.name], "CPU µs"), how.cpu_us(server, each)
    if how.counting is not None:
        for name, kilo, _ in count(how.counting, _OURS, ready.url, cases):
            yield (_SHORT[name], "thousand instructions"), kilo or 0.0


def _grown(found: Sequence[Curve]) -> Iterator[str]:
    """Say what the longest thread costs beside one of 10,000, which is to be the same to a tenth."""
    for each in found:
        values = {point.size: point.value for point in each.points}
        longest = max(values)
        if each.name.startswith(_LENGTH) and longest > _MEASURE and _MEASURE in values:
            ratio = values[longest] / values[_MEASURE]
            yield f"{each.what} of {longest:,}, {NAMES[each.database]}, {each.unit}: {ratio:.2f} of {_MEASURE:,}"


def _pages(ready: Prepared, sizes: Sequence[int], how: How) -> list[Curve]:
    """Read larger and larger pages."""
    with serve(_OURS, ready.url) as server:
        cost = [Point(size, how.cpu_us(server, page_case(ready.key, size))) for size in _told(ready, "page of", sizes)]
    return [Curve("size of a page", ready.kind, "GraphQL page", "messages", "CPU µs", cost)]


def _clients(ready: Prepared, numbers: Sequence[int], how: How) -> list[Curve]:
    """Let more and more clients ask side by side, each for a page of 20."""
    case = page_case(ready.key, 20)
    allow_files(2 * max(numbers))
    with serve(_OURS, ready.url) as server:
        how.firing.fire(server.port, case, _TOGETHER, how.seconds / 5)
        seen: dict[int, Seen] = {
            number: how.firing.fire(server.port, case, number, how.seconds)
            for number in _told(ready, "clients", numbers)
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
    """Let more and more follow ten threads, and see what they take and how long ten messages take to all of theirs."""
    allow_files(2 * max(numbers))
    memory, delivery = list[Point](), list[Point]()

    async def follow(server: Server, number: int) -> None:
        async with followers(server, ready.key) as following:
            await following.add(number)
            memory.append(Point(number, server.resident_bytes() / 1e6))
            await following.say()
            begin = time.perf_counter()
            await following.say()
            delivery.append(Point(number, (time.perf_counter() - begin) * 1_000))

    for number in _told(ready, "subscribers", numbers):
        with serve(_OURS, ready.url) as server:
            asyncio.run(follow(server, number))
    return [
        Curve("subscribers: memory", ready.kind, "whole server", "subscribers", "MB", memory),
        Curve("subscribers: delivery", ready.kind, "ten messages to all", "subscribers", "ms", delivery, "log"),
    ]


def _told(ready: Prepared, what: str, sizes: Iterable[int]) -> Iterator[int]:
    for size in sizes:
        _tell(f"{ready.kind}: {what} {size:,}")
        yield size


def _tell(what: str) -> None:
    print(what, file=sys.stderr)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "databases", metavar="DATABASE", nargs="*", default=["sqlite", "postgres"], help="sqlite, postgres or a URL"
    )
    for name, default, told in (
        ("lengths", [10**power for power in range(2, 7)], "of the thread; 10000000 takes a quarter of an hour to fill"),
        ("pages", [1, 5, 10, 20, 50, 100], "messages a page"),
        ("clients", [1, 4, 16, 64, 256], "that ask side by side"),
        ("subscribers", [10, 100, 300, 1_000], "that wait over WebSocket"),
    ):
        parser.add_argument(f"--{name}", type=int, nargs="+", default=default, metavar="N", help=f"{told} %(default)s")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each size [%(default)s]")
    parser.add_argument("--no-instructions", action="store_true", help="count none: under valgrind it takes minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep everything in this file too")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it")
    return parser


if __name__ == "__main__":
    main()
