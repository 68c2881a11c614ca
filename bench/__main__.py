"""Benchmark our server and others on the same rows: `python -m bench`, for both databases.

A database is `sqlite` or `postgres` for a temporary one, or the URL of an empty one or of one that an earlier run
filled. All systems run at the same time and get their requests in turn, case by case and round by round. Then
instructions are counted, if this machine can count them, and other properties of our server are measured. Prints
Markdown. It fails only if an answer is wrong.
Must not be here: the rows and the systems (`systems`), the requests (`cases`).
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bench.instructions.count import counter
from bench.load.extras import Sizes, findings
from bench.report.machine import machine
from bench.report.plot import draw_result
from bench.report.result import Result
from bench.report.tables import comparison, everything
from bench.rounds import Settings, counted, measure
from bench.systems import npm
from bench.systems.catalog import OURS, SYSTEMS, versions
from bench.systems.databases import database, prepared
from gateway.errors import GatewayError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.instructions.count import Counter
    from bench.systems.catalog import System

_LEAST: Final = 100  # messages of the long thread: the largest page


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure on one database after the other, and print the result."""
    options = _options().parse_args(arguments)
    if not _LEAST <= options.long < options.messages:
        raise SystemExit(f"--long: expected at least {_LEAST}, and less than --messages.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # so that the servers are stopped too
    chosen = [SYSTEMS[name] for name in SYSTEMS if name in {OURS, *options.systems}]
    if any(each.on_node for each in chosen):
        npm.install()
    result = Result()
    with nullcontext() if options.no_instructions else counter() as counting:
        for name in options.databases:
            try:
                with database(name) as url:
                    _run(result, url, chosen, options, counting)
            except GatewayError as error:
                raise SystemExit(error.message) from None
    result.facts |= _facts(options, counting)
    result.versions = versions(chosen)
    _show(result, options)


def _run(
    result: Result, url: str, chosen: Sequence[System], options: argparse.Namespace, counting: Counter | None
) -> None:
    """Run all measurements on one database."""
    ready = prepared(url, options.messages, options.long)
    result.facts[ready.kind] = ready.loaded.database
    systems = [each for each in chosen if ready.kind in each.databases]
    how = Settings(options.seconds, options.connections, options.rounds)
    result.rounds += measure(ready, systems, how)
    _keep(result, options)
    if counting is not None:
        for each in counted(counting, ready, systems):
            result.counted.append(each)
            _keep(result, options)
    if not options.no_extras:
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


def _facts(options: argparse.Namespace, counting: Counter | None) -> dict[str, str]:
    return {
        "messages": f"{options.messages:,}, {options.long:,} of them in the long thread",
        "load": f"{options.rounds} rounds of {options.seconds:g} s each over {options.connections} connections",
        **machine(counting),
    }


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "databases", metavar="DATABASE", nargs="*", default=["sqlite", "postgres"], help="sqlite, postgres or a URL"
    )
    parser.add_argument(
        "--systems",
        nargs="*",
        choices=SYSTEMS,
        default=list(SYSTEMS),
        metavar="NAME",
        help="systems to compare with ours: %(choices)s",
    )
    parser.add_argument("--messages", type=int, default=1_000_000, help="messages in all threads [%(default)s]")
    parser.add_argument("--long", type=int, default=300_000, help="messages in the long thread [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds [%(default)s]")
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds for each case in a round [%(default)s]")
    parser.add_argument("--connections", type=int, default=16, help="concurrent connections [%(default)s]")
    parser.add_argument("--imported", type=int, default=100_000, help="messages to import [%(default)s]")
    parser.add_argument("--followers", type=int, default=1_000, help="subscribers over WebSocket [%(default)s]")
    parser.add_argument("--requests", type=int, default=10_000, help="requests before memory is measured [%(default)s]")
    parser.add_argument(
        "--extra-requests",
        type=int,
        default=0,
        help="further requests after which memory growth is measured, such as 100000 (minutes) [none]",
    )
    parser.add_argument(
        "--no-extras", action="store_true", help="only the cases; skip start time, memory, import and subscribers"
    )
    parser.add_argument(
        "--no-instructions", action="store_true", help="do not count instructions (minutes under valgrind)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result to this file")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw the result")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="print ratios to the result of an earlier run")
    return parser


if __name__ == "__main__":
    main()
