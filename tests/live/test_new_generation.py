"""A thread that was deleted and imported anew: cursors of its old life, and those who followed that."""

from __future__ import annotations

import asyncio
import signal
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from gateway.core import threads
from gateway.domain.ids import ThreadId
from tests.exports import a_message, a_thread, lines, run, take
from tests.following import PATIENCE_S, rest_of
from tests.following import take as take_from
from tests.live.server import serving
from tests.live.subscribing import ADDED, EVENTS, socket_to, stream_of
from tests.transfer.test_import_beside_others import WHO, on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.live.server import Server

# Which cursor of the old life: of its events by their number, or the id of a message that is not in the new one.
OLD_CURSORS: Final = ("1", "2", "3", "the last", "the end", "written by a client", "deleted by a client")


@dataclass
class World:
    """A server of a database in which thread_a lives its second life."""

    server: Server
    cursors: dict[str, str]


def import_anew(database_url: str, *objects: dict[str, Any]) -> None:
    done = run("import", "--replace-deleted", "--database-url", database_url, given=lines(objects))
    assert done.exit_code == 0, done.stderr


async def live_and_die(base_url: str) -> dict[str, str]:
    """Write into thread_a and delete it while it is followed; return the cursors that were emitted."""
    async with (
        httpx.AsyncClient(base_url=base_url, timeout=PATIENCE_S) as http,
        stream_of(http, EVENTS, threadId="thread_a", after="0") as events,
    ):
        written = (await http.post("/v1/threads/thread_a/messages", json={"role": "user", "content": "x"})).json()
        await http.delete("/v1/threads/thread_a/messages/msg_2")
        told = await take_from(events, 3)
        await http.delete("/v1/threads/thread_a")
        *more, end, _ = await rest_of(events)
    heard = [*told, *more]
    assert end.data["data"]["threadEvents"]["__typename"] == "ThreadDeleted"
    numbered = {str(n): str(heard[n - 1].id) for n in (1, 2, 3)}
    return {
        **numbered,
        "the last": str(heard[-1].id),
        "the end": str(end.id),
        "written by a client": written["id"],
        "deleted by a client": "msg_2",
    }


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Live and die, begin anew, serve; on SQLite the server is stopped meanwhile."""
    folder = tmp_path_factory.mktemp("generations")
    url = request.getfixturevalue(f"new_{request.param}_url")()
    take(url, a_thread(), a_message("msg_1"), a_message("msg_2"))
    with ExitStack() as stack:
        server = stack.enter_context(serving(url, folder=folder))
        cursors = asyncio.run(live_and_die(server.base_url))
        if request.param == "sqlite":
            stack.close()
        import_anew(url, a_thread(), a_message("msg_1"), a_message("msg_3"))
        if request.param == "sqlite":
            server = stack.enter_context(serving(url, folder=folder))
        yield World(server, cursors)


@pytest.mark.parametrize("which", OLD_CURSORS)
@pytest.mark.parametrize("query", [pytest.param(EVENTS, id="threadEvents"), pytest.param(ADDED, id="messageAdded")])
async def test_a_cursor_of_the_old_generation_is_unknown_over_ws(world: World, which: str, query: str) -> None:
    async with socket_to(world.server.base_url) as socket:
        await socket.subscribe(query, threadId="thread_a", after=world.cursors[which])

        refused = await socket.receive()

    assert refused["type"] == "error"
    assert is_unknown(refused["payload"])


@pytest.mark.parametrize("which", OLD_CURSORS)
@pytest.mark.parametrize("by_header", [False, True])
async def test_a_cursor_of_the_old_generation_is_unknown_over_sse(world: World, which: str, *, by_header: bool) -> None:
    cursor = world.cursors[which]
    after, header = (None, cursor) if by_header else (cursor, None)
    async with (
        httpx.AsyncClient(base_url=world.server.base_url, timeout=PATIENCE_S) as http,
        stream_of(http, EVENTS, header, threadId="thread_a", after=after) as events,
    ):
        told, complete = await rest_of(events)

    assert is_unknown(told.data["errors"])
    assert complete.kind == "complete"


def is_unknown(errors: list[dict[str, Any]]) -> bool:
    [extensions] = [each["extensions"] for each in errors]
    return (extensions["code"], extensions["param"]) == ("invalid_value", "after")


@pytest.mark.parametrize(("after", "expected"), [("0", ["msg_1", "msg_3"]), ("msg_1", ["msg_3"])])
async def test_a_cursor_of_the_new_generation_resumes_from_there(world: World, after: str, expected: list[str]) -> None:
    async with socket_to(world.server.base_url) as socket:
        await socket.subscribe(ADDED, threadId="thread_a", after=after)
        heard = [(await socket.receive())["payload"]["data"]["messageAdded"]["node"]["id"] for _ in expected]

    assert heard == expected


async def test_a_cursor_of_the_new_generation_is_known(world: World) -> None:
    async with socket_to(world.server.base_url) as socket:
        await socket.subscribe(EVENTS, threadId="thread_a", after="0")
        first, second = [(await socket.receive())["payload"]["data"]["threadEvents"] for _ in range(2)]
        await socket.subscribe(EVENTS, "2", threadId="thread_a", after=first["cursor"])

        again = await socket.receive()

    assert (again["id"], again["payload"]["data"]["threadEvents"]) == ("2", second)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def frozen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Server]]:
    folder = tmp_path_factory.mktemp("frozen")
    url = request.getfixturevalue(f"new_{request.param}_url")()
    with serving(url, folder=folder) as server:
        yield url, server


def begin_anew_unseen(url: str, server: Server, thread_id: str) -> None:
    """Delete a thread and import it anew while the server stands still, so that it sees both at once."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        on(url, lambda store: threads.delete(store, WHO, ThreadId(thread_id)))
        import_anew(
            url,
            a_thread(thread_id),
            *(a_message(f"{thread_id}_{n}".replace("thread", "msg"), thread_id) for n in range(9)),
        )
    finally:
        server.process.send_signal(signal.SIGCONT)
    if url.startswith("sqlite"):  # where one process gets no events of another
        body = {"role": "user", "content": "of the new life"}
        answer = httpx.post(f"{server.base_url}/v1/threads/{thread_id}/messages", json=body, timeout=PATIENCE_S)
        answer.raise_for_status()


@pytest.mark.parametrize(("query", "last"), [(EVENTS, ["ThreadDeleted"]), (ADDED, [])], ids=["events", "messages"])
async def test_a_follower_over_ws_ends_when_its_thread_is_deleted_and_created_again(
    frozen: tuple[str, Server], query: str, last: list[str]
) -> None:
    url, server = frozen
    thread_id = f"thread_ws{len(last)}"
    await asyncio.to_thread(take, url, a_thread(thread_id), a_message(f"msg_old_{thread_id}", thread_id))
    async with socket_to(server.base_url) as socket:
        await socket.subscribe(query, threadId=thread_id, after="0")
        await socket.receive()  # it follows
        await asyncio.to_thread(begin_anew_unseen, url, server, thread_id)

        told = [await socket.receive() for _ in range(len(last) + 1)]

    assert [each["payload"]["data"]["threadEvents"]["__typename"] for each in told[:-1]] == last
    assert told[-1] == {"id": "1", "type": "complete"}


async def test_a_follower_over_sse_ends_when_its_thread_is_deleted_and_created_again(
    frozen: tuple[str, Server],
) -> None:
    url, server = frozen
    await asyncio.to_thread(take, url, a_thread("thread_sse"), a_message("msg_old", "thread_sse"))
    async with (
        httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http,
        stream_of(http, EVENTS, threadId="thread_sse", after="0") as events,
    ):
        await take_from(events, 1)  # it follows
        await asyncio.to_thread(begin_anew_unseen, url, server, "thread_sse")

        told, complete = await rest_of(events)

    assert told.data["data"]["threadEvents"]["__typename"] == "ThreadDeleted"
    assert complete.kind == "complete"
