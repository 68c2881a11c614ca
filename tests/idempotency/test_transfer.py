"""Keys go where their objects go: what is imported again, here or elsewhere, is found by the keys that created it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx
import orjson
import pytest

from gateway.app import serve_store
from tests.exports import a_message, a_thread, give, lines, run, take, told
from tests.transfer.test_import_beside_others import on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from gateway.core import Store

SAY: Final = {"role": "user", "content": "hi"}
WHOLE: Final = {
    "object": "thread.idempotency_key",
    "scope": "message open",
    "key": "k",
    "fingerprint": "f",
}  # but its ids


class Made(NamedTuple):
    """The ids of a thread, two messages in it, and a fork, all with keys, and how many of them were replays."""

    ids: list[str]
    replays: int


@asynccontextmanager
async def serving(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(serve_store(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/v1") as client:
        yield client


async def create_all(store: Store) -> Made:
    """Create them, or send the same again."""
    ids: list[str] = []
    replays = 0
    async with serving(store) as rest:
        for path, key, body in (
            ("/threads", "k", {"owner": "alice"}),
            ("/threads/{}/messages", "k", SAY),
            ("/threads/{}/messages", "l", SAY),
            ("/threads/{}/fork", "k", {}),
        ):
            sent = await rest.post(path.format(*ids), json=body, headers={"Idempotency-Key": key})
            ids.append(sent.raise_for_status().json()["id"])
            replays += sent.headers.get("idempotent-replayed") == "true"
    return Made(ids, replays)


async def delete_all(store: Store) -> None:
    async with serving(store) as rest:
        for each in (await rest.get("/threads")).json()["data"]:
            (await rest.delete(f"/threads/{each['id']}")).raise_for_status()


@pytest.fixture(params=["sqlite", "postgres"])
def new_url(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Give the URL of another empty database each time, of each kind."""
    made: Callable[[], str] = request.getfixturevalue(f"new_{request.param}_url")
    return made


def bring_back(url: str, exported: bytes) -> None:
    done = run("import", "--replace-deleted", "--database-url", url, given=exported)
    assert (done.exit_code, told(done)) == (0, [])


@pytest.mark.parametrize("loss", ["deleted", "erased", "moved", "still there"])
def test_a_retry_after_an_import_is_a_replay(new_url: Callable[[], str], loss: str) -> None:
    url = new_url()
    made = on(url, create_all)
    exported = give(url)
    if loss == "deleted":
        on(url, delete_all)
    if loss == "erased":
        run("erase", "--owner", "alice", "--database-url", url)
    place = new_url() if loss == "moved" else url

    bring_back(place, exported)
    again = on(place, create_all)

    assert made.replays == 0
    assert again == Made(made.ids, 4)
    assert give(place) == exported


def test_a_key_that_another_object_has_stays_with_it(new_url: Callable[[], str]) -> None:
    url = new_url()
    made = on(url, create_all)
    taken = [a_thread(), a_message(), {**WHOLE, "thread_id": "thread_a", "id": "msg_a", "scope": "message open"}]

    take(url, *taken)

    assert on(url, create_all) == Made(made.ids, 4)
    assert b'"id":"msg_a","scope"' not in give(url)


def test_a_key_that_an_object_has_stays(database_url: str) -> None:
    key = {**WHOLE, "thread_id": "thread_a", "id": "msg_a"}
    objects = [a_thread(), a_message(), key]
    take(database_url, *objects)

    take(database_url, *objects[:2], {**key, "key": "another"})

    assert orjson.loads(give(database_url).splitlines()[-1]) == key


@pytest.mark.parametrize(
    "wrong", [{"id": "thread_b"}, {"scope": ""}, {"key": 7}, {"thread_id": "a"}, {"fingerprint": None}, {"more": "x"}]
)
def test_a_thread_with_an_invalid_key_is_rejected_whole(sqlite_url: str, wrong: dict[str, Any], tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    given = [a_thread(), a_message(), {**WHOLE, "thread_id": "thread_a", "id": "thread_a"}]
    wrong_one = {**WHOLE, "thread_id": "thread_a", "id": "msg_a", **wrong}

    done = run("import", "--rejects", str(rejects), "--database-url", sqlite_url, given=lines([*given, wrong_one]))

    assert done.exit_code == 1
    assert give(sqlite_url) == b""
    written = [orjson.loads(line) for line in rejects.read_bytes().splitlines()]
    assert len(written) == len(given) + 1
    assert [each for each in written if each["object"] == WHOLE["object"]] == [wrong_one, given[-1]]
