"""The note of commands that begin a project: the name may be mistyped.

Must not be here: which projects there are (`core.projects`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core.projects import listed
from gateway.transfer.reporting import report

if TYPE_CHECKING:
    from collections.abc import Sequence


def report_new_project(project_id: str, others: Sequence[str] | None) -> None:
    """Report that a project is new, if it is, and there are others."""
    if others:
        report(f"Project '{project_id}' is new; the database has {listed(others)}.")
