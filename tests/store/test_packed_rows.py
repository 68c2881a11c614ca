"""SQLite returns a row of many columns by one function: the rows are those that the statement would return."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, Text, select
from sqlalchemy.dialects import sqlite

from gateway.store.engines.sqlite import PackingConnection, pack, take_each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Executable

_T = Table(
    "t",
    MetaData(),
    Column("a", Integer),
    Column("b", Text),
    Column("c", LargeBinary),
    Column("d", Integer),
    Column("e", Text),
)
_ROWS = [(1, "é\0x", b"\xff\0", None, "z"), (2, "", b"", 1 << 62, None), (3, "\U0001f600", None, -1, "a")]


@pytest.fixture
def connection() -> Iterator[PackingConnection]:
    """Open a database in memory that holds _ROWS."""
    with closing(sqlite3.connect(":memory:", factory=PackingConnection)) as opened:
        opened.execute("CREATE TABLE t (a, b, c, d, e)")
        opened.executemany("INSERT INTO t VALUES (?, ?, ?, ?, ?)", _ROWS)
        yield opened


def _text(statement: Executable) -> str:
    compiled: Any = pack(statement)
    return str(compiled.compile(dialect=sqlite.dialect()))


def _read(connection: PackingConnection, statement: Executable, take: Callable[[Iterable[Any]], Any] = list) -> Any:
    [found] = take_each([(_text(statement), (), take)], connection)
    return found


def test_a_row_of_many_columns_keeps_its_values(connection: PackingConnection) -> None:
    assert _text(select(_T)).startswith("SELECT packed(")
    assert _read(connection, select(_T)) == _ROWS


def test_rows_that_are_sorted_after_they_were_read_keep_that_order(connection: PackingConnection) -> None:
    assert [row[0] for row in _read(connection, select(_T).order_by(_T.c.e.desc()))] == [1, 3, 2]


def test_a_row_of_few_columns_is_returned_as_it_is(connection: PackingConnection) -> None:
    assert _text(select(_T.c.a)).startswith("SELECT t.a")
    assert _read(connection, select(_T.c.a)) == [(1,), (2,), (3,)]


@pytest.mark.parametrize("statement", [select(_T), select(_T.c.a)], ids=["many columns", "few columns"])
def test_a_reader_may_stop_before_the_last_row(connection: PackingConnection, statement: Executable) -> None:
    for _ in range(2):
        assert _read(connection, statement, lambda rows: next(iter(rows))[0]) == 1
    assert connection.packed == []


def test_no_row_is_kept_after_a_reader_failed(connection: PackingConnection) -> None:
    def fail(rows: Iterable[Any]) -> None:
        for row in rows:
            raise ValueError(row[0])

    with pytest.raises(ValueError, match="1"):
        _read(connection, select(_T), fail)

    assert connection.packed == []
    assert _read(connection, select(_T)) == _ROWS
