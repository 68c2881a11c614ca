"""Pages of PostgreSQL, within the limit on bytes: it sends all selected rows, so those after the limit need care.

Of messages they have no texts; of runs, steps and assistants they are left out.
Must not be here: which rows those are (`messages`, `following`, `runs`), how bytes are summed (`page_bytes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import JSON, Text, cast, func, literal_column, null, select, union_all

from gateway.domain.page import WHOLE
from gateway.domain.principal import Reach
from gateway.store.schema import tables
from gateway.store.statements import assistants, following, messages, page_bytes, runs
from gateway.store.statements.functions import as_text, json_row
from gateway.store.statements.paging import is_ascending

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import CompoundSelect, Select

    from gateway.domain.page import Fields, PageRequest

OF_THREAD: Final = -1  # a position that no message has


def get_messages_within_bytes(reach: Reach, message_ids: Sequence[str], fields: Fields = WHOLE) -> Select[Any]:
    """Select the rows of `get_messages`, without the texts of messages that exceed the limit of a response."""
    return page_bytes.limit_bytes_unordered(messages.get_messages(reach, message_ids, fields))


def list_messages_within_bytes(
    reach: Reach, thread_id: str, page: PageRequest, run_id: str | None = None, fields: Fields = WHOLE
) -> Select[Any]:
    """Select the rows of `list_messages`, without the texts of rows that exceed the limit of a page."""
    listed = messages.list_messages(reach, thread_id, page, run_id, fields)
    return page_bytes.limit_bytes(listed, up=is_ascending(page))


def get_thread_with_messages(
    reach: Reach, thread_id: str, page: PageRequest, run_id: str | None = None, fields: Fields = WHOLE
) -> CompoundSelect[Any]:
    """Select a thread and one page of its messages in one statement, within the limit of a page.

    Shape: the rows of `list_messages`, a null and their positions before BYTES, in any order; and one that
    has there the row of `get_thread_with_edges` as an array of JSON, and OF_THREAD.
    """
    thread = messages.get_thread_with_edges(reach, thread_id, page, run_id).subquery()
    own = select(
        *(null().label(name) for name in fields),
        json_row(*thread.c).label("thread"),
        literal_column(str(OF_THREAD)).label("position"),
        literal_column("0").label(page_bytes.BYTES),
    )
    listed = messages.list_messages(reach, thread_id, page, run_id, fields)
    listed = listed.add_columns(null().label("thread"), tables.messages.c.position)
    limited = page_bytes.limit_bytes(listed, up=is_ascending(page)).subquery()
    stored = limited.c[page_bytes.BYTES]
    return union_all(own, select(*(each for each in limited.c if each is not stored), stored))


def list_messages_of_each(
    reach: Reach,
    thread_ids: str,
    page: PageRequest,
    run_id: str | None = None,
    fields: Fields = WHOLE,
    *,
    with_more: bool = True,
) -> Select[Any]:
    """Select the same page of several threads, whose ids are an array of JSON, in one statement of PostgreSQL.

    The last row of a full page only shows that there is more (`with_more`), or belongs to it like the others.
    Shape: the rows of `list_messages`, in order for each thread; no texts once they exceed the limit of a response.
    """
    wanted = func.json_array_elements_text(cast(as_text(thread_ids), JSON)).table_valued("id")
    wanted = wanted.render_derived(name="wanted")
    one = literal_column("wanted.id", Text())  # the id of the outer statement
    listed = messages.list_messages(reach, one, page, run_id, fields)  # type: ignore[arg-type]
    most = page.limit if with_more else page.limit + 1
    return page_bytes.limit_bytes_of_each(listed, wanted, most, up=is_ascending(page))


def with_message(
    listed: Select[Any], columns: Sequence[Any], reach: Reach, page: PageRequest, fields: Fields
) -> Select[Any]:
    """Select a page of one message with each of some threads that the caller can reach, in one statement of PostgreSQL.

    Shape: as of `messages.with_message`; no texts once they exceed the limit of a response.
    """
    threads = listed.with_only_columns(*[each.label(f"own_{n}") for n, each in enumerate(columns)]).subquery("listed")
    one: Any = threads.c.own_0
    found = messages.list_messages(Reach(reach.project_id).and_unfinished(), one, page, fields=fields)
    return page_bytes.limit_bytes_beside(found, threads)


def list_runs_within_bytes(reach: Reach, thread_id: str, page: PageRequest) -> Select[Any]:
    """Select the rows of `list_runs`, without those after the first one that exceeds the limit of a page."""
    listed = runs.list_runs(reach, thread_id, page)
    return page_bytes.limit_rows(listed, "position", up=is_ascending(page))


def list_runs_of_each_within_bytes(reach: Reach, thread_ids: str, page: PageRequest) -> Select[Any]:
    """Select the rows of `list_runs_of_each`, without those after the first one that exceeds that of a response."""
    return page_bytes.limit_rows_unordered(runs.list_runs_of_each(reach, thread_ids, page))


def list_steps_within_bytes(reach: Reach, run_id: str, page: PageRequest) -> Select[Any]:
    """Select the rows of `list_steps`, without those after the first one that exceeds the limit of a page."""
    listed = runs.list_steps(reach, run_id, page)
    return page_bytes.limit_rows(listed, "position", up=is_ascending(page))


def list_assistants_within_bytes(reach: Reach, page: PageRequest) -> Select[Any]:
    """Select the rows of `list_assistants`, without those after the first one that exceeds the limit of a page."""
    listed = assistants.list_assistants(reach, page)
    return page_bytes.limit_rows(listed, "number", "id", up=is_ascending(page))


def messages_after_within_bytes(reach: Reach, thread_id: str, position: int, limit: int) -> Select[Any]:
    """Select the rows of `list_messages_after`, without the texts of messages that exceed the limit of a batch."""
    return page_bytes.limit_bytes(following.list_messages_after(reach, thread_id, position, limit), up=True)
