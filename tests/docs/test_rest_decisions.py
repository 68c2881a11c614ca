"""Each decision that docs/rest-compatibility.md lists is checked by a function of its row's name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from gateway.app import serve_store
from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.authenticator import Authenticator
from gateway.core import api_keys
from gateway.domain.api_key import new_key
from gateway.graphql.options import Options
from tests.docs.blocks import text_of
from tests.faces import GraphQL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from gateway.core import Store
    from gateway.events.hub import Hub

ROWS: Final = re.findall(
    r"^\| (?!topic|---)(.+?) \| .+ \|$",
    text_of("docs/rest-compatibility.md").partition("## Decisions")[2].partition("\n## ")[0],
    re.MULTILINE,
)
NOBODY: Final = "thread_000000000000000000000000"


@dataclass(frozen=True)
class World:
    """A thread with five messages, oldest first, and how to reach it."""

    http: httpx.AsyncClient
    store: Store
    hub: Hub
    thread: str
    messages: list[str]

    async def texts(self, **query: str | int) -> list[str]:
        """List messages, oldest first."""
        answer = await self.http.get(f"/threads/{self.thread}/messages", params={"order": "asc", **query})
        return [message["content"][0]["text"]["value"] for message in answer.json()["data"]]

    async def refusal(self, method: str, path: str, **how: Any) -> tuple[int, Any]:
        """Ask for something that is refused: the status and the code."""
        answer = await self.http.request(method, path, **how)
        return answer.status_code, answer.json()["error"]["code"]

    async def modify(self, **body: Any) -> Any:
        """Modify the thread."""
        return (await self.http.post(f"/threads/{self.thread}", json=body)).json()

    async def say(self, **body: Any) -> Any:
        """Add a message."""
        answer = await self.http.post(f"/threads/{self.thread}/messages", json={"role": "user", **body})
        return answer.json()


@pytest.fixture
async def world(rest: httpx.AsyncClient, store: Store, hub: Hub) -> World:
    messages = [{"role": "user", "content": str(n)} for n in range(5)]
    thread = (await rest.post("/threads", json={"messages": messages})).json()["id"]
    listed = (await rest.get(f"/threads/{thread}/messages", params={"order": "asc"})).json()["data"]
    return World(rest, store, hub, thread, [each["id"] for each in listed])


async def list_threads(world: World) -> None:
    listed = (await world.http.get("/threads", params={"limit": 1, "order": "desc"})).json()
    assert [each["id"] for each in listed["data"]] == [world.thread]


async def fork(world: World) -> None:
    copy = (await world.http.post(f"/threads/{world.thread}/fork", json={"up_to": world.messages[1]})).json()
    listed = (await world.http.get(f"/threads/{copy['id']}/messages")).json()["data"]
    assert [each["content"][0]["text"]["value"] for each in listed] == ["1", "0"]


async def page_before(world: World) -> None:
    assert await world.texts(before=world.messages[4], limit=2) == ["2", "3"]


async def page_between(world: World) -> None:
    assert await world.texts(after=world.messages[0], before=world.messages[4]) == ["1", "2", "3"]


async def unknown_cursor(world: World) -> None:
    path = f"/threads/{world.thread}/messages?after=msg_000000000000000000000000"
    assert await world.refusal("GET", path) == (400, "invalid_value")


async def deleted_cursor(world: World) -> None:
    await world.http.delete(f"/threads/{world.thread}/messages/{world.messages[1]}")
    assert await world.texts(after=world.messages[1]) == ["2", "3", "4"]


async def limit(world: World) -> None:
    for wrong in (0, 101):
        assert (await world.refusal("GET", f"/threads?limit={wrong}"))[0] == 400


async def unknown_query(world: World) -> None:
    assert (await world.http.get("/threads?colour=blue")).status_code == 200


async def repeated_query(world: World) -> None:
    assert await world.refusal("GET", "/threads?limit=1&limit=2") == (400, "duplicate_parameter")


async def unknown_field(world: World) -> None:
    assert await world.refusal("POST", "/threads", json={"colour": "blue"}) == (400, "unknown_parameter")


async def order_of_checks(world: World) -> None:
    body = {"role": "nobody", "content": "Hello"}
    assert await world.refusal("POST", f"/threads/{NOBODY}/messages", json=body) == (400, "invalid_value")


async def unknown_message(world: World) -> None:
    answer = await world.http.get(f"/threads/{world.thread}/messages/msg_{NOBODY[7:]}")
    assert answer.json()["error"]["message"] == f"No message found with id 'msg_{NOBODY[7:]}'."


async def second_delete(world: World) -> None:
    statuses = [(await world.http.delete(f"/threads/{world.thread}")).status_code for _ in range(2)]
    assert statuses == [200, 404]


async def null_removes(world: World) -> None:
    await world.modify(metadata={"a": "1", "b": "2"})
    assert (await world.modify(metadata={"a": None}))["metadata"] == {"b": "2"}


async def null_metadata(world: World) -> None:
    await world.modify(metadata={"a": "1"})
    assert (await world.modify(metadata=None))["metadata"] == {"a": "1"}


async def sixteen_pairs(world: World) -> None:
    await world.modify(metadata={f"key {n}": "" for n in range(16)})
    assert len((await world.modify(metadata={"key 0": None, "another": ""}))["metadata"]) == 16
    assert (await world.modify(metadata={"one more": ""}))["error"]["code"] == "object_above_max_properties"


async def beta_header(world: World) -> None:
    assert "openai-beta" not in world.http.headers
    old = {"OpenAI-Beta": "assistants=v1"}
    assert await world.refusal("GET", f"/threads/{world.thread}", headers=old) == (400, "invalid_beta")


async def invalid_key(world: World) -> None:
    await api_keys.create(world.store, new_key("default", "", "read", None))
    authenticator = Authenticator(ApiKeyCache(world.store))
    transport = httpx.ASGITransport(serve_store(world.store, Options(), hub=world.hub, authenticator=authenticator))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/v1") as http:
        answer = await http.get("/threads", headers={"authorization": "Bearer sk-wrong"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert "gateway keys create" in answer.json()["error"]["message"]


async def owner(world: World) -> None:
    made = (await world.http.post("/threads", json={"owner": "ada"})).json()
    assert made["owner"] == "ada"
    assert "owner" not in (await world.http.get(f"/threads/{world.thread}")).json()


async def fields_of_message(world: World) -> None:
    made = await world.say(content="Hello")
    added = {"status", "incomplete_details", "completed_at", "incomplete_at", "attachments"}
    assert added <= set(made)
    assert "file_ids" not in made


async def in_progress(world: World) -> None:
    graphql = GraphQL(world.http)
    content = f'threadId: "{world.thread}", role: ASSISTANT, status: IN_PROGRESS, content: {{ text: "Hel" }}'
    made = await graphql(f"mutation {{ createMessage(input: {{ {content} }}) {{ message {{ id }} }} }}")
    gained = f'messageId: "{made["createMessage"]["message"]["id"]}", text: "lo"'
    await graphql(f"mutation {{ appendMessageText(input: {{ {gained} }}) {{ message {{ id }} }} }}")
    answered = (await world.http.get(f"/threads/{world.thread}/messages", params={"limit": 1})).json()["data"][0]
    assert (answered["status"], answered["content"][0]["text"]["value"]) == ("in_progress", "Hello")


async def attachments(world: World) -> None:
    given = [{"file_id": "file-1", "tools": [{"type": "code_interpreter"}]}]
    assert (await world.say(content="Hello", attachments=given))["attachments"] == given
    thread = (await world.http.get(f"/threads/{world.thread}")).json()
    assert thread["tool_resources"] == {"code_interpreter": {"file_ids": []}}


async def vector_stores(world: World) -> None:
    for name, status in (("vector_stores", 400), ("vector_store_ids", 200)):
        value = [{"file_ids": ["file-1"]}] if status == 400 else ["vs_1"]
        answer = await world.http.post("/threads", json={"tool_resources": {"file_search": {name: value}}})
        assert answer.status_code == status


async def empty_tool_resources(world: World) -> None:
    made = (await world.http.post("/threads")).json()
    retrieved = (await world.http.get(f"/threads/{made['id']}")).json()
    assert made["tool_resources"] == {}
    assert retrieved["tool_resources"] == {"code_interpreter": {"file_ids": []}}


async def image_url(world: World) -> None:
    def part(url: str) -> list[dict[str, Any]]:
        return [{"type": "image_url", "image_url": {"url": url}}]

    assert (await world.say(content=part("https://example.com/a.png")))["content"][0]["image_url"]["detail"] == "auto"
    assert (await world.say(content=part("data:image/png;base64,AA")))["error"]["code"] == "invalid_value"


async def azure(world: World) -> None:
    answer = await world.http.get(f"http://gateway/openai/threads/{world.thread}?api-version=1999-01-01")
    assert answer.status_code == 200


async def compact(world: World) -> None:
    assert (await world.http.get(f"/threads/{world.thread}")).text.startswith('{"id":"thread_')


CHECKS: Final[dict[str, Callable[[World], Awaitable[None]]]] = {
    "`GET /v1/threads`": list_threads,
    "`POST /v1/threads/{thread_id}/fork`": fork,
    "`before` without `after`": page_before,
    "`after` with `before`": page_between,
    "unknown cursor": unknown_cursor,
    "deleted cursor": deleted_cursor,
    "`limit` outside 1 to 100": limit,
    "unknown query parameters": unknown_query,
    "repeated query parameters": repeated_query,
    "unknown body fields": unknown_field,
    "order of checks": order_of_checks,
    "message that does not exist": unknown_message,
    "second `DELETE`": second_delete,
    "`null` for a key of `metadata`": null_removes,
    "`metadata: null`": null_metadata,
    "16 pairs of `metadata`": sixteen_pairs,
    "missing `OpenAI-Beta` header": beta_header,
    "invalid API key": invalid_key,
    "`owner` in the body of `POST /v1/threads`": owner,
    "fields of a message": fields_of_message,
    "message in progress": in_progress,
    "attachments": attachments,
    "`vector_stores` in `tool_resources`": vector_stores,
    "empty `tool_resources`": empty_tool_resources,
    "`image_url`": image_url,
    "`api-version` of Azure": azure,
    "JSON format": compact,
}


def test_each_decision_has_a_check() -> None:
    assert list(CHECKS) == ROWS


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # tests/rest asks both databases
@pytest.mark.parametrize("decision", CHECKS)
async def test_a_decision_is_what_the_server_does(decision: str, world: World) -> None:
    await CHECKS[decision](world)
