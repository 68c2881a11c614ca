"""Limits of time are those of the machine that runs the tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

pytestmark = pytest.mark.uncounted  # it reads sources

CPU_CLOCKS: Final = re.compile(r"\b(process_time|thread_time|getrusage|schedstat|SC_CLK_TCK)\b")
WAIT: Final = re.compile(r"\btimeout=([2-9]|\d\d)|\basyncio\.timeout\(\d|\bwait_for\(.*, \d+\)+$")
_HERE: Final = Path(__file__)


def test_a_test_that_measures_cpu_time_allows_more_of_it_on_a_slow_machine() -> None:
    modules = {path.name: path.read_text() for path in _HERE.parent.rglob("test_*.py") if path != _HERE}
    timed = {name for name, source in modules.items() if CPU_CLOCKS.search(source) and "ru_maxrss" not in source}

    assert {name for name in timed if "patience(" not in modules[name]} == set()
    assert "test_refusal_costs.py" in timed


def test_a_wait_of_seconds_in_a_test_is_longer_on_a_slow_machine() -> None:
    lines = [
        (path.name, line.strip())
        for path in sorted(_HERE.parent.rglob("*.py"))
        if path != _HERE and "node_modules" not in path.parts
        for line in path.read_text().splitlines()
    ]

    assert [each for each in lines if WAIT.search(each[1])] == []
    assert any("asyncio.timeout(patience(" in line for _, line in lines)
