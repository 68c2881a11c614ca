"""Small limits on the bytes of a page and a response, for the tests of where pages end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gateway.domain import page
from gateway.store.statements import page_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def small_pages(at_most: int) -> Iterator[None]:
    """Limit pages to so many bytes, and responses to twice as many; before the first statement is built."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (page, page_bytes):
            patch.setattr(module, "MAX_BYTES", at_most)
            patch.setattr(module, "MAX_ANSWER_BYTES", 2 * at_most)
        yield
