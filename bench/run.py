"""Measure the server: `python bench/run.py URL`, where URL names an empty database, or `postgres` for a passing one.

Loads the database, starts the server on it, asks one case after the other over a few connections, and prints a table
in Markdown. Nothing is judged: it fails only where an answer is wrong.
Must not be here: the rows (`load`), the requests (`cases`), how they are sent (`fire`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))  # this checkout is measured, whatever else is installed

from cases import cases
from fire import GRACE_S
from load import prepare, run_alone
from server import Server, can_count, count_instructions, serve

from gateway.errors import GatewayError
from gateway.settings import load_settings
from tests.postgres import postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cases import Case

FIRE: Final = Path(__file__).with_name("fire.py")
WARM_UP: Final = 0.2  # of the time of a case
_LEAST: Final = 100  # messages of the long thread: the largest page


@dataclass(frozen=True, slots=True)
class Figures:
    """What one case has shown; `cpu_ms` is the server's for a request, `client_cpu_ms` that of asking."""

    case: str
    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    client_cpu_ms: float
    kilo_instructions: float | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all cases on one database."""
    options = _options().parse_args(arguments)
    if not _LEAST <= options.long < options.messages:
        raise SystemExit(f"--long: expected at least {_LEAST}, and less than --messages.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))  # so that the server is stopped too
    try:
        with database(options.database) as url:
            loaded = asyncio.run(prepare(url, options.messages, options.long))
            with serve(url) as server:
                counts = can_count()
                figures = [measure(server, case, options, counts=counts) for case in cases(loaded)]
    except GatewayError as error:
        raise SystemExit(error.message) from None
    facts = machine() | {
        "database": loaded.database,
        "messages": f"{loaded.messages:,}, {loaded.long:,} of them in the long thread",
        "asked": f"{options.seconds:g} s for each case over {options.connections} connections",
        "instructions": "counted" if counts else "not counted here",
    }
    print(table(figures), "; ".join(f"{name}: {value}" for name, value in facts.items()), sep="\n\n")
    if options.json is not None:
        result = {"facts": facts, "cases": [asdict(each) for each in figures]}
        options.json.write_text(json.dumps(result, indent=2) + "\n")


@contextmanager
def database(name: str) -> Iterator[str]:
    """Give the URL of the database that was named, and run one where the name is `postgres`."""
    if name != "postgres":
        yield load_settings({"database_url": name}).database_url
        return
    with postgres_server() as url:
        # Tests do without it, but what an acknowledged message costs is part of what is measured.
        asyncio.run(run_alone(url, "ALTER SYSTEM RESET fsync", "SELECT pg_reload_conf()"))
        yield url


def measure(server: Server, case: Case, options: argparse.Namespace, *, counts: bool) -> Figures:
    """Ask one case: to warm the server up, then measured, then once more where instructions can be counted.

    Counting slows the server down, so nothing is timed while it goes on.
    """
    fire(server, case, options, share=WARM_UP)
    before = server.cpu_s()
    seen = fire(server, case, options)
    cpu_s = server.cpu_s() - before
    requests = seen["requests"]
    return Figures(
        case=case.name,
        requests=requests,
        per_second=requests / seen["seconds"],
        p50_ms=seen["p50_ms"],
        p99_ms=seen["p99_ms"],
        cpu_ms=cpu_s * 1000 / requests,
        client_cpu_ms=seen["cpu_s"] * 1000 / requests,
        kilo_instructions=count_instructions(server, partial(_ask_again, server, case, options)) if counts else None,
    )


def _ask_again(server: Server, case: Case, options: argparse.Namespace) -> int:
    return int(fire(server, case, options)["requests"])


def fire(server: Server, case: Case, options: argparse.Namespace, share: float = 1.0) -> dict[str, Any]:
    """Ask a case for a share of its time, from another process.

    Errors: SystemExit with the first answer that was not good.
    """
    how = {"port": server.port, "connections": options.connections, "seconds": options.seconds * share}
    done = subprocess.run(
        [sys.executable, str(FIRE)],
        input=json.dumps(asdict(case) | how),
        stdout=subprocess.PIPE,
        timeout=options.seconds + 2 * GRACE_S,
        text=True,
        check=True,
    )
    seen: dict[str, Any] = json.loads(done.stdout)
    if seen["bad"]:
        raise SystemExit(f"{case.name}: {seen['bad']} answers were not good, the first was:\n{seen['first_bad']}")
    return seen


def table(figures: Sequence[Figures]) -> str:
    """Lay the figures out in Markdown; what was counted nowhere gets no column."""
    columns = [(head, form) for head, form in _COLUMNS.items() if head != _COUNTED or figures[0].kilo_instructions]
    rows = [[form(each) for _, form in columns] for each in figures]
    lines = [[head for head, _ in columns], ["---"] + ["---:"] * (len(columns) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> dict[str, str]:
    """Describe what the figures were taken on."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE) if cpuinfo.exists() else None
    return {
        "CPU": named[1] if named else platform.processor(),
        "cores": str(os.cpu_count()),
        "system": f"{platform.system()} {platform.machine()}",
        "Python": platform.python_version(),
    }


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("database", metavar="URL", help="an empty database, one loaded before, or `postgres`")
    parser.add_argument("--messages", type=int, default=1_000_000, help="in all threads [%(default)s]")
    parser.add_argument("--long", type=int, default=300_000, help="of them in the long thread [%(default)s]")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each case [%(default)s]")
    parser.add_argument("--connections", type=int, default=16, help="that ask side by side [%(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in this file too")
    return parser


_COUNTED: Final = "kilo-instructions/request"
_COLUMNS: Final[dict[str, Callable[[Figures], str]]] = {
    "case": lambda each: each.case,
    "requests/s": lambda each: f"{each.per_second:,.0f}",
    "p50 ms": lambda each: f"{each.p50_ms:.1f}",
    "p99 ms": lambda each: f"{each.p99_ms:.1f}",
    "CPU ms/request": lambda each: f"{each.cpu_ms:.2f}",
    _COUNTED: lambda each: f"{each.kilo_instructions or 0:,.0f}",
}

if __name__ == "__main__":
    main()
