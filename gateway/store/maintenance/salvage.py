"""Reading a damaged SQLite file, row by row, into a new database, from which it is exported.

The file is not changed. A table is scanned by its row ids; after a damaged page reading continues from the next row id
that can be found. Each row is parsed as in an import, so all rows taken can be imported again. If the list of tables is
damaged, the tables are found by their pages (`found_tables`).
Must not be here: the export, what is reported to a person (`cli.salvage`).
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gateway.domain import archive, archive_runs, wire, wire_run
from gateway.domain.idempotency import KeyRecord
from gateway.domain.message import Message
from gateway.domain.run import Assistant, Run, RunStep
from gateway.domain.thread import Thread
from gateway.errors import DatabaseDamaged, InvalidRequest
from gateway.store.files.database_files import HEADER, WAL, beside, require_own_log
from gateway.store.maintenance.found_tables import find_tables
from gateway.store.schema import tables
from gateway.store.statements.assistants import ASSISTANT_COLUMNS
from gateway.store.statements.messages import MESSAGE_COLUMNS
from gateway.store.statements.runs import RUN_COLUMNS, STEP_COLUMNS
from gateway.store.statements.threads import THREAD_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sqlalchemy import Column, Label, Table

_TAKEN: Final = (
    tables.threads,
    tables.messages,
    tables.message_deltas,
    tables.runs,
    tables.run_steps,
    tables.assistants,
)
_STEPS: Final = 10_000  # row ids to try one by one after a damaged page, which has some dozens; then fewer
_LAST: Final = 1 << 62
_UNFIT: Final = (InvalidRequest, AttributeError, LookupError, TypeError, ValueError)  # what a damaged row raises
_FIXED: Final = ((0, 16), (20, 24), (44, 48), (56, 60))  # what the headers of all our databases have in common
_PAGE_SIZES: Final = (1, *(1 << power for power in range(9, 16)))  # 1 is 65,536
_REPEATED: Final = 100_000  # rows without a new one, after which a cycle of pages is left
# A lost thread is inferred from its messages, if there are any, as in an import.
_INFER: Final = """
    INSERT INTO threads (project_id, id, created_at, metadata, tool_resources, message_count, last_position,
        last_created_at, inferred)
    SELECT project_id, thread_id, min(created_at), '{}', '{}', count(*), max(position), max(created_at), 15
    FROM messages WHERE NOT EXISTS (
        SELECT 1 FROM threads WHERE threads.project_id = messages.project_id AND threads.id = messages.thread_id)
    GROUP BY project_id, thread_id
"""


@dataclass(slots=True)
class Gap:
    """A range of row ids, inclusive, that could not be read, and why; not every id was necessarily a row."""

    table: str
    first: int
    last: int
    reason: str


@dataclass(slots=True)
class Salvaged:
    """The result: the number of rows by table, the number of inferred threads, and the gaps.

    `disordered` are tables whose pages are out of order, so rows may be missing without a gap. With
    `is_list_lost` the tables were found by their pages, so a whole table of one page may be missing.
    """

    rows: dict[str, int] = field(default_factory=dict)
    inferred: int = 0
    gaps: list[Gap] = field(default_factory=list)
    disordered: set[str] = field(default_factory=set)
    is_list_lost: bool = False


def salvage(file: Path, target: Path) -> Salvaged:
    """Copy the readable rows of a damaged database into a migrated and empty one.

    Errors: DatabaseDamaged where it has no readable table, or the log beside it is of another database.
    """
    require_own_log(file)
    found = Salvaged()
    with closing(sqlite3.connect(target, isolation_level=None)) as out, _opened(file, target, out) as (source, parts):
        for (trigger,) in out.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            out.execute(f"DROP TRIGGER {trigger}")
        found.is_list_lost = any(names != [table] for table, names in parts.items())
        out.execute("BEGIN")
        for table in _TAKEN:
            found.rows[table.name] = sum(_copy((source, part), out, table, found) for part in parts[table.name])
        found.inferred = out.execute(_INFER).rowcount
        out.execute("COMMIT")
    return found


@contextmanager
def _opened(
    file: Path, target: Path, out: sqlite3.Connection
) -> Iterator[tuple[sqlite3.Connection, Mapping[str, Sequence[str]]]]:
    """Open a database; with it come the names of the parts of each table, usually one, which is its own name."""
    if not _has_header(file, target):
        file = _with_header(file, target)
    names = [table.name for table in _TAKEN]
    parts = {name: [name] for name in names}
    if (fault := _fault_of_list(file, out)) is not None:
        file = _copied(file, target.with_name("listed.db"))
        parts = find_tables(file, out, names, _count_fitting)
        if not any(parts.values()):
            raise DatabaseDamaged(f"Nothing can be read: {fault}")
    with closing(_reading(file)) as source:
        yield source, parts


def _reading(file: Path) -> sqlite3.Connection:
    source = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    source.execute("PRAGMA writable_schema = ON")  # so SQLite opens a truncated file
    return source


def _fault_of_list(file: Path, out: sqlite3.Connection) -> str | None:
    """Say what is wrong with the list of tables; None where it is whole, if need be that of an earlier version."""
    version = "SELECT version_num FROM alembic_version"
    try:
        with closing(_reading(file)) as source:
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            other = [each.name for each in _TAKEN if _columns(source, each.name) != _columns(out, each.name)]
            is_whole = not other or source.execute(version).fetchone() != out.execute(version).fetchone()
    except sqlite3.Error as error:
        return str(error)
    return None if is_whole else f"the columns of {other[0]} are not those of its version"


def _columns(opened: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    return opened.execute(f"PRAGMA table_info({table})").fetchall()


def _count_fitting(source: sqlite3.Connection, table: str, part: str, most: int) -> int:
    """Count which of the first rows of a part can be of a table."""
    fitting = 0
    with suppress(sqlite3.Error):
        rows = source.execute(f'SELECT * FROM "{part}" LIMIT {most}')  # noqa: S608  (our names)
        names = [name for name, *_ in rows.description]
        for row in rows:
            with suppress(*_UNFIT):
                _parse(table, dict(zip(names, row, strict=True)))
                fitting += 1
    return fitting


def _has_header(file: Path, target: Path) -> bool:
    """Say whether the fields of a header without which nothing can be read are whole."""
    with file.open("rb") as opened, target.open("rb") as new:
        header, whole = opened.read(HEADER), new.read(HEADER)
    fixed = (header[begin:end] == whole[begin:end] for begin, end in _FIXED)
    return all(fixed) and int.from_bytes(header[16:18], "big") in _PAGE_SIZES and {*header[18:20]} <= {1, 2}


def _with_header(file: Path, target: Path) -> Path:
    """Copy a database whose header is damaged, with the header of a new one.

    Source: SQLite, "Database File Format", 1.3 "The Database Header".
    """
    copy = _copied(file, target.with_name("headless.db"))
    has_log = beside(copy, WAL).exists()
    with target.open("rb") as opened:
        header = bytearray(opened.read(HEADER))
    page_size = int.from_bytes(header[16:18], "big")
    header[18:20] = b"\2\2" if has_log else b"\1\1"
    header[28:32] = (file.stat().st_size // page_size).to_bytes(4, "big")
    header[32:40] = bytes(8)  # no free pages
    header[92:96] = header[24:28]  # so the number of pages is taken as valid
    with copy.open("r+b") as opened:
        opened.write(header)
    return copy


def _copied(file: Path, copy: Path) -> Path:
    """Copy a database with its log."""
    shutil.copyfile(file, copy)
    if beside(file, WAL).exists():
        shutil.copyfile(beside(file, WAL), beside(copy, WAL))
    return copy


def _copy(part: tuple[sqlite3.Connection, str], out: sqlite3.Connection, table: Table, found: Salvaged) -> int:
    """Copy the rows of a part of a table, of the columns that both databases have; return their number."""
    source, name = part
    known = {row[1] for row in out.execute(f"PRAGMA table_info({table.name})")}
    names = [row[1] for row in source.execute(f"PRAGMA table_info({name})") if row[1] in known]
    if not names:  # of a version that did not have it
        return 0
    placeholders = ", ".join("?" * len(names))
    insert = f"INSERT OR IGNORE INTO {table.name} ({', '.join(names)}) VALUES ({placeholders})"  # noqa: S608  (our names)
    count = repeated = 0
    for row_id, row in _rows(source, name, names, found):
        added = 0
        try:
            _parse(table.name, dict(zip(names, row, strict=True)))
            added = out.execute(insert, row).rowcount
        except (*_UNFIT, sqlite3.IntegrityError) as error:
            found.gaps.append(Gap(table.name, row_id, row_id, str(error)))
        count += added
        repeated = 0 if added else repeated + 1
        if repeated > _REPEATED:
            found.disordered.add(table.name)
            break
    return count


def _rows(
    source: sqlite3.Connection, table: str, names: list[str], found: Salvaged
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the readable rows of a table, in the order of its pages; some may come twice."""
    # Not `rowid > ?`, which may read the page before.
    select = f"SELECT rowid, {', '.join(names)} FROM {table} NOT INDEXED WHERE rowid >= ? ORDER BY rowid"  # noqa: S608
    begin = 1
    while begin < _LAST:
        after = begin - 1
        try:
            for row_id, *row in source.execute(select, (begin,)):
                if row_id <= after:  # a page is damaged or misplaced in a way that SQLite does not detect
                    found.disordered.add(table)
                after = row_id
                yield row_id, tuple(row)
        except sqlite3.DatabaseError as error:
            begin = max(after + 1, begin)  # always forward, whatever the ids are
            if (ahead := _first_of(source, select, begin)) is not None:  # the driver reads one row ahead, and lost it
                begin = max(ahead[0], begin) + 1
                yield ahead[0], tuple(ahead[1:])
                continue
            following = _next_readable(source, table, begin - 1)
            found.gaps.append(Gap(table, begin, min(following - 1, _LAST), str(error)))
            begin = following
        else:
            return


def _first_of(source: sqlite3.Connection, select: str, begin: int) -> tuple[Any, ...] | None:
    try:
        row: tuple[Any, ...] | None = source.execute(f"{select} LIMIT 1", (begin,)).fetchone()
    except sqlite3.DatabaseError:
        return None
    return row


def _next_readable(source: sqlite3.Connection, table: str, after: int) -> int:
    """Return the row id at which to continue, after a row that cannot be read."""
    first = f"SELECT min(rowid) FROM {table} NOT INDEXED WHERE rowid >= ?"  # noqa: S608  (our own names)
    step, row_id = 1, after + 1
    while row_id < _LAST:
        try:
            found = source.execute(first, (row_id,)).fetchone()[0]
        except sqlite3.DatabaseError:
            step = step if row_id - after < _STEPS else step * 2
            row_id += step
        else:
            if found is None:
                return _LAST + 1
            if row_id == after + 1:  # the row exists, but not its content
                return max(int(found), row_id) + 1
            return max(int(found), row_id)  # less where pages are out of order
    return _LAST + 1


def _parse(table: str, row: Mapping[str, Any]) -> None:
    """Check all of a row: what is exported of it, and what decides whether it is."""
    for column in tables.metadata.tables[table].columns:
        value = row.get(column.name)
        is_absent = value is None and (column.nullable or column.name not in row)  # or of a version without it
        if not is_absent and type(value) is not column.type.python_type:
            raise TypeError(f"'{column.name}' is damaged")
    if (parse := _PARSE.get(table)) is not None:
        parse(row)
    if row.get("idempotency_key") is not None:
        of_key = (row[f"idempotency_{name}"] for name in ("scope", "key", "fingerprint"))
        archive.read(archive.key_record(KeyRecord(row.get("thread_id", row["id"]), row["id"], *of_key)))


def _message(row: Mapping[str, Any]) -> None:
    own = Message(*_fields(row, MESSAGE_COLUMNS))._replace(content_json=row["content"].encode())
    archive.read(wire.load(wire.dump(wire.message(own))))


def _thread(row: Mapping[str, Any]) -> None:
    archive.read(wire.load(wire.dump(wire.thread(Thread(*_fields(row, THREAD_COLUMNS))))))


def _run(row: Mapping[str, Any]) -> None:
    archive_runs.read(wire.load(wire.dump(wire_run.run(Run(*_fields(row, RUN_COLUMNS))))))


def _step(row: Mapping[str, Any]) -> None:
    archive_runs.read(wire.load(wire.dump(wire_run.step(RunStep(*_fields(row, STEP_COLUMNS))))))


def _assistant(row: Mapping[str, Any]) -> None:
    archive_runs.read(wire.load(wire.dump(wire_run.assistant(Assistant(*_fields(row, ASSISTANT_COLUMNS))))))


def _fields(row: Mapping[str, Any], columns: Sequence[Column[Any] | Label[Any]]) -> list[Any]:
    return [row.get(column.name) for column in columns]


_PARSE: Final[dict[str, Callable[[Mapping[str, Any]], None]]] = {
    "threads": _thread,
    "messages": _message,
    "runs": _run,
    "run_steps": _step,
    "assistants": _assistant,
}
