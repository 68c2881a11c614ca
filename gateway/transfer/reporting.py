"""What an import says on the standard error stream; nothing that a file holds reaches a terminal as it is.

Must not be here: how far it has come (`progress`).
"""

from __future__ import annotations

import click

from gateway.domain.printable import printable


def report(sentence: str) -> None:
    """Say a sentence on a line of its own."""
    click.echo(printable(sentence), err=True)
