"""GET /threads in the order of activity, and filtered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.rest.calls import ids, page

if TYPE_CHECKING:
    import httpx


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
