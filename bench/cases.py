"""What is asked of the server: one table of cases, each with its requests as bytes and what a good answer holds.

Must not be here: how requests are sent (`fire`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from load import LONG

if TYPE_CHECKING:
    from load import Loaded


@dataclass(frozen=True, slots=True)
class Case:
    """Requests that are sent in turn; each good answer holds `mark` once for each of `messages`."""

    name: str
    requests: list[str]
    mark: str
    messages: int


_NODE: Final = """cursor node { id role createdAt metadata content { __typename
  ... on TextContent { type text { value annotations { __typename } } } } }"""
_PAGE: Final = f"""query Page($id: ID!, $limit: Int!, $after: String) {{ thread(id: $id) {{
  messages(limit: $limit, after: $after) {{ edges {{ {_NODE} }}
    pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"""
_CREATE: Final = f"""mutation Create($input: CreateMessageInput!) {{
  createMessage(input: $input) {{ edge {{ {_NODE} }} }} }}"""
_TEXT: Final = "Could you look at this again? " * 7
_EDGE: Final = '"cursor":'
_MESSAGE: Final = '"thread.message"'


def cases(loaded: Loaded) -> list[Case]:
    """Make the table of cases for a database."""
    path = f"/v1/threads/{LONG}/messages"
    graphql_input = {"role": "USER", "content": {"text": _TEXT}, "metadata": {"client": "web"}}
    rest_body = {"role": "user", "content": _TEXT, "metadata": {"client": "web"}}
    return [
        Case("GraphQL page of 20", [_page(20)], _EDGE, 20),
        Case("GraphQL page of 100", [_page(100)], _EDGE, 100),
        Case(
            "GraphQL page of 20 after a cursor in the middle", [_page(20, after) for after in loaded.cursors], _EDGE, 20
        ),
        Case("REST page of 20", [_request("GET", f"{path}?limit=20")], _MESSAGE, 20),
        Case(
            "GraphQL create",
            [_graphql(_CREATE, {"input": {**graphql_input, "threadId": each}}) for each in loaded.written],
            _EDGE,
            1,
        ),
        Case(
            "REST create",
            [_request("POST", f"/v1/threads/{each}/messages", rest_body) for each in loaded.written],
            _MESSAGE,
            1,
        ),
    ]


def _page(limit: int, after: str | None = None) -> str:
    return _graphql(_PAGE, {"id": LONG, "limit": limit, "after": after})


def _graphql(query: str, variables: dict[str, Any]) -> str:
    return _request("POST", "/graphql", {"query": query, "variables": variables})


def _request(method: str, path: str, body: dict[str, Any] | None = None) -> str:
    """Write one request of HTTP/1.1, which keeps the connection."""
    content = "" if body is None else json.dumps(body)
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: application/json", "Authorization: Bearer any"]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*head, "", content])
