from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import messages
from gateway.domain.ids import ThreadId
from gateway.domain.message import NewMessage, Role
from tests.rest.calls import add_many, ids, page

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from gateway.core import Store
    from gateway.domain.principal import Principal


@pytest.fixture
def path(thread_id: str) -> str:
    return f"/threads/{thread_id}/messages"


async def test_a_list_of_no_messages_names_none(rest: httpx.AsyncClient, path: str) -> None:
    answer = await rest.get(path)

    assert answer.text == '{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'


async def test_a_list_has_its_keys_in_the_order_of_the_wire(rest: httpx.AsyncClient, thread_id: str, path: str) -> None:
    await add_many(rest, thread_id, 1)

    assert list(await page(rest, path)) == ["object", "data", "first_id", "last_id", "has_more"]


async def test_a_list_returns_the_newest_twenty_by_default(rest: httpx.AsyncClient, thread_id: str, path: str) -> None:
    made = await add_many(rest, thread_id, 21)

    found = await page(rest, path)

    assert (ids(found), found["has_more"]) == (made[:0:-1], True)


async def test_messages_of_one_second_keep_the_order_of_their_making(
    rest: httpx.AsyncClient, thread_id: str, path: str
) -> None:
    made = await add_many(rest, thread_id, 5)

    assert ids(await page(rest, path, order="asc")) == made
    assert ids(await page(rest, path, order="desc")) == made[::-1]


# Ten messages, 0 the oldest: what is asked, which come, and whether more do on the side to which one pages.
PAGES: dict[str, tuple[dict[str, Any], Sequence[int], bool]] = {
    "the first page": ({"order": "asc", "limit": 3}, [0, 1, 2], True),
    "an exact fit": ({"order": "asc", "limit": 10}, range(10), False),
    "one short of all": ({"order": "asc", "limit": 9}, range(9), True),
    "more room than needed": ({"order": "asc", "limit": 100}, range(10), False),
    "after, an exact fit": ({"order": "asc", "after": 6, "limit": 3}, [7, 8, 9], False),
    "after, one short": ({"order": "asc", "after": 5, "limit": 3}, [6, 7, 8], True),
    "after, newest first": ({"order": "desc", "after": 5, "limit": 3}, [4, 3, 2], True),
    "after, newest first, an exact fit": ({"after": 3, "limit": 3}, [2, 1, 0], False),
    "after the last": ({"order": "asc", "after": 9}, [], False),
    "after the last, newest first": ({"order": "desc", "after": 0}, [], False),
    "before is the page next to it": ({"order": "asc", "before": 6, "limit": 3}, [3, 4, 5], True),
    "before, an exact fit": ({"order": "asc", "before": 3, "limit": 3}, [0, 1, 2], False),
    "before, newest first": ({"order": "desc", "before": 3, "limit": 3}, [6, 5, 4], True),
    "before, newest first, an exact fit": ({"before": 6, "limit": 3}, [9, 8, 7], False),
    "before the first": ({"order": "asc", "before": 0}, [], False),
    "between two": ({"order": "asc", "after": 2, "before": 6}, [3, 4, 5], False),
    "between, the first page": ({"order": "asc", "after": 2, "before": 6, "limit": 2}, [3, 4], True),
    "between, exact fit": ({"order": "asc", "after": 2, "before": 6, "limit": 3}, [3, 4, 5], False),
    "between, newest first": ({"order": "desc", "after": 6, "before": 2, "limit": 2}, [5, 4], True),
    "between two neighbours": ({"order": "asc", "after": 5, "before": 6}, [], False),
    "between, the wrong way round": ({"order": "asc", "after": 6, "before": 2}, [], False),
}


@pytest.mark.uncounted
async def test_a_page_has_the_requested_items(rest: httpx.AsyncClient, thread_id: str, path: str) -> None:
    made = await add_many(rest, thread_id, 10)

    for name, (query, found, has_more) in PAGES.items():
        asked = {key: made[value] if key in ("after", "before") else value for key, value in query.items()}
        got = await page(rest, path, **asked)

        wanted = [made[n] for n in found]
        assert (ids(got), got["has_more"]) == (wanted, has_more), name
        ends = (wanted[0], wanted[-1]) if wanted else (None, None)
        assert (got["first_id"], got["last_id"]) == ends, name


@pytest.mark.uncounted
async def test_paging_forwards_returns_every_message_once(rest: httpx.AsyncClient, thread_id: str, path: str) -> None:
    made = await add_many(rest, thread_id, 7)

    for order, limit in product(("asc", "desc"), (1, 2, 3, 7, 8)):
        met: list[str] = []
        query: dict[str, Any] = {"order": order, "limit": limit}
        has_more = True
        while has_more:
            found = await page(rest, path, **query)
            met += ids(found)
            query["after"], has_more = found["last_id"], found["has_more"]

        assert met == (made if order == "asc" else made[::-1]), (order, limit)


@pytest.mark.uncounted
async def test_paging_backwards_returns_every_message_once(rest: httpx.AsyncClient, thread_id: str, path: str) -> None:
    made = await add_many(rest, thread_id, 7)

    for order, limit in product(("asc", "desc"), (1, 2, 3, 6, 7)):
        wanted = made if order == "asc" else made[::-1]
        met = [wanted[-1]]
        has_more = True
        while has_more:
            found = await page(rest, path, order=order, limit=limit, before=met[0])
            met, has_more = ids(found) + met, found["has_more"]

        assert met == wanted, (order, limit)


async def test_a_run_id_leaves_the_messages_of_that_run(
    rest: httpx.AsyncClient, thread_id: str, path: str, store: Store, who: Principal
) -> None:
    content = [{"type": "text", "text": {"value": "hi", "annotations": []}}]
    made = [
        (await messages.create(store, who, ThreadId(thread_id), NewMessage(Role.ASSISTANT, content, run_id=run_id))).id
        for run_id in ("run_1", "run_2", "run_1", None, "run_1")
    ]

    first = await page(rest, path, run_id="run_1", order="asc", limit=2)
    second = await page(rest, path, run_id="run_1", order="asc", limit=2, after=first["last_id"])

    assert (ids(first), first["has_more"]) == ([made[0], made[2]], True)
    assert (ids(second), second["has_more"]) == ([made[4]], False)


async def test_a_cursor_may_be_of_another_run(
    rest: httpx.AsyncClient, thread_id: str, path: str, store: Store, who: Principal
) -> None:
    [cursor] = await add_many(rest, thread_id, 1)
    new = NewMessage(Role.ASSISTANT, [], run_id="run_1")
    made = await messages.create(store, who, ThreadId(thread_id), new)

    assert ids(await page(rest, path, run_id="run_1", order="asc", after=cursor)) == [made.id]


async def test_a_run_without_messages_has_an_empty_list(rest: httpx.AsyncClient, thread_id: str, path: str) -> None:
    await add_many(rest, thread_id, 1)

    assert (await page(rest, path, run_id="run_1"))["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        pytest.param([("foo", "1")], id="a foreign key"),
        pytest.param([("foo", "1"), ("foo", "2")], id="a foreign key twice"),
        pytest.param([("api-version", "2024-05-01-preview")], id="Azure's version"),
        pytest.param([("include[]", "step_details")], id="a key of other lists"),
        pytest.param([("LIMIT", "0")], id="a key in capitals"),
    ],
)
async def test_query_keys_that_a_list_does_not_know_are_ignored(
    rest: httpx.AsyncClient, thread_id: str, path: str, query: list[tuple[str, str | int | float | bool | None]]
) -> None:
    made = await add_many(rest, thread_id, 1)

    answer = await rest.get(path, params=query)

    assert (answer.status_code, ids(answer.json())) == (200, made)
