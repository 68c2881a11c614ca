"""`threads` in the order of activity, and filtered; the store's tests have the selections themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import forking, messages, read_marks, threads
from gateway.domain.message import Role
from gateway.domain.thread import NewFork, NewThread, Thread
from tests.make import new_message

if TYPE_CHECKING:
    from gateway.core import Store
    from gateway.domain.principal import Principal
    from tests.faces import GraphQL

LIST = """query($filter: ThreadFilter, $orderBy: ThreadOrder! = CREATED, $after: String) {
  threads(filter: $filter, orderBy: $orderBy, after: $after, first: 2) {
    edges { cursor node { id } } nodes { id title messageCount lastActivityAt createdAt }
    pageInfo { endCursor hasNextPage hasPreviousPage } totalCount } }"""


@pytest.fixture
async def made(store: Store, who: Principal) -> list[Thread]:
    added = [({"title": "first"}, None), ({"k": "v"}, "anna"), ({"k": "v", "l": "w"}, None)]
    return [await threads.create(store, who, NewThread(pairs, {}, (), owner)) for pairs, owner in added]


FILTERS: dict[str, tuple[dict[str, Any], list[int]]] = {
    "equals": ({"metadata": [{"key": "k", "equals": "v"}]}, [2, 1]),
    "in": ({"metadata": [{"key": "l", "in": ["u", "w"]}]}, [2]),
    "exists": ({"metadata": [{"key": "title", "exists": True}]}, [0]),
    "is absent": ({"metadata": [{"key": "k", "exists": False}]}, [0]),
    "both": ({"metadata": [{"key": "k", "equals": "v"}, {"key": "l", "exists": False}]}, [1]),
    "owner": ({"owner": "anna"}, [1]),
    "no owner": ({"hasOwner": False}, [2, 0]),
    "times": ({"createdAfter": "2026-01-01T00:00:00.5+02:00", "activeBefore": "2020-01-01T00:00:00Z"}, []),
    "nulls": ({"metadata": None, "activeAfter": "2020-01-01T00:00:00Z", "owner": "anna"}, [1]),
}


@pytest.mark.parametrize("order_by", ["CREATED", "ACTIVITY"])
@pytest.mark.parametrize(("only", "expected"), FILTERS.values(), ids=list(FILTERS))
async def test_a_filter_selects_threads(
    graphql: GraphQL, made: list[Thread], only: dict[str, Any], expected: list[int], order_by: str
) -> None:
    for _ in range(2):  # the second is executed by a plan
        found = (await graphql(LIST, filter=only, orderBy=order_by))["threads"]
        assert [each["id"] for each in found["nodes"]] == [made[n].id for n in expected]
        assert found["totalCount"] == len(expected)


async def test_pages_by_activity_have_places_as_cursors(
    graphql: GraphQL, store: Store, who: Principal, made: list[Thread]
) -> None:
    await messages.create(store, who, made[0].id, new_message())

    first = (await graphql(LIST, orderBy="ACTIVITY"))["threads"]
    second = (await graphql(LIST, orderBy="ACTIVITY", after=first["pageInfo"]["endCursor"]))["threads"]

    assert [each["node"]["id"] for each in (*first["edges"], *second["edges"])] == [made[n].id for n in (0, 2, 1)]
    assert first["pageInfo"]["endCursor"] == first["edges"][-1]["cursor"] != made[2].id
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasPreviousPage"]) == (True, True)
    assert second["pageInfo"]["hasNextPage"] is False


@pytest.mark.usefixtures("made")
async def test_a_thread_has_a_title_a_count_and_an_activity(graphql: GraphQL) -> None:
    found = (await graphql(LIST, filter={"metadata": [{"key": "title", "equals": "first"}]}))["threads"]["nodes"]

    assert [(each["title"], each["messageCount"]) for each in found] == [("first", 0)]
    assert found[0]["lastActivityAt"] == found[0]["createdAt"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a bare id": ({"orderBy": "ACTIVITY", "after": f"thread_{'a' * 24}"}, "after"),
    "a place": ({"after": f"at_5_thread_{'a' * 24}"}, "after"),
    "no condition": ({"filter": {"metadata": [{"key": "k"}]}}, "filter.metadata[0]"),
    "two conditions": ({"filter": {"metadata": [{"key": "k", "equals": "v", "exists": True}]}}, "filter.metadata[0]"),
    "no value": ({"filter": {"metadata": [{"key": "k", "in": []}]}}, "filter.metadata[0].in"),
    "a long key": ({"filter": {"metadata": [{"key": "k" * 65, "exists": True}]}}, "filter.metadata[0].key"),
    "a long value": ({"filter": {"metadata": [{"key": "k", "equals": "v" * 513}]}}, "filter.metadata[0].equals"),
    "an owner with NUL": ({"filter": {"owner": "a\0"}}, "filter.owner"),
    "no reader": ({"filter": {"unread": True}}, "filter.reader"),
    "a reader with NUL": ({"filter": {"unread": True, "reader": "a\0"}}, "filter.reader"),
    "five": ({"filter": {"metadata": [{"key": "k", "equals": "v"}] * 5}}, "filter.metadata"),
}


@pytest.mark.parametrize(("given", "param"), REFUSED.values(), ids=list(REFUSED))
async def test_a_wrong_argument_is_refused(graphql: GraphQL, given: dict[str, Any], param: str) -> None:
    error = await graphql.refusal(LIST, **given)

    assert error["extensions"]["param"] == param


PREVIEWS = """query($length: Int! = 120) {
  threads(orderBy: ACTIVITY) { nodes { lastMessage { id text } preview(length: $length) } } }"""


async def test_each_thread_has_its_last_message_and_a_preview_by_one_statement(
    graphql: GraphQL, store: Store, who: Principal, made: list[Thread]
) -> None:
    last = [await messages.create(store, who, each.id, new_message(f"of\n{n}")) for n, each in enumerate(made[:2])]
    begun: list[str] = []
    store.watch(lambda text, _operation: begun.append(text))

    for _ in range(2):
        begun.clear()
        found = (await graphql(PREVIEWS))["threads"]["nodes"]

        assert [(each["lastMessage"] or {}).get("id") for each in found] == [last[1].id, last[0].id, None]
        assert [each["preview"] for each in found] == ["of 1", "of 0", ""]
        assert len(begun) == 1


async def test_a_preview_has_500_characters(graphql: GraphQL, store: Store, who: Principal, made: list[Thread]) -> None:
    await messages.create(store, who, made[0].id, new_message("a" * 600))

    assert (await graphql(PREVIEWS, length=500))["threads"]["nodes"][0]["preview"] == f"{'a' * 500}…"


async def test_a_preview_of_501_characters_is_refused(graphql: GraphQL, store: Store, who: Principal) -> None:
    await threads.create(store, who, NewThread({}, {}))

    assert (await graphql.refusal(PREVIEWS, length=501))["extensions"]["param"] == "length"


WHOLE = """query($reader: String) { threads(orderBy: ACTIVITY) { edges { cursor node {
  id title lastActivityAt messageCount idempotencyKey preview unreadCount(max: 1, reader: $reader) { value exact }
  readUpTo(reader: $reader) forkedFrom { threadId messageId } lastMessage { id role }
  messages(first: 1) { nodes { text } } } } } }"""


async def test_all_of_each_thread_is_read_by_one_statement(
    graphql: GraphQL, store: Store, who: Principal, made: list[Thread]
) -> None:
    added = [replace(new_message(f"n {n}"), role=role) for n, role in enumerate((Role.USER, *[Role.ASSISTANT] * 2))]
    first, _, last = [await messages.create(store, who, made[0].id, each) for each in added]
    await read_marks.mark_read(store, who, made[0].id, first.id, "alice")
    copy = await forking.fork(store, who, made[0].id, NewFork(first.id))
    begun: list[str] = []
    store.watch(lambda text, _operation: begun.append(text))

    found = (await graphql(WHOLE, reader="alice"))["threads"]["edges"]

    assert len(begun) == 1
    assert [each["node"]["id"] for each in found] == [copy.id, made[0].id, made[2].id, made[1].id]
    forked, own, empty = (each["node"] for each in found[:3])
    assert forked["forkedFrom"] == {"threadId": made[0].id, "messageId": first.id}
    assert (own["forkedFrom"], own["title"], own["messageCount"]) == (None, "first", 3)
    assert (own["preview"], own["messages"]) == ("n 2", {"nodes": [{"text": "n 2"}]})
    assert own["lastMessage"] == {"id": last.id, "role": "ASSISTANT"}
    assert (own["unreadCount"], own["readUpTo"]) == ({"value": 1, "exact": False}, first.id)
    assert (empty["preview"], empty["lastMessage"], empty["messages"]) == ("", None, {"nodes": []})
    assert (empty["unreadCount"], empty["readUpTo"]) == ({"value": 0, "exact": True}, None)


async def test_a_list_by_an_api_key_without_a_reader_has_no_counts(graphql: GraphQL, made: list[Thread]) -> None:
    found = (await graphql(WHOLE))["threads"]["edges"]

    assert [each["node"]["unreadCount"] for each in found] == [None] * len(made)
