from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench.report.publish import JSON, PAGE, publish, with_tables
from bench.report.result import Result

DOCS = Path(__file__).parents[2] / "docs"


def test_tables_of_the_page_equal_the_published_result() -> None:
    page = (DOCS / PAGE).read_text()

    assert with_tables(page, Result.read(DOCS / JSON)) == page


def test_publishing_writes_figures_and_their_tables(tmp_path: Path) -> None:
    (tmp_path / PAGE).write_text((DOCS / PAGE).read_text())
    result = Result.read(DOCS / JSON)
    ours = next(each for each in result.counted if each.system == "ours")
    result.counted[result.counted.index(ours)] = replace(ours, kilo_instructions=12_345_678.0)

    publish(result, tmp_path)

    assert Result.read(tmp_path / JSON) == result
    assert "12,345,678" in (tmp_path / PAGE).read_text()
