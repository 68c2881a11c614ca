"""Pure builders of statements: values in, a SQLAlchemy statement out; nothing is opened or run here.

Every statement begins with what the caller can reach (`access`).
Must not be here: what the rows mean (`rows`), transactions (`store`), where a page ends by its bytes (`page_bytes`).
"""

from __future__ import annotations

import operator
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Insert,
    Integer,
    Label,
    ScalarSelect,
    Select,
    Text,
    Update,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    tuple_,
    union_all,
    update,
)

from gateway.domain.message import Message, Status
from gateway.domain.page import Order, PageRequest
from gateway.domain.wire import MESSAGE_TEMPLATE
from gateway.store.schema.tables import deleted_messages, deleted_threads, messages, threads
from gateway.store.statements import page_bytes
from gateway.store.statements.access import within, within_thread
from gateway.store.statements.functions import among, filled, number_as_json, text_as_json, utf8

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import CompoundSelect
    from sqlalchemy.sql.base import ReadOnlyColumnCollection
    from sqlalchemy.sql.dml import ReturningDelete

    from gateway.domain.page import Fields
    from gateway.domain.principal import Reach
    from gateway.domain.thread import Inferred

# In the order of the fields of `domain.thread.Thread` and `domain.message.Message`.
THREAD_COLUMNS = (
    threads.c.id,
    threads.c.created_at,
    threads.c.metadata,
    threads.c.tool_resources,
    threads.c.message_count,
    threads.c.owner,
)
CONTENT = utf8(messages.c.content).label("content")
MESSAGE_COLUMNS: Final[tuple[Column[Any] | Label[Any], ...]] = (
    messages.c.id,
    messages.c.thread_id,
    messages.c.created_at,
    messages.c.role,
    messages.c.status,
    CONTENT,
    messages.c.attachments,
    messages.c.metadata,
    messages.c.run_id,
    messages.c.assistant_id,
    messages.c.completed_at,
    messages.c.incomplete_at,
    messages.c.incomplete_reason,
)

_REASON = func.coalesce(
    literal_column("""'{"reason":"'""", Text()) + messages.c.incomplete_reason + literal_column("""'"}'""", Text()),
    literal_column("'null'", Text()),
)
_OBJECT = filled(
    literal_column(f"'{MESSAGE_TEMPLATE}'"),
    messages.c.id,
    messages.c.created_at,
    text_as_json(messages.c.assistant_id),
    messages.c.thread_id,
    text_as_json(messages.c.run_id),
    messages.c.status,
    _REASON,
    number_as_json(messages.c.incomplete_at),
    number_as_json(messages.c.completed_at),
    messages.c.role,
    messages.c.content,
    messages.c.attachments,
    messages.c.metadata,
)
# A message as the wire has it; of one in progress, whose text lies elsewhere too, the id alone. One value: each more
# would take as long as all the rest of its row.
WRITTEN: Final = utf8(case((messages.c.status == Status.IN_PROGRESS.value, messages.c.id), else_=_OBJECT))

# Of a message in progress, whose text lies elsewhere too, no content: who reads some fields need not read its status.
_SETTLED = case((messages.c.status != Status.IN_PROGRESS.value, CONTENT.element)).label("content")
_COLUMNS: Final = {
    name: _SETTLED if column is CONTENT else column
    for name, column in zip(Message._fields, MESSAGE_COLUMNS, strict=True)
}

BEYOND_AFTER: Final = 1
BEYOND_BEFORE: Final = 2
_THREAD_KEY = (threads.c.created_at, threads.c.seq)
_MESSAGE_KEY = (messages.c.position,)


def get_threads(reach: Reach, thread_ids: Sequence[str]) -> Select[Any]:
    """Select threads by their ids, in no order."""
    return select(*_thread_columns(reach)).where(within(threads, reach), threads.c.id.in_(thread_ids))


def get_messages(reach: Reach, message_ids: Sequence[str]) -> Select[Any]:
    """Select messages of any thread by their ids, in no order."""
    found = select(*MESSAGE_COLUMNS, page_bytes.of_message(reach))
    return found.where(within(messages, reach), messages.c.id.in_(message_ids))


def list_threads(reach: Reach, page: PageRequest) -> Select[Any]:
    """Select one page of a project's threads, and one row more to see whether any remain.

    Shape: at most `page.limit + 1` rows of THREAD_COLUMNS, in the order of the walk (`walks_up`).
    Source: Relay Cursor Connections, "Pagination algorithm".
    """
    statement = select(*_thread_columns(reach)).where(within(threads, reach))
    bounds = [_beyond(_THREAD_KEY, place_of_thread(reach, cursor), up=up) for cursor, up in _interval(page)]
    return _walk(statement.where(*bounds), _THREAD_KEY, page)


def list_messages(reach: Reach, thread_id: str, page: PageRequest, run_id: str | None = None) -> Select[Any]:
    """Select one page of a thread's messages, and one row more to see whether any remain.

    Shape: at most `page.limit + 1` rows of MESSAGE_COLUMNS and BYTES, in the order of the walk (`walks_up`).
    Errors: none here; an unknown thread gives no rows, and so does a cursor that is not of this thread.
    Source: OpenAI `GET /threads/{thread_id}/messages`; Relay Cursor Connections, "Pagination algorithm".
    """
    return _listed(MESSAGE_COLUMNS, reach, thread_id, page, run_id)


def list_written_messages(reach: Reach, thread_id: str, page: PageRequest, run_id: str | None = None) -> Select[Any]:
    """Select the same page as `list_messages` does, each message WRITTEN."""
    return _listed([WRITTEN], reach, thread_id, page, run_id)


def list_message_fields(
    reach: Reach, thread_id: str, page: PageRequest, run_id: str | None, fields: Fields
) -> Select[Any]:
    """Select some fields of the same page, in their order; of a message in progress no content."""
    columns = [_COLUMNS[name] for name in fields]
    return _listed(columns, reach, thread_id, page, run_id)


def _listed(
    columns: Iterable[ColumnElement[Any]],
    reach: Reach,
    thread_id: str,
    page: PageRequest,
    run_id: str | None,
) -> Select[Any]:
    bounds = [
        _beyond(_MESSAGE_KEY, place_of_message(reach, thread_id, cursor), up=up) for cursor, up in _interval(page)
    ]
    statement = select(*columns, page_bytes.of_message(reach)).where(_of_thread(reach, thread_id, run_id), *bounds)
    return _walk(statement, _MESSAGE_KEY, page)


def get_thread_beside(reach: Reach, thread_id: str, page: PageRequest, run_id: str | None = None) -> Select[Any]:
    """Select a thread, and what lies beyond the cursors of a page of its messages.

    Shape: THREAD_COLUMNS and the sum of BEYOND_AFTER and BEYOND_BEFORE, where a message lies at that cursor or on its
    far side.
    """
    up = page.order is Order.ASC
    cursors = ((page.after, not up, BEYOND_AFTER), (page.before, up, BEYOND_BEFORE))
    beyond = [
        case((any_message_from(reach, thread_id, cursor, run_id, up=side).scalar_subquery(), number), else_=0)
        for cursor, side, number in cursors
        if cursor is not None
    ]
    both: ColumnElement[int] = reduce(operator.add, beyond) if beyond else literal_column("0", Integer())
    return select(*_thread_columns(reach), both.label("beyond")).where(
        within(threads, reach), threads.c.id == thread_id
    )


def any_thread_from(reach: Reach, cursor: str, *, up: bool) -> Select[Any]:
    """Ask whether a thread lies at a cursor or beyond it."""
    bound = _beyond(_THREAD_KEY, place_of_thread(reach, cursor), up=up, inclusive=True)
    return _any_from(select(threads.c.seq).where(within(threads, reach), bound), _THREAD_KEY, up=up)


def any_message_from(reach: Reach, thread_id: str, cursor: str, run_id: str | None, *, up: bool) -> Select[Any]:
    """Ask whether a message of a thread lies at a cursor or beyond it."""
    bound = _beyond(_MESSAGE_KEY, place_of_message(reach, thread_id, cursor), up=up, inclusive=True)
    beyond = select(messages.c.position).where(_of_thread(reach, thread_id, run_id), bound)
    return _any_from(beyond, _MESSAGE_KEY, up=up)


def count_messages_of_run(reach: Reach, thread_id: str, run_id: str) -> Select[Any]:
    """Count the messages of one run; the count of all messages is kept on the thread."""
    return select(func.count()).select_from(messages).where(_of_thread(reach, thread_id, run_id))


def place_of_thread(reach: Reach, thread_id: str) -> ScalarSelect[Any]:
    """Find where a living or deleted thread stands in the list of threads."""
    alive, gone = threads.alias("cursor"), deleted_threads
    return union_all(
        select(alive.c.created_at, alive.c.seq).where(within(alive, reach), alive.c.id == thread_id),
        select(gone.c.created_at, gone.c.seq).where(within(gone, reach), gone.c.id == thread_id),
    ).scalar_subquery()


def place_of_message(reach: Reach, thread_id: str, message_id: str) -> ScalarSelect[Any]:
    """Find where a living or deleted message stands in its thread."""
    alive, gone = messages.alias("cursor"), deleted_messages
    return union_all(
        select(alive.c.position).where(within_thread(alive, reach, thread_id), alive.c.id == message_id),
        select(gone.c.position).where(within_thread(gone, reach, thread_id), gone.c.id == message_id),
    ).scalar_subquery()


def has_place_among_threads(reach: Reach, thread_id: str) -> Select[Any]:
    """Ask whether a cursor names a living or deleted thread."""
    gone = deleted_threads
    return select(
        exists().where(within(threads, reach), threads.c.id == thread_id)
        | exists().where(within(gone, reach), gone.c.id == thread_id)
    )


def has_place_in_thread(reach: Reach, thread_id: str, message_id: str) -> Select[Any]:
    """Ask whether a cursor names a living or deleted message of a thread."""
    return select(place_of_message(reach, thread_id, message_id).is_not(None))


def known_messages(reach: Reach, message_ids: str) -> CompoundSelect[Any]:
    """Select which of many ids, an array of JSON, are taken by living or deleted messages, and the thread of each."""
    alive, gone = messages, deleted_messages
    return union_all(
        select(alive.c.id, alive.c.thread_id).where(within(alive, reach), among(alive.c.id, literal(message_ids))),
        select(gone.c.id, gone.c.thread_id).where(within(gone, reach), among(gone.c.id, literal(message_ids))),
    )


def insert_thread() -> Insert:
    """Insert a thread."""
    return insert(threads)


def insert_messages() -> Insert:
    """Insert messages, one parameter set each."""
    return insert(messages)


def append_message(reach: Reach, message: Message, channel: str) -> Select[Any]:
    """Take a position, insert a message there and tell who listens, all in one statement of PostgreSQL.

    Shape: one row, whose first column is the second that the message gets, or none for an unknown thread.
    """
    taken = take_positions(reach, message.thread_id, 1, message.created_at).cte("taken")
    added = _placed(reach, message, taken.c).returning(messages.c.created_at).cte("added")
    topic = _typed(reach.project_id, messages.c.project_id) + " " + _typed(message.thread_id, messages.c.thread_id)
    return select(added.c.created_at, func.pg_notify(channel, topic))


def insert_at_end(reach: Reach, message: Message) -> Insert:
    """Insert a message at the position that was taken last in its thread, for the transaction that has taken it."""
    return _placed(reach, message, threads.c, within(threads, reach), threads.c.id == message.thread_id)


def _placed(
    reach: Reach, message: Message, place: ReadOnlyColumnCollection[str, Any], *narrowed: ColumnElement[bool]
) -> Insert:
    """Insert a message at the position, and with the second, that columns of another statement give."""
    given = {messages.c[each.name]: value for each, value in zip(MESSAGE_COLUMNS, message, strict=True)}
    second = place.last_created_at
    own = {
        messages.c.project_id: _typed(reach.project_id, messages.c.project_id),
        messages.c.position: place.last_position,
        **{column: _typed(value, column) for column, value in given.items()},
        messages.c.created_at: second,
    }
    own[messages.c.completed_at] = case((own[messages.c.completed_at].is_not(None), second))
    return insert(messages).from_select(list(own), select(*own.values()).where(*narrowed))


def _typed(value: Any, column: Column[Any]) -> Any:
    """Give a value that stands alone the type of its column, which PostgreSQL cannot guess."""
    return value if isinstance(value, ColumnElement) else literal(value, column.type)


def take_positions(reach: Reach, thread_id: str, count: int, created_at: int) -> Update:
    """Take the next positions of a thread, under its row's lock, and count the messages that will have them.

    Shape: one row, the last position taken and the second that the messages get, or none for an unknown thread.
    The lock lasts until commit, so the order of positions is the order of commits; and no message is older than
    the one before it, also where clocks differ, so the order of positions is the order of `created_at` too.
    """
    return (
        update(threads)
        .where(within(threads, reach), threads.c.id == thread_id)
        .values(
            last_position=threads.c.last_position + count,
            message_count=threads.c.message_count + count,
            last_created_at=_later(created_at),
        )
        .returning(threads.c.last_position, threads.c.last_created_at)
    )


def next_position(reach: Reach, thread_id: str) -> Update:
    """Take one position of a thread for a change, under its row's lock; one row, or none for an unknown thread."""
    further = threads.c.last_position + 1
    moved = update(threads).where(within(threads, reach), threads.c.id == thread_id)
    return moved.values(last_position=further).returning(threads.c.last_position)


def move_end(reach: Reach, thread_id: str, position: int, second: int) -> Update:
    """Note where a thread ends behind messages that were added to it without a gap."""
    moved = update(threads).where(within(threads, reach), threads.c.id == thread_id)
    further = threads.c.message_count + position - threads.c.last_position
    return moved.values(message_count=further, last_position=position, last_created_at=second)


def set_thread(reach: Reach, thread_id: str, told: Inferred, **values: str | int) -> Update:
    """Change columns of one thread, of which some are from now on told and not inferred."""
    inferred = threads.c.inferred.bitwise_and(~int(told))
    return update(threads).where(within(threads, reach), threads.c.id == thread_id).values(**values, inferred=inferred)


def set_message(reach: Reach, message_id: str, **values: str | int | None) -> Update:
    """Change columns of one message."""
    return update(messages).where(within(messages, reach), messages.c.id == message_id).values(**values)


def uncount_message(reach: Reach, thread_id: str) -> Update:
    """Count one message less in a thread."""
    fewer = threads.c.message_count - 1
    return update(threads).where(within(threads, reach), threads.c.id == thread_id).values(message_count=fewer)


def remove_message(reach: Reach, thread_id: str, message_id: str) -> ReturningDelete[Any]:
    """Delete a message of a thread and give its position back."""
    return (
        delete(messages)
        .where(within_thread(messages, reach, thread_id), messages.c.id == message_id)
        .returning(messages.c.position)
    )


def remember_message() -> Insert:
    """Keep the place of a deleted message."""
    return insert(deleted_messages)


def remove_thread(reach: Reach, thread_id: str) -> ReturningDelete[Any]:
    """Delete a thread, its messages with it, and give its place back."""
    return (
        delete(threads)
        .where(within(threads, reach), threads.c.id == thread_id)
        .returning(threads.c.created_at, threads.c.seq, threads.c.owner, threads.c.last_position)
    )


def remember_thread() -> Insert:
    """Keep the place of a deleted thread."""
    return insert(deleted_threads)


def walks_up(page: PageRequest) -> bool:
    """Say whether the rows of a page come with rising keys; from the end, one walks against the order."""
    return (page.order is Order.ASC) != page.from_end


def _thread_columns(reach: Reach) -> list[Any]:
    """Give THREAD_COLUMNS as a caller may read them: a token for one thread is not told whose that is."""
    hidden = null().label("owner")
    return [hidden if each is threads.c.owner and reach.thread_id is not None else each for each in THREAD_COLUMNS]


def _of_thread(reach: Reach, thread_id: str, run_id: str | None) -> ColumnElement[bool]:
    narrowed = within_thread(messages, reach, thread_id)
    return narrowed if run_id is None else and_(narrowed, messages.c.run_id == run_id)


def _interval(page: PageRequest) -> list[tuple[str, bool]]:
    """Name the cursors that bound a page, each with the side on which its rows lie."""
    up = page.order is Order.ASC
    bounds = ((page.after, up), (page.before, not up))
    return [(cursor, side) for cursor, side in bounds if cursor is not None]


def _beyond(
    key: tuple[Column[Any], ...], place: ScalarSelect[Any], *, up: bool, inclusive: bool = False
) -> ColumnElement[bool]:
    """Compare keys with the place of a cursor; an unknown cursor has no place, and nothing lies beyond that."""
    compare = _COMPARE[up, inclusive]
    return compare(key[0] if len(key) == 1 else tuple_(*key), place)


_COMPARE: dict[tuple[bool, bool], Callable[[Any, Any], ColumnElement[bool]]] = {
    (True, False): operator.gt,
    (False, False): operator.lt,
    (True, True): operator.ge,
    (False, True): operator.le,
}


def _any_from(statement: Select[Any], key: tuple[Column[Any], ...], *, up: bool) -> Select[Any]:
    # Not EXISTS: PostgreSQL would think any row soon found, and read through other threads and projects for it.
    nearest = _in_order(statement, key, up=up).limit(1)
    return select(nearest.scalar_subquery().is_not(None))


def _walk(statement: Select[Any], key: tuple[Column[Any], ...], page: PageRequest) -> Select[Any]:
    return _in_order(statement, key, up=walks_up(page)).limit(page.limit + 1)


def _in_order(statement: Select[Any], key: tuple[Column[Any], ...], *, up: bool) -> Select[Any]:
    return statement.order_by(*(column.asc() if up else column.desc() for column in key))


def _later(created_at: int) -> ColumnElement[int]:
    return case((threads.c.last_created_at > created_at, threads.c.last_created_at), else_=created_at)
