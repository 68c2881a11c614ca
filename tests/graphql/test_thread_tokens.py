"""createThreadToken: who gets a token, for which thread, and its permissions."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx

from gateway.app import serve_store
from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.authenticator import Authenticator
from gateway.auth.thread_tokens import ThreadTokens
from tests.faces import GraphQL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store

MAKE = """
mutation($threadId: ID!, $access: ThreadAccess, $expiresIn: Int) {
  createThreadToken(input: {threadId: $threadId, access: $access, expiresIn: $expiresIn}) { token expiresAt }
}"""
REVOKE = "mutation($threadId: ID!) { revokeThreadTokens(input: {threadId: $threadId}) { threadId } }"
SAY = (
    'mutation($id: ID!) { createMessage(input: {threadId: $id, role: USER, content: {text: "hi"}}) { message { id } } }'
)


@asynccontextmanager
async def calling(store: Store, tokens: ThreadTokens | None) -> AsyncIterator[GraphQL]:
    transport = httpx.ASGITransport(serve_store(store, authenticator=Authenticator(ApiKeyCache(store), tokens=tokens)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/v1") as client:
        yield GraphQL(client)


async def new_thread(graphql: GraphQL) -> str:
    thread_id: str = (await graphql.http.post("/threads")).json()["id"]
    return thread_id


def holding(graphql: GraphQL, token: str) -> GraphQL:
    """Call with a token."""
    graphql.http.headers["authorization"] = f"Bearer {token}"
    return graphql


async def made(graphql: GraphQL, thread_id: str, **asked: Any) -> str:
    token: str = (await graphql(MAKE, threadId=thread_id, **asked))["createThreadToken"]["token"]
    return token


async def test_read_token_cannot_write(store: Store) -> None:
    async with calling(store, ThreadTokens("s" * 32)) as graphql:
        thread_id = await new_thread(graphql)
        holder = holding(graphql, await made(graphql, thread_id, access="READ"))

        found = await holder("query($id: ID!) { thread(id: $id) { id } }", id=thread_id)
        refused = await holder.refusal(SAY, id=thread_id)

    assert found == {"thread": {"id": thread_id}}
    assert refused["extensions"]["code"] == "missing_scope"


async def test_write_token_is_limited_to_its_thread(store: Store) -> None:
    async with calling(store, ThreadTokens("s" * 32)) as graphql:
        thread_id, other = await new_thread(graphql), await new_thread(graphql)
        holder = holding(graphql, await made(graphql, thread_id, access="READ_WRITE"))

        await holder(SAY, id=thread_id)
        elsewhere = await holder.refusal(SAY, id=other)
        another = await holder.refusal(MAKE, threadId=thread_id, access="READ", expiresIn=60)

    assert elsewhere["extensions"]["code"] == "not_found"
    assert another["extensions"]["code"] == "missing_scope"


async def test_send_token_can_only_add_user_messages(store: Store) -> None:
    async with calling(store, ThreadTokens("s" * 32)) as graphql:
        thread_id = await new_thread(graphql)
        holder = holding(graphql, await made(graphql, thread_id, access="SEND"))

        await holder(SAY, id=thread_id)
        refused = await holder.refusal(SAY.replace("USER", "ASSISTANT"), id=thread_id)

    assert refused["extensions"]["code"] == "missing_scope"


async def test_revoked_tokens_are_refused(store: Store) -> None:
    async with calling(store, ThreadTokens("s" * 32)) as graphql:
        thread_id = await new_thread(graphql)
        token = await made(graphql, thread_id, access="READ")

        revoked = await graphql(REVOKE, threadId=thread_id)
        refused = await holding(graphql, token).refusal(SAY, id=thread_id)

    assert revoked == {"revokeThreadTokens": {"threadId": thread_id}}
    assert refused["extensions"]["code"] == "invalid_api_key"


async def test_token_for_unknown_thread_is_refused(store: Store) -> None:
    async with calling(store, ThreadTokens("s" * 32)) as graphql:
        refused = await graphql.refusal(MAKE, threadId="thread_unknown", access="READ", expiresIn=60)

    assert refused["extensions"]["code"] == "not_found"


async def test_token_lifetime_is_at_most_one_day(store: Store) -> None:
    async with calling(store, ThreadTokens("s" * 32)) as graphql:
        thread_id = await new_thread(graphql)
        refused = await graphql.refusal(MAKE, threadId=thread_id, access="READ", expiresIn=86_401)

    assert refused["extensions"] == {
        "code": "invalid_value",
        "param": "input.expiresIn",
        "type": "invalid_request_error",
    }


async def test_tokens_need_a_secret(store: Store) -> None:
    async with calling(store, None) as graphql:
        thread_id = await new_thread(graphql)
        refused = await graphql.refusal(MAKE, threadId=thread_id, access="READ", expiresIn=60)

    assert refused["extensions"]["code"] == "thread_tokens_disabled"
    assert "GATEWAY_TOKEN_SECRET" in refused["message"]
