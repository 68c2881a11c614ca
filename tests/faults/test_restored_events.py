"""A database is restored from a backup under its followers: what a follower shows is then what the database has."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import httpx
import pytest
from sqlalchemy import make_url
from websockets.exceptions import ConnectionClosed

from tests.live.server import PATIENCE_S, Server, run_gateway, serving
from tests.live.subscribing import socket_to

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.live.subscribing import Socket

DATABASE_LOST: Final = 1013
EVENTS: Final = """
subscription($threadId: ID!, $after: String) { threadEvents(threadId: $threadId, after: $after) {
  __typename cursor ... on MessageCreated { message { text } } } }"""


async def transcript(socket: Socket, thread_id: str, last: str, after: str = "0") -> tuple[list[str], str]:
    """Follow a thread as the documentation says, until a text; return all texts that are shown, and the last cursor."""
    shown: list[str] = []
    await socket.subscribe(EVENTS, after, threadId=thread_id, after=after)
    while not shown or shown[-1] != last:
        received = await socket.receive()
        if received["type"] == "error":
            [error] = received["payload"]
            assert (error["extensions"]["code"], error["extensions"]["param"]) == ("invalid_value", "after")
            return await transcript(socket, thread_id, last)
        event = received["payload"]["data"]["threadEvents"]
        shown.append(event["message"]["text"])
        after = event["cursor"]
    return shown, after


async def connected_transcript(
    stack: AsyncExitStack, server: Server, thread_id: str, last: str, after: str = "0"
) -> tuple[Socket, list[str], str]:
    """Do so over a new connection, which remains, and again while the server loses those to its database."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            socket = await stack.enter_async_context(socket_to(server.base_url))
            try:
                return socket, *await transcript(socket, thread_id, last, after)
            except ConnectionClosed as closed:
                if closed.rcvd is None or closed.rcvd.code != DATABASE_LOST:
                    raise


async def say(server: Server, thread_id: str, *texts: str) -> None:
    async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
        for text in texts:
            path, body = f"/v1/threads/{thread_id}/messages", {"role": "user", "content": text}
            while (answer := await http.post(path, json=body)).status_code == 503:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            answer.raise_for_status()


async def begin(server: Server) -> str:
    async with httpx.AsyncClient(base_url=server.base_url, timeout=PATIENCE_S) as http:
        thread_id = str((await http.post("/v1/threads")).raise_for_status().json()["id"])
    await say(server, thread_id, "kept")
    return thread_id


def begin_epoch(url: str, folder: Path) -> None:
    renewed = run_gateway("epoch", "renew", "--database-url", url, folder=folder)
    assert renewed.returncode == 0, renewed.stderr


async def test_a_follower_of_a_restored_sqlite_shows_all_messages(sqlite_url: str, tmp_path: Path) -> None:
    backup = tmp_path / "backup.db"
    with serving(sqlite_url, folder=tmp_path) as server:
        thread_id = await begin(server)
        command = ("backup", str(backup), "--database-url", sqlite_url)
        made = await asyncio.to_thread(run_gateway, *command, folder=tmp_path)
        assert made.returncode == 0, made.stderr
        await say(server, thread_id, "lost 1", "lost 2")
        async with socket_to(server.base_url) as socket:
            before, cursor = await transcript(socket, thread_id, "lost 2")
        server.stop()
    command = ("restore", str(backup), "--database-url", sqlite_url)
    restored = await asyncio.to_thread(run_gateway, *command, folder=tmp_path)
    assert restored.returncode == 0, restored.stderr
    with serving(sqlite_url, folder=tmp_path) as server:
        await say(server, thread_id, "new 1", "new 2", "new 3")
        async with socket_to(server.base_url) as socket:
            after, _ = await transcript(socket, thread_id, "new 3", cursor)

    assert before == ["kept", "lost 1", "lost 2"]
    assert after == ["kept", "new 1", "new 2", "new 3"]


@pytest.fixture
def restored_url(new_postgres_url: Callable[[], str]) -> str:
    """Have a database that a test may replace."""
    return new_postgres_url()


async def copy_database(url: str, source: str, target: str) -> None:
    """Replace a database by a copy of another, as a restore does, whoever is connected."""
    operator = await asyncpg.connect(make_url(url).set(database="postgres").render_as_string(hide_password=False))
    await operator.execute(f"DROP DATABASE IF EXISTS {target} WITH (FORCE)")
    for _ in range(1_000):  # servers connect again
        await operator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
            source,
        )
        try:
            await operator.execute(f"CREATE DATABASE {target} TEMPLATE {source}")
        except asyncpg.ObjectInUseError:
            continue
        break
    await operator.close()


async def test_a_follower_of_a_restored_postgres_is_ended_and_shows_all_messages(
    restored_url: str, tmp_path: Path
) -> None:
    name = str(make_url(restored_url).database)
    with serving(restored_url, folder=tmp_path) as server:
        thread_id = await begin(server)
        await copy_database(restored_url, name, f"{name}_backup")
        await say(server, thread_id, "lost 1", "lost 2")
        async with AsyncExitStack() as stack:
            socket, before, cursor = await connected_transcript(stack, server, thread_id, "lost 2")
            await copy_database(restored_url, f"{name}_backup", name)
            await asyncio.to_thread(begin_epoch, restored_url, tmp_path)
            ended: tuple[int, Any] = await socket.end()
        await say(server, thread_id, "new 1", "new 2", "new 3")
        async with AsyncExitStack() as stack:
            _, after, _ = await connected_transcript(stack, server, thread_id, "new 3", cursor)
    await copy_database(restored_url, "template1", f"{name}_backup")

    assert before == ["kept", "lost 1", "lost 2"]
    assert ended[0] == DATABASE_LOST
    assert after == ["kept", "new 1", "new 2", "new 3"]


async def test_a_role_without_privileges_may_follow(restored_url: str, tmp_path: Path) -> None:
    name = str(make_url(restored_url).database)
    operator = await asyncpg.connect(restored_url)
    await operator.execute(f"""
        DROP ROLE IF EXISTS of_{name};
        CREATE ROLE of_{name} LOGIN;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO of_{name};
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO of_{name};
    """)
    url = make_url(restored_url).set(username=f"of_{name}").render_as_string(hide_password=False)
    with serving(url, folder=tmp_path) as server:
        thread_id = await begin(server)
        async with socket_to(server.base_url) as socket:
            shown, _ = await transcript(socket, thread_id, "kept")
    await operator.execute(f"DROP OWNED BY of_{name}; DROP ROLE of_{name}")
    await operator.close()

    assert shown == ["kept"]
