from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx
import pytest
from sqlalchemy import text

from gateway.app import serve_store
from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.authenticator import Authenticator
from gateway.core import api_keys
from gateway.domain.api_key import NewApiKey
from gateway.domain.principal import ALL_SCOPES
from gateway.events.hub import Hub
from gateway.store.engines.open import open_engines
from gateway.store.schema.migrate import migrate
from gateway.store.store import open_store
from gateway.web import health
from gateway.web.health import Readiness
from tests.live.inside import serving_inside
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from gateway.store.store import Store
    from gateway.web.request import Answer


async def probe(url: str, path: str = "/readyz", *, method: str = "GET", hub: Hub | None = None) -> httpx.Response:
    store = open_store(url)
    transport = httpx.ASGITransport(serve_store(store, hub=hub))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        answer = await http.request(method, path)
    await store.close()
    return answer


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_server_with_its_database_is_alive_and_ready(database_url: str, path: str, method: str) -> None:
    answer = await probe(database_url, path, method=method)

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


async def test_probes_need_no_key(store: Store, database_url: str) -> None:
    await api_keys.create(store, NewApiKey("shop", "a key", ALL_SCOPES, None))
    async with (
        serving_inside(database_url, lambda own: Authenticator(ApiKeyCache(own))) as server,
        httpx.AsyncClient(base_url=server.base_url) as http,
    ):
        answers = [(await http.get(path)).status_code for path in ("/v1/threads", "/healthz", "/readyz")]

    assert answers == [401, 200, 200]


async def test_a_server_without_its_database_is_alive_and_not_ready(tmp_path: Path) -> None:
    nowhere = f"sqlite:///{tmp_path}/nowhere/threads.db"

    alive, ready = await probe(nowhere, "/healthz"), await probe(nowhere)

    assert alive.json() == {"status": "ok"}
    assert ready.status_code == 503
    assert ready.json()["failed"].keys() == {"database"}
    assert "nowhere" not in ready.text


async def test_readyz_names_the_migrate_command_for_an_old_database(empty_database_url: str) -> None:
    answer = await probe(empty_database_url)

    assert answer.status_code == 503
    assert answer.json()["failed"] == {
        "migrations": "The database schema is older than this version needs. Run: gateway migrate"
    }


@pytest.mark.parametrize(
    ("revision", "status"), [pytest.param("0001", 503, id="earlier"), pytest.param("later", 200, id="later")]
)
async def test_a_server_is_ready_on_a_later_revision_and_not_on_an_earlier_one(
    empty_database_url: str, revision: str, status: int
) -> None:
    await migrate(empty_database_url)
    engines = open_engines(empty_database_url)
    async with engines.writer.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": revision})
    await engines.dispose()

    assert (await probe(empty_database_url)).status_code == status


async def test_a_server_that_stops_is_not_ready(sqlite_url: str) -> None:
    hub = Hub()
    hub.end()

    answer = await probe(sqlite_url, hub=hub)

    assert (answer.status_code, answer.json()["failed"]) == (503, {"draining": "The server is shutting down."})


def ready(failures: Callable[[], Awaitable[Mapping[str, str]]]) -> Callable[[], Awaitable[Answer]]:
    readiness = Readiness(failures, lambda: False)
    return lambda: readiness.answer(None)  # type: ignore[arg-type]  # it does not look at the request


async def test_a_database_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_S", 0.01)
    was_let_go = asyncio.Event()

    async def hang() -> Mapping[str, str]:
        try:
            await asyncio.Event().wait()
        finally:
            was_let_go.set()
        return {}

    assert (await ready(hang)()).status == 503
    await asyncio.wait_for(was_let_go.wait(), patience(10))


async def test_many_probes_ask_the_database_once() -> None:
    asked = []

    async def answer() -> Mapping[str, str]:
        asked.append(1)
        await asyncio.sleep(0)
        return {}

    tell = ready(answer)
    together = await asyncio.gather(*(tell() for _ in range(10)))
    later = await tell()

    assert {each.status for each in (*together, later)} == {200}
    assert len(asked) == 1


async def test_a_cached_probe_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "KEPT_S", 0.0)
    found = iter([{}, {"writes": "The disk is full."}])

    async def answer() -> Mapping[str, str]:
        return next(found)

    tell = ready(answer)

    assert [(await tell()).status for _ in range(2)] == [200, 503]
