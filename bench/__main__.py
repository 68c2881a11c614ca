"""Measure our server beside others in one run, on the same rows: `python -m bench`, for both databases.

A database is `sqlite` or `postgres` for a passing one, or the URL of an empty one or of one that was filled before.
All systems run side by side and are asked in turn, case by case and round by round; then their instructions are
counted, where this machine can; then what else our server is to come to is measured. Prints Markdown. Nothing is
judged: it fails only where an answer is wrong.
Must not be here: the rows (`load`), the requests (`cases`), the systems (`systems`).
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
from bench.rounds import How, counted, measure
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
    """Measure on one database after the other, and show what was found."""
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
    """Take everything that is measured on one database."""
    ready = prepared(url, options.messages, options.long)
    result.facts[ready.kind] = ready.loaded.database
    systems = [each for each in chosen if ready.kind in each.databases]
    how = How(options.seconds, options.connections, options.rounds)
    result.rounds += measure(ready, systems, how)
    _keep(result, options)
    if counting is not None:
        for each in counted(counting, ready, systems):
            result.counted.append(each)
            _keep(result, options)
    if not options.no_more:
        result.findings += findings(ready, _sizes(options))


def _sizes(options: argparse.Namespace) -> Sizes:
    return Sizes(
        rounds=options.rounds,
        seconds=options.seconds,
        imported=options.imported,
        followers=options.followers,
        requests=options.requests,
        more_requests=options.more_requests,
    )


def _show(result: Result, options: argparse.Namespace) -> None:
    print(everything(result))
    if options.compare is not None:
        print(f"\n### To {options.compare.name}\n", comparison(result, Result.read(options.compare)), sep="\n")
    _keep(result, options)
    if options.plot is not None:
        draw_result(result, options.plot)


def _keep(result: Result, options: argparse.Namespace) -> None:
    """Keep what was found until now: a run takes long, and may be stopped."""
    if options.json is not None:
        result.write(options.json)


def _facts(options: argparse.Namespace, counting: Counter | None) -> dict[str, str]:
    return {
        "messages": f"{options.messages:,}, {options.long:,} of them in the long thread",
        "asked": f"{options.rounds} rounds of {options.seconds:g} s each over {options.connections} connections",
        **machine(counting),
    }


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "databases", metavar="DATABASE", nargs="*", default=["sqlite", "postgres"], help="sqlite, postgres or a URL"
    )
    parser.add_argument(
        "--systems", nargs="*", choices=SYSTEMS, default=list(SYSTEMS), metavar="NAME", help="beside ours: %(choices)s"
    )
    parser.add_argument("--messages", type=int, default=1_000_000, help="in all threads [%(default)s]")
    parser.add_argument("--long", type=int, default=300_000, help="of them in the long thread [%(default)s]")
    parser.add_argument("--rounds", type=int, default=3, help="in which all systems are asked in turn [%(default)s]")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each case in a round [%(default)s]")
    parser.add_argument("--connections", type=int, default=16, help="that ask side by side [%(default)s]")
    parser.add_argument("--imported", type=int, default=100_000, help="messages that are imported [%(default)s]")
    parser.add_argument("--followers", type=int, default=1_000, help="that wait over WebSocket [%(default)s]")
    parser.add_argument("--requests", type=int, default=10_000, help="until memory is looked at [%(default)s]")
    parser.add_argument(
        "--more-requests", type=int, default=0, help="that memory must not grow by, say 100000: takes minutes [none]"
    )
    parser.add_argument("--no-more", action="store_true", help="only the cases: no starts, memory, import, followers")
    parser.add_argument("--no-instructions", action="store_true", help="count none: under valgrind it takes minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep everything in this file too")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="show ratios to what an earlier run has kept")
    return parser


if __name__ == "__main__":
    main()
