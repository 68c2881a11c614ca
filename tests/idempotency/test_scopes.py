"""Whose a key is: of one principal in one project, for as long as that lives, whatever becomes of its credential."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.app import serve_store
from gateway.core import api_keys, messages, thread_tokens, threads
from gateway.domain.api_key import NewApiKey
from gateway.domain.idempotency import Attempt, Kind
from gateway.domain.ids import ThreadId
from gateway.domain.page import PageRequest
from gateway.domain.principal import ALL_SCOPES, Principal, Reach, Scope, TokenEpoch
from gateway.domain.thread import NewThread
from tests.isolation.world import TOKENS, authenticator_over, end_user
from tests.make import make_thread, new_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.core import Store
    from gateway.store.writes import Writes

ANY = NewApiKey("shop", "", ALL_SCOPES, None)


@asynccontextmanager
async def serving(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(serve_store(store, authenticator=authenticator_over(store)))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway/v1") as client:
        yield client


async def create(client: httpx.AsyncClient, credential: str, path: str = "/threads", **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {credential}", "Idempotency-Key": "k"}
    return (await client.post(path, json=body, headers=headers)).raise_for_status().json()["id"]


async def test_a_rotated_key_has_the_same_idempotency_keys(store: Store) -> None:
    key, first = await api_keys.create(store, ANY)
    rotated, second = await api_keys.rotate(store, key.id, 60)
    _, third = await api_keys.rotate(store, rotated.id, 60)

    async with serving(store) as client:
        made = {await create(client, secret) for secret in (first, second, third)}

    assert len(made) == 1


async def test_another_key_of_the_project_has_idempotency_keys_of_its_own(store: Store) -> None:
    secrets = [(await api_keys.create(store, ANY))[1] for _ in range(2)]

    async with serving(store) as client:
        made = {await create(client, secret) for secret in secrets}

    assert len(made) == 2


async def test_two_projects_have_idempotency_keys_of_their_own(store: Store) -> None:
    made = [
        await threads.create(store, Principal(Reach(project)), NewThread({}, {}), Attempt("k"))
        for project in ("a", "b")
    ]

    assert made[0].id != made[1].id


async def test_two_end_users_have_idempotency_keys_of_their_own(store: Store) -> None:
    async with serving(store) as client:
        made = [await create(client, end_user(sub)) for sub in ("alice", "bob", "alice")]

    assert made[0] == made[2] != made[1]


async def test_tokens_of_one_maker_for_one_thread_share_idempotency_keys(store: Store) -> None:
    key, secret = await api_keys.create(store, ANY)
    who = key.principal()
    thread_id = await make_thread(store, who)
    epoch = await thread_tokens.epoch_of(store, who, thread_id)
    rotated, _ = await api_keys.rotate(store, key.id, 60)
    scopes = frozenset({Scope.READ, Scope.SEND})
    tokens = [TOKENS.make(each, thread_id, epoch, scopes, 3_600)[0] for each in (who, rotated.principal())]
    path = f"/threads/{thread_id}/messages"

    async with serving(store) as client:
        made = [await create(client, each, path, role="user", content="hi") for each in (*tokens, secret)]

    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(
    ("who", "identity"),
    [
        (Principal(Reach("p")), "open"),
        (TOKENS.read(TOKENS.make(Principal(Reach("p")), ThreadId("thread_1"), TokenEpoch(), ALL_SCOPES, 60)[0]), None),
    ],
)
def test_every_principal_has_an_identity(who: Principal, identity: str | None) -> None:
    assert who.identity == (identity or "token:open/thread_1")


@pytest.mark.parametrize(
    "stranger", [Reach("rival"), Reach("default", owner="bob"), Reach("default", thread_id="thread_other")]
)
async def test_another_principal_finds_nothing_by_a_key(store: Store, who: Principal, stranger: Reach) -> None:
    thread_id = await make_thread(store, who)
    new, attempt = new_message("hi"), Attempt("k")
    made = await messages.create(store, who, thread_id, new, attempt)
    key = attempt.identify(who, Kind.MESSAGE, thread_id, new)

    async def find(transaction: Writes) -> list[Any]:
        return [await transaction.find_created(each, key) for each in (who.reach, stranger)]

    assert await store.write(find) == [(made.id, key.fingerprint), None]


async def test_who_must_not_read_gets_a_replay_as_it_was_made(store: Store, who: Principal) -> None:
    writer = Principal(who.reach, frozenset({Scope.WRITE}))
    thread_id = await make_thread(store, who)
    new = new_message("hi")
    made = await messages.create(store, writer, thread_id, new, Attempt("k"))
    thread = await threads.create(store, writer, NewThread({}, {}), Attempt("k"))
    await store.write(lambda transaction: transaction.set_message_metadata(who.reach, _secret(made), 1))

    again = await messages.create(store, writer, thread_id, new, Attempt("k"))

    assert again == made
    as_made = thread._replace(activity_at=1_000 * thread.created_at)  # to the second
    assert await threads.create(store, writer, NewThread({}, {}), Attempt("k")) == as_made


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/threads", {}),
        ("/v1/threads/{}/messages", {"role": "user", "content": "hi"}),
        ("/v1/threads/{}/fork", {}),
        ("/graphql", 'mutation {{ createThread(input: {{idempotencyKey: "k"}}) {{ thread {{ id }} }} }}'),
        (
            "/graphql",
            """mutation {{ createMessage(input: {{
              threadId: "{}", role: USER, content: {{text: "hi"}}, idempotencyKey: "k"
            }}) {{ message {{ id }} }} }}""",
        ),
        ("/graphql", 'mutation {{ forkThread(input: {{threadId: "{}", idempotencyKey: "k"}}) {{ thread {{ id }} }} }}'),
    ],
)
async def test_a_key_that_only_reads_creates_and_keeps_nothing(store: Store, path: str, body: Any) -> None:
    who = Principal(Reach("shop"))
    thread_id = await make_thread(store, who)
    _, reads = await api_keys.create(store, NewApiKey("shop", "", frozenset({Scope.READ}), None))
    headers = {"Authorization": f"Bearer {reads}", "Idempotency-Key": "k"}
    sent = {"query": body.format(thread_id)} if isinstance(body, str) else body

    async with serving(store) as client:
        refused = await client.post(f"http://gateway{path.format(thread_id)}", json=sent, headers=headers)

    errors = refused.json().get("errors")
    assert errors[0]["extensions"]["code"] == "missing_scope" if errors else refused.status_code == 403
    [thread] = (await threads.list_page(store, who, PageRequest())).items
    assert (thread.id, thread.message_count, thread.idempotency_key) == (thread_id, 0, None)


def _secret(found: Any) -> Any:
    return found._replace(metadata_json='{"a":"secret"}')


async def test_an_expired_credential_keeps_nothing(store: Store) -> None:
    async with serving(store) as client:
        with pytest.raises(httpx.HTTPStatusError, match="401"):
            await create(client, end_user("alice", exp=time.time() - 3_600))
