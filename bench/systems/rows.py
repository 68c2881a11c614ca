"""Fill a database with threads as on a busy server; the same sizes give the same rows.

Must not be here: requests (`cases`).
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import string
import sys
from collections import Counter
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, make_url, select, text

from gateway.domain import parse
from gateway.domain.ids import MessageId, ThreadId
from gateway.domain.message import Message, Role, Status, plain_text
from gateway.domain.thread import Thread
from gateway.domain.wire import dump, dump_text, load
from gateway.store.engines.open import open_engines
from gateway.store.rows import Values, row_of_message, row_of_thread
from gateway.store.schema.migrate import migrate
from gateway.store.schema.tables import messages, threads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    from sqlalchemy import Table
    from sqlalchemy.ext.asyncio import AsyncConnection

PROJECT: Final = "default"
LONG: Final = ThreadId("thread_" + "theLongOneOfTheBenchmark")
CURSORS: Final = 64
WRITTEN: Final = 100  # threads that grow while creating is measured

# Other threads come in waves: so many are alive side by side until each has its messages, then the next ones.
_ALIVE: Final = 200
_LENGTH: Final = 50
_START: Final = 1_750_000_000  # long ago, so that what the server adds is newer; a message a second from there
_SIZES: Final = (200,) * 6 + (1_500,) * 3 + (6_000,)  # bytes of text
_TEXTS: Final = 1_000  # different ones
_ALPHABET: Final = string.ascii_letters + string.digits
_WORDS: Final = (
    "the a to of and in is it that you for this with on can be are we I have when not from or as your will but if "
    "which then there after before because should would could function returns list value table index query thread "
    "message server client error request response time first last next page cursor order number name file example "
    "however please try let me explain what happens here, instead: “quoted” don't — café \n\n `code` {x} **bold**."
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Ids and sizes of a filled database."""

    database: str
    messages: int
    long: int
    cursors: list[str]
    written: list[str]


async def prepare(url: str, message_count: int, long_count: int) -> Loaded:
    """Fill an empty database, or use the rows of an earlier run.

    Errors: SystemExit if the database holds other data.
    """
    await migrate(url)
    backend = make_url(url).get_backend_name()
    async with _reading(url) as connection:
        held, *_ = await _column(connection, select(func.coalesce(func.sum(threads.c.message_count), 0)))
        long = await _column(connection, select(threads.c.message_count).where(threads.c.id == LONG))
        is_empty = not await _column(connection, select(threads.c.seq).limit(1))
    if is_empty:
        print(f"Loading {message_count:,} messages ...", file=sys.stderr)
        await _FILL[backend](url, message_count, long_count)
    elif long != [long_count] or held < message_count:
        raise SystemExit("The database holds other threads than this program would load. Give it an empty one.")
    spread = range(long_count * 2 // 5, long_count * 3 // 5, max(1, long_count // 5 // CURSORS))
    middle = (messages.c.project_id == PROJECT, messages.c.thread_id == LONG, messages.c.position.in_(spread))
    newest = select(threads.c.id).where(threads.c.id != LONG).order_by(threads.c.seq.desc()).limit(WRITTEN)
    async with _reading(url) as connection:
        return Loaded(
            database=" ".join([backend, *await _column(connection, text(_VERSION[backend]))]),
            messages=message_count,
            long=long_count,
            cursors=await _column(connection, select(messages.c.id).where(*middle)),
            written=await _column(connection, newest),
        )


async def run_alone(url: str, *statements: str) -> None:
    """Run statements, each without a transaction around it."""
    async with _reading(url) as connection:
        for statement in statements:
            await connection.execute(text(statement))


def thread_numbers(message_count: int, long_count: int) -> Iterator[int]:
    """Number the thread of each message, in order of creation; 0 is the long one, spread evenly."""
    others = 0
    for n in range(message_count):
        if n * long_count // message_count < (n + 1) * long_count // message_count:
            yield 0
        else:
            wave, place = divmod(others, _ALIVE * _LENGTH)
            yield 1 + wave * _ALIVE + place % _ALIVE
            others += 1


def rows(message_count: int, long_count: int) -> tuple[Iterable[Values], Iterable[Values]]:
    """Generate the rows of all threads and of all messages, in order of creation."""
    chance = random.Random(1)  # noqa: S311  (nothing secret: the same every time)
    first, last, counts = dict[int, int](), dict[int, int](), Counter[int]()
    for n, number in enumerate(thread_numbers(message_count, long_count)):
        first.setdefault(number, _START + n)
        last[number] = _START + n
        counts[number] += 1
    ids = {number: ThreadId("thread_" + _random(chance)) for number in first} | {0: LONG}

    def thread_rows() -> Iterator[Values]:
        for number, created_at in first.items():
            thread = Thread(ids[number], created_at, dump_text({"client": "web"}), "{}", message_count=0)
            end = {"last_position": counts[number], "last_created_at": last[number]}
            later = dict.fromkeys(column.name for column in threads.c if column.nullable)  # columns that may be null
            yield later | row_of_thread(PROJECT, thread) | {"message_count": counts[number]} | end

    def message_rows() -> Iterator[Values]:
        contents = [_content(chance, _SIZES[n % len(_SIZES)]) for n in range(_TEXTS)]
        positions = Counter[int]()
        for n, number in enumerate(thread_numbers(message_count, long_count)):
            positions[number] += 1
            message = _message(_random(chance), ids[number], chance.choice(contents), _START + n, positions[number])
            yield row_of_message(PROJECT, message, positions[number])

    return thread_rows(), message_rows()


def _message(key: str, thread_id: ThreadId, content: bytes, created_at: int, position: int) -> Message:
    by_user = position % 2 == 1
    return Message(
        id=MessageId(f"msg_{key}"),
        thread_id=thread_id,
        created_at=created_at,
        role_value=(Role.USER if by_user else Role.ASSISTANT).value,
        status_value=Status.COMPLETED.value,
        content_json=content,
        attachments_json="[]",
        metadata_json='{"client":"web"}' if by_user else "{}",
        run_id=None if by_user else f"run_{key}",
        assistant_id=None if by_user else "asst_benchmark",
        completed_at=created_at,
        plain_text=plain_text(load(content)),
    )


def _content(chance: random.Random, size: int) -> bytes:
    words = _WORDS.split(" ")
    wanted = chance.uniform(0.5, 1.5) * size
    said = "👍" if chance.random() < 0.05 else "Yes:"  # noqa: PLR2004  (one in twenty)
    while len(said.encode()) < wanted:
        said += " " + chance.choice(words)
    return dump(parse.new_message({"role": "user", "content": said}).content)


def _random(chance: random.Random) -> str:
    return "".join(chance.choices(_ALPHABET, k=24))


async def _fill_sqlite(url: str, message_count: int, long_count: int) -> None:
    def fill() -> None:
        with closing(sqlite3.connect(str(make_url(url).database))) as db:
            db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -500000")
            for table, values in zip((threads, messages), rows(message_count, long_count), strict=True):
                names = _names(table)
                insert = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES (:{', :'.join(names)})"  # noqa: S608  (our own names)
                db.executemany(insert, values)
            db.commit()
            db.executescript("ANALYZE; PRAGMA journal_mode = WAL")

    await asyncio.to_thread(fill)


async def _fill_postgres(url: str, message_count: int, long_count: int) -> None:
    async with _reading(url) as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        for table, values in zip((threads, messages), rows(message_count, long_count), strict=True):
            names = _names(table)
            records = ([row[name] for name in names] for row in values)
            await driver.copy_records_to_table(table.name, records=records, columns=names)
    # Vacuumed too, or the server would do it by itself while it is measured.
    await run_alone(url, "VACUUM (ANALYZE) threads", "VACUUM (ANALYZE) messages")


def _names(table: Table) -> list[str]:
    """Name the columns of a new row; the database assigns `seq`."""
    return [column.name for column in table.columns if column.name not in ("seq", "changed_position")]


@asynccontextmanager
async def _reading(url: str) -> AsyncIterator[AsyncConnection]:
    engines = open_engines(url)
    try:
        async with engines.reader.connect() as connection:
            yield connection
    finally:
        await engines.dispose()


async def _column(connection: AsyncConnection, statement: Any) -> list[Any]:
    return list((await connection.execute(statement)).scalars())


_FILL: Final[dict[str, Callable[[str, int, int], Awaitable[None]]]] = {
    "sqlite": _fill_sqlite,
    "postgresql": _fill_postgres,
}
_VERSION: Final = {"sqlite": "SELECT sqlite_version()", "postgresql": "SHOW server_version"}
