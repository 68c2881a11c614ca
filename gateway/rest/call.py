"""One REST call: its principal, store and request, parsed on demand.

Must not be here: endpoints.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from gateway.domain import bounds, ids, parse_page, thread_list, validate
from gateway.domain.idempotency import Attempt, parse_key
from gateway.domain.read_json import read_json
from gateway.errors import InvalidRequest, excerpt
from gateway.web.body import read_body
from gateway.web.request import query_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.auth.authenticator import Authenticator
    from gateway.core import Store
    from gateway.domain.ids import MessageId, ThreadId
    from gateway.domain.page import Fields, PageRequest
    from gateway.domain.principal import Principal
    from gateway.domain.thread_list import Selection
    from gateway.runs.service import Runs
    from gateway.web.deadline import Deadline
    from gateway.web.request import Request

# The fields that the original API does not have, by the value of `expand[]` that requests them: of any object, and of a
# thread that is read.
EXPANDABLE: Final[Mapping[str, Fields]] = {"idempotency_key": ("idempotency_key",)}
LAST_MESSAGE: Final = "last_message"
OF_THREADS: Final = {**EXPANDABLE, LAST_MESSAGE: ("last_activity_at", LAST_MESSAGE)}
KEY_HEADER: Final = "idempotency-key"
_KEPT: Final = 64  # query strings in the cache; clients repeat the same ones
_SHORT: Final = 1_000  # bytes of a query string in the cache
_BETA: Final = re.compile(r"([A-Za-z0-9_-]+)=(v[0-9]+)")


@dataclass(slots=True)  # not frozen: one is made for each request, and takes three times as long when it is
class Call:
    """The input of an endpoint."""

    store: Store
    who: Principal
    request: Request
    deadline: Deadline
    timeout_s: float
    authenticator: Authenticator  # a stream ends with its credential
    with_runs: Runs | None
    attempt: Attempt | None = None  # of an endpoint that creates, where the request has an idempotency key

    @property
    def runs(self) -> Runs:
        """The runs; their paths are served only where models are set."""
        assert self.with_runs is not None  # noqa: S101  (see above)
        return self.with_runs

    @property
    def run_id(self) -> str:
        """The run that the path names."""
        return ids.other_id("run", "run", self.request.path_params["run_id"])

    @property
    def thread_id(self) -> ThreadId:
        """The thread that the path names."""
        return ids.thread_id(self.request.path_params["thread_id"])

    @property
    def message_id(self) -> MessageId:
        """The message that the path names."""
        return ids.message_id(self.request.path_params["message_id"])

    def page(self, as_cursor: Callable[[str], str | None]) -> tuple[PageRequest, str | None]:
        """Parse the page request of a list, and its `run_id`, which is not validated yet.

        Errors: InvalidRequest.
        """
        query_string: bytes = self.request.scope["query_string"]
        return (_page if len(query_string) <= _SHORT else _page.__wrapped__)(query_string, as_cursor)

    def thread_list(self) -> tuple[PageRequest, Selection]:
        """Parse the page request of a list of threads, its order and its filter.

        Errors: InvalidRequest.
        """
        query_string: bytes = self.request.scope["query_string"]
        return (_thread_list if len(query_string) <= _SHORT else _thread_list.__wrapped__)(query_string)

    @property
    def expanded(self) -> Fields:
        """The additional fields that the request asks for."""
        return self.expanded_from(EXPANDABLE)

    def expanded_from(self, expandable: Mapping[str, Fields]) -> Fields:
        """Find the additional fields that the request asks for; values that are not expandable are ignored."""
        query_string: bytes = self.request.scope["query_string"]
        if not query_string or b"expand" not in query_string:  # to look into bytes takes an exception within Python
            return ()
        given = [expandable.get(value, ()) for name, value in query_pairs(query_string) if name == "expand[]"]
        return tuple(dict.fromkeys(chain.from_iterable(given)))

    def begin_attempt(self) -> Attempt | None:
        """Parse the header `Idempotency-Key`, if present; endpoints that create nothing ignore it.

        Errors: InvalidRequest.
        """
        headers = self.request.headers
        if KEY_HEADER not in headers:
            return None
        values = headers.getlist(KEY_HEADER)
        if len(values) > 1:
            validate.refuse("Invalid 'Idempotency-Key'. Expected one value.", "Idempotency-Key", "invalid_value")
        self.attempt = Attempt(parse_key(values[0], "Idempotency-Key"))
        return self.attempt

    async def json(self) -> Any:
        """Read the body as JSON; an empty body is an empty object, as the .NET client sends it.

        The deadline begins again when the body has arrived: the time for that depends on the size of the body.

        Errors: BodyTooLarge; InvalidRequest if it is not JSON or exceeds a limit.
        """
        self.deadline.pause()
        body = await read_body(self.request)
        self.deadline.resume(asyncio.get_running_loop().time() + self.timeout_s)
        try:
            return read_json(body, string=bounds.JSON_STRING.number) if body else {}
        except InvalidRequest as error:
            if error.code == bounds.JSON_VALUES.code:  # the original API has no such code; some array is far too long
                error.code = bounds.CONTENT_PARTS.code
            raise


@lru_cache(_KEPT)
def _page(query_string: bytes, as_cursor: Callable[[str], str | None]) -> tuple[PageRequest, str | None]:
    query = parse_page.query_parameters(query_pairs(query_string))
    return parse_page.from_query(query, as_cursor), query.get("run_id")


@lru_cache(_KEPT)
def _thread_list(query_string: bytes) -> tuple[PageRequest, Selection]:
    return thread_list.from_query(query_pairs(query_string))


def check_beta(header: str | None) -> None:
    """Check the version in the `OpenAI-Beta` header, if present.

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
