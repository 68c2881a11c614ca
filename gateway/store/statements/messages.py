"""Pure builders of statements on messages.

Every statement begins with what the caller can reach (`access`).
Must not be here: what the rows mean (`rows`), how a thread is followed (`following`), where a page ends by its bytes
(`page_bytes`).
"""

from __future__ import annotations

import operator
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    Label,
    Text,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    union_all,
)

from gateway.domain.message import Message, Status
from gateway.domain.page import WHOLE, Order
from gateway.domain.principal import Reach
from gateway.store.schema import tables
from gateway.store.statements import page_bytes, threads
from gateway.store.statements.access import is_shown, within, within_thread
from gateway.store.statements.functions import among, as_text, change_number, json_columns, json_values, utf8
from gateway.store.statements.idempotency import COLUMNS, has_key
from gateway.store.statements.paging import any_row, paged, past_cursor
from gateway.store.statements.wire_message import WIRE_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import CompoundSelect, Insert, ScalarSelect, Select, Update
    from sqlalchemy.sql.dml import ReturningDelete

    from gateway.domain.page import Fields, PageRequest

CONTENT: Final = utf8(tables.messages.c.content).label("content")
MESSAGE_COLUMNS: Final[tuple[Column[Any] | Label[Any], ...]] = (  # in the order of the fields of `Message`
    tables.messages.c.id,
    tables.messages.c.thread_id,
    tables.messages.c.created_at,
    tables.messages.c.role,
    tables.messages.c.status,
    CONTENT,
    tables.messages.c.attachments,
    tables.messages.c.metadata,
    tables.messages.c.run_id,
    tables.messages.c.assistant_id,
    tables.messages.c.completed_at,
    tables.messages.c.incomplete_at,
    tables.messages.c.incomplete_reason,
    tables.messages.c.plain_text,
    tables.messages.c.idempotency_key,
)

_COLUMNS: Final = {"wire_json": WIRE_MESSAGE, **dict(zip(Message._fields, MESSAGE_COLUMNS, strict=True))}
DELTAS: Final = "deltas"  # a field of rows: what a message in progress has gained since its content was last written
GROWING: Final = (*WHOLE, DELTAS)

EDGES: Final = page_bytes.EDGES  # a field: the sum of the next two, of cursors with a message at them or past them
EDGE_AFTER: Final = 1
EDGE_BEFORE: Final = 2
_KEY: Final = (tables.messages.c.position,)


def columns_of(reach: Reach, fields: Sequence[str]) -> list[ColumnElement[Any]]:
    """Select fields of messages, and BYTES."""
    return [*(_deltas(reach) if name == DELTAS else _COLUMNS[name] for name in fields), page_bytes.of_message(reach)]


def _deltas(reach: Reach) -> Label[Any]:
    """Select the deltas of a message in progress: arrays of JSON of their positions, of part indexes, and of texts.

    They are selected with the content, into which they are moved from time to time: two statements could miss them in
    both places.
    """
    own = tables.message_deltas.c
    gained = select(json_columns(own.position, own.part_index, own.text))
    gained = gained.where(within(tables.message_deltas, reach), own.message_id == tables.messages.c.id)
    # A row after the end of a page has no content (`page_bytes`).
    is_growing = and_(tables.messages.c.status == Status.IN_PROGRESS.value, tables.messages.c.content.is_not(None))
    return case((is_growing, gained.scalar_subquery())).label(DELTAS)


def get_messages(reach: Reach, message_ids: Sequence[str], fields: Fields = WHOLE) -> Select[Any]:
    """Select messages of any thread by their ids, in no order."""
    own = (within(tables.messages, reach), is_shown(reach, tables.messages.c.thread_id))
    return select(*columns_of(reach, fields)).where(*own, tables.messages.c.id.in_(message_ids))


def get_messages_of(reach: Reach, message_ids: str, fields: Fields = WHOLE) -> Select[Any]:
    """Select the same of an array of JSON, so that all numbers of ids have one statement; for SQLite.

    An inner join, not IN: that would first make a sorted table of the ids.
    """
    wanted = json_values(as_text(message_ids)).table_valued("value", name="wanted")
    own = and_(within(tables.messages, reach), tables.messages.c.id == wanted.c.value)
    rows = wanted.join(tables.messages, own)
    return select(*columns_of(reach, fields)).select_from(rows).where(is_shown(reach, tables.messages.c.thread_id))


def list_messages(
    reach: Reach, thread_id: str, page: PageRequest, run_id: str | None = None, fields: Fields = WHOLE
) -> Select[Any]:
    """Select one page of a thread's messages, and one row more to see whether any remain.

    Shape: at most `page.limit + 1` rows of the fields and BYTES, in the order of the scan (`paging.is_ascending`).
    EDGES, which are the same in all rows, may be the last of the fields.
    Errors: none here; an unknown thread gives no rows, and so does a cursor that is not of this thread.
    Source: OpenAI `GET /threads/{thread_id}/messages`; Relay Cursor Connections, "Pagination algorithm".
    """
    *shown, stored = columns_of(reach, [name for name in fields if name != EDGES])
    if EDGES in fields:
        shown.append(_edges(reach, thread_id, page, run_id))
    return _listed(select(*shown, stored), reach, thread_id, page, run_id)


def list_messages_of_each(
    reach: Reach, thread_ids: str, page: PageRequest, run_id: str | None = None, fields: Fields = WHOLE
) -> Select[Any]:
    """Select the same page of several threads, whose ids are an array of JSON, in one statement of SQLite.

    Shape: the rows of `list_messages`, in order for each thread.
    SQLite has no LATERAL, but functions that return rows may refer to what stands before them: so the positions of each
    page are found first. An outer join keeps that order.
    """
    wanted = json_values(as_text(thread_ids)).table_valued("value", name="wanted")
    one: Any = literal_column("wanted.value", Text())  # the id of the outer statement
    positions = _listed(select(tables.messages.c.position), reach, one, page, run_id).subquery("positions")
    together = select(func.json_group_array(positions.c.position)).scalar_subquery()
    near = json_values(together).table_valued("value", name="near")
    own = and_(within_thread(tables.messages, reach, one), tables.messages.c.position == near.c.value)
    rows = wanted.join(near, literal_column("1")).outerjoin(tables.messages, own)
    return select(*columns_of(reach, fields)).select_from(rows)


def with_message(
    listed: Select[Any], columns: Sequence[Any], reach: Reach, page: PageRequest, fields: Fields
) -> Select[Any]:
    """Select a page of one message with each of some threads that the caller can reach, in one statement of SQLite.

    Shape: the fields, the columns of the thread, and BYTES; nulls for a thread without such a message.
    """
    own = Reach(reach.project_id).and_unfinished()  # the threads are whole
    one: Any = tables.threads.c.id
    row: ColumnElement[int] = literal_column("messages.rowid")
    found = _listed(select(row), own, one, page, None).correlate(tables.threads).scalar_subquery()
    *shown, stored = columns_of(own, fields)
    return listed.outerjoin(tables.messages, row == found).with_only_columns(
        *shown, *columns, page_bytes.or_none(stored)
    )


def _listed(statement: Select[Any], reach: Reach, thread_id: str, page: PageRequest, run_id: str | None) -> Select[Any]:
    own = statement.where(_of_thread(reach, thread_id, run_id), is_shown(reach, thread_id))
    return paged(own, _KEY, page, partial(place_of_message, reach, thread_id))


def get_thread_with_edges(reach: Reach, thread_id: str, page: PageRequest, run_id: str | None = None) -> Select[Any]:
    """Select a thread, and whether messages are at or past the cursors of a page of its messages.

    Shape: THREAD_COLUMNS and EDGES.
    """
    return select(*threads.columns_for(reach), _edges(reach, thread_id, page, run_id)).where(
        within(tables.threads, reach), tables.threads.c.id == thread_id
    )


def _edges(reach: Reach, thread_id: str, page: PageRequest, run_id: str | None) -> Label[int]:
    """Select EDGES of a page; the database finds them once for a statement."""
    up = page.order is Order.ASC
    cursors = ((page.after, not up, EDGE_AFTER), (page.before, up, EDGE_BEFORE))
    flags = [
        case((any_message_from(reach, thread_id, cursor, run_id, side).scalar_subquery(), number), else_=0)
        for cursor, side, number in cursors
        if cursor is not None
    ]
    edges: ColumnElement[int] = reduce(operator.add, flags) if flags else literal_column("0", Integer())
    return edges.label(EDGES)


def any_message_from(reach: Reach, thread_id: str, cursor: str, run_id: str | None, up: bool) -> Select[Any]:
    """Select whether a message of a thread is at a cursor or past it."""
    bound = past_cursor(_KEY, place_of_message(reach, thread_id, cursor), up=up, inclusive=True)
    beyond = select(tables.messages.c.position).where(_of_thread(reach, thread_id, run_id), bound)
    return any_row(beyond.correlate(None), _KEY, up=up)  # not with the messages of a page, whose column it may be


def count_messages_of_run(reach: Reach, thread_id: str, run_id: str) -> Select[Any]:
    """Count the messages of one run; the count of all messages is kept on the thread."""
    return select(func.count()).select_from(tables.messages).where(_of_thread(reach, thread_id, run_id))


def place_of_message(reach: Reach, thread_id: str, message_id: str) -> ScalarSelect[Any]:
    """Find where a living or deleted message stands in its thread."""
    alive, gone = tables.messages.alias("cursor"), tables.deleted_messages
    return union_all(
        select(alive.c.position).where(within_thread(alive, reach, thread_id), alive.c.id == message_id),
        select(gone.c.position).where(within_thread(gone, reach, thread_id), gone.c.id == message_id),
    ).scalar_subquery()


def has_place_in_thread(reach: Reach, thread_id: str, message_id: str) -> Select[Any]:
    """Select whether a cursor names a living or deleted message of a thread."""
    return select(place_of_message(reach, thread_id, message_id).is_not(None))


def position_of(reach: Reach, thread_id: str, message_id: str) -> Select[Any]:
    """Select the position of a living or deleted message of a thread, or null."""
    return select(place_of_message(reach, thread_id, message_id))


def known_messages(reach: Reach, message_ids: str) -> CompoundSelect[Any]:
    """Select which of many ids, an array of JSON, are taken by living or deleted messages, and the thread of each."""
    alive, gone = tables.messages, tables.deleted_messages
    return union_all(
        select(alive.c.id, alive.c.thread_id).where(within(alive, reach), among(alive.c.id, as_text(message_ids))),
        select(gone.c.id, gone.c.thread_id).where(within(gone, reach), among(gone.c.id, as_text(message_ids))),
    )


def insert_message(reach: Reach, message: Message, position: int, others: dict[str, Any] | None = None) -> Insert:
    """Insert a message at a position that was allocated for it, with the values of other columns by their names."""
    own = {
        tables.messages.c.project_id: reach.project_id,
        tables.messages.c.position: position,
        tables.messages.c.change_number: change_number(),  # SQLite would otherwise write the row twice
    }
    own |= {tables.messages.c[name]: value for name, value in (others or {}).items()}
    return insert(tables.messages).values(own | _columns_of(message))


def take_position_once(reach: Reach, thread_id: str, active_at: int, scope: str, key: str | None) -> Update:
    """Allocate a position of a thread, as `take_positions`, unless a deleted message has an idempotency key."""
    is_taken = exists().where(has_key(tables.deleted_messages, reach, scope, key))
    return threads.take_position(reach, thread_id, active_at).where(~is_taken)


def append_message(
    reach: Reach, message: Message, active_at: int, scope: str | None = None, fingerprint: str | None = None
) -> Select[Any]:
    """Allocate a position and insert a message there, in one statement of PostgreSQL.

    With an idempotency key it inserts nothing if a deleted message has the key, or if the thread has changed since the
    statement began, whose snapshot does not show later deletions.
    Shape: one row, the position and the second that the message gets and the thread's owner, or none for an unknown
    thread.
    """
    moved = threads.take_position(reach, message.thread_id, active_at)
    if scope is not None:
        seen = tables.threads.alias("seen")
        is_same = seen.c.last_position == tables.threads.c.last_position
        moved = take_position_once(reach, message.thread_id, active_at, scope, message.idempotency_key)
        moved = moved.where(within(seen, reach), seen.c.id == message.thread_id, is_same)
    taken = moved.cte("taken")
    second = taken.c.last_created_at
    own = {
        tables.messages.c.project_id: _typed(reach.project_id, tables.messages.c.project_id),
        tables.messages.c.position: taken.c.last_position,
        **{
            column: _typed(value, column)
            for column, value in (_columns_of(message) | _of_key(scope, fingerprint)).items()
        },
        tables.messages.c.created_at: second,
    }
    if tables.messages.c.completed_at in own:
        own[tables.messages.c.completed_at] = second
    added = insert(tables.messages).from_select(list(own), select(*own.values()))
    made = added.returning(tables.messages.c.position, tables.messages.c.created_at).cte("added").c
    return select(made.position, made.created_at, select(taken.c.owner).scalar_subquery())


def _columns_of(message: Message) -> dict[Column[Any], Any]:
    own = zip(MESSAGE_COLUMNS, message, strict=True)
    return {tables.messages.c[each.name]: value for each, value in own if value is not None}


def _of_key(scope: str | None, fingerprint: str | None) -> dict[Column[Any], Any]:
    if scope is None:
        return {}
    return {tables.messages.c.idempotency_scope: scope, tables.messages.c.idempotency_fingerprint: fingerprint}


def _typed(value: Any, column: Column[Any]) -> Any:
    """Give a literal value the type of its column, which PostgreSQL cannot infer."""
    return value if isinstance(value, ColumnElement) else literal(value, column.type)


def remove_message(reach: Reach, thread_id: str, message_id: str) -> ReturningDelete[Any]:
    """Delete a message of a thread, and return its position and what is stored of its idempotency key."""
    return (
        delete(tables.messages)
        .where(within_thread(tables.messages, reach, thread_id), tables.messages.c.id == message_id)
        .returning(tables.messages.c.position, *[tables.messages.c[name] for name in COLUMNS])
    )


def _of_thread(reach: Reach, thread_id: str, run_id: str | None) -> ColumnElement[bool]:
    narrowed = within_thread(tables.messages, reach, thread_id)
    return narrowed if run_id is None else and_(narrowed, tables.messages.c.run_id == run_id)
