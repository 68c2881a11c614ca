"""The files of a SQLite database as files: where they are, and whether they belong together.

A process checks them before it opens the database, since closing a file that it also has open through SQLite would drop
SQLite's locks.
Must not be here: what is in the database, who may read the files (`private_files`), who serves them (`server_lock`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from sqlalchemy import URL, make_url

from gateway.errors import DatabaseDamaged, InvalidSetting
from gateway.settings.database_url import is_sqlite

WAL: Final = "-wal"
BESIDE: Final = (WAL, "-shm", "-journal")
MAGIC: Final = b"SQLite format 3\0"
HEADER: Final = 100
WAL_HEADER: Final = 32
_WRITE_VERSION: Final = 18  # its place in the header
_WITH_WAL: Final = 2


def sqlite_file(url: str, instead: str = "pg_dump --format=custom") -> Path:
    """Return the file of a SQLite database, without symbolic links.

    Errors: InvalidSetting for another database, with the command that does the same there.
    """
    if not is_sqlite(url):
        raise InvalidSetting(
            f"GATEWAY_DATABASE_URL: this command is for SQLite databases. For PostgreSQL run: {instead}"
        )
    parsed = make_url(url)
    return file_of(parsed.database or "", is_uri="uri" in parsed.query)[0]


def url_of(file: Path) -> str:
    """Return the URL of a SQLite database in a file."""
    return URL.create("sqlite", database=str(file)).render_as_string()


def file_of(database: str, *, is_uri: bool) -> tuple[Path, bool]:
    """Return the file of a database, and whether SQLite would create it. Source: SQLite, "URI Filenames"."""
    if not is_uri:
        return Path(database).resolve(), True
    parts = urlsplit(database)
    return Path(unquote(parts.path)).resolve(), parse_qs(parts.query).get("mode", ["rwc"]) == ["rwc"]


def beside(file: Path, ending: str) -> Path:
    """Return the file beside a database with a suffix."""
    return file.with_name(file.name + ending)


def require_own_log(file: Path) -> None:
    """Refuse a database beside the write-ahead log of another one: SQLite would mix the pages of both.

    The header of a database declares a log before there is one, and the log is removed before the header is changed
    back, also where a process or the machine stops in between. `gateway backup` and `gateway restore` make files whose
    header declares none. So a log beside such a file, or beside an empty one, belongs to another database. A `-shm`
    alone does no harm: the first connection to a database creates it again.
    Source: SQLite, "Database File Format", 1.3.3 "File format version numbers"; `pager.c`, `btree.c`.
    Errors: DatabaseDamaged.
    """
    log = beside(file, WAL)
    if not log.exists() or log.stat().st_size <= WAL_HEADER or not file.exists():
        return
    with file.open("rb") as opened:
        header = opened.read(HEADER)
    if header and (not header.startswith(MAGIC) or header[_WRITE_VERSION] == _WITH_WAL):
        return
    raise DatabaseDamaged(
        f"'{log}' is not the log of '{file}', but of the database that was there before; SQLite would mix both. To put "
        "a backup in its place run: gateway restore FILE. Or, if what the log has is not needed, remove it."
    )
