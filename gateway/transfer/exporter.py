"""Export: every thread and behind it its messages, one of the API's own objects a line.

Must not be here: how an object is laid out (`domain.wire`).
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


_PLAIN_ORDERS: Final = (Direction.RISING, Direction.UNKNOWN)  # what is read as it stands, for what its times are


async def export(store: Store, who: Principal, out: IO[bytes], advance: Callable[[int], None]) -> None:
    """Write everything, oldest first, so that an import gives the same order again."""
    async for thread in transfer.export_threads(store, who):
        out.write(wire.dump(wire.thread(thread)) + b"\n")
        detector = DirectionDetector()
        async for message in transfer.export_messages(store, who, thread.id):
            out.write(wire.dump(wire.message(message)) + b"\n")
            detector.add(message.created_at)
            advance(1)
        if detector.direction not in _PLAIN_ORDERS:
            out.write(wire.dump(archive.order_record(thread.id, Direction.RISING)) + b"\n")
