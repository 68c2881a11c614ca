"""Export: each thread followed by its messages, one object of the API a line.

Must not be here: the JSON of an object (`domain.wire`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.core import transfer
from gateway.domain import archive, wire
from gateway.domain.direction import Direction, DirectionDetector

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from gateway.core import Store
    from gateway.domain.principal import Principal


_PLAIN_ORDERS: Final = (Direction.RISING, Direction.UNKNOWN)  # orders that an import infers from the times


async def export(store: Store, who: Principal, out: IO[bytes], advance: Callable[[int], None]) -> None:
    """Write everything, oldest first, so that an import gives the same order again."""
    async for thread in transfer.export_threads(store, who):
        out.write(wire.dump(wire.thread(thread)) + b"\n")
        detector, has_keys = DirectionDetector(), thread.idempotency_key is not None
        async for message in transfer.export_messages(store, who, thread.id):
            out.write(wire.dump(wire.message(message)) + b"\n")
            detector.add(message.created_at)
            has_keys = has_keys or message.idempotency_key is not None
            advance(1)
        if detector.direction not in _PLAIN_ORDERS:
            out.write(wire.dump(archive.order_record(thread.id, Direction.RISING)) + b"\n")
        if has_keys:
            async for key in transfer.export_keys(store, who, thread.id):
                out.write(wire.dump(archive.key_record(key)) + b"\n")
