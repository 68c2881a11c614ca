"""Targets of our server, and verdicts on a result.

Must not be here: how anything is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.cases import GRAPHQL_20, GRAPHQL_100, GRAPHQL_CREATE, GRAPHQL_MIDDLE, LIKE, REST_20, REST_CREATE
from bench.systems.catalog import BARE, OURS, POSTGRES, SQLITE, STOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.report.result import Result

    Figure = Callable[[Result, str], float | None]

SHARED_COMMITS: Final = "create, 32 writers, to a commit for each message"
TAIL: Final = "p99 / p50 with 32 connections, page of 20"
NOTHING: Final = "-"
IMPORT: Final = "gateway import"
IDLE: Final = "idle subscriber"
START: Final = "start to first answer"
RESIDENT: Final = "memory after 10,000 requests"
GROWTH: Final = "memory gained by more requests"
_INSTRUCTIONS: Final = "thousand instructions"
_BOTH: Final = (SQLITE, POSTGRES)


@dataclass(frozen=True, slots=True)
class Target:
    """An upper or lower limit on a measured value."""

    work: str
    limit: float
    unit: str
    figure: Figure
    databases: tuple[str, ...] = _BOTH
    at_least: bool = False

    @property
    def wanted(self) -> str:
        """Format the limit."""
        return f"{'≥' if self.at_least else '≤'} {self.limit:,.6g} {self.unit}".rstrip()

    def verdict(self, result: Result, database: str) -> str:
        """Format the measured value and its distance from the limit."""
        if database not in self.databases:
            return NOTHING
        found = self.figure(result, database)
        if found is None:
            return "not measured"
        off = found / self.limit - 1
        kept = off >= 0 if self.at_least else off <= 0
        return f"{found:,.{_digits(found)}f} ({'kept' if kept else '**missed**'}, {off:+.0%})"


def _digits(value: float) -> int:
    return 0 if value >= 100 else 1 if value >= 10 else 2  # noqa: PLR2004  (three places)


def _kilo(case: str) -> Figure:
    return lambda result, database: result.kilo_instructions(OURS, database, case)


def _to_bare(case: str) -> Figure:
    """Compute the ratio to the like case of the bare app: instructions, or else CPU time."""
    return lambda result, database: cost_ratio(result, database, (OURS, case), (BARE, LIKE[case]))


def _found(work: str) -> Figure:
    def figure(result: Result, database: str) -> float | None:
        found = result.finding(work, database)
        return found.value if found else None

    return figure


def _middle_to_first(result: Result, database: str) -> float | None:
    ratio = cost_ratio(result, database, (OURS, GRAPHQL_MIDDLE), (OURS, GRAPHQL_20))
    return None if ratio is None else abs(ratio - 1) * 100


def _to_stock(result: Result, database: str) -> float | None:
    ours = result.summary(OURS, database, GRAPHQL_20)
    stock = result.summary(STOCK, database, GRAPHQL_20)
    return ours.per_second.median / stock.per_second.median if ours and stock else None


def cost_ratio(result: Result, database: str, one: tuple[str, str], other: tuple[str, str]) -> float | None:
    """Compute the cost ratio of two cases: instructions where both were counted, else CPU time."""
    counted = [result.kilo_instructions(system, database, case) for system, case in (one, other)]
    if counted[0] and counted[1]:
        return counted[0] / counted[1]
    summaries = [result.summary(system, database, case) for system, case in (one, other)]
    if summaries[0] and summaries[1]:
        return summaries[0].cpu_ms.median / summaries[1].cpu_ms.median
    return None


TARGETS: Final = (
    Target("GraphQL page of 20", 1_100, _INSTRUCTIONS, _kilo(GRAPHQL_20)),
    Target("GraphQL page of 20, then", 900, _INSTRUCTIONS, _kilo(GRAPHQL_20)),
    Target("GraphQL page of 20, to the bare app's", 2, "times", _to_bare(GRAPHQL_20)),
    Target("GraphQL page of 20 to the bare app's, then", 1.6, "times", _to_bare(GRAPHQL_20)),
    Target("GraphQL page of 100", 4_000, _INSTRUCTIONS, _kilo(GRAPHQL_100)),
    Target("GraphQL page of 100, then", 3_300, _INSTRUCTIONS, _kilo(GRAPHQL_100)),
    Target("REST page of 20", 750, _INSTRUCTIONS, _kilo(REST_20)),
    Target("REST page of 20, to the bare app's", 1.3, "times", _to_bare(REST_20)),
    Target("GraphQL create", 600, _INSTRUCTIONS, _kilo(GRAPHQL_CREATE), (POSTGRES,)),
    Target("REST create", 600, _INSTRUCTIONS, _kilo(REST_CREATE), (POSTGRES,)),
    Target(SHARED_COMMITS, 5, "times", _found(SHARED_COMMITS), (SQLITE,), at_least=True),
    Target("page after a cursor in the middle, off the first page", 5, "%", _middle_to_first),
    Target(IMPORT, 20_000, "messages/s", _found(IMPORT), (SQLITE,), at_least=True),
    Target(IMPORT, 10_000, "messages/s", _found(IMPORT), (POSTGRES,), at_least=True),
    Target("requests/s, GraphQL page of 20, to stock", 12, "times", _to_stock, at_least=True),
    Target(TAIL, 4, "times", _found(TAIL)),
    Target(IDLE, 10, "KB", _found(IDLE)),
    Target(START, 1_000, "ms", _found(START)),
    Target(RESIDENT, 90, "MB", _found(RESIDENT)),
    Target(GROWTH, 1, "MB", _found(GROWTH)),
)
