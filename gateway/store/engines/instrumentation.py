"""Counting statements on the request that runs them, and tracing them.

Must not be here: what is done with the counts and spans (`observability`).
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event

from gateway.observability.record import current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine, ExceptionContext, ExecutionContext
    from sqlalchemy.ext.asyncio import AsyncEngine

    from gateway.store.engines.base import Engines

    OnEnd = Callable[[BaseException | None], None]
    OnBegin = Callable[[str, str], OnEnd | None]  # the database's name and the statement; None to ignore the end

_ON_END: Final = "gateway.on_end"  # the key of a connection's `info` that holds the callback of its statement
_PREPARED: Final = SimpleNamespace(compiled=True)  # the part of an execution context that listeners read
_NO_LISTENERS: Final = nullcontext()


class StatementListeners:
    """Calls SQLAlchemy's statement listeners for statements that the driver runs without SQLAlchemy."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._events: Any = connection.dispatch
        self._engine_events: Any = connection.engine.dispatch
        self._is_watched = False

    def begin(self, statement: str, values: Any) -> tuple[str, Any]:
        """Report the start of a statement, and return what listeners replaced it with."""
        # SQLAlchemy's dispatch takes longer than all else here, and mostly the only listener is the one that counts.
        self._is_watched = self._has_other_listeners()
        if not self._is_watched:
            count_statement()
            return statement, values
        for listener in self._events.before_cursor_execute:
            statement, values = listener(self._connection, None, statement, values, _PREPARED, False)
        return statement, values

    def batch(self, statements: Sequence[tuple[str, Any]]) -> AbstractContextManager[None]:
        """Report several statements that run in one call of the driver, for the duration of the block."""
        if self._has_other_listeners():
            return report_batch(self._connection.engine, statements)
        for _ in statements:
            count_statement()
        return _NO_LISTENERS

    def _has_other_listeners(self) -> bool:
        before, after = self._engine_events.before_cursor_execute, self._engine_events.after_cursor_execute
        others = after.listeners or before.parent_listeners or after.parent_listeners
        return bool(others) or len(before.listeners) > 1

    def end(self, statement: str, values: Any) -> None:
        """Report the end of a statement."""
        if self._is_watched:
            for listener in self._events.after_cursor_execute:
                listener(self._connection, None, statement, values, _PREPARED, False)

    def fail(self, error: BaseException) -> None:
        """Report a failed or cancelled statement."""
        if on_end := self._connection.info.pop(_ON_END, None):
            on_end(error)


@contextmanager
def report_batch(engine: Engine, statements: Sequence[tuple[str, Any]]) -> Iterator[None]:
    """Report statements to an engine's listeners for the duration of a block in which another connection runs them."""
    reports = [
        StatementListeners(SimpleNamespace(engine=engine, dispatch=engine.dispatch, dialect=engine.dialect, info={}))
        for _ in statements
    ]
    for report, (statement, values) in zip(reports, statements, strict=True):
        report.begin(statement, values)
    try:
        yield
    except BaseException as error:
        for report in reports:
            report.fail(error)
        raise
    for report, (statement, values) in zip(reports, statements, strict=True):
        report.end(statement, values)


def count_statement() -> None:
    """Count a statement on the request that runs."""
    if record := current.get():
        record.statements += 1


def count_statements(engine: AsyncEngine) -> None:
    """Count the statements that SQLAlchemy runs on an engine."""

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def count(_connection: object, _cursor: object, _text: str, _values: object, *rest: Any) -> None:
        context: ExecutionContext = rest[0]
        # Without a compiled statement, this is SQLite's BEGIN and no statement of ours.
        if context.compiled is not None:
            count_statement()


def watch_statements(engines: Engines, on_begin: OnBegin) -> None:
    """Call `on_begin` at the start of each statement, and the function it returns at the end, with the error if any."""
    for engine in (engines.reader, engines.writer):
        _watch_engine(engine, on_begin)


def _watch_engine(engine: AsyncEngine, on_begin: OnBegin) -> None:
    # A connection runs one statement at a time, so it can hold the callback for the end.
    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def begin(connection: Connection, _cursor: object, statement: str, _values: object, *rest: Any) -> None:
        context: ExecutionContext = rest[0]
        if context.compiled is not None:
            connection.info[_ON_END] = on_begin(connection.dialect.name, statement)

    @event.listens_for(engine.sync_engine, "after_cursor_execute")
    def end(connection: Connection, *_rest: object) -> None:
        if on_end := connection.info.pop(_ON_END, None):
            on_end(None)

    @event.listens_for(engine.sync_engine, "handle_error")
    def fail(failure: ExceptionContext) -> None:
        if failure.connection and (on_end := failure.connection.info.pop(_ON_END, None)):
            on_end(failure.original_exception)
