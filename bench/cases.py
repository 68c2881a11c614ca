"""What is asked of the systems: a table of cases for each way of speaking, with requests as bytes and what is good.

The GraphQL texts are the same for all that can take them; PostGraphile, whose schema comes from the tables, has its own
spelling of the same selection.
Must not be here: how requests are sent (`fire`), who speaks which way (`systems`).
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
    """Requests that are sent in turn; each good answer holds `mark` once for each of `messages`."""

    name: str
    requests: list[str] = field(repr=False)
    mark: str
    messages: int

    @property
    def is_read(self) -> bool:
        """Say whether it shows messages of the long thread, the same ones for everybody."""
        return self.name not in (GRAPHQL_CREATE, REST_CREATE)


@dataclass(frozen=True, slots=True)
class Asked:
    """What requests are made of: the database's ids, our server's key, and the sizes of the bare app's pages."""

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


def cases_of(speaks: str, asked: Asked) -> list[Case]:
    """Make the table of cases for who speaks one way."""
    return _SPOKEN[speaks](asked)


def _graphql_cases(asked: Asked) -> list[Case]:
    content = {"role": "USER", "content": {"text": TEXT}, "metadata": _NOTES}
    created = [
        _graphql(CREATE, {"input": {"threadId": thread_id, **content}}, asked.key) for thread_id in asked.loaded.written
    ]
    return [
        page_case(asked.key, 20),
        page_case(asked.key, 100),
        Case(GRAPHQL_CREATE, created, _EDGE, 1),
    ]


def _rest_cases(asked: Asked) -> list[Case]:
    body = {"role": "user", "content": TEXT, "metadata": _NOTES}
    threads = asked.loaded.written
    return [
        Case(REST_20, [_rest_page(asked.key, 20)], _MESSAGE, 20),
        Case(REST_100, [_rest_page(asked.key, 100)], _MESSAGE, 100),
        Case(
            REST_CREATE,
            [request("POST", f"/v1/threads/{each}/messages", body, asked.key) for each in threads],
            _MESSAGE,
            1,
        ),
    ]


def _our_cases(asked: Asked) -> list[Case]:
    middle = [_page(asked.key, 20, after) for after in asked.loaded.cursors]
    return [*_graphql_cases(asked), Case(GRAPHQL_MIDDLE, middle, _EDGE, 20), *_rest_cases(asked)]


def _postgraphile_cases(asked: Asked) -> list[Case]:
    parts = json.dumps([{"type": "text", "text": {"value": TEXT, "annotations": []}}])
    given = {"role": "user", "content": parts, "metadata": json.dumps(_NOTES)}
    pages = [
        Case(name, [_graphql(_TABLES_PAGE, {"project": PROJECT, "id": LONG, "limit": limit})], _EDGE, limit)
        for name, limit in ((GRAPHQL_20, 20), (GRAPHQL_100, 100))
    ]
    created = [_graphql(_TABLES_CREATE, {"input": {"thread": each, **given}}) for each in asked.loaded.written]
    return [*pages, Case(GRAPHQL_CREATE, created, _EDGE, 1)]


def _hello_cases(asked: Asked) -> list[Case]:
    return [Case(name, [request("GET", f"/{asked.sizes[name]}")], _HELLO, 1) for name in (REST_20, REST_100)]


_SPOKEN: Final[dict[str, Callable[[Asked], list[Case]]]] = {
    "hello": _hello_cases,
    "rest": _rest_cases,
    "ours": _our_cases,
    "graphql": _graphql_cases,
    "postgraphile": _postgraphile_cases,
}


def page_case(key: str, limit: int) -> Case:
    """Ask for the long thread's newest messages."""
    return Case(f"GraphQL page of {limit}", [_page(key, limit)], _EDGE, limit)


def _page(key: str, limit: int, after: str | None = None) -> str:
    return _graphql(PAGE, {"id": LONG, "limit": limit, "after": after}, key)


def _rest_page(key: str, limit: int) -> str:
    return request("GET", f"/v1/threads/{LONG}/messages?limit={limit}", key=key)


def _graphql(query: str, variables: dict[str, Any], key: str = "any") -> str:
    return request("POST", "/graphql", {"query": query, "variables": variables}, key)


def request(method: str, path: str, body: dict[str, Any] | None = None, key: str = "any") -> str:
    """Write one request of HTTP/1.1, which keeps the connection."""
    content = "" if body is None else json.dumps(body)
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json", f"Authorization: Bearer {key}"]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*head, "", content])
