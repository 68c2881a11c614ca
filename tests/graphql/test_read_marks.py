"""markRead, markUnread, unreadCount and readUpTo through GraphQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.graphql.serving import statements_of

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store
    from tests.faces import GraphQL

SHOWN = 'unreadCount(max: 2, reader: "alice") { value exact } readUpTo(reader: "alice")'
MARK = f"mutation($input: MarkReadInput!) {{ markRead(input: $input) {{ thread {{ {SHOWN} }} }} }}"
UNMARK = f"mutation($input: MarkUnreadInput!) {{ markUnread(input: $input) {{ thread {{ {SHOWN} }} }} }}"


async def answered(rest: httpx.AsyncClient, count: int) -> tuple[str, list[str]]:
    """Make a thread with answers of an assistant, and return their ids, oldest first."""
    messages = [{"role": "assistant", "content": str(n)} for n in range(count)]
    thread_id = (await rest.post("/threads", json={"messages": messages})).json()["id"]
    listed = (await rest.get(f"/threads/{thread_id}/messages", params={"order": "asc"})).json()["data"]
    return thread_id, [each["id"] for each in listed]


def state(value: int, *, exact: bool, up_to: str | None) -> dict[str, Any]:
    return {"unreadCount": {"value": value, "exact": exact}, "readUpTo": up_to}


async def test_a_reader_marks_as_read_and_as_unread(rest: httpx.AsyncClient, graphql: GraphQL) -> None:
    thread_id, ids = await answered(rest, 3)
    reader = {"threadId": thread_id, "reader": "alice"}

    seen = [
        (await graphql(f"query($id: ID!) {{ thread(id: $id) {{ {SHOWN} }} }}", id=thread_id))["thread"],
        (await graphql(MARK, input={**reader, "upTo": ids[1]}))["markRead"]["thread"],
        (await graphql(MARK, input={**reader, "upTo": None}))["markRead"]["thread"],
        (await graphql(UNMARK, input={**reader, "from": ids[1]}))["markUnread"]["thread"],
    ]

    assert seen == [
        state(2, exact=False, up_to=None),
        state(1, exact=True, up_to=ids[1]),
        state(0, exact=True, up_to=ids[2]),
        state(2, exact=True, up_to=ids[0]),
    ]


async def test_a_key_without_a_reader_has_no_counts(rest: httpx.AsyncClient, graphql: GraphQL) -> None:
    thread_id, _ = await answered(rest, 1)

    found = await graphql("query($id: ID!) { thread(id: $id) { unreadCount { value } readUpTo } }", id=thread_id)
    refused = await graphql.refusal(MARK, input={"threadId": thread_id})

    assert found["thread"] == {"unreadCount": None, "readUpTo": None}
    assert (refused["extensions"]["code"], refused["extensions"]["param"]) == (
        "missing_required_parameter",
        "input.reader",
    )


async def test_wrong_arguments_are_named(rest: httpx.AsyncClient, graphql: GraphQL) -> None:
    thread_id, _ = await answered(rest, 1)
    reader = {"threadId": thread_id, "reader": "alice"}

    most = await graphql.refusal("query($id: ID!) { thread(id: $id) { unreadCount(max: 0) { value } } }", id=thread_id)
    wrong = [
        await graphql.refusal(MARK, input={**reader, "upTo": "thread_a"}),
        await graphql.refusal(UNMARK, input={**reader, "from": "thread_a"}),
        await graphql.refusal(MARK, input={**reader, "reader": ""}),
    ]

    assert (most["extensions"]["code"], most["extensions"]["param"]) == ("integer_below_min_value", "max")
    assert [each["extensions"]["param"] for each in wrong] == ["input.upTo", "input.from", "input.reader"]


async def test_counts_of_a_list_are_one_statement(rest: httpx.AsyncClient, graphql: GraphQL, store: Store) -> None:
    for n in range(3):
        await answered(rest, n)
    counted = 'unreadCount(reader: "alice") { value } readUpTo(reader: "alice")'

    with statements_of(store) as ran:
        found = await graphql(f"{{ threads(first: 3, order: ASC) {{ nodes {{ {counted} }} }} }}")

    assert [each["unreadCount"]["value"] for each in found["threads"]["nodes"]] == [0, 1, 2]
    assert len([each for each in ran if "read_marks" in each]) == 1
