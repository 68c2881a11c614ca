"""What fills a thread in steps, with a function that is called after each of them.

Must not be here: what the steps add (`tests.core.test_filling`, `tests.transfer.test_long_threads`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import filling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from gateway.core import Store

    Between = Callable[[int], Awaitable[object]]


@contextmanager
def stepping(store: Store, between: Between) -> Iterator[None]:
    """Call a function with the number of each transaction that fills a thread, after it."""
    write, count = store.write, 0

    async def noted(*arguments: Any) -> Any:
        nonlocal count
        result = await write(*arguments)
        if getattr(arguments[0], "func", None) is filling._step:  # noqa: SLF001
            count += 1
            await between(count)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "write", noted)
        yield
