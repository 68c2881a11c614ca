"""What was read, taken into a store as the command does it, but within this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.core import transfer
from gateway.core.taken import Given
from gateway.domain.direction import Direction
from gateway.store.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from gateway.core.taken import Taken
    from gateway.domain.idempotency import KeyRecord
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal
    from gateway.domain.thread import Thread


async def load(
    store: Store,
    who: Principal,
    thread: Thread,
    messages: Sequence[Message],
    keys: Sequence[KeyRecord] = (),
    *,
    replace_deleted: bool = False,
) -> Taken:
    """Take a thread with its messages, which are a list in the order of the conversation."""
    with Staging() as staging:
        number = staging.begin_list(0, Direction.RISING, is_explicit=True)
        staging.add_thread(thread)
        for place, each in enumerate(messages):
            staging.add_message(number, "-", str(place), each)
        for key in keys:
            staging.add_key(key)
        staging.finish()
        [group] = staging.groups()
        given = [Given(*each) for each in group.threads]
        return await transfer.import_threads(
            store, who, given, staging, is_long=group.is_long, replace_deleted=replace_deleted
        )
