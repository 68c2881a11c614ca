"""How often a run tries what it claims: a few times in the fast form, many times with `--slow`.

The fast form checks every claim with an example at least, and draws the same examples in each run of the same code, so
what passed once passes again. What only repeats a claim with larger numbers belongs to `--slow`, which also draws other
examples in each run: it is what searches.
Must not be here: the numbers, which stand with each test.
"""

from __future__ import annotations

from random import Random
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

_FAST: Final = "fast"
_SLOW: Final = "slow"


def choose(*, is_slow: bool) -> None:
    """Set the form of this run, before any test module is imported, and how many examples a property test draws.

    Those of the slow form are others in each run; a failure prints the line that draws its example again.
    """
    common = settings(
        deadline=None,
        print_blob=True,
        # Examples share a database; each makes a thread or a project of its own in it.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    settings.register_profile(_FAST, common, max_examples=6, derandomize=True, database=None)
    # In CI, Hypothesis would set `derandomize` by itself.
    settings.register_profile(_SLOW, common, max_examples=400, derandomize=False)
    settings.load_profile(_SLOW if is_slow else _FAST)
    if not is_slow:
        # Constants of our modules are drawn, too, as soon as a module is loaded, which the tests before decide.
        vars(providers)["is_local_module_file"] = lambda _: False


def times(*, fast: int, slow: int) -> int:
    """Give the number for the form of this run."""
    return slow if _is_slow() else fast


def chance(seed: int) -> Random:
    """Draw numbers: in the fast form the same in each run, in the slow form others."""
    return Random(None if _is_slow() else seed)  # noqa: S311  (no secret)


def _is_slow() -> bool:
    return settings.get_current_profile_name() == _SLOW
