"""Short ways to fill a store in tests, also with what no face can make."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.core import messages, threads
from gateway.domain.ids import ThreadId, new_message_id, new_thread_id
from gateway.domain.message import Message, NewMessage, Role, Status, plain_text
from gateway.domain.page import WHOLE, PageRead
from gateway.domain.thread import NewThread, Thread
from gateway.domain.wire import dump, dump_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    from gateway.core import Store
    from gateway.domain.page import Fields, PageRequest, Rows
    from gateway.domain.principal import Principal
    from gateway.store.writes import Writes

SOME_SECOND = 1_787_000_000

# One of every kind that REST can show, as it is stored; most come from runs elsewhere and no face can make them.
CITATION = {
    "type": "file_citation",
    "text": "[1]",
    "start_index": 4,
    "end_index": 7,
    "file_citation": {"file_id": "file-cited"},
}
OLD_CITATION = {**CITATION, "file_citation": {"file_id": "file-cited", "quote": "as it is written"}}
FILE_PATH = {
    "type": "file_path",
    "text": "sandbox:/x.csv",
    "start_index": 8,
    "end_index": 22,
    "file_path": {"file_id": "file-made"},
}
WEB_CITATION = {
    "type": "url_citation",
    "text": "[2]",
    "start_index": 8,
    "end_index": 11,
    "url_citation": {"url": "https://example.org/a", "title": "A"},
}
# As Azure's agents leave it out, and as an SDK writes what it does not know.
SOMEWHERE = {"type": "file_citation", "text": "[3]", "file_citation": {"file_id": "file-cited"}}
UNTITLED = {**WEB_CITATION, "start_index": None, "end_index": None, "url_citation": {"url": "https://b", "title": None}}
EVERY_PART: list[dict[str, Any]] = [
    {"type": "text", "text": {"value": "See [1] 🙂", "annotations": [CITATION, OLD_CITATION, FILE_PATH]}},
    {"type": "text", "text": {"value": "See [2] [3]", "annotations": [WEB_CITATION, SOMEWHERE, UNTITLED]}},
    {"type": "image_file", "image_file": {"file_id": "file-image", "detail": "high"}},
    {"type": "image_file", "image_file": {"file_id": "file-plain"}},
    {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
    {"type": "image_file", "image_file": {"file_id": "file-plain", "detail": None}},
    {"type": "refusal", "refusal": "I will not."},
    {"type": "text", "text": {"value": "Bye", "annotations": []}},
]
ATTACHMENTS: list[dict[str, Any]] = [
    {"file_id": "file-a", "tools": [{"type": "code_interpreter"}, {"type": "file_search"}]},
    {"file_id": "file-b", "tools": []},
    {"data_source": {"type": "uri_asset", "uri": "azureml://a"}, "tools": None},
]


async def list_page(
    store: Store,
    who: Principal,
    thread_id: ThreadId,
    page: PageRequest,
    run_id: str | None = None,
    fields: Fields = WHOLE,
) -> Rows:
    """Read one page of a thread."""
    [listed] = await messages.list_pages(store, who, PageRead((thread_id,), page, run_id, fields))
    return listed


def text_part(text: str, annotations: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """Make a text part as it is stored."""
    return {"type": "text", "text": {"value": text, "annotations": list(annotations)}}


def new_message(text: str = "hi", run_id: str | None = None) -> NewMessage:
    """Make what a caller gives to make a message."""
    return NewMessage(role=Role.USER, content=[text_part(text)], run_id=run_id)


async def make_thread(store: Store, who: Principal, count: int = 0) -> ThreadId:
    """Make a thread that begins with some messages."""
    new = NewThread(metadata={}, tool_resources={}, messages=tuple(new_message(str(n)) for n in range(count)))
    return (await threads.create(store, who, new)).id


async def make_thread_of_second(store: Store, who: Principal, created_at: int) -> ThreadId:
    """Make an empty thread as if it were that second."""
    thread = Thread(new_thread_id(), created_at, "{}", "{}", message_count=0)
    await store.write(lambda transaction: transaction.add_thread(who.reach, thread))
    return thread.id


async def fill_thread(
    store: Store, who: Principal, thread_id: ThreadId, run_ids: Sequence[str | None], now: int = SOME_SECOND
) -> list[Message]:
    """Add one message for each run (or for None), all in one transaction and one second."""

    async def work(transaction: Writes) -> list[Message]:
        position, second = await transaction.take_positions(who.reach, thread_id, len(run_ids), 1_000 * now)
        added = [messages.from_new(thread_id, new_message(run_id=each), second) for each in run_ids]
        await transaction.add_messages(who.reach, added, position)
        return added

    return await store.write(work)


async def put_message(store: Store, who: Principal, thread_id: ThreadId, **fields: Any) -> Message:
    """Add a message as it stands, whatever a face would say; `content` and `attachments` are lists."""
    reason = fields.pop("incomplete_reason", None)
    content, status = fields.pop("content", []), fields.pop("status", Status.COMPLETED)
    message = Message(
        **{
            "id": new_message_id(),
            "thread_id": thread_id,
            "created_at": SOME_SECOND,
            "role_value": fields.pop("role", Role.ASSISTANT).value,
            "status_value": status.value,
            "reason_value": None if reason is None else reason.value,
            "content_json": dump(content),
            "plain_text": None if status is Status.IN_PROGRESS else plain_text(content),
            "attachments_json": dump_text(fields.pop("attachments", [])),
            "metadata_json": dump_text(fields.pop("metadata", {})),
            **fields,
        }
    )

    async def work(transaction: Writes) -> None:
        position, _ = await transaction.take_positions(who.reach, thread_id, 1, 1_000 * message.created_at)
        await transaction.add_messages(who.reach, [message], position)

    await store.write(work)
    return message


@asynccontextmanager
async def holding(store: Store, *steps: Callable[[Writes], Awaitable[object]]) -> AsyncIterator[None]:
    """Keep a transaction open for the block, after some steps; on SQLite it waits for another process with the lock."""
    engines = store._engines  # noqa: SLF001
    if engines.is_sqlite:
        with closing(sqlite3.connect(str(engines.writer.url.database), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            running = asyncio.create_task(store.write(partial(_run, steps)))
            await asyncio.sleep(0)
            yield
            other.execute("ROLLBACK")
            await running
        return
    has_run, may_end = asyncio.Event(), asyncio.Event()

    async def work(transaction: Writes) -> None:
        await _run(steps, transaction)
        has_run.set()
        await may_end.wait()

    running = asyncio.create_task(store.write(work))
    waiting = asyncio.create_task(has_run.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        waiting.cancel()
        may_end.set()
        await running


async def _run(steps: Iterable[Callable[[Writes], Awaitable[object]]], transaction: Writes) -> None:
    for step in steps:
        await step(transaction)
