from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from sqlalchemy import select

from gateway.store.schema.tables import metadata as tables
from tests.rest.refusals_of_lists import LISTS
from tests.rest.refusals_of_requests import FIELDS, HEADERS, IDS, JSON, URLS
from tests.rest.refusals_of_values import ATTACHED, CONTENT, METADATA
from tests.rest.refused import PAIRS, USER

if TYPE_CHECKING:
    import httpx

    from gateway.store.store import Store
    from tests.rest.refused import Refused, Row

ROWS: list[Row] = [*IDS, *HEADERS, *URLS, *JSON, *FIELDS, *CONTENT, *ATTACHED, *METADATA, *LISTS]

Made = dict[str, str]


@pytest.fixture
async def made(rest: httpx.AsyncClient, thread_id: str) -> Made:
    other = (await rest.post("/threads")).json()["id"]
    await rest.post(f"/threads/{thread_id}", json={"metadata": PAIRS})
    return {
        "thread": thread_id,
        "message": await _message(rest, thread_id, PAIRS),
        "foreign": await _message(rest, other, {}),
    }


async def _message(rest: httpx.AsyncClient, thread_id: str, metadata: dict[str, str]) -> str:
    answer = await rest.post(f"/threads/{thread_id}/messages", json={**USER, "metadata": metadata})
    message_id: str = answer.json()["id"]
    return message_id


def _named(text: str, made: Made) -> str:
    for name, object_id in made.items():
        text = text.replace(f"{{{name}}}", object_id)
    return text


async def _ask(rest: httpx.AsyncClient, row: Refused, made: Made) -> httpx.Response:
    path = _named(row.path, made)
    if row.content is not None:
        return await rest.request(row.method, path, content=row.content, headers=row.headers)
    return await rest.request(row.method, path, json=row.json, headers=row.headers)


async def _all_rows(store: Store) -> dict[str, list[Any]]:
    async with store._engines.reader.connect() as connection:  # noqa: SLF001
        return {
            table.name: sorted(tuple(row) for row in await connection.execute(select(table)))
            for table in tables.sorted_tables
        }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # no database has a part in the words
async def test_each_refusal_is_worded_as_the_wire_has_it(rest: httpx.AsyncClient, made: Made) -> None:
    answers = {name: await _ask(rest, row, made) for name, row in ROWS}

    assert len(answers) == len(ROWS)
    found = {name: (answer.status_code, answer.content) for name, answer in answers.items()}
    assert found == {name: (row.status, _worded(row, made)) for name, row in ROWS}


def _worded(row: Refused, made: Made) -> bytes:
    message = _named(row.message, made)
    error = {"message": message, "type": "invalid_request_error", "param": row.param, "code": row.code}
    return orjson.dumps({"error": error})


@pytest.mark.uncounted
async def test_a_refused_write_changes_no_table(rest: httpx.AsyncClient, made: Made, store: Store) -> None:
    before = await _all_rows(store)

    for name, row in ROWS:
        if row.method != "GET":
            await _ask(rest, row, made)

            assert (name, await _all_rows(store)) == (name, before)
