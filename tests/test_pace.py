"""Limits of time are those of the machine that runs the tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.uncounted  # it reads sources

CPU_CLOCKS: Final = re.compile(r"\b(process_time|thread_time|getrusage|schedstat|SC_CLK_TCK)\b")
_HERE: Final = Path(__file__)


def test_a_test_that_measures_cpu_time_allows_more_of_it_on_a_slow_machine() -> None:
    modules = {path.name: path.read_text() for path in _HERE.parent.rglob("test_*.py") if path != _HERE}
    timed = {name for name, source in modules.items() if CPU_CLOCKS.search(source) and "ru_maxrss" not in source}

    assert {name for name in timed if "patience(" not in modules[name]} == set()
    assert "test_refusal_costs.py" in timed
