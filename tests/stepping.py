"""What fills a thread in steps, or adds to one, with a function that is called after each of them.

Must not be here: what the steps add (`tests.core.test_filling`, `tests.transfer`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.core import filling, long_append

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from gateway.core import Store

    Between = Callable[[int], Awaitable[object]]

_STEPS: Final = (filling._step, long_append._step)  # noqa: SLF001


@contextmanager
def stepping(store: Store, between: Between) -> Iterator[None]:
    """Call a function with the number of each transaction that fills a thread, or adds to one, after it."""
    write, count = store.write, 0

    async def noted(*arguments: Any) -> Any:
        nonlocal count
        result = await write(*arguments)
        if getattr(arguments[0], "func", None) in _STEPS:
            count += 1
            await between(count)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "write", noted)
        yield
