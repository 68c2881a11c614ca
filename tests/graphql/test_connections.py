from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import messages, threads
from gateway.domain.ids import ThreadId
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import NewThread
from tests.make import SOME_SECOND, fill_thread, make_thread, make_thread_of_second

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.core import Store
    from tests.faces import GraphQL

_ARGUMENTS = "$limit: Int, $first: Int, $last: Int, $after: String, $before: String, $order: SortOrder! = DESC"
_GIVEN = "limit: $limit, first: $first, last: $last, after: $after, before: $before, order: $order"
_PAGE = "edges { cursor node { id } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
MESSAGES = (
    f"query($id: ID!, {_ARGUMENTS}, $runId: ID) "
    f"{{ thread(id: $id) {{ messages({_GIVEN}, runId: $runId) {{ {_PAGE} totalCount }} }} }}"
)
THREADS = f"query({_ARGUMENTS}) {{ threads({_GIVEN}) {{ {_PAGE} totalCount }} }}"

# Arguments for a list of five items, created in the order 0 to 4; the expected items, hasNextPage, hasPreviousPage.
PAGES: list[tuple[dict[str, Any], list[int], bool, bool]] = [
    ({}, [4, 3, 2, 1, 0], False, False),
    ({"order": "ASC"}, [0, 1, 2, 3, 4], False, False),
    ({"limit": 2}, [4, 3], True, False),
    ({"first": 2}, [4, 3], True, False),
    ({"last": 2}, [1, 0], False, True),
    ({"first": 5}, [4, 3, 2, 1, 0], False, False),
    ({"last": 5}, [4, 3, 2, 1, 0], False, False),
    ({"first": 2, "order": "ASC"}, [0, 1], True, False),
    ({"last": 2, "order": "ASC"}, [3, 4], False, True),
    ({"after": 3, "limit": 2}, [2, 1], True, True),
    ({"after": 2, "limit": 2}, [1, 0], False, True),
    ({"after": 3, "first": 2, "order": "ASC"}, [4], False, True),
    ({"after": 3, "last": 1}, [0], False, True),
    ({"before": 1, "limit": 2}, [3, 2], True, True),
    ({"before": 1, "first": 2}, [4, 3], True, False),
    ({"before": 1, "last": 2}, [3, 2], True, True),
    ({"before": 2, "limit": 2}, [4, 3], True, False),
    ({"before": 3, "limit": 2, "order": "ASC"}, [1, 2], True, True),
    ({"after": 4, "before": 0}, [3, 2, 1], True, True),
    ({"after": 4, "before": 0, "limit": 2}, [3, 2], True, True),
    ({"after": 4, "before": 0, "last": 2}, [2, 1], True, True),
    ({"after": 0}, [], False, True),
    ({"before": 4}, [], True, False),
    ({"after": 1, "before": 3}, [], True, True),
    ({"first": 0}, [], True, False),
    ({"last": 0}, [], False, True),
    ({"first": 0, "order": "ASC"}, [], True, False),
    ({"first": 0, "after": 4}, [], True, True),
    ({"first": 0, "after": 0}, [], False, True),
    ({"last": 0, "after": 0}, [], False, True),
    ({"first": 0, "before": 4}, [], True, False),
    ({"last": 0, "before": 4}, [], True, False),
    ({"last": 0, "before": 0}, [], True, True),
    ({"first": 0, "after": 1, "before": 3}, [], True, True),
    ({"last": 0, "after": 4, "before": 0}, [], True, True),
]
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"limit": 0}, "limit", "integer_below_min_value"),
    ({"first": -1}, "first", "integer_below_min_value"),
    ({"first": 0, "after": "msg_unknown"}, "after", "invalid_value"),
    ({"last": 0, "before": "thread_unknown"}, "before", "invalid_value"),
    ({"last": -1}, "last", "integer_below_min_value"),
    ({"limit": 101}, "limit", "integer_above_max_value"),
    ({"first": 101}, "first", "integer_above_max_value"),
    ({"last": 101}, "last", "integer_above_max_value"),
    ({"first": 1, "last": 1}, "last", "invalid_value"),
    ({"limit": 1, "first": 1}, "first", "invalid_value"),
    ({"after": ""}, "after", "invalid_value"),
    ({"before": "arrayconnection:1"}, "before", "invalid_value"),
    ({"after": "thread_unknown"}, "after", "invalid_value"),
    ({"before": "msg_unknown"}, "before", "invalid_value"),
]


@pytest.mark.uncounted
async def test_messages_page_matches_arguments(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = await make_thread(store, who)
    made = [each.id for each in await fill_thread(store, who, thread_id, [None] * 5)]

    for asked, numbers, has_next, has_previous in PAGES:
        data = await graphql(MESSAGES, id=thread_id, **_with_cursors(asked, made))

        expected = _connection([made[n] for n in numbers], has_next=has_next, has_previous=has_previous)
        assert (asked, data["thread"]["messages"]) == (asked, {**expected, "totalCount": 5})


@pytest.mark.uncounted
async def test_threads_page_matches_arguments(store: Store, who: Principal, graphql: GraphQL) -> None:
    made: Sequence[str] = [await make_thread_of_second(store, who, SOME_SECOND + n // 2) for n in range(5)]

    for asked, numbers, has_next, has_previous in PAGES:
        data = await graphql(THREADS, **_with_cursors(asked, made))

        expected = _connection([made[n] for n in numbers], has_next=has_next, has_previous=has_previous)
        assert (asked, data["threads"]) == (asked, {**expected, "totalCount": 5})


async def test_wrong_page_arguments_are_refused(graphql: GraphQL, thread_id: str) -> None:
    for asked, param, code in REFUSED:
        of_messages = await graphql.refusal(MESSAGES, id=thread_id, **asked)
        of_threads = await graphql.refusal(THREADS, **asked)

        expected = {"code": code, "param": param, "type": "invalid_request_error"}
        assert (asked, of_messages["extensions"], of_threads["extensions"]) == (asked, expected, expected)


async def test_cursor_of_another_thread_is_refused(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id, other = await make_thread(store, who, count=3), await make_thread(store, who)
    [foreign] = await fill_thread(store, who, other, [None])

    error = await graphql.refusal(MESSAGES, id=thread_id, after=foreign.id)

    assert error["message"] == f"Invalid 'after': '{foreign.id}'. Expected the ID of an object in this list."


async def test_default_page_size_is_20(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = await make_thread(store, who, count=21)

    data = await graphql(MESSAGES, id=thread_id)

    found = data["thread"]["messages"]
    assert (len(found["nodes"]), found["pageInfo"]["hasNextPage"], found["totalCount"]) == (20, True, 21)


@pytest.mark.parametrize("asked", [{}, {"first": 0}, {"last": 0}], ids=["nothing", "first=0", "last=0"])
async def test_empty_list_has_null_cursors(graphql: GraphQL, thread_id: str, asked: dict[str, Any]) -> None:
    data = await graphql(MESSAGES, id=thread_id, **asked)

    found = data["thread"]["messages"]
    assert found == {**_connection([], has_next=False, has_previous=False), "totalCount": 0}


async def test_total_count_excludes_deleted_messages(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = await make_thread(store, who)
    gone, *_ = await fill_thread(store, who, thread_id, [None] * 4)
    await messages.delete(store, who, thread_id, gone.id)

    data = await graphql(MESSAGES, id=thread_id, first=1)

    assert data["thread"]["messages"]["totalCount"] == 3


@pytest.mark.parametrize(
    ("reach", "count"),
    [
        pytest.param(Reach("default"), 4, id="a project"),
        pytest.param(Reach("other"), 1, id="another project"),
        pytest.param(Reach("default", owner="mia"), 2, id="an end user"),
        pytest.param(Reach("default", owner="nobody"), 0, id="an end user without threads"),
    ],
)
async def test_total_count_of_threads_excludes_other_projects(store: Store, reach: Reach, count: int) -> None:
    for made_by, owner in ((Reach("default"), None), (Reach("default"), "tim"), (Reach("other"), "mia")):
        await threads.create(store, Principal(made_by), NewThread({}, {}, owner=owner))
    for _ in range(2):
        await threads.create(store, Principal(Reach("default")), NewThread({}, {}, owner="mia"))

    assert await threads.count(store, Principal(reach)) == count


async def test_run_filter_applies_to_page_and_total_count(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = await make_thread(store, who)
    made = await fill_thread(store, who, thread_id, ["run_a", None, "run_b", "run_a", "run_b", "run_a"])

    data = await graphql(MESSAGES, id=thread_id, runId="run_a", first=2)

    found = data["thread"]["messages"]
    assert found.pop("totalCount") == 3
    assert found == _connection([made[5].id, made[3].id], has_next=True, has_previous=False)


@pytest.mark.parametrize("run_id", ["", "run 1", "x" * 129])
async def test_invalid_run_id_has_the_rest_error(graphql: GraphQL, thread_id: str, run_id: str) -> None:
    error = await graphql.refusal(MESSAGES, id=thread_id, runId=run_id)

    answer = await graphql.http.get(f"/threads/{thread_id}/messages", params={"run_id": run_id})
    refused = answer.json()["error"]
    assert error["message"] == refused.pop("message")
    assert error["extensions"] == {**refused, "param": "runId"}


async def test_deleted_message_stays_a_valid_cursor(store: Store, who: Principal, graphql: GraphQL) -> None:
    thread_id = ThreadId(await make_thread(store, who))
    made = await fill_thread(store, who, thread_id, [None] * 4)
    await messages.delete(store, who, thread_id, made[1].id)

    data = await graphql(MESSAGES, id=thread_id, after=made[1].id)

    found = data["thread"]["messages"]
    assert found.pop("totalCount") == 3
    assert found == _connection([made[0].id], has_next=False, has_previous=True)


def _with_cursors(asked: dict[str, Any], made: Sequence[str]) -> dict[str, Any]:
    return {key: made[value] if key in ("after", "before") else value for key, value in asked.items()}


def _connection(found: list[str], *, has_next: bool, has_previous: bool) -> dict[str, Any]:
    return {
        "edges": [{"cursor": each, "node": {"id": each}} for each in found],
        "nodes": [{"id": each} for each in found],
        "pageInfo": {
            "hasNextPage": has_next,
            "hasPreviousPage": has_previous,
            "startCursor": found[0] if found else None,
            "endCursor": found[-1] if found else None,
        },
    }
