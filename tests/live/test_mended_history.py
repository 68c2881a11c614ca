"""Threads known from their messages alone, as clients see them before and after their own lines were imported.

On SQLite the server is stopped while anything is imported, on PostgreSQL it runs on.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.exports import a_message, a_thread, take
from tests.following import PATIENCE_S
from tests.live.server import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.live.server import Server

A_SECOND: Final = 1_700_000_000
TOOLS: Final = {"code_interpreter": {"file_ids": ["file-1"]}}
MINE: Final = {"mine": "1"}
MY_TOOLS: Final = {"code_interpreter": {"file_ids": ["file-2"]}}
TOLD: Final = {"customer": "42"}
# Of each thread the second of its first message, and the one that its own line tells; the last stays without a line.
FIRST_HEARD: Final = {"plain": 10, "rest": 20, "graphql": 30, "tools": 40, "silent": 50}
TOLD_AT: Final = {"plain": 35, "rest": 5, "graphql": 1, "tools": 2}
BEFORE: Final = ["plain", "rest", "between", "graphql", "tools", "silent", "client"]
AFTER: Final = ["graphql", "tools", "rest", "between", "plain", "silent", "client"]
STAYED: Final = ["between", "silent", "client"]
UPDATE: Final = "mutation($input: UpdateThreadInput!) { updateThread(input: $input) { thread { id } } }"
LIST: Final = """
query($order: SortOrder!, $after: String, $before: String) {
  threads(order: $order, after: $after, before: $before, limit: 100) { edges { cursor node { id } } totalCount }
}"""
THREAD: Final = "query($id: ID!) { thread(id: $id) { createdAt metadata toolResources owner } }"


@dataclass
class World:
    """A database that is served, with what a client has read and made before the lines of threads were imported."""

    database_url: str
    folder: Path
    is_stopped_for_imports: bool
    stack: ExitStack = field(default_factory=ExitStack)
    server: Server | None = None
    cursors: dict[str, str] = field(default_factory=dict)
    client_thread: str = ""

    def serve(self) -> None:
        """Begin to serve, where that was stopped."""
        if self.server is None:
            self.server = self.stack.enter_context(serving(self.database_url, folder=self.folder))

    def take(self, *objects: dict[str, Any]) -> None:
        """Import, with the server stopped where that must be."""
        if self.is_stopped_for_imports:
            self.stack.close()
            self.server = None
        take(self.database_url, *objects)
        self.serve()

    def ask(self, method: str, path: str, **given: Any) -> Any:
        """Ask the server."""
        assert self.server is not None
        answer = httpx.request(method, self.server.base_url + path, timeout=PATIENCE_S, **given)
        return answer.raise_for_status().json()

    def graphql(self, query: str, **variables: Any) -> Any:
        """Ask by GraphQL."""
        answer = self.ask("POST", "/graphql", json={"query": query, "variables": variables})
        assert "errors" not in answer
        return answer["data"]

    def edges(self, **given: Any) -> dict[str, str]:
        """List threads by GraphQL: the short name of each, and its cursor."""
        listed = self.graphql(LIST, **{"order": "ASC", **given})["threads"]["edges"]
        return {self.name(each["node"]["id"]): each["cursor"] for each in listed}

    def listed(self, **params: Any) -> list[str]:
        """List threads by REST, by their short names."""
        return [self.name(each["id"]) for each in self.ask("GET", "/v1/threads", params=params)["data"]]

    def name(self, thread_id: str) -> str:
        """Give the short name of a thread."""
        return "client" if thread_id == self.client_thread else thread_id.removeprefix("thread_")

    def thread_id(self, name: str) -> str:
        """Give the id of a thread."""
        return self.client_thread if name == "client" else f"thread_{name}"


def own_line(name: str) -> dict[str, Any]:
    created_at = A_SECOND + TOLD_AT[name]
    return a_thread(f"thread_{name}", created_at=created_at, metadata=TOLD, tool_resources=TOOLS, owner="alice")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("mended")
    url = request.getfixturevalue(f"new_{request.param}_url")()
    made = World(url, folder, is_stopped_for_imports=request.param == "sqlite")
    with made.stack:
        heard = [
            a_message(f"msg_{name}", f"thread_{name}", created_at=A_SECOND + at) for name, at in FIRST_HEARD.items()
        ]
        if request.param == "postgres":
            made.serve()
        made.take(*heard, a_thread("thread_between", created_at=A_SECOND + 25))
        made.client_thread = made.ask("POST", "/v1/threads", json={})["id"]
        made.ask("POST", "/v1/threads/thread_rest", json={"metadata": MINE})
        made.graphql(UPDATE, input={"id": "thread_graphql", "metadata": MINE})
        made.ask("POST", "/v1/threads/thread_tools", json={"tool_resources": MY_TOOLS})
        made.cursors = made.edges()
        assert list(made.cursors) == BEFORE
        made.take(*map(own_line, TOLD_AT))
        made.take(*({**own_line(name), "owner": "bob", "metadata": {}, "created_at": 7} for name in TOLD_AT))
        yield made


@pytest.mark.parametrize(
    ("name", "metadata", "tool_resources"),
    [
        pytest.param("plain", TOLD, TOOLS, id="nobody has written"),
        pytest.param("rest", MINE, TOOLS, id="metadata written by REST"),
        pytest.param("graphql", MINE, TOOLS, id="metadata written by GraphQL"),
        pytest.param("tools", TOLD, MY_TOOLS, id="tool resources written by REST"),
    ],
)
def test_a_threads_line_fills_each_field_that_no_client_has_written(
    world: World, name: str, metadata: dict[str, str], tool_resources: dict[str, Any]
) -> None:
    by_rest = world.ask("GET", f"/v1/threads/thread_{name}")
    by_graphql = world.graphql(THREAD, id=f"thread_{name}")["thread"]

    created_at = A_SECOND + TOLD_AT[name]
    assert (by_rest["created_at"], by_rest["metadata"], by_rest["tool_resources"]) == (
        created_at,
        metadata,
        tool_resources,
    )
    assert (by_graphql["metadata"], by_graphql["toolResources"]) == (metadata, tool_resources)
    assert datetime.fromisoformat(by_graphql["createdAt"]).timestamp() == created_at


def test_an_explicit_owner_is_never_replaced(world: World) -> None:
    owners = {name: world.graphql(THREAD, id=f"thread_{name}")["thread"]["owner"] for name in TOLD_AT}

    assert owners == dict.fromkeys(TOLD_AT, "alice")


def test_a_thread_without_its_own_line_keeps_inferred_fields(world: World) -> None:
    found = world.ask("GET", "/v1/threads/thread_silent")

    assert (found["created_at"], found["metadata"]) == (A_SECOND + FIRST_HEARD["silent"], {})


@pytest.mark.parametrize(("order", "expected"), [("asc", AFTER), ("desc", AFTER[::-1])])
def test_a_thread_with_an_explicit_time_is_sorted_by_it(world: World, order: str, expected: list[str]) -> None:
    assert world.listed(order=order, limit=100) == expected
    assert list(world.edges(order=order.upper())) == expected


def test_the_cursors_of_all_threads_stay_valid(world: World) -> None:
    assert world.edges() == {name: world.cursors[name] for name in AFTER}


@pytest.mark.parametrize("name", STAYED)
def test_a_cursor_of_a_client_continues_at_the_same_thread(world: World, name: str) -> None:
    at = AFTER.index(name)

    assert list(world.edges(after=world.cursors[name])) == AFTER[at + 1 :]
    assert list(world.edges(before=world.cursors[name])) == AFTER[:at]
    assert world.listed(order="asc", after=world.thread_id(name)) == AFTER[at + 1 :]
    assert world.listed(order="desc", after=world.thread_id(name)) == AFTER[:at][::-1]


@pytest.mark.parametrize("name", TOLD_AT)
def test_the_cursor_of_a_thread_is_valid_at_its_new_position(world: World, name: str) -> None:
    at = AFTER.index(name)

    assert list(world.edges(after=world.cursors[name])) == AFTER[at + 1 :]
    assert world.listed(order="asc", after=f"thread_{name}") == AFTER[at + 1 :]


def test_the_messages_of_a_thread_stay_when_its_line_is_imported_later(world: World) -> None:
    found = world.ask("GET", "/v1/threads/thread_plain/messages")

    assert [each["id"] for each in found["data"]] == ["msg_plain"]
