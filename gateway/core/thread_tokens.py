"""The use cases of thread tokens: which are valid, and their revocation.

A thread counts how often its tokens were revoked. A token contains that count as it was when the token was issued, and
is valid while the count is the same; nothing else of a token is stored.
Must not be here: how a token is signed and verified (`auth`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from gateway.domain.principal import Reach, Scope
from gateway.errors import NotFound
from gateway.observability import audit
from gateway.observability.audit import Event

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal, TokenEpoch


class Standing(NamedTuple):
    """Whether the key that issued a token is valid, and the epoch of its thread, if the thread exists."""

    has_valid_key: bool
    epoch: TokenEpoch | None


async def epoch_of(store: Store, who: Principal, thread_id: ThreadId) -> TokenEpoch:
    """Return the epoch of a token that is issued now.

    Errors: Forbidden; NotFound.
    """
    who.require(Scope.READ)
    who.require_many_threads()
    async with store.read() as reads:
        found = await reads.token_epochs(who.reach, [thread_id])
    if thread_id not in found:
        raise NotFound("thread", thread_id)
    return found[thread_id]


async def revoke(store: Store, who: Principal, thread_id: ThreadId) -> None:
    """Revoke all tokens for a thread that were issued until now.

    Errors: Forbidden; NotFound.
    """
    who.require(Scope.WRITE)
    who.require_many_threads()
    if not await store.write(lambda transaction: transaction.revoke_tokens(who.reach, thread_id), thread_id):
        raise NotFound("thread", thread_id)
    audit.note(Event.TOKENS_REVOKED, principal=who.name, project=who.reach.project_id, target=thread_id)


async def standing(store: Store, reach: Reach, key_id: str | None) -> Standing:
    """Return what the validity of a token for one thread depends on, in one statement."""
    assert reach.thread_id is not None  # noqa: S101  (a token has one)
    async with store.read() as reads:
        if key_id is None:
            return Standing(True, (await reads.token_epochs(reach, [reach.thread_id])).get(reach.thread_id))
        found = await reads.token_standing(reach, reach.thread_id, key_id)
    if found is None:
        return Standing(False, None)
    key, epoch = found
    return Standing(key.is_active(time.time()), epoch)


async def later_epochs(store: Store, wanted: Mapping[str, Collection[str]]) -> dict[tuple[str, str], TokenEpoch]:
    """Return the epochs of threads of several projects, by project and thread, except those that are the first.

    It is called often with many threads: it takes one statement for each project, and few rows.
    """
    found: dict[tuple[str, str], TokenEpoch] = {}
    async with store.read() as reads:
        for project_id, thread_ids in wanted.items():
            epochs_of = await reads.later_epochs(Reach(project_id), thread_ids)
            found.update({(project_id, thread_id): epoch for thread_id, epoch in epochs_of.items()})
    return found
