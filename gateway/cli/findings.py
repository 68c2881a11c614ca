"""What a check of `gateway doctor` finds, and how it is printed.

Must not be here: checks (`doctor`, `database_checks`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import click

from gateway.domain.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


class Level(Enum):
    """How serious a finding is; the value is its color."""

    OK = "green"
    WARNING = "yellow"
    FAILURE = "red"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, and how to fix it."""

    level: Level
    said: str
    advice: str = ""


_ADVICE_COLUMN: Final = 21


def print_findings(found: Mapping[str, Finding]) -> None:
    """Print the findings of all checks, by their names."""
    for name, finding in found.items():
        level = click.style(f"{finding.level.name.lower():<9}", fg=finding.level.value)
        click.echo(f"{level}{name:<12}{printable(finding.said)}")
        if finding.advice:
            click.echo(f"{'':<{_ADVICE_COLUMN}}{printable(finding.advice)}")
