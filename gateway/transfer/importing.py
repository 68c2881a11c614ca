"""Import: read and sort everything first, then add thread after thread, and tell what could not be taken.

Must not be here: what is read how (`reading`), what is taken how (`core.transfer`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from gateway.core import transfer
from gateway.core.transfer import Taken
from gateway.domain import archive, wire
from gateway.domain.thread import Thread
from gateway.errors import InvalidRequest
from gateway.store.staging import messages_in
from gateway.transfer.reading import read_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import IO

    from gateway.core import Store
    from gateway.domain.message import Message
    from gateway.domain.principal import Principal
    from gateway.store.staging import Staged, Staging


@dataclass(slots=True)
class Rejects:
    """What could not be taken: told at once, and kept as it came in a file that may be imported again."""

    file: IO[bytes] | None
    count: int = field(default=0, init=False)

    def add(self, source: str, place: str, raw: bytes, reason: str) -> None:
        """Tell of one and keep it."""
        self.count += 1
        click.echo(f"{source}: {place}: {reason}", err=True)
        if self.file and raw:
            self.file.write(raw + b"\n")


def stage(sources: Sequence[str], staging: Staging, rejects: Rejects, advance: Callable[[int], None]) -> set[str]:
    """Read all sources into the staging table, and name the threads whose own line could not be taken.

    Errors: OSError where one cannot be opened.
    """
    spoilt: set[str] = set()
    for source in sources:
        for entry in read_source(source):
            advance(entry.size)
            if entry.fault is not None:
                rejects.add(entry.source, entry.place, entry.raw, entry.fault)
                continue
            try:
                found = archive.read(entry.value)
            except InvalidRequest as error:
                rejects.add(entry.source, entry.place, entry.raw, error.message)
                spoilt |= _thread_named_by(entry.value)
                continue
            if isinstance(found, Thread):
                staging.add_thread(found)
            else:
                staging.add_message(entry.source, entry.place, found)
    return {thread_id for thread_id in spoilt if not staging.has_thread(thread_id)}


def _thread_named_by(value: object) -> set[str]:
    if isinstance(value, dict) and value.get("object") == archive.THREAD and isinstance(value.get("id"), str):
        return {value["id"]}
    return set()


async def load(
    store: Store,
    who: Principal,
    staging: Staging,
    rejects: Rejects,
    advance: Callable[[int], None],
    *,
    spoilt: set[str],
) -> Taken:
    """Add what was staged to the store, each thread in one transaction, which it may share with others.

    The messages of a thread whose own line could not be taken wait with it: taken now, they would make the thread
    without its metadata, and the line would change nothing any more once it is mended.
    """
    total = Taken()
    for group in staging.groups():
        for thread in group:
            if thread.id in spoilt:
                _refuse_all(staging.messages(thread.id), rejects)
        whole = [thread for thread in group if thread.id not in spoilt]
        batches = _Batches(staging.messages(*(thread.id for thread in whole)), rejects)
        taken = await transfer.import_threads(store, who, whole, batches, batches.refuse, staging=staging)
        total.threads += taken.threads
        total.messages += taken.messages
        total.known += taken.known
        advance(taken.messages)
    return total


def _refuse_all(batches: Iterable[Sequence[Staged]], rejects: Rejects) -> None:
    for each in itertools.chain.from_iterable(batches):
        raw = wire.dump(wire.message(each.message))
        rejects.add(each.source, each.place, raw, "The line of its thread could not be taken.")


class _Batches:
    """Messages, batch after batch, and where each of the batch at hand was read."""

    def __init__(self, staged: Iterable[Sequence[Staged]], rejects: Rejects) -> None:
        self._staged = staged
        self._rejects = rejects
        self._at_hand: Sequence[Staged] = ()

    def __iter__(self) -> Iterator[list[Message]]:
        for batch in self._staged:
            self._at_hand = batch
            yield messages_in(batch)

    def refuse(self, number: int, reason: InvalidRequest) -> None:
        """Tell of a message of the batch at hand that could not be taken."""
        each = self._at_hand[number]
        self._rejects.add(each.source, each.place, wire.dump(wire.message(each.message)), reason.message)
