"""Messages of an import on standard error, with control characters of files escaped.

Must not be here: progress (`cli.progress`).
"""

from __future__ import annotations

import click

from gateway.domain.printable import printable


def report(sentence: str) -> None:
    """Print a message on its own line."""
    click.echo(printable(sentence), err=True)
