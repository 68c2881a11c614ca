"""What tests of runs share: one model endpoint for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.runs.fake_model import fake_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.runs.fake_model import FakeModel


@pytest.fixture(scope="session")
def _served_model() -> Iterator[FakeModel]:
    with fake_model() as served:
        yield served


@pytest.fixture
def fake(_served_model: FakeModel) -> FakeModel:
    """Give the endpoint without anything of the test before."""
    _served_model.forget()
    return _served_model
