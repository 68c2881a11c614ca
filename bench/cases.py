"""Benchmark cases: a table of requests and their expected answers for each protocol.

The GraphQL texts are the same for all that can take them; PostGraphile, whose schema comes from the tables, has its own
spelling of the same selection.
Must not be here: how requests are sent (`load`), which system uses which protocol (`systems`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bench.systems.rows import LONG, PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.systems.rows import Loaded

GRAPHQL_20: Final = "GraphQL page of 20"
GRAPHQL_100: Final = "GraphQL page of 100"
GRAPHQL_MIDDLE: Final = "GraphQL page of 20 after a cursor in the middle"
GRAPHQL_CREATE: Final = "GraphQL create"
REST_20: Final = "REST page of 20"
REST_100: Final = "REST page of 100"
REST_CREATE: Final = "REST create"
# What of the bare app, and of the one that says hello, a case is compared with.
LIKE: Final = {
    GRAPHQL_20: REST_20,
    GRAPHQL_100: REST_100,
    GRAPHQL_MIDDLE: REST_20,
    GRAPHQL_CREATE: REST_CREATE,
    REST_20: REST_20,
    REST_100: REST_100,
    REST_CREATE: REST_CREATE,
}


@dataclass(frozen=True, slots=True)
class Case:
    """Requests that are sent in turn; a good answer contains `mark` as often as `messages` says."""

    name: str
    requests: list[str] = field(repr=False)
    mark: str
    messages: int

    @property
    def is_read(self) -> bool:
        """Check whether it reads messages of the long thread, the same for all systems."""
        return self.name not in (GRAPHQL_CREATE, REST_CREATE)


@dataclass(frozen=True, slots=True)
class CaseInputs:
    """Inputs of the requests: ids in the database, the API key of our server, and sizes of its pages."""

    loaded: Loaded
    key: str
    sizes: dict[str, int]


NODE: Final = """cursor node { id role createdAt metadata content { __typename
  ... on TextContent { type text { value annotations { __typename } } } } }"""
PAGE: Final = f"""query Page($id: ID!, $limit: Int!, $after: String) {{ thread(id: $id) {{
  messages(limit: $limit, after: $after) {{ edges {{ {NODE} }}
    pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"""
CREATE: Final = f"""mutation Create($input: CreateMessageInput!) {{
  createMessage(input: $input) {{ edge {{ {NODE} }} }} }}"""
_FIELDS: Final = """id: rowId role createdAt metadata: notes
  content: parts { __typename type text { value annotations } }"""
_TABLES_PAGE: Final = f"""query Page($project: String!, $id: String!, $limit: Int!) {{
  thread: threadByProjectIdAndRowId(projectId: $project, rowId: $id) {{
    messages: messagesByProjectIdAndThreadId(first: $limit, orderBy: POSITION_DESC) {{
      edges {{ cursor node {{ {_FIELDS} }} }}
      pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"""
_TABLES_CREATE: Final = f"""mutation Create($input: BenchPeersAddMessageInput!) {{
  createMessage: benchPeersAddMessage(input: $input) {{ edge: messageEdge {{ cursor node {{ {_FIELDS} }} }} }} }}"""
TEXT: Final = "Could you look at this again? " * 7
_NOTES: Final = {"client": "web"}
_EDGE: Final = '"cursor":'
_MESSAGE: Final = '"thread.message"'
_HELLO: Final = '"hello"'


def cases_for(protocol: str, inputs: CaseInputs) -> list[Case]:
    """Make the table of cases of a protocol."""
    return _BY_PROTOCOL[protocol](inputs)


def _graphql_cases(inputs: CaseInputs) -> list[Case]:
    content = {"role": "USER", "content": {"text": TEXT}, "metadata": _NOTES}
    created = [
        _graphql(CREATE, {"input": {"threadId": thread_id, **content}}, inputs.key)
        for thread_id in inputs.loaded.written
    ]
    return [
        page_case(inputs.key, 20),
        page_case(inputs.key, 100),
        Case(GRAPHQL_CREATE, created, _EDGE, 1),
    ]


def _rest_cases(inputs: CaseInputs) -> list[Case]:
    body = {"role": "user", "content": TEXT, "metadata": _NOTES}
    threads = inputs.loaded.written
    return [
        Case(REST_20, [_rest_page(inputs.key, 20)], _MESSAGE, 20),
        Case(REST_100, [_rest_page(inputs.key, 100)], _MESSAGE, 100),
        Case(
            REST_CREATE,
            [request("POST", f"/v1/threads/{each}/messages", body, inputs.key) for each in threads],
            _MESSAGE,
            1,
        ),
    ]


def _our_cases(inputs: CaseInputs) -> list[Case]:
    middle = [_page(inputs.key, 20, after) for after in inputs.loaded.cursors]
    return [*_graphql_cases(inputs), Case(GRAPHQL_MIDDLE, middle, _EDGE, 20), *_rest_cases(inputs)]


def _postgraphile_cases(inputs: CaseInputs) -> list[Case]:
    parts = json.dumps([{"type": "text", "text": {"value": TEXT, "annotations": []}}])
    given = {"role": "user", "content": parts, "metadata": json.dumps(_NOTES)}
    pages = [
        Case(name, [_graphql(_TABLES_PAGE, {"project": PROJECT, "id": LONG, "limit": limit})], _EDGE, limit)
        for name, limit in ((GRAPHQL_20, 20), (GRAPHQL_100, 100))
    ]
    created = [_graphql(_TABLES_CREATE, {"input": {"thread": each, **given}}) for each in inputs.loaded.written]
    return [*pages, Case(GRAPHQL_CREATE, created, _EDGE, 1)]


def _hello_cases(inputs: CaseInputs) -> list[Case]:
    return [Case(name, [request("GET", f"/{inputs.sizes[name]}")], _HELLO, 1) for name in (REST_20, REST_100)]


_BY_PROTOCOL: Final[dict[str, Callable[[CaseInputs], list[Case]]]] = {
    "hello": _hello_cases,
    "rest": _rest_cases,
    "ours": _our_cases,
    "graphql": _graphql_cases,
    "postgraphile": _postgraphile_cases,
}


def page_case(key: str, limit: int) -> Case:
    """Request the newest messages of the long thread."""
    return Case(f"GraphQL page of {limit}", [_page(key, limit)], _EDGE, limit)


def _page(key: str, limit: int, after: str | None = None) -> str:
    return _graphql(PAGE, {"id": LONG, "limit": limit, "after": after}, key)


def _rest_page(key: str, limit: int) -> str:
    return request("GET", f"/v1/threads/{LONG}/messages?limit={limit}", key=key)


def _graphql(query: str, variables: dict[str, Any], key: str = "any") -> str:
    return request("POST", "/graphql", {"query": query, "variables": variables}, key)


def request(method: str, path: str, body: dict[str, Any] | None = None, key: str = "any") -> str:
    """Format a request of HTTP/1.1 that keeps the connection open."""
    content = "" if body is None else json.dumps(body)
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json", f"Authorization: Bearer {key}"]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*head, "", content])
