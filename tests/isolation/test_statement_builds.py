"""After a warm-up, no operation of either face builds a statement: each runs a text that was compiled before.

It is driven by the table of all ways to name an object, so a new operation is in it by itself.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.sql.compiler import SQLCompiler

from gateway.core import api_keys, transfer
from gateway.domain.ids import MessageId, ThreadId, new_message_id, new_thread_id
from gateway.domain.message import Message
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import Thread
from tests.effort import times
from tests.isolation.asking import ask
from tests.isolation.ways import NAMELESS, WAYS, Face
from tests.isolation.world import callers, make_names
from tests.transfer.loading import load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.isolation.asking import Served
    from tests.isolation.world import World

WHO = Principal(Reach("moved"))
CALLERS = times(fast=1, slow=9)  # kinds of them: each narrows the same statements in another way
WARM_UP = 4  # rounds at most; a statement that is built each time is built in all of them


@contextmanager
def builds() -> Iterator[list[str]]:
    """Write down every statement that SQLAlchemy compiles or runs itself."""
    seen: list[str] = []
    compiles: Any = SQLCompiler.__init__

    def compile_noted(self: Any, dialect: Any, statement: Any, *args: Any, **kwargs: Any) -> None:
        seen.append(f"compiled: {type(statement).__name__}")
        compiles(self, dialect, statement, *args, **kwargs)

    def note(_connection: object, statement: object, *_rest: object) -> None:
        seen.append(f"run by SQLAlchemy: {statement}")

    event.listen(Engine, "before_execute", note)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLCompiler, "__init__", compile_noted)
        yield seen
    event.remove(Engine, "before_execute", note)


async def ask_everything(served: Served, face: Face) -> dict[str, list[str]]:
    """Ask in every way, and return what was built for each."""
    world, found = served.world, dict[str, list[str]]()
    for way in (way for way in (*WAYS, *NAMELESS) if way.face is face):
        names = await make_names(world.store, Reach("shop", owner="alice"))
        kinds = (await callers(world.store, world.shop, names)).items()
        for name, caller in list(kinds)[:CALLERS]:
            with builds() as seen:
                await ask(served, way, caller, names)
            found.setdefault(f"{way.name} as {name}", []).extend(seen)
    return {name: seen for name, seen in found.items() if seen}


@pytest.mark.parametrize("face", Face)
@pytest.mark.uncounted
async def test_an_operation_of_a_face_builds_no_statement_after_its_first_use(served: Served, face: Face) -> None:
    # What follows a first event is read or not, as soon as its client has gone: so some first uses come late.
    rounds = [await ask_everything(served, face)]
    while rounds[-1] and len(rounds) < WARM_UP:
        rounds.append(await ask_everything(served, face))

    assert rounds[-1] == {}


async def move(world: World, thread_id: ThreadId) -> None:
    """Import a thread twice, and export all."""
    now = int(time.time())
    message = Message(new_message_id(), thread_id, now, "user", "completed", b"[]", "[]", "{}")
    thread = Thread(thread_id, now, "{}", "{}", 0)
    for _ in range(2):
        await load(world.store, WHO, thread, [message, message._replace(id=MessageId(f"{message.id}2"))])
    async for each in transfer.export_threads(world.store, WHO):
        assert [message async for message in transfer.export_messages(world.store, WHO, each.id)]


async def test_import_and_export_build_no_statement_after_their_first_use(served: Served) -> None:
    for _ in range(2):  # a second import of one process on SQLite copies its messages in another way
        await move(served.world, new_thread_id())

    with builds() as seen:
        await move(served.world, new_thread_id())

    assert seen == []


async def watch(world: World) -> None:
    """Do what a server does besides its requests."""
    names = await make_names(world.store, Reach("shop", owner="alice"))
    await world.store.last_positions([("shop", names.thread)])
    await api_keys.note_uses(world.store, {world.shop.id: int(time.time())})
    await api_keys.still_good(world.store, [world.shop.id])
    assert await world.store.is_migrated()


async def test_a_server_builds_no_statement_between_requests(served: Served) -> None:
    await watch(served.world)

    with builds() as seen:
        await watch(served.world)

    assert seen == []


async def test_a_build_is_noticed(served: Served) -> None:
    served.world.store._engines.statements._by_shape.clear()  # noqa: SLF001

    with builds() as seen:
        await watch(served.world)

    assert any(each.startswith("compiled: ") for each in seen)
