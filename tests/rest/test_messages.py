from __future__ import annotations

import re
import time
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from tests.rest.calls import add, add_many, ids, new_thread, page

if TYPE_CHECKING:
    import httpx

KEYS = [
    "id",
    "object",
    "created_at",
    "assistant_id",
    "thread_id",
    "run_id",
    "status",
    "incomplete_details",
    "incomplete_at",
    "completed_at",
    "role",
    "content",
    "attachments",
    "metadata",
]
TEXT = {"type": "text", "text": {"value": "hi", "annotations": []}}
URL = "https://example.org/a.png"


async def test_a_new_message_shows_every_field_of_the_schema(rest: httpx.AsyncClient, thread_id: str) -> None:
    message = await add(rest, thread_id, role="assistant", metadata={"a": "1"})

    assert message == {
        "id": message["id"],
        "object": "thread.message",
        "created_at": message["created_at"],
        "assistant_id": None,
        "thread_id": thread_id,
        "run_id": None,
        "status": "completed",
        "incomplete_details": None,
        "incomplete_at": None,
        "completed_at": message["created_at"],
        "role": "assistant",
        "content": [TEXT],
        "attachments": [],
        "metadata": {"a": "1"},
    }


async def test_a_message_has_its_keys_in_the_order_of_the_wire(rest: httpx.AsyncClient, thread_id: str) -> None:
    path = f"/threads/{thread_id}/messages"
    made = await add(rest, thread_id)

    read = (await rest.get(f"{path}/{made['id']}")).json()
    modified = (await rest.post(f"{path}/{made['id']}", json={})).json()
    [listed] = (await page(rest, path))["data"]

    assert [list(each) for each in (made, read, modified, listed)] == [KEYS] * 4


async def test_a_message_is_equal_in_every_response(rest: httpx.AsyncClient, thread_id: str) -> None:
    path = f"/threads/{thread_id}/messages"
    made = await add(rest, thread_id, metadata={"a": "1"}, attachments=[{"file_id": "file-1", "tools": []}])

    read = (await rest.get(f"{path}/{made['id']}")).json()
    modified = (await rest.post(f"{path}/{made['id']}")).json()
    [listed] = (await page(rest, path))["data"]

    assert [read, modified, listed] == [made] * 3


async def test_a_message_id_looks_like_the_original_ones(rest: httpx.AsyncClient, thread_id: str) -> None:
    message = await add(rest, thread_id)

    assert re.fullmatch(r"msg_[A-Za-z0-9]{24}", message["id"])


async def test_a_message_is_made_in_the_second_of_its_request(rest: httpx.AsyncClient, thread_id: str) -> None:
    earliest = int(time.time())

    message = await add(rest, thread_id)

    assert earliest <= message["created_at"] <= int(time.time())


async def test_a_message_is_not_older_than_the_previous_one_when_the_clock_goes_back_a_little(
    rest: httpx.AsyncClient, thread_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([2_000_000_000_900, 1_999_999_950_000])
    monkeypatch.setattr("gateway.core.messages.now_ms", lambda: next(clock))

    made = [await add(rest, thread_id) for _ in range(2)]

    assert [message["created_at"] for message in made] == [2_000_000_000] * 2


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        pytest.param("hi", [TEXT], id="a string is one text part"),
        pytest.param([{"type": "text", "text": "hi"}], [TEXT], id="text goes in as a string and comes out an object"),
        pytest.param(
            [{"type": "image_url", "image_url": {"url": URL}}],
            [{"type": "image_url", "image_url": {"url": URL, "detail": "auto"}}],
            id="the detail of an address is filled in",
        ),
        pytest.param(
            [{"type": "image_url", "image_url": {"detail": "low", "url": "HTTP://EXAMPLE.ORG"}}],
            [{"type": "image_url", "image_url": {"url": "HTTP://EXAMPLE.ORG", "detail": "low"}}],
            id="an address is kept as it was sent",
        ),
        pytest.param(
            [{"type": "image_file", "image_file": {"file_id": "file-1"}}],
            [{"type": "image_file", "image_file": {"file_id": "file-1"}}],
            id="the detail of a file is not filled in",
        ),
        pytest.param(
            [{"type": "image_file", "image_file": {"file_id": "file-1", "detail": "high"}}, TEXT | {"text": "hi"}],
            [{"type": "image_file", "image_file": {"file_id": "file-1", "detail": "high"}}, TEXT],
            id="parts keep their order",
        ),
    ],
)
async def test_content_is_returned_in_the_format_of_the_api(
    rest: httpx.AsyncClient, thread_id: str, sent: Any, shown: Any
) -> None:
    message = await add(rest, thread_id, sent)

    assert message["content"] == shown


async def test_attachments_are_returned_unchanged(rest: httpx.AsyncClient, thread_id: str) -> None:
    sent = [
        {"file_id": "file-1", "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]},
        {"file_id": "file-1", "tools": [{"type": "file_search"}]},
    ]

    message = await add(rest, thread_id, attachments=sent)

    assert message["attachments"] == sent


@pytest.mark.parametrize("field", ["attachments", "metadata"])
async def test_an_optional_field_may_be_null(rest: httpx.AsyncClient, thread_id: str, field: str) -> None:
    message = await add(rest, thread_id, **{field: None})

    assert not message[field]


async def test_modifying_a_message_changes_only_its_metadata(rest: httpx.AsyncClient, thread_id: str) -> None:
    made = await add(rest, thread_id, metadata={"a": "1"}, attachments=[{"file_id": "file-1", "tools": []}])

    modified = (await rest.post(f"/threads/{thread_id}/messages/{made['id']}", json={"metadata": {"b": "2"}})).json()

    assert modified == {**made, "metadata": {"a": "1", "b": "2"}}


async def test_modifying_a_message_does_not_move_it(rest: httpx.AsyncClient, thread_id: str) -> None:
    made = await add_many(rest, thread_id, 3)

    await rest.post(f"/threads/{thread_id}/messages/{made[0]}", json={"metadata": {"a": "1"}})

    assert ids(await page(rest, f"/threads/{thread_id}/messages", order="asc")) == made


async def test_deleting_a_message_returns_a_deletion_object(rest: httpx.AsyncClient, thread_id: str) -> None:
    message = await add(rest, thread_id)

    answer = await rest.delete(f"/threads/{thread_id}/messages/{message['id']}")

    assert answer.status_code == 200
    assert answer.text == f'{{"id":"{message["id"]}","object":"thread.message.deleted","deleted":true}}'


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_deleted_message_is_not_found(rest: httpx.AsyncClient, thread_id: str, method: str) -> None:
    path = f"/threads/{thread_id}/messages/{(await add(rest, thread_id))['id']}"
    await rest.delete(path)

    answer = await rest.request(method, path)

    told = f"No message found with id '{path.rpartition('/')[2]}'."
    assert (answer.status_code, answer.json()["error"]["message"]) == (404, told)


async def test_a_deleted_message_is_in_no_list(rest: httpx.AsyncClient, thread_id: str) -> None:
    made = await add_many(rest, thread_id, 3)

    await rest.delete(f"/threads/{thread_id}/messages/{made[1]}")

    assert ids(await page(rest, f"/threads/{thread_id}/messages", order="asc")) == [made[0], made[2]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param({"after": 2, "order": "asc"}, [3, 4], id="after, oldest first"),
        pytest.param({"after": 2, "order": "desc"}, [1, 0], id="after, newest first"),
        pytest.param({"before": 2, "order": "asc"}, [0, 1], id="before, oldest first"),
        pytest.param({"before": 2, "order": "desc"}, [4, 3], id="before, newest first"),
    ],
)
async def test_a_deleted_message_still_works_as_a_cursor(
    rest: httpx.AsyncClient, thread_id: str, query: dict[str, Any], found: list[int]
) -> None:
    made = await add_many(rest, thread_id, 5)
    asked = {key: made[value] if isinstance(value, int) else value for key, value in query.items()}
    await rest.delete(f"/threads/{thread_id}/messages/{made[2]}")

    assert ids(await page(rest, f"/threads/{thread_id}/messages", **asked)) == [made[n] for n in found]


async def test_the_last_message_deleted_is_a_cursor_to_nothing(rest: httpx.AsyncClient, thread_id: str) -> None:
    [only] = await add_many(rest, thread_id, 1)
    await rest.delete(f"/threads/{thread_id}/messages/{only}")

    found = await page(rest, f"/threads/{thread_id}/messages", after=only)

    assert found == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


async def test_a_position_is_not_given_twice(rest: httpx.AsyncClient, thread_id: str) -> None:
    made = await add_many(rest, thread_id, 2)
    await rest.delete(f"/threads/{thread_id}/messages/{made[1]}")
    made += await add_many(rest, thread_id, 1)

    found = await page(rest, f"/threads/{thread_id}/messages", after=made[1], order="asc")

    assert ids(found) == [made[2]]


async def test_a_cursor_of_a_deleted_message_is_valid_only_in_its_thread(
    rest: httpx.AsyncClient, thread_id: str
) -> None:
    other = await new_thread(rest, messages=[{"role": "user", "content": "hi"}])
    [gone] = await add_many(rest, thread_id, 1)
    await rest.delete(f"/threads/{thread_id}/messages/{gone}")

    answer = await rest.get(f"/threads/{other['id']}/messages", params={"after": gone})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "after")


# What is in the path, and how the error names it.
NO_IDS = {
    "msg_%00": "No message found with id 'msg_\0'.",  # NUL
    "msg_a%0A": "No message found with id 'msg_a\n'.",  # a line end
    "msg_" + "a" * 500: f"No message found with id 'msg_{'a' * 121}...'.",  # 500 characters
    "msg_%C3%A9%F0%9F%98%80": "No message found with id 'msg_é😀'.",  # unicode
    "msg_%FF": "No message found with id 'msg_\ufffd'.",  # no UTF-8
}


async def test_an_id_of_another_format_is_not_found(rest: httpx.AsyncClient, thread_id: str) -> None:
    for (path, told), method in product(NO_IDS.items(), ("GET", "POST", "DELETE")):
        answer = await rest.request(method, f"/threads/{thread_id}/messages/{path}")

        assert (answer.status_code, answer.json()["error"]["message"]) == (404, told), method


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_of_two_wrong_ids_the_thread_is_named_first(rest: httpx.AsyncClient, method: str) -> None:
    answer = await rest.request(method, "/threads/undefined/messages/undefined")

    assert answer.json()["error"]["param"] == "thread_id"
