"""Removing an end user from rows in threads that it does not own, such as one whose owner has changed.

Such rows name it, or a thread token that it has created, as the author of a message, as a reader, as the payer of a
run, or in the scope of an idempotency key.
Must not be here: the threads of the end user (`erasing`).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from gateway.core import read_marks
from gateway.domain.idempotency import is_scope_of
from gateway.store.erasing import KEYED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from gateway.core import Store
    from gateway.domain.principal import Reach
    from gateway.store.erasing import EraseWrites

T = TypeVar("T")

_HOLD_S: Final = 0.03  # after which a transaction begins no further statement
_MARKS: Final = 100  # read at once
_KEYS: Final = 2_000


async def forget(store: Store, reach: Reach, owner: str) -> None:
    """Remove an end user from all remaining rows of a project.

    Its read marks lead to its messages, since an author has read the thread; keys and runs are scanned completely.
    """
    for reader in read_marks.readers_of(owner):
        while thread_ids := await _marked(store, reach, reader):
            for thread_id in thread_ids:
                await _forget_in_thread(store, reach, thread_id, owner)
    for table in KEYED:
        await _forget_keys(store, reach, table, owner)
    await _forget_payer(store, reach, owner)


async def _marked(store: Store, reach: Reach, reader: str) -> list[str]:
    async with store.read() as reads:
        return await reads.list_marked(reach, reader, _MARKS)


async def _forget_in_thread(store: Store, reach: Reach, thread_id: str, owner: str) -> None:
    """Forget an end user in a thread; its marks come last, since they lead here again after an interruption."""
    own = (f"user:{owner}", f"token:user:{owner}/{thread_id}")
    async with store.read() as reads:
        authored = await reads.list_authored(reach, thread_id, own)
    await _each(store, authored, lambda transaction, each: transaction.forget_author(reach, each))
    readers = [own[1], *read_marks.readers_of(owner)]
    await _each(store, readers, lambda transaction, each: transaction.forget_mark(reach, thread_id, each))


async def _forget_keys(store: Store, reach: Reach, table: str, owner: str) -> None:
    """Forget the keys of an end user in a table, which is scanned in the order of the index of keys."""
    after: tuple[str, str] | None = ("", "")
    while after is not None:
        async with store.read() as reads:
            found = await reads.list_scopes(reach, table, after, _KEYS)
        after = found[-1] if len(found) == _KEYS else None
        own = [each for each in found if is_scope_of(each[0], owner)]
        await _each(store, own, lambda transaction, each: transaction.forget_scope(reach, table, *each))


async def _forget_payer(store: Store, reach: Reach, owner: str) -> None:
    """Forget an end user as the payer of runs, which are scanned in the order of their key."""
    payer = f"{reach.project_id}/user:{owner}"
    after: tuple[str, int] | None = ("", -1)
    while after is not None:
        async with store.read() as reads:
            found = await reads.list_payers(reach, after, _KEYS)
        after = found[-1][:2] if len(found) == _KEYS else None
        own = [each.id for each in found if each.payer in (payer, f"{payer}/{each.thread_id}")]
        await _each(store, own, lambda transaction, each: transaction.forget_payer(reach, each))


async def _each(store: Store, items: Sequence[T], write: Callable[[EraseWrites, T], Awaitable[object]]) -> None:
    """Write something for each item, in short transactions."""
    left = items
    while left:
        left = left[await store.write(partial(_some, left=left, write=write)) :]


async def _some(
    transaction: EraseWrites, left: Sequence[T], write: Callable[[EraseWrites, T], Awaitable[object]]
) -> int:
    end = time.monotonic() + _HOLD_S
    for done, each in enumerate(left, 1):
        await write(transaction, each)
        if time.monotonic() > end:
            return done
    return len(left)
