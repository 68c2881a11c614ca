"""Pure builders of statements that follow a thread from a position on, and of the deltas of messages.

Must not be here: pages and single rows (`threads`, `messages`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    TextClause,
    and_,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
    true,
    union_all,
    update,
)

from gateway.domain.delta import Delta
from gateway.store.schema import tables
from gateway.store.statements import page_bytes
from gateway.store.statements.access import within, within_thread
from gateway.store.statements.functions import as_text, json_text_at, json_values, octets
from gateway.store.statements.messages import GROWING, columns_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Delete, Table
    from sqlalchemy.sql.dml import ReturningInsert

    from gateway.domain.principal import Reach

DELTA_COLUMNS: Final = tuple(  # in the order of the fields of `domain.delta.Delta`
    tables.message_deltas.c[name] for name in Delta._fields
)
CREATED, UPDATED, DELETED, DELTA, THREAD = "created", "updated", "deleted", "delta", "thread"
RUN_CREATED, RUN_UPDATED = "run_created", "run_updated"


def list_changes(reach: Reach, thread_id: str, position: int, limit: int) -> Select[Any]:
    """Select the changes of a thread after a position, in order.

    Shape: at most `limit` rows of position, kind, id, of a delta its part, start and text, and BYTES. A message that
    was changed twice comes once, at its last change.
    A union of limited selects, each answered by its index, however long the thread is.
    """
    messages, deltas, deleted = tables.messages.c, tables.message_deltas.c, tables.deleted_messages.c
    runs = tables.runs.c
    no_delta = (literal(None, Integer).label("part_index"), literal(None, Integer).label("start"), _NO_TEXT)
    delta = (deltas.part_index, deltas.start, deltas.text)
    stored, nothing = page_bytes.of_message(reach), literal_column("0", Integer())
    of_thread = (THREAD, tables.threads.c.id, no_delta, page_bytes.of_thread())
    sources: tuple[tuple[Table, Any, str, Any, Any, Any], ...] = (
        (tables.messages, messages.position, CREATED, messages.id, no_delta, stored),
        (tables.messages, messages.changed_position, UPDATED, messages.id, no_delta, stored),
        (tables.deleted_messages, deleted.deleted_position, DELETED, deleted.id, no_delta, nothing),
        (tables.message_deltas, deltas.position, DELTA, deltas.message_id, delta, octets(delta[-1])),
        (tables.runs, runs.position, RUN_CREATED, runs.id, no_delta, nothing),
        (tables.runs, runs.changed_position, RUN_UPDATED, runs.id, no_delta, nothing),
        (tables.threads, tables.threads.c.changed_position, *of_thread),
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


def list_changes_with_messages(
    reach: Reach,
    thread_id: str,
    position: int,
    limit: int,
    is_sqlite: bool,
) -> Select[Any]:
    """Select the same, and the messages that were created or updated, within the limit on bytes of a batch.

    Shape: GROWING, nulls where there is no message; the columns of `list_changes`, BYTES at the end. On
    PostgreSQL a message is looked up for each row: for a join it might expect many rows, and read all messages.
    """
    listed = list_changes(reach, thread_id, position, limit).subquery("listed")
    stored = listed.c[page_bytes.BYTES]
    so_far = func.sum(stored).over(order_by=listed.c.position, rows=(None, 0))
    change = select(*listed.c, so_far.label("held")).subquery("change")
    *columns, stored, held = change.c
    own = and_(
        within(tables.messages, reach),
        tables.messages.c.id == change.c.id,
        or_(change.c.kind == CREATED, change.c.kind == UPDATED),
        page_bytes.fits_page(held, stored),
    )
    *of_message, _ = columns_of(reach, GROWING)
    if is_sqlite:
        joined = change.outerjoin(tables.messages, own)
    else:
        message = select(*of_message).where(own).limit(1).lateral("message")
        joined, of_message = change.outerjoin(message, true()), [*message.c]
    return select(*of_message, *columns, stored).select_from(joined).order_by(change.c.position)


def list_messages_after(reach: Reach, thread_id: str, position: int, limit: int) -> Select[Any]:
    """Select the messages of a thread after a position, in order: GROWING, the position, and BYTES of each."""
    *of_message, stored = columns_of(reach, GROWING)
    return (
        select(*of_message, tables.messages.c.position, stored)
        .where(
            _of_thread(tables.messages, reach, thread_id),
            tables.messages.c.position > position,
            _begins_before(reach, thread_id, position),
        )
        .order_by(tables.messages.c.position)
        .limit(limit)
    )


def last_positions(topics: str) -> Select[Any]:
    """Select the last position of each of many threads of any project, an array of JSON of their topics.

    Shape: a topic and its position, which is null for an unknown thread.
    A subquery for each of them is answered by the index, whatever a planner expects of their number.
    """
    topic = json_values(as_text(topics)).table_valued("value", name="topic").c.value
    project_id, thread_id = (json_text_at(topic, literal_column(str(n))) for n in range(2))
    own = tables.threads.c
    position = select(own.last_position).where(own.project_id == project_id, own.id == thread_id)
    return select(project_id.label("project_id"), thread_id.label("id"), position.scalar_subquery().label("position"))


def span(reach: Reach, thread_id: str) -> Select[Any]:
    """Select the positions at which a thread begins and ends."""
    begin = func.coalesce(tables.threads.c.generation, 0)
    found = select(begin, tables.threads.c.last_position)
    return found.where(within(tables.threads, reach), tables.threads.c.id == thread_id)


def last_delta(reach: Reach, message_id: str) -> Select[Any]:
    """Select the last delta of a message, which has their number, as DELTA_COLUMNS."""
    return (
        select(*DELTA_COLUMNS)
        .where(within(tables.message_deltas, reach), tables.message_deltas.c.message_id == message_id)
        .order_by(tables.message_deltas.c.position.desc())
        .limit(1)
    )


def deltas_after(reach: Reach, message_id: str, position: int) -> Select[Any]:
    """Select the deltas of a message after a position, in order, each as its position and DELTA_COLUMNS."""
    own = tables.message_deltas
    of_message = select(own.c.position, *DELTA_COLUMNS).where(within(own, reach), own.c.message_id == message_id)
    return of_message.where(own.c.position > position).order_by(own.c.position)


def append_delta(reach: Reach, message_id: str, text: str, counts: Mapping[str, int]) -> ReturningInsert[Any]:
    """Insert a delta after the last one of a message, at the next position of its thread.

    It is one statement of PostgreSQL, which reads the last delta before it waits for the thread's row. So it inserts
    nothing if the row has changed since, if the message has no delta, or if its last one has no counters.
    Shape: one row of the thread's id, its owner and the position, or none. `counts` are the `units` and `characters`
    of the text, the `most` characters that a message may have, `fold`, the number of the first delta that has to be
    folded, and if given the `offset` at which the text must begin.
    """
    deltas, own, seen = tables.message_deltas, tables.threads, tables.threads.alias("seen")
    last = last_delta(reach, message_id).with_only_columns(*deltas.c).cte("last")
    number, characters = last.c.number + 1, last.c.characters + counts["characters"]
    at_offset = [last.c.next_start == counts["offset"]] if "offset" in counts else []
    is_same = and_(within(seen, reach), seen.c.id == last.c.thread_id, seen.c.last_position == own.c.last_position)
    moved = (
        update(own)
        .where(within(own, reach), own.c.id == last.c.thread_id, is_same)
        .where(characters <= counts["most"], number < counts["fold"], *at_offset)
        .values(last_position=own.c.last_position + 1)
        .returning(own.c.last_position, own.c.owner)
        .cte("moved")
    )
    added = {
        **{name: last.c[name] for name in ("project_id", "thread_id", "message_id", "part_index")},
        "position": moved.c.last_position,
        "number": number,
        "start": last.c.next_start,
        "text": as_text(text),
        "next_start": last.c.next_start + counts["units"],
        "characters": characters,
    }
    owner = select(moved.c.owner).scalar_subquery()
    return (
        insert(deltas)
        .from_select(list(added), select(*added.values()))
        .returning(deltas.c.thread_id, owner, deltas.c.position)
    )


def data_version() -> TextClause:
    """Ask SQLite for its counter of changes to the file by other connections."""
    return TextClause("PRAGMA data_version")


def remove_deltas(reach: Reach, message_id: str) -> Delete:
    """Delete the deltas of a message, once they are part of its content or it is deleted."""
    return delete(tables.message_deltas).where(
        within(tables.message_deltas, reach), tables.message_deltas.c.message_id == message_id
    )


_NO_TEXT = literal(None, Text).label("text")


def _begins_before(reach: Reach, thread_id: str, position: int) -> ColumnElement[bool]:
    """Compare whether a thread is the followed one: a new one of the same id begins at a later position."""
    begin = func.coalesce(tables.threads.c.generation, 0)
    return exists().where(within(tables.threads, reach), tables.threads.c.id == thread_id, begin <= position)


def _of_thread(table: Table, reach: Reach, thread_id: str) -> ColumnElement[bool]:
    if table is tables.threads:
        return and_(within(table, reach), table.c.id == thread_id)
    return within_thread(table, reach, thread_id)
