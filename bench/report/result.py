"""The result of a run: rounds of each case, counted instructions, other findings, and their summaries.

Must not be here: how any of it is measured or shown.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a case on a system: CPU time a request of the server, of the database and of the client.

    SQLite is part of the server.
    """

    system: str
    database: str
    case: str
    number: int
    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    database_cpu_ms: float
    client_cpu_ms: float


@dataclass(frozen=True, slots=True)
class Counted:
    """Thousands of instructions a request, in all and by library; statements of SQL where the server counts them."""

    system: str
    database: str
    case: str
    kilo_instructions: float
    libraries: dict[str, float] = field(default_factory=dict)
    statements: float | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request of our server costs over one connection: CPU time in microseconds, and bytes of the log."""

    database: str
    case: str
    server_cpu_us: float
    database_cpu_us: float
    wal_bytes: float


@dataclass(frozen=True, slots=True)
class Finding:
    """Another property of our server; `work` names it in `targets`."""

    work: str
    database: str
    value: float
    unit: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and extremes of several rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Compute median and extremes."""
        found = sorted(values)
        return cls(statistics.median(found), found[0], found[-1])


@dataclass(frozen=True, slots=True)
class Summary:
    """Summary of the rounds of a case on a system."""

    per_second: Spread
    p50_ms: Spread
    p99_ms: Spread
    cpu_ms: Spread
    database_cpu_ms: Spread
    kilo_instructions: float | None


@dataclass(slots=True)
class Result:
    """The whole result."""

    facts: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    rounds: list[Round] = field(default_factory=list)
    counted: list[Counted] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def summary(self, system: str, database: str, case: str) -> Summary | None:
        """Summarize a case, if this system has it."""
        key = (system, database, case)
        rounds = [each for each in self.rounds if (each.system, each.database, each.case) == key]
        if not rounds:
            return None
        return Summary(
            per_second=Spread.of(each.per_second for each in rounds),
            p50_ms=Spread.of(each.p50_ms for each in rounds),
            p99_ms=Spread.of(each.p99_ms for each in rounds),
            cpu_ms=Spread.of(each.cpu_ms for each in rounds),
            database_cpu_ms=Spread.of(each.database_cpu_ms for each in rounds),
            kilo_instructions=self.kilo_instructions(*key),
        )

    def kilo_instructions(self, system: str, database: str, case: str) -> float | None:
        """Find the counted instructions of a case."""
        found = self.counted_case(system, database, case)
        return found.kilo_instructions if found else None

    def counted_case(self, system: str, database: str, case: str) -> Counted | None:
        """Find what was counted for a case."""
        key = (system, database, case)
        return next((each for each in self.counted if (each.system, each.database, each.case) == key), None)

    def finding(self, work: str, database: str) -> Finding | None:
        """Find a property by its name."""
        return next((each for each in self.findings if (each.work, each.database) == (work, database)), None)

    def cost(self, database: str, case: str) -> Cost | None:
        """Find what a case of our server costs."""
        return next((each for each in self.costs if (each.database, each.case) == (database, case)), None)

    def databases(self) -> list[str]:
        """Name the kinds of databases that were measured, in their order."""
        measured: list[Round | Counted | Cost | Finding] = [*self.rounds, *self.counted, *self.costs, *self.findings]
        return list(dict.fromkeys(each.database for each in measured))

    def cases(self, database: str) -> list[str]:
        """Name the cases that were measured, in their order."""
        return list(dict.fromkeys(each.case for each in self.rounds if each.database == database))

    def systems(self, database: str) -> list[str]:
        """Name the systems that were measured, in their order."""
        return list(dict.fromkeys(each.system for each in self.rounds if each.database == database))

    def write(self, file: Path) -> None:
        """Write the result as JSON."""
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, file: Path) -> Result:
        """Read the result of an earlier run."""
        kept: dict[str, Any] = json.loads(file.read_text())
        return cls(
            facts=kept["facts"],
            versions=kept["versions"],
            rounds=[Round(**each) for each in kept["rounds"]],
            counted=[Counted(**each) for each in kept["counted"]],
            costs=[Cost(**each) for each in kept["costs"]],
            findings=[Finding(**each) for each in kept["findings"]],
        )
