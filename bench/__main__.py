"""Benchmark our server and others on the same rows: `python -m bench`, for both databases.

A database is `sqlite` or `postgres` for a temporary one, or the URL of an empty one or of one that an earlier run
filled. All systems run at the same time and get their requests in turn, case by case and round by round. Then the
instructions of every case of our server are counted, and other properties are measured. Prints Markdown. It fails only
if an answer is wrong.
Must not be here: what is stored (`corpus`), the systems (`systems`), the requests (`cases`).
"""

from __future__ import annotations

import argparse
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cases.tables import chosen, chosen_events
from bench.costs import cost_cases
from bench.counting import count_cases
from bench.load.extras import Sizes, findings
from bench.report.machine import machine
from bench.report.plot import draw_result
from bench.report.publish import publish
from bench.report.result import Result
from bench.report.tables import comparison, everything
from bench.rounds import TIMED, Settings, measure
from bench.systems import npm
from bench.systems.catalog import BARE, HELLO, OURS, POSTGRES, ROOT, SYSTEMS, versions
from bench.systems.databases import database, prepared
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.systems.catalog import System
    from bench.systems.databases import Prepared

_COUNTED: Final = (HELLO, BARE, OURS)  # of the others only time is compared: they take minutes under valgrind
_LEAST: Final = 200  # messages of the long thread: the largest page, and as many cursors as requests are counted


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on one database after the other, and print the result."""
    options = _options().parse_args(arguments)
    if not _LEAST <= options.long < options.messages:
        raise SystemExit(f"--long: expected at least {_LEAST}, and less than --messages.")
    if not (chosen(OURS, options.only) or chosen_events(options.only)):
        raise SystemExit(f"--only: no such case. There are: {', '.join([*chosen(OURS, ()), *chosen_events(())])}.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # so that the servers are stopped too
    names = {OURS, HELLO} if options.instructions else {OURS, *options.systems}
    systems = [replace(SYSTEMS[name], checkout=options.gateway) if name == OURS else SYSTEMS[name] for name in SYSTEMS]
    systems = [each for each in systems if each.name in names]
    if any(each.on_node for each in systems):
        npm.install()
    result = Result()
    with ExitStack() as stack:
        try:
            urls = [stack.enter_context(database(name)) for name in options.databases]
        except GatewayError as error:
            raise SystemExit(error.message) from None
        [ours] = [each for each in systems if each.name == OURS]
        ready = [prepared(url, ours, options.messages, options.long) for url in urls]
        if not options.instructions:
            for each in ready:
                _time(result, each, systems, options)
        if not options.no_instructions:
            _count(result, ready, systems, options)
    result.facts |= {each.kind: each.version for each in ready} | _facts(options)
    result.versions = versions(systems)
    _show(result, options)


def _time(result: Result, ready: Prepared, systems: Sequence[System], options: argparse.Namespace) -> None:
    """Measure what depends on the machine, one after the other."""
    systems = [each for each in systems if ready.kind in each.databases]
    how = Settings(options.seconds, options.connections, options.rounds)
    result.rounds += measure(ready, systems, how, [name for name in TIMED if name in chosen(OURS, options.only)])
    _keep(result, options)
    if options.no_extras:
        return
    if ready.kind == POSTGRES:
        result.costs += cost_cases(ready, options.only)
        _keep(result, options)
    if not options.only:
        result.findings += findings(ready, _sizes(options))


def _count(
    result: Result, databases: Sequence[Prepared], systems: Sequence[System], options: argparse.Namespace
) -> None:
    """Count instructions on all databases side by side, since nothing is timed."""
    counted = [each for each in systems if each.name in _COUNTED]

    def count(ready: Prepared) -> None:
        for each in count_cases(ready, [one for one in counted if ready.kind in one.databases], options.only):
            result.counted.append(each)
            _keep(result, options)

    with ThreadPoolExecutor(len(databases)) as pool:
        list(pool.map(count, databases))


def _sizes(options: argparse.Namespace) -> Sizes:
    return Sizes(
        rounds=options.rounds,
        seconds=options.seconds,
        imported=options.imported,
        followers=options.followers,
        requests=options.requests,
        extra_requests=options.extra_requests,
    )


def _show(result: Result, options: argparse.Namespace) -> None:
    print(everything(result))
    if options.compare is not None:
        print(f"\n### To {options.compare.name}\n", comparison(result, Result.read(options.compare)), sep="\n")
    _keep(result, options)
    if options.plot is not None:
        draw_result(result, options.plot)
    if options.publish:
        publish(result, ROOT / "docs")


def _keep(result: Result, options: argparse.Namespace) -> None:
    """Write the result so far: a run takes long and may be interrupted."""
    if options.json is not None:
        result.write(options.json)


def _facts(options: argparse.Namespace) -> dict[str, str]:
    return {
        "messages": f"{options.messages:,}, {options.long:,} of them in the long thread",
        "load": f"rounds: {options.rounds}, {options.seconds:g} s for each case, {options.connections} connections",
        **machine(),
    }


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("databases", metavar="DATABASE", nargs="*", default=["sqlite", "postgres"], help="sqlite, postgres or a URL")
    add("--only", nargs="+", default=(), metavar="CASE", help="only these cases, such as page-20 'append*'")
    add("--instructions", action="store_true", help="only count the instructions of our server")
    add("--gateway", type=Path, default=ROOT, metavar="FOLDER", help="measure the gateway of another checkout")
    add(
        "--systems",
        nargs="*",
        choices=SYSTEMS,
        default=list(SYSTEMS),
        metavar="NAME",
        help="systems to compare with ours: %(choices)s",
    )
    for name, default, what in (
        ("messages", 10_000, "messages in all ordinary threads"),
        ("long", 3_000, "messages in the long thread"),
        ("rounds", 3, "number of rounds"),
        ("connections", 16, "concurrent connections"),
        ("imported", 50_000, "messages to import"),
        ("followers", 1_000, "subscribers over WebSocket"),
        ("requests", 10_000, "requests before memory is measured"),
        ("extra-requests", 0, "further requests after which memory growth is measured, such as 100000 (minutes)"),
    ):
        add(f"--{name}", type=int, default=default, metavar="N", help=f"{what} [%(default)s]")
    add("--seconds", type=float, default=1.0, help="seconds for each case in a round [%(default)s]")
    add(
        "--no-extras",
        action="store_true",
        help="skip costs over one connection, start time, memory, import and subscribers",
    )
    add("--no-instructions", action="store_true", help="do not count instructions (minutes under valgrind)")
    add("--publish", action="store_true", help="write the result to docs/bench.json and docs/benchmarks.md")
    add("--json", type=Path, metavar="FILE", help="write the result to this file")
    add("--plot", type=Path, metavar="FILE.svg", help="draw the result")
    add("--compare", type=Path, metavar="FILE", help="print ratios to the result of an earlier run")
    return parser


if __name__ == "__main__":
    main()
