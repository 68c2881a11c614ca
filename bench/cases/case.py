"""A case: requests with what a good answer has, and what is needed to write them.

Must not be here: any particular request.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Recipe = Callable[["World"], list["Ask"]]


class Ask(NamedTuple):
    """A request; a good answer contains `mark` so often, which within a text would be escaped."""

    request: str
    mark: str
    times: int


@dataclass(frozen=True, slots=True)
class Case:
    """Requests that are sent in turn."""

    name: str
    asks: list[Ask] = field(repr=False)


class Asks(Protocol):
    """Something that answers a request with the body of its answer."""

    def ask(self, request: str) -> bytes:
        """Send a request."""


@dataclass(frozen=True, slots=True)
class World:
    """What requests are written from: API keys by project, and a server that makes what a case will use up.

    `requests` is how many will be sent at most; `sizes` are bytes of our answers by case; `long` is the length of the
    long thread.
    """

    keys: Mapping[str, str]
    maker: Asks
    requests: int
    long: int
    sizes: Mapping[str, int] = field(default_factory=dict)

    def make(self, text: str) -> Any:
        """Ask the server that makes things, and decode its answer."""
        return json.loads(self.maker.ask(text))


def mixed(lists: list[Ask], pages: list[Ask], created: list[Ask], single: list[Ask]) -> list[Ask]:
    """Mix what users do: 40 % lists with previews, 40 % pages, 10 % new messages, 10 % single messages."""
    every, each_page = itertools.cycle(lists), itertools.cycle(pages)
    asks = []
    for one, other in zip(created, single, strict=False):
        asks += [ask for _ in range(4) for ask in (next(every), next(each_page))] + [one, other]
    return asks


def request(method: str, path: str, body: object = None, key: str = "any", more: Sequence[str] = ()) -> str:
    """Format a request of HTTP/1.1 that keeps the connection open, with more headers if there are any."""
    content = "" if body is None else json.dumps(body)
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Accept: application/json",
        f"Authorization: Bearer {key}",
        *more,
    ]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*head, "", content])


def graphql(document: str, variables: Mapping[str, Any] | None = None, key: str = "any") -> str:
    """Format a GraphQL operation."""
    return request("POST", "/graphql", {"query": document, "variables": variables or {}}, key)
