"""Write a result to the documentation: its JSON, and the tables of the page between their marks.

Must not be here: what a table shows (`tables`), how anything is measured.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bench.report.tables import NAMES, both_databases, facts, overview, targets

if TYPE_CHECKING:
    from pathlib import Path

    from bench.report.result import Result

JSON: Final = "bench.json"
PAGE: Final = "benchmarks.md"
_BLOCK: Final = re.compile(r"(<!-- bench: ([a-z-]+) -->\n).*?(?=<!-- end -->)", re.DOTALL)


def publish(result: Result, docs: Path) -> None:
    """Write the JSON and the tables of the page."""
    result.write(docs / JSON)
    page = docs / PAGE
    page.write_text(with_tables(page.read_text(), result))


def with_tables(page: str, result: Result) -> str:
    """Fill each marked block of a page with what its name says."""
    parts = _parts(result)
    return _BLOCK.sub(lambda found: f"{found[1]}\n{parts[found[2]]}\n\n", page)


def _parts(result: Result) -> dict[str, str]:
    systems = {f"systems-{database}": overview(result, database) for database in NAMES}
    return {**systems, "targets": targets(result), "cases": both_databases(result), "facts": facts(result)}
