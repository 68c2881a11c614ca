"""Export: the assistants, then each thread with its messages, runs and their steps, one object of the API a line.

Must not be here: the JSON of an object (`domain.wire`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.core import run_transfer, transfer
from gateway.domain import archive, wire, wire_run
from gateway.domain.direction import Direction, DirectionDetector

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

    from gateway.core import Store
    from gateway.domain.ids import ThreadId
    from gateway.domain.principal import Principal


_PLAIN_ORDERS: Final = (Direction.RISING, Direction.UNKNOWN)  # orders that an import infers from the times


async def export(store: Store, who: Principal, out: IO[bytes], advance: Callable[[int], None]) -> None:
    """Write everything, oldest first, so that an import restores the order."""
    async for assistant in run_transfer.export_assistants(store, who):
        out.write(wire.dump(wire_run.assistant(assistant)) + b"\n")
    async for thread in transfer.export_threads(store, who):
        out.write(wire.dump(wire.thread(thread)) + b"\n")
        detectors, has_keys = [detector := DirectionDetector()], thread.idempotency_key is not None
        async for message in transfer.export_messages(store, who, thread.id):
            out.write(wire.dump(wire.message(message)) + b"\n")
            detector.add(message.created_at)
            has_keys = has_keys or message.idempotency_key is not None
            advance(1)
        detectors += await _export_runs(store, who, out, thread.id)
        if any(each.direction not in _PLAIN_ORDERS for each in detectors):
            out.write(wire.dump(archive.order_record(thread.id, Direction.RISING)) + b"\n")
        if has_keys or detectors[1].count:  # runs do not show whether they have a key
            async for key in transfer.export_keys(store, who, thread.id):
                out.write(wire.dump(archive.key_record(key)) + b"\n")


async def _export_runs(store: Store, who: Principal, out: IO[bytes], thread_id: ThreadId) -> list[DirectionDetector]:
    """Write the runs of a thread, each followed by its steps; return a detector of the order of each list."""
    detectors = [of_runs := DirectionDetector()]
    async for run, steps in run_transfer.export_runs(store, who, thread_id):
        out.write(wire.dump(wire_run.run(run)) + b"\n")
        of_runs.add(run.created_at)
        detectors.append(of_steps := DirectionDetector())
        for step in steps:
            out.write(wire.dump(wire_run.step(step)) + b"\n")
            of_steps.add(step.created_at)
    return detectors
