"""What tests of plans share: a database that a module fills once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def own_postgres_url(new_postgres_url: Callable[[], str]) -> str:
    """Give the URL of a PostgreSQL database of the module."""
    return new_postgres_url()
