"""The memory of cached documents, measured with the worst known documents, stays within its estimate."""

from __future__ import annotations

import gc
import itertools
import re
import tracemalloc
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import orjson
import pytest

from gateway.auth.authenticator import ANONYMOUS, Authenticator
from gateway.events.hub import Hub
from gateway.fast_executor.plan import Plan
from gateway.fast_executor.unsupported import Unsupported
from gateway.graphql.documents.cache import KEPT, LITERALS, REFUSED
from gateway.graphql.documents.persisted import KEPT as PERSISTED
from gateway.graphql.documents.weights import MAX_PLAN, MIB
from gateway.graphql.execution.operations import Operations
from gateway.graphql.options import Options
from gateway.graphql.parameters import take_parameters
from gateway.graphql.refusal import Refused
from gateway.graphql.schema.build import build_schema
from gateway.store.store import open_store
from tests.effort import times
from tests.graphql.documents import document_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from gateway.core import Store

SLACK: Final = 256 * 1024  # what Python keeps free for the next one, once for all
_ALL: Final = (
    "id createdAt role text status metadata threadId assistantId runId "
    "content { __typename ... on TextContent { text { value annotations { __typename } } } } attachments { fileId }"
)
_MESSAGE: Final = f" fragment M on Message {{ {_ALL} }}"
_AGAIN: Final = " fragment X on Thread { id messages { nodes { ...M } edges { cursor node { ...M } } } }" + _MESSAGE
_FLAGS: Final = "".join(f"$b{n}: Boolean! " for n in range(3))


def _joined(pattern: str, count: int) -> str:
    return "".join(pattern.replace("%", str(n)) for n in range(count))


WORST: Final = {
    "tiny": "{__typename}",
    "a page": "{ threads(first: 5) { nodes { id messages(first: 5) { nodes { id role text } } } } }",
    "one field again and again": "{ threads { nodes { " + "id " * 60 + "} } }",
    "ids": "{ nodes(ids: [" + '"thread_a" ' * 95 + "]) { id } }",
    "a long text of emoji": '{ node(id: "thread_' + "\N{GRINNING FACE}" * 90_000 + '") { id } }',
    "many operations": _joined("query q% { threads { nodes { id } } } ", 30),
    "variables": f"query ({_joined('$v%: Int ', 19)}) {{ {_joined('a%: threads(first: $v%) { nodes { id } } ', 19)} }}",
    "fragments": "{ " + _joined("a%: thread(id: T) { messages { nodes { ...M thread { ...X } } } } ", 3) + "}" + _AGAIN,
    "conditions": f"query ({_FLAGS}) {{ {_joined('a%: thread(id: T) @skip(if: $b%) { ...Y } ', 3)} }} "
    "fragment Y on Thread { id createdAt metadata messages { nodes { id role text } } }",
}
TOO_LARGE: Final = (
    f"query ({_FLAGS}) {{ {_joined('a%: thread(id: T) @skip(if: $b%) { ...X } ', 3)}"
    f"{_joined('c%: thread(id: T) { ...X } ', 16)} }} {_AGAIN}"
)
REFUSALS: Final = {
    "four letters": "aaaa",
    "an unknown field": "{ conversations }",
    "many errors": "{ " + _joined("conversations% ", 19) + "}",
    "fields that do not merge": "{ " + _joined("a: thread(id: %) { id } ", 19) + "}",
    "a variable that is not used": f"query ({_joined('$v%: Int ', 180)}) {{ __typename }}",
}


@pytest.fixture
async def sqlite_store(sqlite_url: str) -> AsyncIterator[Store]:
    """Open one kind of database, since none has a part in what is kept of documents."""
    store = open_store(sqlite_url)
    yield store
    await store.close()


@asynccontextmanager
async def operating(store: Store) -> AsyncIterator[Operations]:
    options = Options(max_cost=1_000_000, timeout_s=60)
    operations = Operations(build_schema()._schema, store, Hub(), options, Authenticator())  # noqa: SLF001
    yield operations
    await operations.runner.close()


async def ask(operations: Operations, text: str, name: str | None = None, **variables: Any) -> Any:
    parameters = take_parameters({"query": text, "operationName": name, "variables": variables})
    found = await operations.find(parameters, ANONYMOUS)
    ran = await operations.runner.run(found, parameters, operations.context(ANONYMOUS))
    assert not ran.result.errors
    return orjson.loads(orjson.dumps(ran.result.data))  # it is written already


async def ask_all(operations: Operations, text: str) -> None:
    """Execute all that a document holds as often as its plans need to be whole."""
    names: list[str | None] = [*re.findall(r"query (q\d+)", text)] or [None]
    flags = text.count("Boolean!")
    for name, flags_given in itertools.product(names, itertools.product((True, False), repeat=flags)):
        for _ in range(2):
            await ask(operations, text, name, **{f"b{n}": each for n, each in enumerate(flags_given)})


def held() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def copies_of(text: str, count: int) -> Iterable[str]:
    """Give texts that mean the same and are not."""
    return [f"{text}\n#{n}" for n in range(count + 1)]


@pytest.mark.parametrize("what", WORST)
async def test_document_with_plans_stays_within_its_estimate(sqlite_store: Store, what: str) -> None:
    async with operating(sqlite_store) as operations:
        message = '{ role: USER, content: { text: "hi" } }'
        made = await ask(
            operations, f"mutation {{ createThread(input: {{ messages: [{message}] }}) {{ thread {{ id }} }} }}"
        )
        thread_id = made["createThread"]["thread"]["id"]
        count = 2 if len(WORST[what]) > 900 else times(fast=4, slow=8)
        first, *others = copies_of(WORST[what].replace("(id: T)", f'(id: "{thread_id}")'), count)
        await ask_all(operations, first)  # warm up: what is created only once
        kept, literals = operations.documents.kept, operations.documents.literals
        before_weight = kept.weight + literals.weight
        tracemalloc.start(1)
        try:
            before = held()
            for each in others:
                await ask_all(operations, each + " ")
            taken = held() - before
        finally:
            tracemalloc.stop()

        assert len(kept) == count + 2
        assert taken <= kept.weight + literals.weight - before_weight + SLACK


@pytest.mark.parametrize("what", REFUSALS)
async def test_invalid_document_stays_within_its_estimate(sqlite_store: Store, what: str) -> None:
    async with operating(sqlite_store) as operations:
        refused = operations.documents.refused
        count = times(fast=100, slow=300) if len(REFUSALS[what]) < 10 else times(fast=10, slow=30)
        first, *others = copies_of(REFUSALS[what], count)
        with suppress(Refused):
            document_of(operations.documents, first)  # warm up: what is created only once
        before_weight = refused.weight
        tracemalloc.start(1)
        try:
            before = held()
            for each in others:
                with suppress(Refused):
                    document_of(operations.documents, each)
            taken = held() - before
        finally:
            tracemalloc.stop()

        assert (len(refused), len(operations.documents.kept)) == (count + 1, 0)
        assert taken <= refused.weight - before_weight + SLACK


async def test_operation_with_too_large_plan_is_executed_without(sqlite_store: Store) -> None:
    async with operating(sqlite_store) as operations:
        large, small = (
            document_of(operations.documents, text.replace("(id: T)", '(id: "thread_a")')).operation(None)
            for text in (TOO_LARGE, WORST["conditions"])
        )

    assert large is not None
    assert small is not None
    assert isinstance(large.plan, Unsupported)
    assert small.plan is None


async def test_plan_keeps_no_values_of_a_request(sqlite_store: Store) -> None:
    text = (
        "query ($id: ID!, $long: Boolean!, $other: [ID!]!) "
        "{ thread(id: $id) @include(if: $long) { id } nodes(ids: $other) { id } }"
    )
    async with operating(sqlite_store) as operations:
        for _ in range(2):
            await ask(operations, text, id="thread_" + "x" * 50, long=False, other=["thread_" + "y" * 50])
        found = document_of(operations.documents, text).operation(None)

    assert found is not None
    assert isinstance(found.plan, Plan)
    [prototype] = found.plan._prototypes.values()  # noqa: SLF001
    assert list(prototype.variable_values.coerced) == ["long"]


def test_document_caches_are_below_64_mib() -> None:
    assert KEPT + LITERALS + REFUSED + PERSISTED + MAX_PLAN <= 64 * MIB
