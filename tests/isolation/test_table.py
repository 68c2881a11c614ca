"""The table of ways misses none: a path, an argument or a field that is new has to be put into it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import pytest
from graphql import (
    FieldNode,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    OperationDefinitionNode,
    get_named_type,
    parse,
)

from gateway import app
from gateway.domain import parse_page
from gateway.graphql.schema.build import build_schema
from gateway.graphql.transport.explorer import ASSETS
from gateway.rest.routes import PATHS, PREFIXES, RUN_PATHS
from gateway.store.store import open_store
from gateway.web.pages import Pages
from tests.isolation.ways import NAMELESS, WAYS, Face, Way

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gateway.web.pages import Endpoint

ALL: Final = (*WAYS, *NAMELESS)
SCHEMA: Final = build_schema()._schema  # noqa: SLF001

# Assistants belong to the project, and end users may run any: tests/runs/test_rights.py. The rest only says how to run.
OF_ASSISTANTS: Final = re.compile(
    r"/assistants|Query\.assistants\b|CreateRunInput\.(?!threadId)|ToolOutputInput\.|CreateThreadTokenInput\.assistantId"
)
NAMED: Final = ("thread_id", "message_id", "run_id", "step_id")
PATHS_OF_THREADS: Final = {
    path: endpoints for path, endpoints in {**PATHS, **RUN_PATHS}.items() if not OF_ASSISTANTS.search(path)
}
NAMES_NOTHING: Final = {"/", "/healthz", "/readyz", "/openapi.json", ASSETS}
# Texts that name nothing which is kept here.
ELSEWHERE: Final = {
    "AppendMessageTextInput.text": "a text",
    "AttachmentInput.fileId": "a file is only noted",
    "AttachmentInput.tools": "words of the API",
    "ContentPartInput.text": "a text",
    "CreateMessageInput.assistantId": "an assistant is only noted",
    "CreateMessageInput.idempotencyKey": "a key of the caller's own: tests/idempotency/test_scopes.py",
    "CreateMessageInput.runId": "a run is only noted",
    "CreateThreadInput.idempotencyKey": "the same",
    "ForkThreadInput.idempotencyKey": "the same",
    "CreateThreadInput.owner": "an end user is only noted",
    "ThreadFilter.reader": "a reader that a key names: tests/core/test_read_marks.py",
    "EraseUserInput.owner": "an end user, named by keys of the project alone: tests/core/test_erasing.py",
    "ForkThreadInput.owner": "an end user is only noted",
    "ImageFileInput.detail": "a word of the API",
    "ImageFileInput.fileId": "a file is only noted",
    "ImageUrlInput.detail": "a word of the API",
    "ImageUrlInput.url": "an address is only noted",
    **dict.fromkeys(
        ("MarkReadInput.threadId", "MarkReadInput.upTo", "MarkUnreadInput.from", "MarkUnreadInput.threadId"),
        "keys name a reader, others must not: tests/core/test_read_marks.py",
    ),
    **dict.fromkeys(
        ("MarkReadInput.reader", "MarkUnreadInput.reader", "Thread.readUpTo(reader:)", "Thread.unreadCount(reader:)"),
        "a reader that a key names: tests/core/test_read_marks.py",
    ),
    "MessageContentInput.text": "a text",
    "NewMessageInput.assistantId": "an assistant is only noted",
    "NewMessageInput.runId": "a run is only noted",
    **dict.fromkeys(
        ("MetadataMatch.equals", "MetadataMatch.in", "MetadataMatch.key", "ThreadFilter.owner"),
        "a filter of the threads that the caller can reach: tests/core/test_thread_lists.py",
    ),
    "Subscription.threadListEvents(after:)": "a place among all changes, which names no object: test_followers.py",
}


def rest_ways() -> Iterator[Way]:
    return (way for way in ALL if way.face is Face.REST)


def test_every_path_and_method_is_in_the_table() -> None:
    served = {
        (method, prefix + path)
        for prefix in PREFIXES
        for path, endpoints in PATHS_OF_THREADS.items()
        for method in endpoints
    }

    assert {(way.method, way.route) for way in rest_ways() if way.method != "HEAD"} == served


def test_every_readable_path_supports_head() -> None:
    read = {f"/v1{path}" for path, endpoints in PATHS_OF_THREADS.items() if "GET" in endpoints}

    assert {way.route for way in rest_ways() if way.method == "HEAD"} == read


@pytest.mark.parametrize("path", PATHS_OF_THREADS)
def test_every_place_of_a_path_names_something_hidden(path: str) -> None:
    for method in PATHS_OF_THREADS[path]:
        ways = [way for way in rest_ways() if (way.method, way.route) == (method, f"/v1{path}")]

        named = set().union(*(way.named for way in ways))

        assert {place for place in NAMED if f"{{{place}}}" in path} <= named


def test_every_parameter_of_a_list_that_can_name_something_does() -> None:
    names = set(parse_page._LIST_KEYS) - {"limit", "order"}  # noqa: SLF001
    named = {
        path: set().union(*(way.named for way in rest_ways() if way.method == "GET" and way.route == path)) & names
        for path in ("/v1/threads", "/v1/threads/{thread_id}/messages")
    }

    assert named == {"/v1/threads": names - {"run_id"}, "/v1/threads/{thread_id}/messages": names}


async def test_no_other_routes_are_served(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    served: list[Mapping[str, Endpoint]] = []

    def pages_of(pages: Mapping[str, Endpoint]) -> Pages:
        served.append(pages)
        return Pages(pages)

    monkeypatch.setattr(app, "Pages", pages_of)
    store = open_store(sqlite_url)
    app.serve_store(store)
    await store.close()

    [pages] = served
    assert set(pages) == NAMES_NOTHING  # and what the faces have: REST its PATHS, and GraphQL one URL


def test_every_argument_that_can_name_something_is_in_the_table() -> None:
    covered = {each for way in ALL for each in way.covers if each.endswith(":)") or "Input." in each}

    named = {each for each in arguments_that_are_texts() if not OF_ASSISTANTS.search(each)}

    assert not covered & set(ELSEWHERE)
    assert covered | set(ELSEWHERE) == named


@pytest.mark.parametrize(
    ("root", "face"),
    [
        (SCHEMA.query_type, Face.HTTP),
        (SCHEMA.mutation_type, Face.HTTP),
        (SCHEMA.subscription_type, Face.SSE),
        (SCHEMA.subscription_type, Face.WEBSOCKET),
    ],
)
def test_every_root_field_has_a_case(root: GraphQLObjectType, face: Face) -> None:
    asked = {field for way in ALL if way.face is face for field in root_fields(way)}

    assert {name for name in root.fields if not OF_ASSISTANTS.search(f"{root.name}.{name}")} <= asked


def test_every_subscription_resumes_from_the_id_of_an_event() -> None:
    assert SCHEMA.subscription_type is not None
    resumed = {field for way in ALL if "last-event-id" in way.headers for field in root_fields(way)}

    assert set(SCHEMA.subscription_type.fields) == resumed


def arguments_that_are_texts() -> Iterator[str]:
    """Give the schema coordinates of all arguments and input fields that are ids or strings, however wrapped."""
    for kind in SCHEMA.type_map.values():
        if kind.name.startswith("__"):
            continue
        if isinstance(kind, GraphQLInputObjectType):
            yield from (f"{kind.name}.{name}" for name, each in kind.fields.items() if is_text(each.type))
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for field, each in kind.fields.items():
                yield from (f"{kind.name}.{field}({name}:)" for name, arg in each.args.items() if is_text(arg.type))


def is_text(kind: object) -> bool:
    return get_named_type(kind).name in ("ID", "String")  # type: ignore[call-overload]


def root_fields(way: Way) -> list[str]:
    [operation] = parse(way.body["query"]).definitions
    assert isinstance(operation, OperationDefinitionNode)
    return [each.name.value for each in operation.selection_set.selections if isinstance(each, FieldNode)]
