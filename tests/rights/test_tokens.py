"""Tokens for one thread at a served process: what each access allows, what none can read, and how they are revoked."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import httpx
import jwt
import pytest

from gateway.auth.thread_tokens import PREFIX, ThreadTokens
from gateway.domain.ids import ThreadId
from gateway.domain.principal import Principal, Reach, Scope, TokenEpoch
from tests.live.server import PATIENCE_S, serving
from tests.live.subscribing import ADDED, open_socket, stream_of
from tests.rights.serving import MINT, OLD_TOKEN_SECRET, SECRETS, TOKEN_SECRET, bearer, user

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.live.subscribing import Socket
    from tests.rights.serving import Served

REVOKE: Final = "mutation($threadId: ID!) { revokeThreadTokens(input: {threadId: $threadId}) { threadId } }"
SAY: Final = """
mutation($threadId: ID!, $role: MessageRole!, $status: MessageStatus, $runId: ID, $assistantId: ID) {
  createMessage(input: {threadId: $threadId, role: $role, content: {text: "hi"}, status: $status, runId: $runId,
                        assistantId: $assistantId}) { message { id } thread { id owner } }
}"""
OWNERS: Final = """
query($threadId: ID!) {
  thread(id: $threadId) { owner }  node(id: $threadId) { ... on Thread { owner } }
  nodes(ids: [$threadId]) { ... on Thread { owner } }
  threads { nodes { owner } edges { node { owner } } }
  deep: thread(id: $threadId) { owner messages { nodes { thread { owner } } } }
}"""
CHANGED: Final = """
subscription($threadId: ID!) {
  threadEvents(threadId: $threadId, after: "0") { __typename ... on ThreadUpdated { thread { owner metadata } } }
}"""
FILTERED: Final = "query($filter: ThreadFilter) { threads(filter: $filter) { totalCount } }"
FOLLOWED: Final = "subscription($filter: ThreadFilter) { threadListEvents(filter: $filter) { __typename } }"
NOTE: Final = """
mutation($id: ID!) { updateThread(input: {id: $id, metadata: {seen: "yes"}}) { thread { owner } } }"""


@pytest.fixture(scope="module")
def alice() -> str:
    return user("alice")


@pytest.fixture(scope="module")
def thread(served: Served, alice: str) -> str:
    return served.new_thread(alice)


def message_in_progress(served: Served, alice: str, thread: str) -> str:
    told = served.graphql(alice, SAY, threadId=thread, role="ASSISTANT", status="IN_PROGRESS")
    message_id: str = told.body["data"]["createMessage"]["message"]["id"]
    return message_id


def test_a_token_that_sends_adds_whole_messages_of_a_user(served: Served, alice: str, thread: str) -> None:
    sender = served.token(alice, thread, "SEND")

    by_graphql = [
        served.graphql(sender, SAY, threadId=thread, role="USER", status=each) for each in (None, "COMPLETED")
    ]
    by_rest = served.rest(sender, "POST", f"/threads/{thread}/messages", {"role": "user", "content": "hi"})

    assert [each.code for each in (*by_graphql, by_rest)] == [None] * 3
    assert served.rest(sender, "GET", f"/threads/{thread}/messages").status == 200


@pytest.mark.parametrize(
    "given",
    [
        {"role": "ASSISTANT"},
        {"role": "USER", "status": "IN_PROGRESS"},
        {"role": "USER", "runId": "run_a"},
        {"role": "USER", "assistantId": "asst_a"},
    ],
)
def test_a_send_token_adds_only_user_messages(served: Served, alice: str, thread: str, given: dict[str, Any]) -> None:
    before = served.rest(alice, "GET", f"/threads/{thread}/messages").body

    assert served.graphql(served.token(alice, thread, "SEND"), SAY, threadId=thread, **given).code == "missing_scope"
    assert served.rest(alice, "GET", f"/threads/{thread}/messages").body == before


def test_a_send_token_changes_and_deletes_nothing(served: Served, alice: str, thread: str) -> None:
    sender, growing = served.token(alice, thread, "SEND"), message_in_progress(served, alice, thread)
    at, note = f"/threads/{thread}", {"metadata": {"a": "b"}}

    told = [
        served.rest(sender, "POST", f"{at}/messages", {"role": "assistant", "content": "hi"}),
        served.rest(sender, "POST", at, note),
        served.rest(sender, "POST", f"{at}/messages/{growing}", note),
        served.rest(sender, "DELETE", f"{at}/messages/{growing}"),
        served.rest(sender, "DELETE", at),
        served.rest(sender, "POST", "/threads"),
        *(
            served.graphql(sender, f"mutation {{ {field}(input: {{{given}}}) {{ __typename }} }}")
            for field, given in (
                ("createThread", ""),
                ("updateThread", f'id: "{thread}"'),
                ("deleteThread", f'id: "{thread}"'),
                ("updateMessage", f'id: "{growing}"'),
                ("deleteMessage", f'id: "{growing}"'),
                ("appendMessageText", f'messageId: "{growing}", text: "x"'),
                ("finishMessage", f'messageId: "{growing}", status: COMPLETED'),
                ("createThreadToken", f'threadId: "{thread}"'),
                ("revokeThreadTokens", f'threadId: "{thread}"'),
            )
        ),
    ]

    assert {each.code for each in told} == {"missing_scope"}


@pytest.mark.parametrize("access", ["READ", "SEND", "READ_WRITE"])
def test_a_thread_token_cannot_read_the_owner(served: Served, alice: str, thread: str, access: str) -> None:
    holder = served.token(alice, thread, access)

    asked = [served.graphql(holder, OWNERS, threadId=thread) for _ in range(3)]  # from the second time on compiled
    rest = [served.rest(holder, "GET", f"/threads/{thread}").body, *served.rest(holder, "GET", "/threads").body["data"]]
    written = [] if access == "READ" else [served.graphql(holder, SAY, threadId=thread, role="USER").body]
    noted = [served.graphql(holder, NOTE, id=thread).body] * (access == "READ_WRITE")

    assert all('"owner": null' in json.dumps(each.body) for each in asked)
    assert "alice" not in json.dumps([*(each.body for each in asked), *rest, *written, *noted])
    assert [each.get("owner") for each in rest] == [None, None]
    assert served.rest(alice, "GET", f"/threads/{thread}").body["owner"] == "alice"


@pytest.mark.parametrize("asked", [{"owner": "alice"}, {"owner": "bob"}, {"hasOwner": True}, {"hasOwner": False}])
def test_a_thread_token_cannot_try_out_who_the_owner_is(
    served: Served, alice: str, thread: str, asked: dict[str, Any]
) -> None:
    holder = served.token(alice, thread, "READ_WRITE")
    [(name, value)] = asked.items()
    spelled = {"owner": f"owner={value}", "hasOwner": f"has_owner={str(value).lower()}"}[name]

    async def followed() -> Any:
        async with opened(served, holder) as socket:
            await socket.subscribe(FOLLOWED, filter=asked)
            return (await socket.receive())["payload"][0]

    told = [served.graphql(holder, FILTERED, filter=asked).body["errors"][0], asyncio.run(followed())]

    assert [each["extensions"]["param"] for each in told] == [f"filter.{name}"] * 2
    assert served.rest(holder, "GET", f"/threads?{spelled}").code == "invalid_value"


@pytest.mark.parametrize("access", ["READ", "READ_WRITE"])
def test_no_event_shows_a_thread_token_the_owner_of_its_thread(served: Served, alice: str, access: str) -> None:
    thread = served.new_thread(alice)
    served.graphql(alice, NOTE, id=thread)

    async def told() -> list[Any]:
        token = served.token(alice, thread, access)
        async with (
            opened(served, token) as socket,
            httpx.AsyncClient(base_url=served.server.base_url, timeout=PATIENCE_S, headers=bearer(token)) as http,
            stream_of(http, CHANGED, threadId=thread) as events,
        ):
            await socket.subscribe(CHANGED, threadId=thread)
            over_ws = [(await socket.receive())["payload"]["data"]["threadEvents"] for _ in range(2)]
            return [over_ws[1], [(await anext(events)).data["data"]["threadEvents"] for _ in range(2)][1]]

    assert (
        asyncio.run(told())
        == [{"__typename": "ThreadUpdated", "thread": {"owner": None, "metadata": {"seen": "yes"}}}] * 2
    )


@asynccontextmanager
async def opened(served: Served, credential: str) -> AsyncIterator[Socket]:
    async with open_socket(served.server.base_url) as socket:
        await socket.send("connection_init", payload={"authorization": f"Bearer {credential}"})
        assert await socket.receive() == {"type": "connection_ack"}
        yield socket


def test_revoked_tokens_are_rejected_and_later_ones_accepted(served: Served, alice: str) -> None:
    thread, other = served.new_thread(alice), served.new_thread(alice)
    _, rival = served.new_key("--project", "rival")
    held = {access: served.token(alice, thread, access) for access in ("READ", "SEND", "READ_WRITE")}
    elsewhere = served.token(alice, other, "READ")
    before = [served.rest(each, "GET", f"/threads/{thread}").status for each in held.values()]

    revoked = served.graphql(alice, REVOKE, threadId=thread)

    assert (before, revoked.body) == ([200] * 3, {"data": {"revokeThreadTokens": {"threadId": thread}}})
    assert {served.rest(each, "GET", f"/threads/{thread}").code for each in held.values()} == {"invalid_api_key"}
    assert served.rest(elsewhere, "GET", f"/threads/{other}").status == 200
    assert served.rest(served.token(alice, thread, "READ"), "GET", f"/threads/{thread}").status == 200
    assert served.graphql(rival, REVOKE, threadId=thread).code == "not_found"


@pytest.mark.parametrize("served", ["postgres"], indirect=True)  # a SQLite file has one server
def test_revoked_tokens_are_rejected_by_another_process_within_a_second(served: Served, alice: str) -> None:
    thread = served.new_thread(alice)
    token = served.token(alice, thread, "READ")
    with serving(served.database_url, folder=served.folder, given=SECRETS) as server:
        other = replace(served, server=server)
        before = other.rest(token, "GET", f"/threads/{thread}").status

        served.graphql(alice, REVOKE, threadId=thread)

        statuses = [before]
        while statuses[-1] == 200:
            statuses.append(other.rest(token, "GET", f"/threads/{thread}").status)
    assert (before, statuses[-1]) == (200, 401)


def test_only_followers_with_a_revoked_token_are_disconnected(served: Served, alice: str) -> None:
    thread = served.new_thread(alice)
    token = served.token(alice, thread, "READ")

    async def ends() -> Any:
        async with (
            opened(served, token) as socket,
            opened(served, alice) as own,
            httpx.AsyncClient(base_url=served.server.base_url, timeout=PATIENCE_S, headers=bearer(token)) as http,
            stream_of(http, ADDED, threadId=thread, after="0") as events,
        ):
            for each in (socket, own):
                await each.subscribe(ADDED, threadId=thread, after="0")
                assert await each.texts(1) == ["hi"]
            await anext(events)
            await asyncio.to_thread(served.graphql, alice, REVOKE, threadId=thread)
            gone = await socket.end()
            async with asyncio.timeout(PATIENCE_S):
                assert [each async for each in events] == []
            await asyncio.to_thread(served.graphql, alice, SAY, threadId=thread, role="USER")
            return gone, await own.texts(1)

    assert asyncio.run(ends()) == ((4403, "Forbidden: the credential is no longer valid"), ["hi"])


def test_a_follower_is_disconnected_when_its_token_expires(served: Served, alice: str) -> None:
    thread = served.new_thread(alice)
    minted = served.graphql(alice, MINT.replace("600", "2"), threadId=thread, access="READ")
    token = minted.body["data"]["createThreadToken"]["token"]

    async def end() -> tuple[int, str]:
        async with opened(served, token) as socket:
            await socket.subscribe(ADDED, threadId=thread, after="0")
            assert await socket.texts(1) == ["hi"]
            return await socket.end()

    assert asyncio.run(end()) == (4403, "Forbidden: the credential is no longer valid")
    assert served.rest(token, "GET", f"/threads/{thread}").code == "invalid_api_key"


@pytest.mark.parametrize("secret", [TOKEN_SECRET, OLD_TOKEN_SECRET])
def test_a_token_of_the_previous_version_is_valid_until_revoked(served: Served, alice: str, secret: str) -> None:
    thread = served.new_thread(alice)
    maker = Principal(Reach("default", owner="alice"), name="user:alice")
    made, _ = ThreadTokens(secret).make(maker, ThreadId(thread), TokenEpoch(), frozenset({Scope.READ}), 600)
    token = without_epoch(made, secret)
    before = served.rest(token, "GET", f"/threads/{thread}").status

    served.graphql(alice, REVOKE, threadId=thread)

    assert (before, served.rest(token, "GET", f"/threads/{thread}").status) == (200, 401)


def without_epoch(token: str, secret: str) -> str:
    """Sign the claims of a token again as the version before did."""
    claims = jwt.decode(token.removeprefix(PREFIX), secret, ["HS256"], audience="gateway:thread")
    return PREFIX + jwt.encode({k: v for k, v in claims.items() if k not in TokenEpoch._fields}, secret, "HS256")


def test_only_a_principal_that_reaches_a_thread_revokes_its_tokens(served: Served, alice: str, thread: str) -> None:
    token = served.token(alice, thread, "READ_WRITE")

    told = [
        served.graphql(each, REVOKE, threadId=thread).code
        for each in (user("bob"), token, user("alice", scope="threads:read"))
    ]

    assert told == ["not_found", "missing_scope", "missing_scope"]
    assert served.rest(token, "GET", f"/threads/{thread}").status == 200


def test_a_token_is_revoked_with_the_key_that_created_it(served: Served) -> None:
    key_id, key = served.new_key()
    thread = served.new_thread(key)
    token = served.token(key, thread, "READ_WRITE")
    before = served.rest(token, "GET", f"/threads/{thread}").status

    served.keys("rotate", key_id)

    status = before
    while status in (200, 503):  # 503: a busy machine may need more than LOOK_UP_S for a row
        status = served.rest(token, "GET", f"/threads/{thread}").status
    assert (before, status) == (200, 401)
