"""Finding the tables of a SQLite file whose list of them (`sqlite_master`) is damaged: by their pages.

A page of a table that no other page names is the root of a table, or of a part of one whose root is lost. Which table
that is, its rows say.
Source: SQLite, "Database File Format", 1.6 "B-tree Pages" and 2.6 "Storage Of The SQL Database Schema".
Must not be here: how rows are read and judged (`salvage`).
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final

from gateway.store.files.database_files import HEADER, WAL, beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_INTERIOR, _LEAF = 0x05, 0x0D
_NO_CELLS: Final = 8  # bytes of the head of a leaf
_TRIED: Final = 20  # rows of a root by which its table is found


def find_tables(
    copy: Path,
    known: sqlite3.Connection,
    tables: Sequence[str],
    count: Callable[[sqlite3.Connection, str, str, int], int],
) -> dict[str, list[str]]:
    """Give a copy of a database a new list of tables, and return the names of each table's parts in it.

    `known` is a database of the same tables. `count` says how many of so many first rows of a part can be of a table.
    """
    _write_log_back(copy)
    page_size = _empty_list(copy)
    definitions = {table: _definition(known, table) for table in tables}
    parts = [(root, table, f"{table}_{root}") for root in _roots(copy, page_size) for table in tables]
    with closing(sqlite3.connect(copy, isolation_level=None)) as opened:
        opened.execute("PRAGMA writable_schema = ON")
        opened.execute("BEGIN")
        for root, table, name in parts:
            definition = f'CREATE TABLE "{name}" ({definitions[table]})'
            opened.execute("INSERT INTO sqlite_master VALUES ('table', ?, ?, ?, ?)", (name, name, root, definition))
        opened.execute("COMMIT")
    fitting: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
    with closing(sqlite3.connect(copy, isolation_level=None)) as opened:
        for root, table, name in parts:
            if rows := count(opened, table, name, _TRIED):
                fitting[root].append((rows, table, name))
    found: dict[str, list[str]] = {table: [] for table in tables}
    for each in fitting.values():
        _, table, name = max(each)
        found[table].append(name)
    return found


def _write_log_back(copy: Path) -> None:
    """Write the log into the file, which is scanned by itself."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(copy, isolation_level=None)) as opened:
        opened.execute("PRAGMA writable_schema = ON")  # as in `salvage`
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    beside(copy, WAL).unlink(missing_ok=True)


def _empty_list(copy: Path) -> int:
    """Write a first page without any table, in a file without a log; return the size of a page."""
    with copy.open("r+b") as opened:
        header = bytearray(opened.read(HEADER))
        page_size = int.from_bytes(header[16:18], "big")
        page_size = 1 << 16 if page_size == 1 else page_size
        header[18:20] = b"\1\1"
        header[28:32] = (copy.stat().st_size // page_size).to_bytes(4, "big")
        header[32:40] = bytes(8)  # no free pages
        header[92:96] = header[24:28]  # so the number of pages is taken as valid
        opened.seek(0)
        opened.write(header + bytes((_LEAF, 0, 0, 0, 0, *(page_size & 0xFFFF).to_bytes(2, "big"), 0)))
        opened.write(bytes(page_size - HEADER - _NO_CELLS))
    return page_size


def _definition(known: sqlite3.Connection, table: str) -> str:
    """Write the columns of a table without constraints, whose indexes are not found."""
    columns = known.execute(f"PRAGMA table_info({table})").fetchall()
    keys = [name for _, name, kind, _, _, place in columns if place and kind.upper() == "INTEGER"]
    return ", ".join(
        f'"{name}" {kind}{" PRIMARY KEY" if [name] == keys else ""}{"" if default is None else f" DEFAULT {default}"}'
        for _, name, kind, _, default, _ in columns
    )


def _roots(copy: Path, page_size: int) -> list[int]:
    """Return the pages of tables that no other page names."""
    of_tables, named = set[int](), set[int]()
    with copy.open("rb") as opened:
        number = 1
        while len(page := opened.read(page_size)) == page_size:
            if number > 1 and page[0] in (_INTERIOR, _LEAF):
                of_tables.add(number)
                named.update(_children(page) if page[0] == _INTERIOR else ())
            number += 1
    return sorted(of_tables - named)


def _children(page: bytes) -> Iterator[int]:
    yield int.from_bytes(page[8:12], "big")
    for place in range(12, 12 + 2 * int.from_bytes(page[3:5], "big"), 2):
        at = int.from_bytes(page[place : place + 2], "big")
        yield int.from_bytes(page[at : at + 4], "big")
