"""Creating an object exactly once under an idempotency key, whatever its kind.

Must not be here: what is created (`threads`, `messages`), how a key is stored (`store`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from gateway.domain.idempotency import KeyTaken
from gateway.domain.principal import Scope
from gateway.errors import (
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    ThreadLocked,
    TooManyRequests,
    Unavailable,
)
from gateway.store.engines.errors import is_cut

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from gateway.core import Store
    from gateway.domain.idempotency import Attempt, IdempotencyKey
    from gateway.domain.principal import Principal, Reach
    from gateway.store.reads import Reads

T = TypeVar("T")

_TRIES: Final = 3


async def create_once(
    store: Store,
    who: Principal,
    attempt: Attempt | None,
    key: IdempotencyKey | None,
    *,
    create: Callable[[], Awaitable[T]],
    read: Callable[[str], Awaitable[T]],
) -> T:
    """Create an object, or read by its ID the one that was created under the same key before; without a key, create.

    `create` changes nothing and raises KeyTaken where there was one, or another error if something that came after it
    is found first; `read` raises NotFound where it is deleted.
    Errors: IdempotencyKeyReused; IdempotencyKeyInUse; those of both functions.
    """
    if attempt is None or key is None:
        return await create()
    for number in range(_TRIES):
        try:
            return await create()
        except Unavailable as error:
            if number or not is_cut(error):
                raise
            continue  # the connection broke: if it was after the commit, the key is taken now
        except (KeyTaken, InvalidRequest, NotFound, ThreadLocked, TooManyRequests) as refused:
            async with store.read() as reads:
                found = await reads.find_created(who.reach, key)
            if found is None and not isinstance(refused, KeyTaken):
                raise
        if found is not None:
            object_id, fingerprint = found
            if fingerprint != key.fingerprint:
                raise IdempotencyKeyReused
            attempt.is_replay = True
            return await read(object_id)
        # It was deleted meanwhile, and its place with its thread: the key is free.
    raise IdempotencyKeyInUse


async def read_created(
    store: Store,
    who: Principal,
    kind: str,
    object_id: str,
    *,
    find: Callable[[Reads, Reach, Sequence[str]], Awaitable[Mapping[str, T]]],
    as_made: Callable[[T], T],
) -> T:
    """Return an object that was created before; in its original state, if the caller must not read.

    Errors: NotFound.
    """
    async with store.read() as reads:
        found = (await find(reads, who.reach, [object_id])).get(object_id)
    if found is None:
        raise NotFound(kind, object_id)
    return found if Scope.READ in who.scopes else as_made(found)
