"""The builder of what a statement on threads reads in addition to their rows.

Must not be here: which threads those are (`selected_threads`, `threads`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.domain.thread_list import LAST_READ, SOURCE
from gateway.store.statements import messages, postgres_pages
from gateway.store.statements.forking import source_columns
from gateway.store.statements.read_marks import unread_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Select

    from gateway.domain.principal import Reach
    from gateway.domain.thread_list import Beside

    Build = Callable[..., Select[Any]]


def select_beside(
    build: Build,
    is_sqlite: bool,
    beside: Beside,
    reach: Reach,
    *arguments: Any,
) -> Select[Any]:
    """Select threads like another builder, and what is requested of each (`domain.thread_list.Beside`).

    Shape: the fields of the message; THREAD_COLUMNS; `source_columns`; `unread_columns`; BYTES, where there is a page.
    """
    listed = build(reach, *arguments)
    columns = [*listed.inner_columns]
    if SOURCE in beside.also:
        columns += source_columns(reach)
    if beside.reader is not None:
        columns += unread_columns(beside.reader, beside.most, has_last_read=LAST_READ in beside.also)
    read = beside.message
    if read is None:
        return listed.with_only_columns(*columns)
    with_message = messages.with_message if is_sqlite else postgres_pages.with_message
    return with_message(listed, columns, reach, read.page, read.fields)
