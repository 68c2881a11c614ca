"""One REST call: who sends what to which store, parsed no further than an endpoint asks.

Must not be here: what any single endpoint does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from gateway.domain import bounds, ids, parse_page
from gateway.domain.read_json import read_json
from gateway.errors import InvalidRequest, excerpt
from gateway.web.body import read_body
from gateway.web.request import query_pairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.page import PageRequest
    from gateway.domain.principal import Principal
    from gateway.web.request import Request

_KEPT: Final = 64  # query strings that are read once; clients ask for the same page again and again
_SHORT: Final = 1_000  # bytes of such a string; what is longer is read each time, and not kept
_BETA: Final = re.compile(r"([A-Za-z0-9_-]+)=(v[0-9]+)")


@dataclass(slots=True)  # not frozen: one is made for each request, and takes three times as long when it is
class Call:
    """What an endpoint works with."""

    store: Store
    who: Principal
    request: Request

    @property
    def thread_id(self) -> ThreadId:
        """The thread that the path names."""
        return ids.thread_id(self.request.path_params["thread_id"])

    @property
    def message_id(self) -> MessageId:
        """The message that the path names."""
        return ids.message_id(self.request.path_params["message_id"])

    def page(self, as_cursor: Callable[[str], str | None]) -> tuple[PageRequest, str | None]:
        """Read which page of a list is asked for, and of which run, whose name was not looked at yet.

        Errors: InvalidRequest.
        """
        query_string: bytes = self.request.scope["query_string"]
        return (_page if len(query_string) <= _SHORT else _page.__wrapped__)(query_string, as_cursor)

    async def json(self) -> Any:
        """Read the body as JSON; no body is an empty object, as the .NET client sends it.

        Errors: BodyTooLarge; InvalidRequest where it is not JSON, or too much of it.
        """
        body = await read_body(self.request)
        try:
            return read_json(body, string=bounds.JSON_STRING.number) if body else {}
        except InvalidRequest as error:
            if error.code == bounds.JSON_VALUES.code:  # the wire has no such word: some array is far too long
                error.code = bounds.CONTENT_PARTS.code
            raise


@lru_cache(_KEPT)
def _page(query_string: bytes, as_cursor: Callable[[str], str | None]) -> tuple[PageRequest, str | None]:
    query = parse_page.query_parameters(query_pairs(query_string))
    return parse_page.from_query(query, as_cursor), query.get("run_id")


def check_beta(header: str | None) -> None:
    """Hold the `OpenAI-Beta` header, where there is one, to the version that is spoken here.

    Several official clients forgot the header for whole releases, so it may be missing.
    Errors: InvalidRequest. Source: rest-contract §5.
    """
    for wanted in (header or "").split(","):
        if not wanted.strip():
            continue
        parts = _BETA.fullmatch(wanted.strip())
        if parts is None:
            message = (
                f"Invalid beta header provided: '{excerpt(wanted.strip())}'. "
                "The header should be in the format 'OpenAI-Beta: example_beta=v1'."
            )
            raise InvalidRequest(message, code="invalid_beta")
        name, version = parts.groups()
        if (name, version) == ("assistants", "v1"):
            raise InvalidRequest(_V1_IS_OVER, code="invalid_beta")
        if (name, version) != ("assistants", "v2"):
            asked = name if name != "assistants" else wanted.strip()
            raise InvalidRequest(f"Unknown beta requested: '{excerpt(asked)}'.", code="invalid_beta")


_V1_IS_OVER: Final = (
    "The v1 Assistants API has been deprecated. Please try again by setting the header 'OpenAI-Beta: assistants=v2'. "
    "See the migration guide for more information: https://platform.openai.com/docs/assistants/migration."
)
