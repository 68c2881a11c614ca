"""Pure builders of statements that follow a thread from a position on, and of the text that messages gain.

Must not be here: pages and single rows (`selects`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    union_all,
)

from gateway.store.schema.tables import deleted_messages, message_deltas, messages, threads
from gateway.store.statements import page_bytes
from gateway.store.statements.access import within, within_thread
from gateway.store.statements.functions import octets, utf8
from gateway.store.statements.selects import CONTENT, MESSAGE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Delete, Insert, Table

    from gateway.domain.principal import Reach

CREATED, UPDATED, DELETED, DELTA, THREAD = "created", "updated", "deleted", "delta", "thread"


def list_changes(reach: Reach, thread_id: str, position: int, limit: int) -> Select[Any]:
    """Select what happened in a thread behind a position, in order.

    Shape: at most `limit` rows of position, kind, id, of a delta its part, start and text, and BYTES. A message that
    was changed twice comes once, at its last change.
    A union of limited selects, each answered by its index, however long the thread is.
    """
    no_delta = (literal(None, Integer).label("part_index"), literal(None, Integer).label("start"), _NO_TEXT)
    delta = (message_deltas.c.part_index, message_deltas.c.start, message_deltas.c.text)
    stored, nothing = page_bytes.of_message(reach), literal_column("0", Integer())
    sources: tuple[tuple[Table, Any, str, Any, Any, Any], ...] = (
        (messages, messages.c.position, CREATED, messages.c.id, no_delta, stored),
        (messages, messages.c.changed_position, UPDATED, messages.c.id, no_delta, stored),
        (deleted_messages, deleted_messages.c.deleted_position, DELETED, deleted_messages.c.id, no_delta, nothing),
        (message_deltas, message_deltas.c.position, DELTA, message_deltas.c.message_id, delta, octets(delta[-1])),
        (threads, threads.c.changed_position, THREAD, threads.c.id, no_delta, page_bytes.of_thread()),
    )
    heads = [
        select(at.label("position"), literal(kind).label("kind"), named.label("id"), *rest, of.label(page_bytes.BYTES))
        .where(_of_thread(table, reach, thread_id), at > position)
        .order_by(at)
        .limit(limit)
        .subquery()
        for table, at, kind, named, rest, of in sources
    ]
    together = union_all(*(select(head) for head in heads)).subquery()
    is_same = _begins_before(reach, thread_id, position)
    return select(together).where(is_same).order_by(together.c.position).limit(limit)


def list_messages_behind(reach: Reach, thread_id: str, position: int, limit: int) -> Select[Any]:
    """Select the messages of a thread behind a position, in order, and behind each its position and BYTES."""
    return (
        select(*MESSAGE_COLUMNS, messages.c.position, page_bytes.of_message(reach))
        .where(
            _of_thread(messages, reach, thread_id),
            messages.c.position > position,
            _begins_before(reach, thread_id, position),
        )
        .order_by(messages.c.position)
        .limit(limit)
    )


def last_positions(reach: Reach, thread_ids: Sequence[str]) -> Select[Any]:
    """Select how far threads have come, and where they begin; those that are not there are left out."""
    span = select(threads.c.id, threads.c.last_position, func.coalesce(threads.c.generation, 0))
    return span.where(within(threads, reach), threads.c.id.in_(thread_ids))


def list_growing(reach: Reach, message_ids: Sequence[str]) -> Select[Any]:
    """Select messages in progress, and behind each the text that it has gained, in order.

    Shape: MESSAGE_COLUMNS and a part index. A row without that is a message as it was last written as a whole; one
    with it is a text, which stands in `content`, and has nothing else but the ids.
    One statement, since the text moves into its message from time to time: two could miss it in both places.
    """
    gained: dict[Any, Any] = {
        messages.c.id: message_deltas.c.message_id,
        messages.c.thread_id: message_deltas.c.thread_id,
        CONTENT: utf8(message_deltas.c.text),
    }
    whole = select(*MESSAGE_COLUMNS, null().label("part_index"), literal_column("0").label("at")).where(
        within(messages, reach), messages.c.id.in_(message_ids)
    )
    pieces = select(
        *(gained.get(column, null()).label(column.name) for column in MESSAGE_COLUMNS),
        message_deltas.c.part_index,
        message_deltas.c.position,
    ).where(within(message_deltas, reach), message_deltas.c.message_id.in_(message_ids))
    together = union_all(whole, pieces).subquery()
    return select(together).order_by(together.c.id, together.c.at)


def last_delta(reach: Reach, message_id: str) -> Select[Any]:
    """Select the last text that a message has gained, and how many there are."""
    return (
        select(message_deltas)
        .where(within(message_deltas, reach), message_deltas.c.message_id == message_id)
        .order_by(message_deltas.c.position.desc())
        .limit(1)
    )


def insert_delta() -> Insert:
    """Insert a delta."""
    return insert(message_deltas)


def remove_deltas(reach: Reach, message_id: str) -> Delete:
    """Delete the deltas of a message, once they stand in its content or with it."""
    return delete(message_deltas).where(within(message_deltas, reach), message_deltas.c.message_id == message_id)


_NO_TEXT = literal(None, Text).label("text")


def _begins_before(reach: Reach, thread_id: str, position: int) -> ColumnElement[bool]:
    """Look whether a thread is the one that was followed: it begins behind all positions of one that was deleted."""
    begin = func.coalesce(threads.c.generation, 0)
    return exists().where(within(threads, reach), threads.c.id == thread_id, begin <= position)


def _of_thread(table: Table, reach: Reach, thread_id: str) -> ColumnElement[bool]:
    if table is threads:
        return and_(within(table, reach), table.c.id == thread_id)
    return within_thread(table, reach, thread_id)
