"""Targets of our server, and verdicts on a result.

Must not be here: how anything is measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bench.cases import names
from bench.cases.events import EVENTS
from bench.systems.catalog import BARE, HELLO, MERCURIUS, OURS, POSTGRES, SQLITE, STOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bench.report.result import Result

    Figure = Callable[[Result, str], float | None]

SHARED_COMMITS: Final = "create, 32 writers, to a commit for each message"
TAIL: Final = "p99 / p50 with 32 connections, page of 20"
NOTHING: Final = "-"
_NOT_MEASURED: Final = "not measured"
UNKNOWN: Final = {NOTHING, _NOT_MEASURED}
IMPORT: Final = "gateway import"
IDLE: Final = "idle follower"
EVENT_CPU: Final = {name: f"{name}, CPU for one of ten followers" for name in EVENTS}
EVENT_READS: Final = {name: f"{name}, statements for ten followers" for name in EVENTS}
COMMITS: Final = ("commits on disk, with hints to without", "commits at a replica 5 ms away, with hints to without")
RUNS: Final = "50 runs at once, 50 tokens a second each, a follower of each"
START: Final = "start to first answer"
RESIDENT: Final = "memory after 10,000 requests"
GROWTH: Final = "memory gained by more requests"
_KILO: Final = "thousand instructions"


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A limit on a measured value for each database that has one, and what would be better still."""

    work: str
    figure: Figure
    limits: Mapping[str, float]
    unit: str = _KILO
    better: Mapping[str, float] = field(default_factory=dict)
    at_least: bool = False

    @property
    def wanted(self) -> str:
        """Format the limits; one that holds for both databases is shown once."""
        sign = "≥" if self.at_least else "≤"
        better = f" (better still: {_joined(self.better)})" if self.better else ""
        return f"{sign} {_joined(self.limits)} {self.unit}{better}".rstrip()

    def verdict(self, result: Result, database: str) -> str:
        """Format the measured value and its distance from the limit."""
        limit = self.limits.get(database)
        if limit is None:
            return NOTHING
        found = self.figure(result, database)
        if found is None:
            return _NOT_MEASURED
        off = found / limit - 1
        kept = off >= 0 if self.at_least else off <= 0
        return f"{rounded(found)} ({'kept' if kept else '**missed**'}, {off:+.0%})"


def _joined(limits: Mapping[str, float]) -> str:
    return " / ".join(dict.fromkeys(f"{limits[each]:,.6g}" for each in (POSTGRES, SQLITE) if each in limits))


def rounded(value: float) -> str:
    """Format a value with three places."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"  # noqa: PLR2004  (three places)


def _both(postgres: float, sqlite: float | None = None) -> dict[str, float]:
    return {POSTGRES: postgres, SQLITE: postgres if sqlite is None else sqlite}


def _kilo(case: str) -> Figure:
    return lambda result, database: result.kilo_instructions(OURS, database, case)


def _ratio(case: str, other: str, system: str = OURS) -> Figure:
    """Divide the instructions of a case by those of another one, or by those of another system."""

    def figure(result: Result, database: str) -> float | None:
        ours = result.kilo_instructions(OURS, database, case)
        theirs = result.kilo_instructions(system, database, other)
        return ours / theirs if ours and theirs else None

    return figure


def _database_cpu(case: str, other: str) -> Figure:
    """Divide the CPU time of the database for a case by that for another one."""

    def figure(result: Result, database: str) -> float | None:
        ours, theirs = result.cost(database, case), result.cost(database, other)
        return ours.database_cpu_us / theirs.database_cpu_us if ours and theirs else None

    return figure


def _shell(result: Result, database: str) -> float | None:
    """Subtract from the cost of a health check what HTTP alone takes for as many bytes."""
    ours = result.kilo_instructions(OURS, database, names.HEALTH)
    hello = result.kilo_instructions(HELLO, database, names.HEALTH)
    return ours - hello if ours and hello else None


def _cpu_to(*systems: str) -> Figure:
    """Divide the CPU time of the mix by that of the best of some systems."""

    def figure(result: Result, database: str) -> float | None:
        ours = result.summary(OURS, database, names.MIX)
        found = [result.summary(each, database, names.MIX) for each in systems]
        theirs = [each.cpu_ms.median for each in found if each]
        return ours.cpu_ms.median / min(theirs) if ours and theirs else None

    return figure


def _found(work: str) -> Figure:
    def figure(result: Result, database: str) -> float | None:
        found = result.finding(work, database)
        return found.value if found else None

    return figure


def cost_ratio(result: Result, database: str, one: tuple[str, str], other: tuple[str, str]) -> float | None:
    """Compute the cost ratio of two cases: instructions where both were counted, else CPU time."""
    counted = [result.kilo_instructions(system, database, case) for system, case in (one, other)]
    if counted[0] and counted[1]:
        return counted[0] / counted[1]
    summaries = [result.summary(system, database, case) for system, case in (one, other)]
    if summaries[0] and summaries[1]:
        return summaries[0].cpu_ms.median / summaries[1].cpu_ms.median
    return None


def _cases(limit: Mapping[str, float], *cases: str) -> Sequence[Target]:
    return [Target(case, _kilo(case), limit) for case in cases]


_KEYED: Final = ((names.CREATE_KEYED, names.CREATE), (names.REST_CREATE_KEYED, names.REST_CREATE))
TARGETS: Final = (
    Target("mix, CPU, to Mercurius", _cpu_to(*MERCURIUS), {POSTGRES: 0.6}, "times", {POSTGRES: 0.45}),
    Target("mix, CPU, to stock", _cpu_to(*STOCK), _both(0.12), "times"),
    *_cases(_both(1_300, 1_600), names.LIST),
    *_cases(_both(1_700, 2_000), "list-in-progress", names.INBOX),
    Target(
        f"{names.INBOX}, CPU of PostgreSQL, to list", _database_cpu(names.INBOX, names.LIST), {POSTGRES: 1.3}, "times"
    ),
    Target(names.PAGE_20, _kilo(names.PAGE_20), _both(950, 1_100), better=_both(750, 900)),
    *_cases(_both(1_000), "page-code-1k"),
    *_cases(_both(2_000), "page-code-32k"),
    Target("page-text, to page-20", _ratio("page-text", names.PAGE_20), _both(1.05), "times"),
    *_cases(_both(1_200), "page-thread", "page-attachments", "page-images"),
    Target("page-annotations", _kilo("page-annotations"), _both(45_000), better=_both(8_000)),
    *_cases(_both(600, 750), names.CREATE),
    *_cases(_both(480, 650), names.REST_CREATE),
    *(Target(f"{keyed}, to {plain}", _ratio(keyed, plain), _both(1.1), "times") for keyed, plain in _KEYED),
    *_cases(_both(600), names.NODE),
    *_cases(_both(1_300), "nodes-20"),
    *_cases(_both(1_200), "update-message", "update-thread", "rest-modify-message", "rest-modify-thread"),
    *_cases(_both(1_500), "create-thread"),
    *_cases(_both(900), "append"),
    Target("append-100k, to append", _ratio("append-100k", "append"), _both(1.05), "times"),
    Target("append-199-deltas, to append", _ratio("append-199-deltas", "append"), _both(1.1), "times"),
    *(Target(work, _found(work), _both(0.25), "ms") for work in EVENT_CPU.values()),
    *(Target(work, _found(work), _both(1), "statements") for work in EVENT_READS.values()),
    *_cases(_both(12_000), "first-use", "first-use-literal"),
    *_cases({SQLITE: 750}, names.REST_20),
    Target("healthz with a key, less hello", _shell, _both(120)),
    Target(IDLE, _found(IDLE), _both(16), "KB", _both(10)),
    Target("page-middle, to page-20", _ratio(names.PAGE_MIDDLE, names.PAGE_20), _both(1.05), "times"),
    Target("rest-page-20, to the bare app's", _ratio(names.REST_20, names.REST_20, BARE), _both(1.3), "times"),
    Target(RUNS, _found(RUNS), {POSTGRES: 60}, "% of a core"),
    *(Target(work, _found(work), {POSTGRES: 0.8}, "times", at_least=True) for work in COMMITS),
    Target(SHARED_COMMITS, _found(SHARED_COMMITS), {SQLITE: 5}, "times", at_least=True),
    Target(IMPORT, _found(IMPORT), _both(10_000, 20_000), "messages/s", at_least=True),
    Target(TAIL, _found(TAIL), _both(4), "times"),
    Target(START, _found(START), _both(1_000), "ms"),
    Target(RESIDENT, _found(RESIDENT), _both(90), "MB"),
    Target(GROWTH, _found(GROWTH), _both(1), "MB"),
)
