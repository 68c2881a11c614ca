"""A retry is answered by what its key created, whatever has come since that would keep a new one from being created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from gateway.auth.authenticator import Authenticator
from gateway.auth.rate_limits import RateLimiter, RateLimits
from tests.rest.calls import add
from tests.runs.calls import create, poll
from tests.runs.scripted import calls
from tests.runs.test_rights import serving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import httpx

    from gateway.events.hub import Hub
    from gateway.store.store import Store
    from tests.faces import GraphQL
    from tests.runs.scripted import Scripted

KEY: Final = {"Idempotency-Key": "one"}
# Of each kind the path and the body of REST, then the mutation, its input and the field of its payload.
KINDS: Final[dict[str, tuple[str, dict[str, Any], str, dict[str, Any], str]]] = {
    "thread": ("/threads", {}, "createThread", {}, "thread"),
    "message": (
        "/threads/{thread}/messages",
        {"role": "user", "content": "hi"},
        "createMessage",
        {"threadId": "{thread}", "role": "USER", "content": {"text": "hi"}},
        "message",
    ),
    "fork": (
        "/threads/{thread}/fork",
        {"up_to": "{message}"},
        "forkThread",
        {"threadId": "{thread}", "upTo": "{message}"},
        "thread",
    ),
    "run": (
        "/threads/{thread}/runs",
        {"assistant_id": "{assistant}"},
        "createRun",
        {"threadId": "{thread}", "assistantId": "{assistant}"},
        "run",
    ),
}


@dataclass(frozen=True)
class World:
    """Both APIs, and the names of what creations need."""

    rest: httpx.AsyncClient
    graphql: GraphQL
    models: Scripted
    names: dict[str, str]

    async def send(self, kind: str, *, is_rest: bool) -> tuple[str, bool]:
        """Create an object, or send the same again; give its id and whether it was a replay."""
        path, body, name, given, field = KINDS[kind]
        if is_rest:
            answer = await self.rest.post(path.format(**self.names), json=self._named(body), headers=KEY)
            assert answer.status_code == 200, answer.text
            return answer.json()["id"], answer.headers.get("idempotent-replayed") == "true"
        of_input = f"{name[0].upper()}{name[1:]}Input!"
        query = f"mutation ($input: {of_input}) {{ {name}(input: $input) {{ {field} {{ id }} }} }}"
        told = await self.graphql.answer(query, input=self._named(given) | {"idempotencyKey": "one"})
        assert "errors" not in told, told
        return told["data"][name][field]["id"], told.get("extensions") == {"idempotentReplay": [[name]]}

    def _named(self, given: dict[str, Any]) -> dict[str, Any]:
        return {key: each.format(**self.names) if isinstance(each, str) else each for key, each in given.items()}

    async def lock(self) -> None:
        """Let a run wait for its functions, which locks the thread."""
        self.models.scripts.append(calls(("weather", "{}")))
        await poll(self.rest, await create(self.rest, self.names["thread"], self.names["assistant"]))

    async def delete(self, path: str) -> None:
        """Delete an object."""
        assert (await self.rest.delete(path.format(**self.names))).status_code == 200


@pytest.fixture
async def world(
    rest: httpx.AsyncClient, graphql: GraphQL, models: Scripted, thread_id: str, assistant_id: str
) -> World:
    message = (await add(rest, thread_id))["id"]
    return World(rest, graphql, models, {"thread": thread_id, "assistant": assistant_id, "message": message})


async def forget_models(world: World) -> None:
    world.models.names = ("another",)


async def add_file(world: World) -> None:
    await world.rest.post(
        "/threads/{thread}/messages".format(**world.names),
        json={"role": "user", "content": [{"type": "image_file", "image_file": {"file_id": "file-1"}}]},
    )


async def fill_metadata(world: World) -> None:
    pairs = {str(n): "x" for n in range(16)}
    await world.rest.post("/threads/{thread}".format(**world.names), json={"metadata": pairs})


OBSTACLES: Final[list[tuple[str, str, Callable[[World], Awaitable[None]]]]] = [
    ("message", "the run that locks the thread", World.lock),
    ("fork", "the run that locks the source", World.lock),
    ("fork", "a deleted source", lambda world: world.delete("/threads/{thread}")),
    ("fork", "a deleted last message", lambda world: world.delete("/threads/{thread}/messages/{message}")),
    ("run", "another run", World.lock),
    ("run", "a deleted assistant", lambda world: world.delete("/assistants/{assistant}")),
    ("run", "an unknown model", forget_models),
    ("run", "a file that runs cannot read", add_file),
    ("thread", "an unrelated lock", World.lock),
]


@pytest.mark.parametrize("is_rest", [True, False], ids=["rest", "graphql"])
@pytest.mark.parametrize(
    ("kind", "obstruct"), [pytest.param(kind, obstruct, id=f"{kind}: {name}") for kind, name, obstruct in OBSTACLES]
)
async def test_an_obstacle_hides_no_replay_from_either_api(
    world: World, kind: str, obstruct: Callable[[World], Awaitable[None]], *, is_rest: bool
) -> None:
    made, _ = await world.send(kind, is_rest=is_rest)
    if kind == "run":
        await poll(world.rest, {"id": made, "thread_id": world.names["thread"]})

    await obstruct(world)

    assert await world.send(kind, is_rest=is_rest) == (made, True)
    assert await world.send(kind, is_rest=not is_rest) == (made, True)


async def test_a_fork_whose_metadata_would_not_fit_any_more_is_replayed(world: World) -> None:
    path, body = "/threads/{thread}/fork".format(**world.names), {"metadata": {"a": "b"}}
    made = await world.rest.post(path, json=body, headers=KEY)
    await fill_metadata(world)

    again = await world.rest.post(path, json=body, headers=KEY)

    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])


async def test_the_tokens_that_a_run_has_used_up_hide_no_replay(store: Store, hub: Hub) -> None:
    limited = Authenticator(rate_limits=RateLimiter(RateLimits(tokens="5/day")))
    async with serving(store, hub, limited) as http:
        body = {"assistant_id": "asst_any"}
        made = await http.post("/threads/runs", json=body, headers=KEY)
        await poll(http, made.json())

        again = await http.post("/threads/runs", json=body, headers=KEY)
        another = await http.post("/threads/runs", json=body)

    assert (again.status_code, again.json()["id"]) == (200, made.json()["id"])
    assert another.status_code == 429


async def test_a_payload_with_a_wrong_cursor_hides_no_replay(world: World) -> None:
    query = """mutation ($input: CreateMessageInput!, $after: String) {
      createMessage(input: $input) { message { id } thread { messages(first: 1, after: $after) { totalCount } } } }"""
    given = {"threadId": world.names["thread"], "role": "USER", "content": {"text": "hi"}, "idempotencyKey": "one"}

    wrong = await world.graphql.answer(query, input=given, after="msg_wrong")
    again = await world.graphql.answer(query, input=given)

    assert [each["extensions"]["code"] for each in wrong["errors"]] == ["invalid_value"]
    assert again["data"]["createMessage"]["thread"]["messages"]["totalCount"] == 2
    assert again["extensions"] == {"idempotentReplay": [["createMessage"]]}
