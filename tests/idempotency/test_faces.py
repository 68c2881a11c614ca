"""A creation with a key is made once, whichever face it is asked for, and however often."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gateway.domain.change import MessageCreated
from tests.faces import GraphQL

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store
    from gateway.domain.principal import Principal

CREATE_MESSAGE = """mutation($input: CreateMessageInput!) {
  createMessage(input: $input) { message { id idempotencyKey text } thread { messages { totalCount } } }
}"""
CREATE_THREAD = "mutation($input: CreateThreadInput!) { createThread(input: $input) { thread { id idempotencyKey } } }"
HI = {"role": "user", "content": "hi"}
HI_GRAPHQL = {"role": "USER", "content": {"text": "hi"}}


async def send(rest: httpx.AsyncClient, path: str, key: str, body: Any = None) -> httpx.Response:
    return await rest.post(path, json=body, headers={"Idempotency-Key": key})


async def count(rest: httpx.AsyncClient, thread_id: str) -> int:
    """Count the messages of a thread, in the list and as it is stored; both must agree."""
    graphql = GraphQL(rest)
    query = "query($id: ID!) { thread(id: $id) { messages(limit: 100) { totalCount nodes { id } } } }"
    found = (await graphql(query, id=thread_id))["thread"]["messages"]
    assert found["totalCount"] == len(found["nodes"])
    return len(found["nodes"])


async def test_a_repeated_message_is_the_same_message(rest: httpx.AsyncClient, thread_id: str) -> None:
    first = await send(rest, f"/threads/{thread_id}/messages", "k", HI)

    again = await send(rest, f"/threads/{thread_id}/messages", "k", HI)

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert await count(rest, thread_id) == 1


async def test_a_repeated_thread_is_the_same_thread(rest: httpx.AsyncClient) -> None:
    body = {"messages": [HI, HI], "metadata": {"a": "1"}}
    first = await send(rest, "/threads", "k", body)

    again = await send(rest, "/threads", "k", body)

    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert len((await rest.get("/threads")).json()["data"]) == 1
    assert await count(rest, first.json()["id"]) == 2


async def test_both_faces_share_the_keys_of_messages(rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str) -> None:
    made = await send(rest, f"/threads/{thread_id}/messages", "k", HI)

    again = await graphql.answer(
        CREATE_MESSAGE,
        input={"threadId": thread_id, "role": "USER", "content": {"parts": [{"text": "hi"}]}, "idempotencyKey": "k"},
    )

    payload = again["data"]["createMessage"]
    assert payload["message"] == {"id": made.json()["id"], "idempotencyKey": "k", "text": "hi"}
    assert payload["thread"]["messages"]["totalCount"] == 1
    assert again["extensions"] == {"idempotentReplay": [["createMessage"]]}


async def test_both_faces_share_the_keys_of_forks(rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str) -> None:
    made = await send(rest, f"/threads/{thread_id}/fork", "k", {"metadata": {"a": "1"}})

    fork = "mutation($input: ForkThreadInput!) { forkThread(input: $input) { thread { id idempotencyKey } } }"
    again = await graphql.answer(fork, input={"threadId": thread_id, "metadata": {"a": "1"}, "idempotencyKey": "k"})
    other = await send(rest, f"/threads/{thread_id}/fork", "k", {})
    thread = await send(rest, "/threads", "k")

    assert again["data"]["forkThread"]["thread"] == {"id": made.json()["id"], "idempotencyKey": "k"}
    assert again["extensions"] == {"idempotentReplay": [["forkThread"]]}
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert thread.status_code == 200
    assert len((await rest.get("/threads")).json()["data"]) == 3  # the source, its fork, and the thread


async def test_a_fork_with_no_metadata_to_merge_is_the_same_input_however_it_is_spelt(
    rest: httpx.AsyncClient, thread_id: str
) -> None:
    made = await send(rest, f"/threads/{thread_id}/fork", "k", {})

    empty = await send(rest, f"/threads/{thread_id}/fork", "k", {"metadata": {}})
    null = await send(rest, f"/threads/{thread_id}/fork", "k", {"metadata": None})

    assert [empty.json().get("id"), null.json().get("id")] == [made.json()["id"]] * 2


async def test_both_faces_share_the_keys_of_threads(rest: httpx.AsyncClient, graphql: GraphQL) -> None:
    made = await graphql.answer(CREATE_THREAD, input={"messages": [HI_GRAPHQL], "idempotencyKey": "k"})

    again = await send(rest, "/threads", "k", {"messages": [{"content": "hi", "role": "user"}], "metadata": {}})

    assert "extensions" not in made
    assert again.json()["id"] == made["data"]["createThread"]["thread"]["id"]
    assert again.headers["idempotent-replayed"] == "true"


async def test_replays_are_listed_by_their_paths(graphql: GraphQL, thread_id: str) -> None:
    fields = " ".join(
        f'{name}: createMessage(input: {{threadId: "{thread_id}", role: USER, content: {{text: "{name}"}}, '
        f'idempotencyKey: "{name}"}}) {{ message {{ id }} }}'
        for name in ("a", "b", "c")
    )
    await graphql(f"mutation {{ {fields.partition(' b:')[0]} }}")

    again = await graphql.answer(f"mutation {{ {fields} }}")
    third = await graphql.answer(f"mutation {{ {fields} }}")

    assert again["extensions"] == {"idempotentReplay": [["a"]]}
    assert third["extensions"] == {"idempotentReplay": [["a"], ["b"], ["c"]]}
    assert third["data"] == again["data"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({**HI, "content": "ho"}, id="another text"),
        pytest.param({**HI, "role": "assistant"}, id="another role"),
        pytest.param({**HI, "metadata": {"a": "1"}}, id="other metadata"),
    ],
)
async def test_a_key_with_another_input_is_refused(rest: httpx.AsyncClient, thread_id: str, other: Any) -> None:
    await send(rest, f"/threads/{thread_id}/messages", "k", HI)

    refused = await send(rest, f"/threads/{thread_id}/messages", "k", other)

    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert refused.headers["x-should-retry"] == "false"
    assert await count(rest, thread_id) == 1


async def test_a_key_in_another_thread_is_refused(rest: httpx.AsyncClient, thread_id: str) -> None:
    other = (await rest.post("/threads")).json()["id"]
    await send(rest, f"/threads/{thread_id}/messages", "k", HI)

    refused = await send(rest, f"/threads/{other}/messages", "k", HI)

    assert refused.status_code == 422
    assert await count(rest, other) == 0


async def test_graphql_refuses_a_key_with_another_input(graphql: GraphQL, thread_id: str) -> None:
    given = {"threadId": thread_id, **HI_GRAPHQL, "idempotencyKey": "k"}
    await graphql(CREATE_MESSAGE, input=given)

    error = await graphql.refusal(CREATE_MESSAGE, input={**given, "content": {"text": "ho"}})

    assert error["extensions"] == {"code": "idempotency_key_reused", "param": None, "type": "invalid_request_error"}


async def test_two_inputs_at_once_under_one_key_by_both_faces_are_one_object(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str
) -> None:
    given = {"threadId": thread_id, "role": "USER", "content": {"text": "ho"}, "idempotencyKey": "k"}

    both = [
        each
        for _ in range(5)
        for each in (
            send(rest, f"/threads/{thread_id}/messages", "k", HI),
            graphql.answer(CREATE_MESSAGE, input=given),
        )
    ]
    answers = await asyncio.gather(*both)

    is_made = {
        "hi": [each.status_code == 200 for each in answers[::2]],
        "ho": ["errors" not in each for each in answers[1::2]],
    }
    refused = [each.json()["error"]["code"] for each in answers[::2] if each.status_code != 200]
    refused += [each["errors"][0]["extensions"]["code"] for each in answers[1::2] if "errors" in each]
    assert sorted(is_made.values()) == [[False] * 5, [True] * 5]
    assert refused == ["idempotency_key_reused"] * 5
    assert await count(rest, thread_id) == 1


async def test_a_key_within_one_operation_is_used_once(graphql: GraphQL, thread_id: str) -> None:
    fields = " ".join(
        f'{name}: createMessage(input: {{threadId: "{thread_id}", role: USER, content: {{text: "hi"}}, '
        f'idempotencyKey: "k"}}) {{ message {{ id }} }}'
        for name in ("a", "b")
    )

    made = await graphql.answer(f"mutation {{ {fields} }}")

    assert made["data"]["a"] == made["data"]["b"]
    assert made["extensions"] == {"idempotentReplay": [["b"]]}


async def test_a_key_is_for_one_kind(rest: httpx.AsyncClient) -> None:
    thread_id = (await send(rest, "/threads", "k")).json()["id"]

    made = await send(rest, f"/threads/{thread_id}/messages", "k", HI)

    assert made.status_code == 200
    assert "idempotent-replayed" not in made.headers


async def test_a_replay_is_the_object_as_it_is_now(rest: httpx.AsyncClient, thread_id: str) -> None:
    made = (await send(rest, f"/threads/{thread_id}/messages", "k", HI)).json()
    await rest.post(f"/threads/{thread_id}/messages/{made['id']}", json={"metadata": {"seen": "yes"}})

    again = await send(rest, f"/threads/{thread_id}/messages", "k", HI)

    assert again.json() == {**made, "metadata": {"seen": "yes"}}


async def test_a_deleted_message_is_not_created_again(rest: httpx.AsyncClient, thread_id: str) -> None:
    path = f"/threads/{thread_id}/messages"
    made = (await send(rest, path, "k", HI)).json()
    await rest.delete(f"{path}/{made['id']}")

    again = await send(rest, path, "k", HI)

    assert (again.status_code, again.json()["error"]["message"]) == (404, f"No message found with id '{made['id']}'.")
    assert await count(rest, thread_id) == 0
    assert (await send(rest, path, "k", {**HI, "content": "ho"})).status_code == 422


async def test_a_deleted_thread_is_not_created_again(rest: httpx.AsyncClient) -> None:
    made = (await send(rest, "/threads", "k")).json()
    await rest.delete(f"/threads/{made['id']}")

    again = await send(rest, "/threads", "k")

    assert (again.status_code, again.json()["error"]["message"]) == (404, f"No thread found with id '{made['id']}'.")
    assert (await rest.get("/threads")).json()["data"] == []


async def test_a_refused_request_keeps_no_key(rest: httpx.AsyncClient, thread_id: str) -> None:
    path = f"/threads/{thread_id}/messages"

    assert (await send(rest, path, "k", {"role": "user", "content": ""})).status_code == 400
    assert (await send(rest, "/threads/thread_000000000000000000000000/messages", "k", HI)).status_code == 404
    made = await send(rest, path, "k", HI)

    assert made.status_code == 200
    assert "idempotent-replayed" not in made.headers


@pytest.mark.parametrize(
    ("sent", "same"),
    [("k" * 255, f'"{"k" * 255}"'), ("a b", '"a b"'), (r"a\b", r'"a\\b"'), ('a"b', r'"a\"b"'), ('"', '"')],
)
async def test_quotation_marks_of_a_structured_field_are_taken_off(
    rest: httpx.AsyncClient, sent: str, same: str
) -> None:
    made = await send(rest, "/threads", sent)

    again = await send(rest, "/threads", same)

    assert again.json()["id"] == made.json()["id"]


@pytest.mark.parametrize("key", ["", '""', "k" * 256, "a\tb", "schlüssel"])
async def test_an_invalid_key_is_refused(rest: httpx.AsyncClient, graphql: GraphQL, key: str) -> None:
    refused = await rest.post("/threads", headers={b"Idempotency-Key": key.encode()})
    error = await graphql.refusal(CREATE_THREAD, input={"idempotencyKey": key})

    assert refused.status_code == 400
    assert (refused.json()["error"]["param"], refused.json()["error"]["code"]) == ("Idempotency-Key", "invalid_value")
    assert (error["extensions"]["param"], error["extensions"]["code"]) == ("input.idempotencyKey", "invalid_value")


async def test_two_keys_are_refused(rest: httpx.AsyncClient) -> None:
    refused = await rest.post("/threads", headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])

    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_no_key_and_a_null_key_create_each_time(rest: httpx.AsyncClient, graphql: GraphQL) -> None:
    for _ in range(2):
        await rest.post("/threads")
        await graphql(CREATE_THREAD, input={"idempotencyKey": None})

    listed = (await rest.get("/threads")).json()["data"]
    assert len({each["id"] for each in listed}) == 4


async def test_other_endpoints_ignore_the_header(rest: httpx.AsyncClient, thread_id: str) -> None:
    for word in ("a", "b"):
        changed = await send(rest, f"/threads/{thread_id}", "k", {"metadata": {"word": word}})

        assert changed.json()["metadata"] == {"word": word}
        assert "idempotent-replayed" not in changed.headers


async def test_rest_returns_a_key_where_it_is_expanded(rest: httpx.AsyncClient) -> None:
    thread = (await send(rest, "/threads?expand[]=idempotency_key", "of the thread")).json()
    path = f"/threads/{thread['id']}"
    await rest.post(f"{path}/messages", json=HI)
    message = (await send(rest, f"{path}/messages?expand[]=idempotency_key", '"say \\"hi\\""', HI)).json()
    fork = (await send(rest, f"{path}/fork?expand[]=idempotency_key", "of the fork")).json()
    await rest.delete(f"/threads/{fork['id']}")
    expand = {"expand[]": ["idempotency_key", "unknown", "idempotency_key"]}

    assert thread["idempotency_key"] == "of the thread"
    assert fork["idempotency_key"] == "of the fork"
    assert message["idempotency_key"] == 'say "hi"'
    for url, expanded in {
        path: thread | {"tool_resources": {"code_interpreter": {"file_ids": []}}},
        f"{path}/messages/{message['id']}": message,
    }.items():
        assert (await rest.get(url, params=expand)).json() == expanded
        assert "idempotency_key" not in (await rest.get(url)).json()
    for url, keys in (("/threads", ["of the thread"]), (f"{path}/messages", ['say "hi"', None])):
        listed = (await rest.get(url, params=expand)).json()["data"]
        assert [each["idempotency_key"] for each in listed] == keys
    assert (await rest.get(f"{path}/messages", params=expand)).json()["data"][0] == message


async def test_events_have_the_key_of_their_message(
    rest: httpx.AsyncClient, store: Store, who: Principal, thread_id: str
) -> None:
    await send(rest, f"/threads/{thread_id}/messages", "k", HI)

    async with store.read() as reads:
        [(_, created)] = (await reads.list_changes(who.reach, thread_id, 0, 9)).items

    assert isinstance(created, MessageCreated)
    assert created.message.idempotency_key == "k"
