"""Results as tables in Markdown.

Must not be here: results (`result`), targets (`targets`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.cases import (
    GRAPHQL_20,
    GRAPHQL_100,
    GRAPHQL_CREATE,
    LIKE,
    REST_20,
    REST_100,
    REST_CREATE,
)
from bench.report.targets import NOTHING, TARGETS, cost_ratio
from bench.systems.catalog import BARE, OURS, SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.report.result import Result, Spread, Summary

_GRAPHQL: Final = (GRAPHQL_20, GRAPHQL_100, GRAPHQL_CREATE)
_REST: Final = (REST_20, REST_100, REST_CREATE)
NAMES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def everything(result: Result) -> str:
    """Format the whole result."""
    parts = [part for database in result.databases() for part in _of_database(result, database)]
    facts = "; ".join(f"{name}: {value}" for name, value in result.facts.items())
    made_of = "\n".join(f"* {name}: {value}" for name, value in result.versions.items())
    return "\n\n".join([*parts, "### Targets", targets(result), facts, made_of])


def _of_database(result: Result, database: str) -> Iterator[str]:
    if result.systems(database):
        yield f"### {NAMES[database]}"
        yield overview(result, database)
        yield details(result, database)
        yield from libraries(result, database)


def overview(result: Result, database: str) -> str:
    """Compare the systems: the cost of a page of 20, of a page of 100 and of a creation."""
    heads = ["system"]
    for work in ("page 20", "page 100", "create"):
        heads += [f"{work}, kinstr", "CPU µs", "requests/s"]
    lines = []
    for system in result.systems(database):
        for face, cases in (("GraphQL", _GRAPHQL), ("REST", _REST)):
            found = [result.summary(system, database, case) for case in cases]
            if any(found):
                description = SYSTEMS[system].description + (f", {face}" if system == OURS else "")
                lines.append([description, *(cell for each in found for cell in _costs(each))])
    return table(heads, lines)


def _costs(found: Summary | None) -> list[str]:
    if found is None:
        return [NOTHING] * 3
    return [_kilo(found.kilo_instructions), f"{found.cpu_ms.median * 1_000:,.0f}", f"{found.per_second.median:,.0f}"]


def details(result: Result, database: str) -> str:
    """Format each case of each system with its spread and its ratios to ours and to the bare app."""
    heads = ["case", "system", "requests/s", "p50 ms", "p99 ms", "CPU ms/request", "kinstr", "cost to bare", "to ours"]
    lines = []
    for case in result.cases(database):
        for system in result.systems(database):
            found = result.summary(system, database, case)
            if found is None:
                continue
            to_bare = cost_ratio(result, database, (system, case), (BARE, LIKE[case]))
            to_ours = cost_ratio(result, database, (system, case), (OURS, case))
            times = (_spread(found.p50_ms, 1), _spread(found.p99_ms, 1), _spread(found.cpu_ms, 2))
            ratios = (_ratio(to_bare), _ratio(to_ours))
            kilo = _kilo(found.kilo_instructions)
            lines.append([case, system, _spread(found.per_second, 0), *times, kilo, *ratios])
    return table(heads, lines, words=2)


def libraries(result: Result, database: str) -> Iterator[str]:
    """Format our instructions by library, where they were counted."""
    ours = [each for each in result.counted if (each.system, each.database) == (OURS, database) and each.libraries]
    names = list(dict.fromkeys(name for each in ours for name in each.libraries))
    if ours:
        lines = [[each.case, *(_kilo(each.libraries.get(name)) for name in names)] for each in ours]
        yield "Where our instructions are, in thousands:"
        yield table(["case", *names], lines)


def targets(result: Result) -> str:
    """Format all targets with their verdicts."""
    databases = result.databases()
    heads = ["work", "target", *(NAMES[each] for each in databases)]
    lines = [[each.work, each.wanted, *(each.verdict(result, one) for one in databases)] for each in TARGETS]
    return table(heads, lines)


def comparison(now: Result, then: Result) -> str:
    """Format ratios to an earlier run."""
    heads = ["database", "case", "system", "kinstr", "CPU", "requests/s"]
    lines = []
    for database in now.databases():
        for case in now.cases(database):
            for system in now.systems(database):
                new, old = (each.summary(system, database, case) for each in (now, then))
                if new and old:
                    kilo = _quotient(new.kilo_instructions, old.kilo_instructions)
                    cpu = _quotient(new.cpu_ms.median, old.cpu_ms.median)
                    rate = _quotient(new.per_second.median, old.per_second.median)
                    lines.append([NAMES[database], case, system, *map(_ratio, (kilo, cpu, rate))])
    return table(heads, lines, words=3)


def table(heads: Sequence[str], lines: Iterable[Sequence[str]], words: int = 1) -> str:
    """Format a table; the first columns are text, all others numbers."""
    rule = ["---"] * words + ["---:"] * (len(heads) - words)
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(heads), rule, *lines])


def _spread(found: Spread, digits: int) -> str:
    return f"{found.median:,.{digits}f} ({found.least:,.{digits}f}..{found.most:,.{digits}f})"


def _kilo(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.0f}"


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def _quotient(new: float | None, old: float | None) -> float | None:
    return new / old if new and old else None
