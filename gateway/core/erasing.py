"""The use case of erasing an end user: everything that a project stores about one person, permanently.

Its threads are removed one after the other; an erasure that breaks off is completed by the next one.
Must not be here: how a thread is removed (`thread_removal`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from gateway.core import forgetting, thread_removal
from gateway.domain.principal import Reach, Scope
from gateway.observability import audit
from gateway.observability.audit import Event

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal

_THREADS: Final = 100
_PLACES: Final = 500  # of deleted threads that one transaction changes


class Erased(NamedTuple):
    """The counts of what was erased of an end user, or would be."""

    threads: int = 0
    messages: int = 0


async def count(store: Store, who: Principal, owner: str) -> Erased:
    """Count what `erase` would erase.

    Errors: Forbidden.
    """
    async with store.read() as reads:
        return Erased(*await reads.count_owned(_reach(who, owner)))


async def erase(store: Store, who: Principal, owner: str) -> Erased:
    """Delete all threads and read marks of an end user, forget the owner of deleted ones, and end its live lists.

    It ends when no thread is left, including those that are created meanwhile.
    Errors: Forbidden; Unavailable, after which the next call continues.
    """
    reach, threads, messages = _reach(who, owner), 0, 0
    while found := await _some_threads(store, reach.and_unfinished()):
        for thread_id in found:
            removed = await thread_removal.remove(store, reach, thread_id)
            threads, messages = threads + removed.threads, messages + removed.messages
    while await store.write(lambda transaction: transaction.forget_owner(reach, _PLACES)) == _PLACES:
        pass
    await forgetting.forget(store, Reach(reach.project_id).and_unfinished(), owner)
    await store.write(lambda transaction: transaction.note_erasure(reach))
    erased = Erased(threads, messages)
    audit.note(
        Event.USER_ERASED, principal=who.name, project=reach.project_id, target=f"user:{owner}", **erased._asdict()
    )
    return erased


def _reach(who: Principal, owner: str) -> Reach:
    who.require(Scope.ERASE)
    who.require_project()
    return Reach(who.reach.project_id, owner=owner)


async def _some_threads(store: Store, reach: Reach) -> list[ThreadId]:
    async with store.read() as reads:
        return await reads.some_threads(reach, _THREADS)
