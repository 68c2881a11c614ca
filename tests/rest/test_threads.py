from __future__ import annotations

import re
import time
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from gateway.core import messages
from tests.rest.calls import add, ids, new_thread, page

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store
    from gateway.domain.principal import Principal


KEYS = ["id", "object", "created_at", "metadata", "tool_resources"]
RESOURCES = {"code_interpreter": {"file_ids": ["file-1", "file-2"]}, "file_search": {"vector_store_ids": ["vs_1"]}}
NO_FILES: dict[str, Any] = {"code_interpreter": {"file_ids": []}}


@pytest.mark.parametrize(
    ("content", "headers"),
    [
        pytest.param(b"", {}, id="no body, no content type"),
        pytest.param(b"{}", {"Content-Type": "application/json"}, id="an empty object"),
        pytest.param(b"{}", {"Content-Type": "text/plain"}, id="another content type"),
        pytest.param(
            b'{"messages":[],"metadata":null,"tool_resources":null}',
            {"Content-Type": "application/json"},
            id="all fields without a value",
        ),
    ],
)
async def test_a_thread_is_created_without_input(
    rest: httpx.AsyncClient, content: bytes, headers: dict[str, str]
) -> None:
    answer = await rest.post("/threads", content=content, headers=headers)

    thread = answer.json()
    assert answer.status_code == 200
    assert thread == {
        "id": thread["id"],
        "object": "thread",
        "created_at": thread["created_at"],
        "metadata": {},
        "tool_resources": {},
    }


async def test_a_new_thread_has_the_given_fields(rest: httpx.AsyncClient) -> None:
    thread = await new_thread(rest, metadata={"a": "1"}, tool_resources=RESOURCES)

    assert (thread["metadata"], thread["tool_resources"]) == ({"a": "1"}, RESOURCES)


async def test_a_thread_has_its_keys_in_the_order_of_the_wire(rest: httpx.AsyncClient, thread_id: str) -> None:
    answers = [
        await rest.post("/threads"),
        await rest.get(f"/threads/{thread_id}"),
        await rest.post(f"/threads/{thread_id}", json={}),
    ]

    assert [list(answer.json()) for answer in answers] == [KEYS] * 3


async def test_an_answer_is_compact_json(rest: httpx.AsyncClient) -> None:
    answer = await rest.post("/threads", json={"metadata": {"a": "1, 2", "b": "é"}})

    assert '"metadata":{"a":"1, 2","b":"é"},"tool_resources":{}}' in answer.text


async def test_a_thread_id_looks_like_the_original_ones(thread_id: str) -> None:
    assert re.fullmatch(r"thread_[A-Za-z0-9]{24}", thread_id)


async def test_a_thread_is_made_in_the_second_of_its_request(rest: httpx.AsyncClient) -> None:
    earliest = int(time.time())

    thread = await new_thread(rest)

    assert earliest <= thread["created_at"] <= int(time.time())


async def test_a_thread_is_read_as_it_was_made(rest: httpx.AsyncClient) -> None:
    made = await new_thread(rest, metadata={"a": "1"}, tool_resources=RESOURCES)

    assert (await rest.get(f"/threads/{made['id']}")).json() == made


async def test_only_reading_a_thread_shows_an_empty_interpreter(rest: httpx.AsyncClient, thread_id: str) -> None:
    read = (await rest.get(f"/threads/{thread_id}")).json()
    modified = (await rest.post(f"/threads/{thread_id}", json={"metadata": {}})).json()
    listed = (await page(rest, "/threads"))["data"][0]

    assert [each["tool_resources"] for each in (read, modified, listed)] == [NO_FILES, {}, {}]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param({}, RESOURCES, id="absent keeps"),
        pytest.param({"tool_resources": None}, RESOURCES, id="null keeps"),
        pytest.param({"tool_resources": {}}, {}, id="an empty object clears"),
        pytest.param(
            {"tool_resources": {"code_interpreter": {"file_ids": ["file-3"]}}},
            {"code_interpreter": {"file_ids": ["file-3"]}},
            id="a value replaces all of it",
        ),
        pytest.param({"tool_resources": {"code_interpreter": {}}}, NO_FILES, id="no files are an empty list"),
        pytest.param({"tool_resources": {"file_search": None}}, {}, id="a tool that is null is none"),
    ],
)
async def test_modifying_tool_resources(rest: httpx.AsyncClient, sent: dict[str, Any], kept: dict[str, Any]) -> None:
    thread = await new_thread(rest, tool_resources=RESOURCES)

    modified = (await rest.post(f"/threads/{thread['id']}", json=sent)).json()

    assert modified["tool_resources"] == kept


async def test_a_modified_thread_stays_modified(rest: httpx.AsyncClient) -> None:
    made = await new_thread(rest, metadata={"a": "1"})

    modified = (await rest.post(f"/threads/{made['id']}", json={"tool_resources": RESOURCES})).json()

    assert modified == {**made, "tool_resources": RESOURCES} == (await rest.get(f"/threads/{made['id']}")).json()


async def test_messages_of_a_new_thread_keep_the_given_order(rest: httpx.AsyncClient) -> None:
    given = [{"role": "user" if n % 2 else "assistant", "content": f"{n}", "metadata": {"n": f"{n}"}} for n in range(5)]

    thread = await new_thread(rest, messages=given)

    found = await page(rest, f"/threads/{thread['id']}/messages", order="asc")
    assert list(thread) == KEYS
    assert [
        {"role": each["role"], "content": each["content"][0]["text"]["value"], "metadata": each["metadata"]}
        for each in found["data"]
    ] == given


async def test_messages_of_a_new_thread_are_not_older_than_it(rest: httpx.AsyncClient) -> None:
    thread = await new_thread(rest, messages=[{"role": "user", "content": "hi"}])

    [message] = (await page(rest, f"/threads/{thread['id']}/messages"))["data"]
    assert message["created_at"] == thread["created_at"]


async def test_deleting_a_thread_returns_a_deletion_object(rest: httpx.AsyncClient, thread_id: str) -> None:
    answer = await rest.delete(f"/threads/{thread_id}", headers={"Content-Type": "application/json"})

    assert answer.status_code == 200
    assert answer.text == f'{{"id":"{thread_id}","object":"thread.deleted","deleted":true}}'


@pytest.mark.parametrize(
    ("method", "tail"),
    [
        pytest.param("GET", "", id="read"),
        pytest.param("POST", "", id="modify"),
        pytest.param("DELETE", "", id="delete again"),
        pytest.param("GET", "/messages", id="list its messages"),
        pytest.param("POST", "/messages", id="add a message"),
    ],
)
async def test_a_deleted_thread_is_not_found(rest: httpx.AsyncClient, thread_id: str, method: str, tail: str) -> None:
    body = {"role": "user", "content": "hi"} if tail and method == "POST" else None
    await rest.delete(f"/threads/{thread_id}")

    answer = await rest.request(method, f"/threads/{thread_id}{tail}", json=body)

    assert (answer.status_code, answer.json()["error"]["message"]) == (404, f"No thread found with id '{thread_id}'.")


async def test_deleting_a_thread_deletes_its_messages(
    rest: httpx.AsyncClient, thread_id: str, store: Store, who: Principal
) -> None:
    message = await add(rest, thread_id)

    await rest.delete(f"/threads/{thread_id}")

    assert not (await messages.get_many(store, who, [message["id"]])).rows


async def test_deleting_a_thread_leaves_others_alone(rest: httpx.AsyncClient, thread_id: str) -> None:
    other = await new_thread(rest, messages=[{"role": "user", "content": "hi"}])

    await rest.delete(f"/threads/{thread_id}")

    assert ids(await page(rest, "/threads")) == [other["id"]]
    assert len((await page(rest, f"/threads/{other['id']}/messages"))["data"]) == 1


async def test_a_list_of_no_threads_names_none(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("/threads")

    assert answer.text == '{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":false}'


async def test_threads_are_listed_newest_first(rest: httpx.AsyncClient) -> None:
    made = [await new_thread(rest, metadata={"n": f"{n}"}) for n in range(3)]

    assert (await page(rest, "/threads"))["data"] == made[::-1]


async def test_threads_are_paged_like_messages(rest: httpx.AsyncClient) -> None:
    made = [(await new_thread(rest))["id"] for _ in range(5)]

    found = await page(rest, "/threads", order="asc", limit=2, after=made[0])

    assert (ids(found), found["first_id"], found["last_id"], found["has_more"]) == (made[1:3], made[1], made[2], True)


async def test_before_alone_gives_the_threads_next_to_it(rest: httpx.AsyncClient) -> None:
    made = [(await new_thread(rest))["id"] for _ in range(5)]

    found = await page(rest, "/threads", limit=2, before=made[1])

    assert (ids(found), found["has_more"]) == ([made[3], made[2]], True)


async def test_a_deleted_thread_still_works_as_a_cursor(rest: httpx.AsyncClient) -> None:
    made = [(await new_thread(rest))["id"] for _ in range(3)]
    await rest.delete(f"/threads/{made[1]}")

    assert ids(await page(rest, "/threads", after=made[1])) == [made[0]]


async def test_an_unknown_thread_cursor_is_refused_on_an_empty_list(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("/threads", params={"after": "thread_nowhere"})

    assert answer.json()["error"] == {
        "message": "Invalid 'after': 'thread_nowhere'. Expected the ID of an object in this list.",
        "type": "invalid_request_error",
        "param": "after",
        "code": "invalid_value",
    }


# What is in the path, and how the error names it.
NO_IDS = {
    "thread_%00": "No thread found with id 'thread_\0'.",  # NUL
    "thread_a%0A": "No thread found with id 'thread_a\n'.",  # a line end
    "thread_" + "a" * 500: f"No thread found with id 'thread_{'a' * 118}...'.",  # 500 characters
    "thread_%C3%A9%F0%9F%98%80": "No thread found with id 'thread_é😀'.",  # unicode
    "thread_%FF": "No thread found with id 'thread_\ufffd'.",  # no UTF-8
    "thread": "No thread found with id 'thread'.",  # the prefix alone
}


async def test_an_id_of_another_format_is_not_found(rest: httpx.AsyncClient) -> None:
    for (path, told), method in product(NO_IDS.items(), ("GET", "POST", "DELETE")):
        answer = await rest.request(method, f"/threads/{path}")

        assert (answer.status_code, answer.json()["error"]["message"]) == (404, told), method
