"""Two projects with end users, what each of them has, and all that a caller may come with."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import jwt

from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.authenticator import Authenticator
from gateway.auth.jwt import JwtRules, JwtVerifier
from gateway.auth.thread_tokens import ThreadTokens
from gateway.core import api_keys, messages, thread_tokens, threads
from gateway.domain.api_key import NewApiKey
from gateway.domain.ids import MessageId, ThreadId, new_id, new_message_id, new_thread_id
from gateway.domain.message import NewMessage, Role, Status
from gateway.domain.principal import ALL_SCOPES, Principal, Reach, Scope
from gateway.domain.run import SETTINGS, Run, RunStatus, RunStep, StepStatus, StepType
from gateway.domain.thread import NewThread
from gateway.domain.wire import dump_text
from tests.make import new_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.core import Store
    from gateway.store.runs import RunWrites

RULES: Final = JwtRules(jwks="", secret="j" * 32, issuer="https://id.example.com", audience="threads")
TOKENS: Final = ThreadTokens("t" * 32)
READ, WRITE, SENDS = frozenset({Scope.READ}), frozenset({Scope.WRITE}), frozenset({Scope.READ, Scope.SEND})
RUN: Final = frozenset({Scope.READ, Scope.RUNS})


@dataclass(frozen=True)
class Names:
    """What a caller may name: a thread, and in it a whole message, one in progress behind it, and a run with a step."""

    thread: ThreadId
    message: MessageId
    growing: MessageId
    run: str
    step: str


@dataclass(frozen=True)
class Key:
    """A key, and its principal with all scopes."""

    id: str
    secret: str
    who: Principal


@dataclass(frozen=True)
class Caller:
    """A caller with a credential, and the objects that it owns."""

    credential: str | None
    own: Names
    only_sends: bool = False

    @property
    def has_one_thread(self) -> bool:
        return (self.credential or "").startswith("tt-")


@dataclass(frozen=True)
class World:
    """What there is: `hidden` is of the end user alice in the project `shop`, and `never` is nobody's.

    `strangers` cannot reach what is hidden. `readers` and `writers` can, with one scope alone; `nobodies` come with
    what is not good, or not any more.
    """

    store: Store
    shop: Key
    hidden: Mapping[str, Names]
    never: Names
    strangers: Mapping[str, Caller]
    readers: Mapping[str, Caller]
    writers: Mapping[str, Caller]
    nobodies: Mapping[str, Caller]


def authenticator_over(store: Store) -> Authenticator:
    """Ask for keys, end users' tokens and tokens for one thread."""
    return Authenticator(ApiKeyCache(store), JwtVerifier(RULES), TOKENS)


async def make_world(store: Store) -> World:
    alice, bob = Reach("shop", owner="alice"), Reach("shop", owner="bob")
    living, other, of_bob = [await make_names(store, each) for each in (alice, alice, bob)]
    of_rival, of_rival_alice = [await make_names(store, each) for each in (Reach("rival"), Reach("rival", "alice"))]
    shop = await _key(store, "shop")
    rival = await _key(store, "rival")
    return World(
        store,
        shop,
        hidden={"a living one": living, "a deleted one": await _deleted(store, alice)},
        never=Names(new_thread_id(), new_message_id(), new_message_id(), new_id("run"), new_id("step")),
        strangers={
            "a key of another project": Caller(rival.secret, of_rival),
            "the same end user of another project": Caller(end_user("alice", project="rival"), of_rival_alice),
            "another end user": Caller(end_user("bob"), of_bob),
            "a token for another thread": Caller(await token(store, shop.who, other), other),
            "a token that sends to another thread": Caller(
                await token(store, shop.who, other, SENDS), other, only_sends=True
            ),
            "another end user's token": Caller(await token(store, Principal(bob), of_bob), of_bob),
        },
        readers=await callers(store, await _key(store, "shop", READ), living, READ),
        writers=await callers(store, await _key(store, "shop", WRITE), living, WRITE),
        nobodies={
            name: Caller(credential, living) for name, credential in (await _no_good(store, living, of_bob)).items()
        },
    )


async def make_names(store: Store, reach: Reach) -> Names:
    """Make a thread with a whole message, one in progress, and a run that waits, but locks nothing."""
    run, step = new_id("run"), new_id("step")
    begun = NewMessage(Role.ASSISTANT, [], status=Status.IN_PROGRESS, run_id=run)
    new = NewThread(metadata={}, tool_resources={}, messages=(new_message("a secret", run),), owner=reach.owner)
    who = Principal(Reach(reach.project_id))
    thread_id = (await threads.create(store, who, new)).id
    growing = (await messages.create(store, who, thread_id, begun)).id
    async with store.read() as reads:
        found = await reads.list_messages_after(who.reach, thread_id, 0, 2)
    await store.write(partial(_add_run, reach=who.reach, thread_id=thread_id, run=run, step=step))
    return Names(thread_id, found.items[0][1].id, growing, run, step)


async def _add_run(transaction: RunWrites, reach: Reach, thread_id: ThreadId, run: str, step: str) -> None:
    empty: dict[str, Any] = dict.fromkeys(Run._fields)
    waits = {"status_value": RunStatus.REQUIRES_ACTION.value, "expires_at": 1 << 40, "created_at": 1}
    position = await transaction.next_position(reach, thread_id)
    of_both = {"thread_id": thread_id, "assistant_id": "asst_any", "position": position}
    settings = dump_text({name: [] if name == "tools" else None for name in SETTINGS})
    of_run = {"id": run, "metadata_json": "{}", "settings_json": settings}
    await transaction.add_run(reach, Run(**{**empty, **of_both, **of_run, **waits}), None)
    await transaction.set_run(reach, run, {"due_at": None})
    call = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}", "output": None}}
    details = dump_text({"type": StepType.TOOL_CALLS.value, "tool_calls": [call]})
    begun = {"status_value": StepStatus.IN_PROGRESS.value, "type_value": StepType.TOOL_CALLS.value, "created_at": 1}
    empty = dict.fromkeys(RunStep._fields)
    of_step = {"id": step, "run_id": run, "details_json": details}
    await transaction.add_step(reach, RunStep(**{**empty, **of_both, **of_step, **begun}))


def end_user(sub: str, **claims: Any) -> str:
    """Sign a token as the operator's identity provider does."""
    standing = {"iss": RULES.issuer, "aud": RULES.audience, "exp": time.time() + 3_600, "project": "shop"}
    return jwt.encode({**standing, "sub": sub, **claims}, RULES.secret, "HS256")


async def token(store: Store, who: Principal, names: Names, scopes: frozenset[Scope] = ALL_SCOPES) -> str:
    """Make a token for a thread, as createThreadToken does."""
    return TOKENS.make(who, names.thread, await thread_tokens.epoch_of(store, who, names.thread), scopes, 3_600)[0]


async def callers(store: Store, key: Key, names: Names, scopes: frozenset[Scope] = ALL_SCOPES) -> Mapping[str, Caller]:
    """Give all kinds of callers that can reach a thread of alice in `shop`."""
    words = " ".join(f"threads:{scope.value}" for scope in scopes)
    return {
        "a key of the project": Caller(key.secret, names),
        "its end user": Caller(end_user("alice", scope=words), names),
        "a token for the thread": Caller(await token(store, key.who, names, scopes), names),
    }


async def _key(
    store: Store, project: str, scopes: frozenset[Scope] = ALL_SCOPES, expires_in_s: int | None = None
) -> Key:
    made, secret = await api_keys.create(store, NewApiKey(project, "", scopes, expires_in_s))
    return Key(made.id, secret, Principal(Reach(project), name=made.id, key_id=made.id))


async def _deleted(store: Store, reach: Reach) -> Names:
    """Name a thread that was deleted, and messages that were deleted from another, which is still there."""
    gone, thinned = [await make_names(store, reach) for _ in range(2)]
    who = Principal(reach)
    await threads.delete(store, who, gone.thread)
    await messages.delete(store, who, thinned.thread, thinned.message)
    await messages.delete(store, who, thinned.thread, thinned.growing)
    return Names(gone.thread, thinned.message, thinned.growing, gone.run, gone.step)


async def _no_good(store: Store, living: Names, of_bob: Names) -> Mapping[str, str | None]:
    good, revoked = await _key(store, "shop"), await _key(store, "shop")
    await api_keys.revoke(store, revoked.id)
    over = Principal(Reach("shop"), expires_at=time.time() - 60)
    alice, bob, reads = end_user("alice"), end_user("bob"), await token(store, good.who, living, READ)
    closed = await make_names(store, Reach("shop"))
    of_closed = {scopes: await token(store, good.who, closed, scopes) for scopes in (READ, SENDS, ALL_SCOPES)}
    await thread_tokens.revoke(store, good.who, closed.thread)
    return {
        "no key": None,
        "a key that was never made": "sk-" + "x" * 43,
        "an altered key": good.secret[:-1] + ("a" if good.secret[-1] != "a" else "b"),
        "an expired key": (await _key(store, "shop", expires_in_s=-1)).secret,
        "a revoked key": revoked.secret,
        "an expired end user's token": end_user("alice", exp=time.time() - 3_600),
        "an end user's token with another's claims": _with_claims_of(bob, alice),
        "an end user's token that nobody signed": jwt.encode({"sub": "alice"}, "", "none"),
        "an expired token": await token(store, over, living),
        "a token of a revoked key": await token(store, revoked.who, living),
        **{f"a revoked token, {' '.join(sorted(scopes))}": each for scopes, each in of_closed.items()},
        "a token with another's claims": _with_claims_of(await token(store, good.who, of_bob), reads),
    }


def _with_claims_of(signed: str, other: str) -> str:
    header, _, signature = signed.split(".")
    return ".".join((header, other.split(".")[1], signature))
