"""The operations in `tests/cases`, their database, and an application with the fast executor and one without.

An operation with several sets of variables is asked with all of them in turn, since a plan keeps what it has seen.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest
from graphql import OperationDefinitionNode, parse

from gateway.app import serve_store
from gateway.domain.ids import MessageId, ThreadId
from gateway.domain.message import IncompleteReason, Role, Status
from gateway.domain.principal import Principal, Reach
from gateway.domain.thread import Thread
from gateway.domain.wire import dump_text
from gateway.events.hub import Hub
from gateway.graphql.execution import runner
from gateway.graphql.schema.scalars import iso
from gateway.observability.listeners import Listeners
from gateway.observability.metrics import Metrics
from gateway.store.engines.open import open_engines
from gateway.store.schema.migrate import migrate
from gateway.store.store import Store
from tests.make import ATTACHMENTS, EVERY_PART, OLD_CITATION, SOME_SECOND, put_message, text_part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.store.engines.base import Engines

CASES: Final = Path(__file__).parents[1] / "cases"
_DEFAULT: Final = Principal(Reach("default"))
_ALPHA, _BETA, _EMPTY = (ThreadId(f"thread_{each}") for each in ("alpha", "beta", "empty"))
_MADE: Final = re.compile(r"(?:thread|msg)_[A-Za-z0-9]{24}")  # those of the database that is filled here are shorter
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

_REASON: Final = IncompleteReason.MAX_TOKENS
_THREADS: Final[list[tuple[ThreadId, dict[str, str], str | None]]] = [
    (_ALPHA, {"n": "1"}, None),
    (_BETA, {"ü": "🙂"}, "somebody"),
    (_EMPTY, {}, None),
]
_MESSAGES: Final[list[tuple[ThreadId, str, dict[str, Any]]]] = [
    (_ALPHA, "msg_a1", {"content": [text_part("plain")], "role": Role.USER, "metadata": {"k": "v", "ü": "🙂"}}),
    (_ALPHA, "msg_a2", {"content": EVERY_PART, "attachments": ATTACHMENTS, "completed_at": SOME_SECOND}),
    (_ALPHA, "msg_a3", {"content": [EVERY_PART[6]], "run_id": "run_1", "assistant_id": "asst_1"}),
    (_ALPHA, "msg_a4", {"content": [text_part("cited", [OLD_CITATION])], "run_id": "run_1"}),
    (
        _ALPHA,
        "msg_a5",
        {"status": Status.INCOMPLETE, "incomplete_at": 1, "incomplete_reason": IncompleteReason.MAX_TOKENS},
    ),
    (_ALPHA, "msg_a6", {"content": [text_part("one"), text_part("two")]}),
    (_BETA, "msg_b1", {"content": [text_part('a "quote", a \\ and \t \x00 \u2028')], "role": Role.USER}),
    (_BETA, "msg_b2", {"content": [text_part('🙂 ü 漢","annotations":[]}}]')]}),
    (_BETA, "msg_b3", {"content": [text_part("")], "status": Status.IN_PROGRESS}),
]


@dataclass(frozen=True)
class Case:
    """One file of the corpus."""

    name: str
    query: str
    variables: list[dict[str, Any]]

    @property
    def operation_name(self) -> str | None:
        """The last of its operations is the one that is meant."""
        *_, last = (each for each in parse(self.query).definitions if isinstance(each, OperationDefinitionNode))
        return last.name.value if last.name else None


def load_cases() -> list[Case]:
    """Read the corpus."""
    return [
        Case(path.stem, path.read_text(encoding="utf-8"), _variables_of(path))
        for path in sorted(CASES.glob("*.graphql"))
    ]


def _variables_of(path: Path) -> list[dict[str, Any]]:
    beside = path.with_suffix(".variables.json")
    if not beside.exists():
        return [{}, {}]
    given: list[dict[str, Any]] = json.loads(beside.read_text(encoding="utf-8"))
    return given


@dataclass(frozen=True)
class Face:
    """One application, with the fast executor or without it."""

    http: httpx.AsyncClient
    metrics: Metrics
    compiles: bool

    async def answers(self, case: Case) -> list[str]:
        """Ask a case with all its variables in turn, and give each answer as text in which only made things differ."""
        found = []
        for variables in case.variables:
            body = {"query": case.query, "variables": variables, "operationName": case.operation_name}
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(runner, "COMPILES", self.compiles)
                response = await self.http.post("/graphql", json=body)
            found.append(f"{response.status_code} {json.dumps(response.json(), ensure_ascii=False)}")
        return _with_the_same_names(found)

    def executed(self) -> dict[str, float]:
        """Read the metric of executed operations, by executor."""
        families = self.metrics.registry.collect()
        samples = [sample for family in families for sample in family.samples]
        return {each.labels["way"]: each.value for each in samples if each.name == "gateway_operations_total"}


def _with_the_same_names(answers: list[str]) -> list[str]:
    made: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        return made.setdefault(found[0], f"made {len(made)}")

    kept = {iso(SOME_SECOND), iso(1)}
    answers = [_MADE.sub(name, each) for each in answers]
    return [_TIME.sub(lambda found: found[0] if found[0] in kept else "now", each) for each in answers]


async def fill(file: Path) -> None:
    """Make a database with three threads and their messages, always the same ones."""
    await asyncio.to_thread(asyncio.run, migrate(f"sqlite:///{file}"))
    store = Store(open_engines(f"sqlite:///{file}"), Hub().wake)
    added = [
        Thread(thread_id, SOME_SECOND, dump_text(metadata), "{}", message_count=0, owner=owner)
        for thread_id, metadata, owner in (
            (_ALPHA, {"n": "1"}, None),
            (_BETA, {"ü": "🙂"}, "somebody"),
            (_EMPTY, {}, None),
        )
    ]
    await store.write(lambda transaction: transaction.add_threads(_DEFAULT.reach, added))
    for thread_id, message_id, fields in _MESSAGES:
        await put_message(store, _DEFAULT, thread_id, id=MessageId(message_id), **fields)
    await store.close()


@cache
def _engines(url: str) -> Engines:
    """Keep compiled statements from case to case, as the engines of all other tests do."""
    return open_engines(url)


@asynccontextmanager
async def _serving(filled: Path, file: Path, *, compiles: bool) -> AsyncIterator[Face]:
    for old in file.parent.glob(f"{file.name}*"):
        old.unlink()
    shutil.copy(filled, file)
    hub, metrics = Hub(), Metrics("127.0.0.1", 0)
    store = Store(_engines(f"sqlite:///{file}"), hub.wake)
    app = serve_store(store, hub=hub, listeners=Listeners(metrics.count, metrics))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:
        yield Face(http, metrics, compiles)
    await store.close()


@asynccontextmanager
async def both_faces(filled: Path) -> AsyncIterator[tuple[Face, Face]]:
    """Serve two copies of a database: the first compiles what it executes, the second never does."""
    async with AsyncExitStack() as stack:
        compiled = await stack.enter_async_context(_serving(filled, filled.with_name("compiled.db"), compiles=True))
        normal = await stack.enter_async_context(_serving(filled, filled.with_name("normal.db"), compiles=False))
        yield compiled, normal
