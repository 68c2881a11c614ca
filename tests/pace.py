"""What keeps the suite quick: the order of its tests, and how much of the processor each may take.

On a machine that is slow, as where others use its processors too, tests may take longer, and wait longer.
Must not be here: how often a test tries what it claims (`effort`).
"""

from __future__ import annotations

import resource
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MOST_CPU_S: Final = 20  # of a test in the fast form; those of today take 4 s at most where nothing else runs
_USUAL_S: Final = 0.005  # for the loop by which a machine is measured
_SLOWEST: Final = 20.0  # times; a test that hangs must end all the same
_LONG_S: Final = 3  # shorter tests do not change the order
_NOTED: Final = "gateway/seconds"


def _measured() -> float:
    """Measure how many times slower than usual this machine is; one that is slow varies, so twice as slow."""
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        for _ in range(200_000):
            pass
        taken.append(time.perf_counter() - begun)
    slowness = min(taken) / _USUAL_S
    return 1.0 if slowness < 1.5 else min(2 * slowness, _SLOWEST)


SLOWNESS: Final = _measured()


def patience(seconds: float) -> float:
    """Return how long to wait here for what takes less than so many seconds on a usual machine."""
    return seconds * SLOWNESS


def allow_more_time(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let the time-outs of tests be those of this machine."""
    usual = float(config.getini("timeout"))
    for item in items:
        marker = item.get_closest_marker("timeout")
        seconds = usual if marker is None else marker.args[0]
        item.add_marker(pytest.mark.timeout(patience(seconds)), append=False)


def sort(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the files of tests that took long in the last run, or that ask for more time.

    Otherwise one worker would have a long test left when the others have nothing to do. The tests of a file stay
    together, so that what it sets up for them is set up by one worker.
    """
    noted = _noted(config)
    longest: defaultdict[Path, float] = defaultdict(float)
    for item in items:
        seconds = noted.get(item.nodeid, 60.0 if item.get_closest_marker("timeout") else 0.0)
        longest[item.path] = max(longest[item.path], seconds)
    items.sort(key=lambda item: longest[item.path], reverse=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Refuse a test that takes more than its share: what it repeats belongs to `--slow`."""
    before = _cpu_s()
    result = yield
    taken = _cpu_s() - before
    most = patience(MOST_CPU_S)
    if taken > most and not item.config.getoption("--slow"):
        pytest.fail(f"{taken:.0f} s of CPU, and {most:.0f} s is the most here without --slow: see CONTRIBUTING.md")
    return result


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Note how long the long tests took."""
    taken: defaultdict[str, float] = defaultdict(float)
    for report in (each for reports in terminalreporter.stats.values() for each in reports):
        if isinstance(report, pytest.TestReport):
            taken[report.nodeid] += report.duration
    kept = {name: seconds for name, seconds in _noted(config).items() if name not in taken}
    _cache(config).set(_NOTED, kept | {name: round(each, 1) for name, each in taken.items() if each >= _LONG_S})


def _noted(config: pytest.Config) -> dict[str, float]:
    noted: dict[str, float] = _cache(config).get(_NOTED, {})
    return noted


def _cache(config: pytest.Config) -> Any:
    return config.cache  # it is typed as if it could be missing


def _cpu_s() -> float:
    """Take what this process has used, and those that it has waited for."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
