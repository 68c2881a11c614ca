"""The path table of the REST face.

Must not be here: what an endpoint does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from gateway.domain.principal import Scope
from gateway.errors import GatewayError, UnknownUrl, WrongMethod
from gateway.rest import messages, render, threads
from gateway.rest.call import Call, check_beta
from gateway.web.authenticate import credential_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.responses import Response
    from starlette.types import Receive, Send
    from starlette.types import Scope as AsgiScope

    from gateway.core import Store
    from gateway.web.authenticate import Gatekeeper

    Endpoint = Callable[[Call], Awaitable[Response]]

# The SDKs' base path, and the two spellings of Azure OpenAI, whose `api-version` says nothing that matters here.
PREFIXES: Final = ("/v1", "/openai/v1", "/openai")


async def runs_are_not_kept(_call: Call) -> NoReturn:
    """Refuse what would make a model answer."""
    raise UnknownUrl("Runs are not served here: this server keeps threads and messages and does not run models.")


_RUNS: Final = dict.fromkeys(("GET", "POST", "DELETE", "PUT", "PATCH"), runs_are_not_kept)

PATHS: Final[Mapping[str, Mapping[str, Endpoint]]] = {
    "/threads/runs": _RUNS,
    "/threads/{thread_id}/runs": _RUNS,
    "/threads/{thread_id}/runs/{rest:path}": _RUNS,
    "/threads": {"POST": threads.create_thread, "GET": threads.list_threads},
    "/threads/{thread_id}": {
        "GET": threads.get_thread,
        "POST": threads.modify_thread,
        "DELETE": threads.delete_thread,
    },
    "/threads/{thread_id}/messages": {"POST": messages.create_message, "GET": messages.list_messages},
    "/threads/{thread_id}/messages/{message_id}": {
        "GET": messages.get_message,
        "POST": messages.modify_message,
        "DELETE": messages.delete_message,
    },
}


def routes(store: Store, gatekeeper: Gatekeeper) -> list[Route]:
    """Make the routes of the REST face over a store."""
    return [
        Route(prefix + path, Resource(store, gatekeeper, endpoints), name=prefix + path)
        for prefix in PREFIXES
        for path, endpoints in PATHS.items()
    ]


def unknown_url(request: Request, _error: Exception) -> Response:
    """Answer for a path that is in no table."""
    return render.error(UnknownUrl(f"Invalid URL ({request.method} {request.url.path})"))


def wrong_method(request: Request, error: Exception) -> Response:
    """Answer for a method that a path outside our table does not have."""
    allowed = (error.headers or {}).get("Allow", "") if isinstance(error, HTTPException) else ""
    # Starlette keeps methods in a set, which has another order in each process.
    return render.error(_wrong_method(request, ", ".join(sorted(allowed.split(", ")))))


@dataclass(frozen=True, slots=True)
class Resource:
    """One path of the table as an ASGI app, so that Starlette leaves all methods, and what is refused, to us."""

    store: Store
    gatekeeper: Gatekeeper
    endpoints: Mapping[str, Endpoint]

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive, send)
        try:
            response = await self._answer(request)
        except GatewayError as error:
            response = render.error(error)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        endpoint = self.endpoints.get(method)
        if endpoint is None:
            raise _wrong_method(request, ", ".join(self.endpoints))
        who = await self.gatekeeper.admit(credential_of(request.headers))
        async with self.gatekeeper.rates.let(who, Scope.READ if method == "GET" else Scope.WRITE):
            check_beta(request.headers.get("openai-beta"))
            return await endpoint(Call(self.store, who, request))


def _wrong_method(request: Request, allowed: str) -> WrongMethod:
    return WrongMethod(f"Invalid method for URL ({request.method} {request.url.path})", allowed=allowed)
