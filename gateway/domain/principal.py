"""Who calls: a project, and what it may do there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of one request; every statement is narrowed to its project."""

    project_id: str
