"""Results as tables in Markdown.

Must not be here: results (`result`), targets (`targets`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bench.cases.names import CREATE, LIKE, LIST, MIX, NODE, PAGE_20
from bench.report.targets import NOTHING, TARGETS, UNKNOWN, cost_ratio
from bench.systems.catalog import BARE, OURS, SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bench.report.result import Result, Spread, Summary

_SHOWN: Final = (MIX, LIST, PAGE_20, NODE, CREATE)
NAMES: Final = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}


def everything(result: Result) -> str:
    """Format the whole result."""
    parts = [part for database in result.databases() for part in _of_database(result, database)]
    return "\n\n".join([*parts, "### Targets", targets(result), facts(result)])


def facts(result: Result) -> str:
    """Format what the run was made on and with."""
    return "\n".join(f"* {name}: {value}" for name, value in (result.facts | result.versions).items())


def _of_database(result: Result, database: str) -> Iterator[str]:
    yield f"### {NAMES[database]}"
    if result.systems(database):
        yield overview(result, database)
        yield details(result, database)
    yield from costs(result, database)
    yield from instructions(result, database)


def overview(result: Result, database: str) -> str:
    """Compare the systems by CPU time: of the server, and in parentheses together with that of the database."""
    heads = ["system", *(f"{case}, CPU µs" for case in _SHOWN)]
    lines = []
    for system in result.systems(database):
        found = [result.summary(system, database, case) for case in _SHOWN]
        if any(found):
            lines.append([SYSTEMS[system].description, *(_cpu(each) for each in found)])
    return table(heads, lines)


def _cpu(found: Summary | None) -> str:
    if found is None:
        return NOTHING
    together = found.cpu_ms.median + found.database_cpu_ms.median
    return f"{found.cpu_ms.median * 1_000:,.0f} ({together * 1_000:,.0f})"


def details(result: Result, database: str) -> str:
    """Format each case of each system with its spread and its ratios to ours and to the bare app."""
    heads = ["case", "system", "requests/s", "p50 ms", "p99 ms", "CPU ms/request", "cost to bare", "to ours"]
    lines = []
    for case in result.cases(database):
        for system in result.systems(database):
            found = result.summary(system, database, case)
            if found is None:
                continue
            to_bare = cost_ratio(result, database, (system, case), (BARE, LIKE.get(case, case)))
            to_ours = cost_ratio(result, database, (system, case), (OURS, case))
            times = (_spread(found.p50_ms, 1), _spread(found.p99_ms, 1), _spread(found.cpu_ms, 2))
            lines.append([case, system, _spread(found.per_second, 0), *times, _ratio(to_bare), _ratio(to_ours)])
    return table(heads, lines, words=2)


def instructions(result: Result, database: str) -> Iterator[str]:
    """Format counted instructions in thousands, in all and by library, and statements of SQL."""
    found = [each for each in result.counted if each.database == database]
    names = list(dict.fromkeys(name for each in found for name in each.libraries))
    if found:
        lines = [
            [
                each.case,
                each.system,
                _kilo(each.kilo_instructions),
                NOTHING if each.statements is None else f"{each.statements:.2f}",
                *(_kilo(each.libraries.get(name)) for name in names),
            ]
            for each in found
        ]
        yield "Thousands of instructions a request, statements of SQL, and instructions by library:"
        yield table(["case", "system", "all", "statements", *names], lines, words=2)


def both_databases(result: Result) -> str:
    """Format all cases of our server: thousands of instructions and statements of SQL a request."""
    heads = ["case", *(f"{name}, {what}" for name in NAMES.values() for what in ("kinstr", "statements"))]
    lines = []
    for case in dict.fromkeys(each.case for each in result.counted if each.system == OURS):
        cells = list[str]()
        for database in NAMES:
            found = result.counted_case(OURS, database, case)
            cells += [_kilo(found.kilo_instructions), _ratio(found.statements)] if found else [NOTHING] * 2
        lines.append([case, *cells])
    return table(heads, lines)


def costs(result: Result, database: str) -> Iterator[str]:
    """Format what our cases cost over one connection."""
    found = [each for each in result.costs if each.database == database]
    if found:
        lines = [
            [each.case, *(f"{value:,.0f}" for value in (each.server_cpu_us, each.database_cpu_us, each.wal_bytes))]
            for each in found
        ]
        yield "Over one connection, a request: CPU time in microseconds of server and database, bytes of its log:"
        yield table(["case", "server", "database", "log"], lines)


def targets(result: Result) -> str:
    """Format all targets that were measured, with their verdicts."""
    databases = [each for each in NAMES if each in result.databases()]
    heads = ["work", "target", *(NAMES[each] for each in databases)]
    verdicts = {each: [each.verdict(result, one) for one in databases] for each in TARGETS}
    lines = [[each.work, each.wanted, *found] for each, found in verdicts.items() if set(found) - UNKNOWN]
    return table(heads, lines)


def comparison(now: Result, then: Result) -> str:
    """Format what was measured in an earlier run, and the ratio to it."""
    heads = [
        "database",
        "case",
        "system",
        "kinstr then",
        "now",
        "ratio",
        "statements then",
        "now",
        "database CPU ratio",
        "log ratio",
    ]
    lines = []
    for database in now.databases():
        costed = [(OURS, each.case) for each in now.costs if each.database == database]
        counted = [(each.system, each.case) for each in now.counted if each.database == database]
        for system, case in dict.fromkeys([*counted, *costed]):
            new, old = (each.counted_case(system, database, case) for each in (now, then))
            costs_ = [each.cost(database, case) if system == OURS else None for each in (now, then)]
            cpu = _quotient(*(each.database_cpu_us if each else None for each in costs_))
            log = _quotient(*(each.wal_bytes if each else None for each in costs_))
            kilo = [each.kilo_instructions if each else None for each in (new, old)]
            cells = [_kilo(kilo[1]), _kilo(kilo[0])]
            ratio = _quotient(*kilo)
            statements = [_ratio(each.statements) if each else NOTHING for each in (old, new)]
            lines.append([NAMES[database], case, system, *cells, _ratio(ratio), *statements, _ratio(cpu), _ratio(log)])
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
