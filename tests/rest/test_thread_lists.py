"""GET /threads in the order of activity, and filtered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.domain import ids as ids_of
from tests.following import begin, grow
from tests.graphql.serving import statements_of
from tests.rest.calls import ids, page

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store
    from gateway.domain.principal import Principal


@pytest.fixture
async def made(rest: httpx.AsyncClient) -> list[str]:
    bodies: list[dict[str, Any]] = [
        {"metadata": {"customer": "42"}},
        {"metadata": {"customer": "43", "lang": "de"}, "owner": "anna"},
        {"metadata": {"customer": "43"}, "owner": "ben"},
    ]
    return [(await rest.post("/threads", json=each)).json()["id"] for each in bodies]


FILTERS: dict[str, tuple[list[tuple[str, str]], list[int]]] = {
    "a pair": ([("metadata[customer]", "43")], [2, 1]),
    "two pairs": ([("metadata[customer]", "43"), ("metadata[lang]", "de")], [1]),
    "values": ([("metadata[customer]", "42"), ("metadata[customer]", "43")], [2, 1, 0]),
    "a key": ([("metadata_exists[]", "lang")], [1]),
    "no such value": ([("metadata[customer]", "4")], []),
    "an owner": ([("owner", "anna")], [1]),
    "no owner": ([("has_owner", "false")], [0]),
    "an owner and a pair": ([("owner", "anna"), ("metadata[customer]", "42")], []),
    "the past": ([("created_after", "5"), ("active_after", "5")], [2, 1, 0]),
    "the far past": ([("created_before", "5")], []),
    "others are ignored": ([("colour", "blue")], [2, 1, 0]),
}


@pytest.mark.parametrize("order_by", ["created", "activity"])
@pytest.mark.parametrize(("query", "expected"), FILTERS.values(), ids=list(FILTERS))
async def test_a_filter_selects_threads(
    rest: httpx.AsyncClient, made: list[str], query: list[tuple[str, str]], expected: list[int], order_by: str
) -> None:
    answer = await rest.get("/threads", params=[*query, ("order_by", order_by)])

    assert ids(answer.json()) == [made[n] for n in expected]


async def test_a_message_moves_its_thread_to_the_top(rest: httpx.AsyncClient, made: list[str]) -> None:
    await rest.post(f"/threads/{made[0]}/messages", json={"role": "user", "content": "hello"})

    assert ids(await page(rest, "/threads", order_by="activity")) == [made[0], made[2], made[1]]
    assert ids(await page(rest, "/threads")) == made[::-1]


async def test_pages_by_activity_go_on_after_next_after(rest: httpx.AsyncClient, made: list[str]) -> None:
    first = await page(rest, "/threads", order_by="activity", limit=2)
    second = await page(rest, "/threads", order_by="activity", limit=2, after=first["next_after"])

    assert [*ids(first), *ids(second)] == made[::-1]
    assert list(first) == ["object", "data", "first_id", "last_id", "has_more", "next_after"]
    assert "next_after" not in await page(rest, "/threads")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("order_by=name", "order_by"),
        ("order_by=activity&after={id}", "after"),
        ("after=at_5_{id}", "after"),
        ("metadata=a", "metadata"),
        ("metadata.a=b", "metadata.a"),
        ("metadata[a]=b&metadata[c]=d&metadata[e]=f&metadata[g]=h&metadata[i]=j", "metadata"),
        (f"metadata[{'k' * 65}]=b", "metadata"),
        (f"metadata[a]={'v' * 513}", "metadata[a]"),
        ("owner=a&owner=b", "owner"),
        ("owners=a", "owners"),
        ("owner=%00", "owner"),
        (f"owner={'a' * 256}", "owner"),
        ("has_owner=1", "has_owner"),
        ("created_after=yesterday", "created_after"),
        ("active_before=-1", "active_before"),
        ("created_at=5", "created_at"),
        ("unread=1", "unread"),
        ("unread=true", "reader"),
        ("unread=true&reader=%00", "reader"),
        ("order_by=created&order_by=activity", "order_by"),
    ],
)
async def test_what_looks_like_a_filter_and_is_none_is_refused(
    rest: httpx.AsyncClient, made: list[str], query: str, param: str
) -> None:
    answer = await rest.get(f"/threads?{query.format(id=made[0])}")

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize(
    "value", ["2026-08-26T09:30:00Z", "-1", "1.5", "1e999", "9007199254741", "9" * 20, "\u0661", ""]
)
async def test_a_time_is_refused_with_its_unit(rest: httpx.AsyncClient, value: str) -> None:
    error = (await rest.get("/threads", params={"active_after": value})).json()["error"]

    expected = f"Invalid 'active_after': '{value}'. Expected whole seconds since 1970, from 0 to 9007199254740."
    assert (error["message"], error["code"]) == (expected, "invalid_value")


LAST = {"expand[]": "last_message"}


async def test_a_list_has_the_last_message_of_each_thread_where_it_is_expanded(
    rest: httpx.AsyncClient, store: Store, made: list[str]
) -> None:
    for text in ("one", "two"):
        await say(rest, made[0], text)
    newest = (await rest.get(f"/threads/{made[0]}/messages")).json()["data"][0]
    plain = (await rest.get("/threads")).json()

    with statements_of(store) as sent:
        listed = (await rest.get("/threads", params=LAST)).json()

    assert len(sent) == 1
    assert [each["last_message"] for each in listed["data"]] == [None, None, newest]
    assert [each["last_activity_at"] for each in listed["data"]][:2] == [each["created_at"] for each in listed["data"]][
        :2
    ]
    for each in listed["data"]:
        del each["last_message"], each["last_activity_at"]
    assert listed == plain


@pytest.mark.parametrize(
    "query",
    [
        {"order_by": "activity", "limit": 2},
        {"order": "asc"},
        {"metadata[customer]": "43"},
        {"owner": "anna"},
        {"limit": 1, "before": "{id}"},
    ],
)
async def test_each_page_of_a_list_has_last_messages(
    rest: httpx.AsyncClient, made: list[str], query: dict[str, Any]
) -> None:
    for each in made:
        await say(rest, each, each)
    query = {name: made[0] if value == "{id}" else value for name, value in query.items()}

    listed = (await rest.get("/threads", params={**query, **LAST})).json()["data"]

    assert listed
    assert [text_of(each["last_message"]) for each in listed] == [each["id"] for each in listed]


async def test_a_thread_has_its_last_message_where_it_is_expanded(rest: httpx.AsyncClient, made: list[str]) -> None:
    path = f"/threads/{made[0]}"
    plain = (await rest.get(path)).json()
    empty = (await rest.get(path, params=LAST)).json()
    message = (await say(rest, made[0], "hello")).json()
    expand = {"expand[]": ["last_message", "unknown", "idempotency_key", "last_message"]}

    found = (await rest.get(path, params=expand)).json()

    assert empty == plain | {"last_activity_at": plain["created_at"], "last_message": None}
    assert found["last_message"] == message
    assert list(found)[-3:] == ["last_activity_at", "last_message", "idempotency_key"]
    assert (await rest.get("/threads/thread_none", params=LAST)).status_code == 404


async def test_the_last_message_is_the_one_before_a_deleted_one(rest: httpx.AsyncClient, made: list[str]) -> None:
    first, last = [(await say(rest, made[0], text)).json() for text in "ab"]
    await rest.delete(f"/threads/{made[0]}/messages/{last['id']}")

    assert (await rest.get(f"/threads/{made[0]}", params=LAST)).json()["last_message"] == first


async def test_a_change_of_a_thread_answers_without_its_last_message(rest: httpx.AsyncClient, made: list[str]) -> None:
    changed = await rest.post(f"/threads/{made[0]}", json={"metadata": {}}, params=LAST)

    assert "last_message" not in changed.json()


async def test_the_last_message_in_progress_has_its_text_so_far(
    rest: httpx.AsyncClient, store: Store, who: Principal, made: list[str]
) -> None:
    message = await begin(store, who, ids_of.thread_id(made[0]))
    await grow(store, who, message.id, "so far")

    listed = (await rest.get("/threads", params=LAST)).json()["data"]

    assert text_of(listed[-1]["last_message"]) == "so far"


async def say(rest: httpx.AsyncClient, thread_id: str, text: str) -> httpx.Response:
    return await rest.post(f"/threads/{thread_id}/messages", json={"role": "user", "content": text})


def text_of(message: dict[str, Any]) -> str:
    text: str = message["content"][0]["text"]["value"]
    return text


async def test_a_page_with_large_last_messages_ends_early_and_continues_at_its_end(rest: httpx.AsyncClient) -> None:
    large = {"messages": [{"role": "user", "content": "x" * 250_000}]}
    made = [(await rest.post("/threads", json=large)).json()["id"] for _ in range(68)]

    pages = [(await rest.get("/threads", params={**LAST, "limit": 100})).json()]
    while pages[-1]["has_more"]:
        asked = {**LAST, "limit": 100, "after": pages[-1]["last_id"]}
        pages.append((await rest.get("/threads", params=asked)).json())

    assert [len(each["data"]) for each in pages] == [33, 33, 2]
    assert [one for each in pages for one in ids(each)] == made[::-1]
