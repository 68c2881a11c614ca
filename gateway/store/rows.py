"""The conversion of rows to domain objects and back.

Must not be here: statements.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache, partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from gateway.domain.api_key import ApiKey
from gateway.domain.message import Message
from gateway.domain.page import EdgeFlags
from gateway.domain.principal import Scope, TokenEpoch
from gateway.domain.thread import Thread
from gateway.domain.thread_list import LAST_READ, SOURCE, UNREAD, ThreadPage
from gateway.store.statements.api_keys import KEY_COLUMNS
from gateway.store.statements.idempotency import COLUMNS
from gateway.store.statements.messages import EDGE_AFTER, EDGE_BEFORE, MESSAGE_COLUMNS
from gateway.store.statements.threads import THREAD_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gateway.domain.idempotency import IdempotencyKey
    from gateway.domain.page import Fields, PageRequest, PageRows

Values = dict[str, Any]

_OF_MESSAGE = itemgetter(slice(len(MESSAGE_COLUMNS)))
_AS_MESSAGE: Callable[[Any], Message] = partial(tuple.__new__, Message)
_AS_THREAD: Callable[[Any], Thread] = partial(tuple.__new__, Thread)
_CONTENT = Message._fields.index("content_json")
_KEY_WIDTH = len(KEY_COLUMNS)
_THREAD_NAMES: Final = tuple(column.name for column in THREAD_COLUMNS)
_OF_THREAD: Final = tuple(f"thread.{name}" for name in _THREAD_NAMES)


def threads_of(found: Iterable[Sequence[Any]]) -> list[Thread]:
    """Convert rows of THREAD_COLUMNS to threads."""
    return list(map(_AS_THREAD, found))


def thread_page(found: PageRows[Any], page: PageRequest, names: Fields = (), fields: Fields = ()) -> ThreadPage:
    """Convert rows of THREAD_COLUMNS, or of `select_beside` with names of its columns, to a page."""
    kept, has_more = found
    if page.from_end:
        kept.reverse()
    if not names:
        return ThreadPage(tuple(map(_AS_THREAD, kept)), has_more)
    begin = names.index(_OF_THREAD[0])
    own = map(itemgetter(slice(begin, begin + len(_OF_THREAD))), kept)
    return ThreadPage(tuple(map(_AS_THREAD, own)), has_more, 0, kept, names, fields)


@lru_cache(64)
def names_of(selected: Fields, also: Fields, *, has_unread: bool) -> Fields:
    """Name the columns of `select_beside` for the selected columns of the message."""
    source = (SOURCE, f"{SOURCE}_message") if SOURCE in also else ()
    unread = (UNREAD, *({LAST_READ}.intersection(also))) if has_unread else ()
    return (*selected, *_OF_THREAD, *source, *unread)


def thread_with_edges(row: Sequence[Any]) -> tuple[Thread, EdgeFlags]:
    """Convert a row of `get_thread_with_edges` to a thread and its edge flags."""
    *of_thread, flags = row
    return Thread(*of_thread), edges_of(flags)


def edges_of(flags: int) -> EdgeFlags:
    """Convert the column EDGES."""
    return EdgeFlags(after=bool(flags & EDGE_AFTER), before=bool(flags & EDGE_BEFORE))


def row_of_thread(project_id: str, thread: Thread, inferred: int | None = None) -> Values:
    """Convert a thread without messages to a row of its table."""
    own = dict(zip(_THREAD_NAMES, thread, strict=True))
    ends = dict.fromkeys(("message_count", "last_position", "last_created_at"), 0)
    return {"project_id": project_id, **own, **ends, "inferred": inferred}


def messages_of(found: Iterable[Sequence[Any]]) -> list[Message]:
    """Convert rows that begin with MESSAGE_COLUMNS to messages, without a Python call for each of them."""
    return list(map(_AS_MESSAGE, map(_OF_MESSAGE, found)))


IMPORTED: Final = ("project_id", "position", *(column.name for column in MESSAGE_COLUMNS))


def imported(project_id: str, placed: Iterable[tuple[int, Message]]) -> list[tuple[Any, ...]]:
    """Convert messages to rows of the columns IMPORTED."""
    return [
        (project_id, position, *message[:_CONTENT], message.content_json.decode(), *message[_CONTENT + 1 :])
        for position, message in placed
    ]


def epoch_of(row: Sequence[Any]) -> TokenEpoch:
    """Convert a row that ends in EPOCH_COLUMNS to a token epoch; older threads have none, which is the first."""
    *_, generation, revocations = row
    return TokenEpoch(generation or 0, revocations or 0)


def key_of(row: Sequence[Any]) -> ApiKey:
    """Convert a row that begins with KEY_COLUMNS to a key."""
    key_id, project_id, name, scopes, *rest = row[:_KEY_WIDTH]
    return ApiKey(key_id, project_id, name, frozenset(map(Scope, scopes.split(","))), *rest)


def row_of_key(key: ApiKey, digest: str) -> Values:
    """Convert a key to a row of its table."""
    return {**asdict(key), "scopes": ",".join(sorted(key.scopes)), "digest": digest}


def columns_of(key: IdempotencyKey | None) -> Values:
    """Name what is stored of a key with what is created under it."""
    return {} if key is None else key_columns(key[1:])


def key_columns(of_key: Sequence[str | None]) -> Values:
    """Name the values of `idempotency.COLUMNS`; none where there is no key, so that most rows have fewer columns."""
    return {} if of_key[0] is None else dict(zip(COLUMNS, of_key, strict=True))
