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
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.cases.tables import chosen
from bench.costs import cost_cases
from bench.counting import count_cases
from bench.load.extras import Sizes, findings
from bench.report.machine import machine
from bench.report.plot import draw_result
from bench.report.result import Result
from bench.report.tables import comparison, everything
from bench.rounds import TIMED, Settings, measure
from bench.systems import npm
from bench.systems.catalog import HELLO, OURS, ROOT, SYSTEMS, versions
from bench.systems.databases import database, prepared
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.systems.catalog import System

_LEAST: Final = 200  # messages of the long thread: the largest page, and as many cursors as requests are counted


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on one database after the other, and print the result."""
    options = _options().parse_args(arguments)
    if not _LEAST <= options.long < options.messages:
        raise SystemExit(f"--long: expected at least {_LEAST}, and less than --messages.")
    if not any(chosen(each.protocol, options.only) for each in SYSTEMS.values()):
        raise SystemExit(f"--only: no such case. There are: {', '.join(chosen(OURS, ()))}.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # so that the servers are stopped too
    names = {OURS, HELLO} if options.instructions else {OURS, *options.systems}
    systems = [replace(SYSTEMS[name], checkout=options.gateway) if name == OURS else SYSTEMS[name] for name in SYSTEMS]
    systems = [each for each in systems if each.name in names]
    if any(each.on_node for each in systems):
        npm.install()
    result = Result()
    for name in options.databases:
        try:
            with database(name) as url:
                _run(result, url, systems, options)
        except GatewayError as error:
            raise SystemExit(error.message) from None
    result.facts |= _facts(options)
    result.versions = versions(systems)
    _show(result, options)


def _run(result: Result, url: str, systems: Sequence[System], options: argparse.Namespace) -> None:
    """Run all measurements on one database."""
    [ours] = [each for each in systems if each.name == OURS]
    ready = prepared(url, ours, options.messages, options.long)
    result.facts[ready.kind] = ready.version
    systems = [each for each in systems if ready.kind in each.databases]
    if not options.instructions:
        how = Settings(options.seconds, options.connections, options.rounds)
        result.rounds += measure(ready, systems, how, [name for name in TIMED if name in chosen(OURS, options.only)])
        _keep(result, options)
    if not options.no_instructions:
        for each in count_cases(ready, [each for each in systems if not each.on_node], options.only):
            result.counted.append(each)
            _keep(result, options)
    if not (options.no_extras or options.instructions):
        result.costs += cost_cases(ready, options.only)
        _keep(result, options)
    if not (options.no_extras or options.instructions or options.only):
        result.findings += findings(ready, _sizes(options))


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


def _keep(result: Result, options: argparse.Namespace) -> None:
    """Write the result so far: a run takes long and may be interrupted."""
    if options.json is not None:
        result.write(options.json)


def _facts(options: argparse.Namespace) -> dict[str, str]:
    return {
        "messages": f"{options.messages:,}, {options.long:,} of them in the long thread",
        "load": f"{options.rounds} rounds of {options.seconds:g} s each over {options.connections} connections",
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
        ("imported", 100_000, "messages to import"),
        ("followers", 1_000, "subscribers over WebSocket"),
        ("requests", 10_000, "requests before memory is measured"),
        ("extra-requests", 0, "further requests after which memory growth is measured, such as 100000 (minutes)"),
    ):
        add(f"--{name}", type=int, default=default, metavar="N", help=f"{what} [%(default)s]")
    add("--seconds", type=float, default=3.0, help="seconds for each case in a round [%(default)s]")
    add(
        "--no-extras",
        action="store_true",
        help="skip costs over one connection, start time, memory, import and subscribers",
    )
    add("--no-instructions", action="store_true", help="do not count instructions (minutes under valgrind)")
    add("--json", type=Path, metavar="FILE", help="write the result to this file")
    add("--plot", type=Path, metavar="FILE.svg", help="draw the result")
    add("--compare", type=Path, metavar="FILE", help="print ratios to the result of an earlier run")
    return parser


if __name__ == "__main__":
    main()
