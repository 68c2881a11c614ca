"""How often a run tries what it claims: a few times in the fast form, many times with `--slow`.

The fast form checks every claim with an example at least; what only repeats it with larger numbers belongs to `--slow`.
Must not be here: the numbers, which stand with each test.
"""

from __future__ import annotations

from typing import Final

from hypothesis import HealthCheck, settings

_FAST: Final = "fast"
_SLOW: Final = "slow"


def choose(*, is_slow: bool) -> None:
    """Set the form of this run, before any test module is imported, and how many examples a property test draws.

    They are others in each run; a failure prints the line that draws its example again.
    """
    common = settings(
        deadline=None,
        print_blob=True,
        # Examples share a database; each makes a thread or a project of its own in it.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    settings.register_profile(_FAST, common, max_examples=6)
    settings.register_profile(_SLOW, common, max_examples=400)
    settings.load_profile(_SLOW if is_slow else _FAST)


def times(*, fast: int, slow: int) -> int:
    """Give the number for the form of this run."""
    return slow if settings.get_current_profile_name() == _SLOW else fast
