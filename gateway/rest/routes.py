"""The routes of the REST face.

Must not be here: endpoints.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from starlette.routing import compile_path

from gateway.auth.authenticator import credential_of
from gateway.domain.principal import READ, WRITE
from gateway.errors import GatewayError, Unavailable, UnknownUrl, WrongMethod, excerpt
from gateway.rest import assistants, messages, render, runs, threads
from gateway.rest.call import Call, check_beta
from gateway.runs.service import OFF
from gateway.web.deadline import Deadlines
from gateway.web.request import ENCODED_SLASH, Answer, display_path

if TYPE_CHECKING:
    import re
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.types import ASGIApp

    from gateway.auth.authenticator import Authenticator
    from gateway.core import Store
    from gateway.runs.service import Runs
    from gateway.web.request import Request

    Endpoint = Callable[[Call], Awaitable[Answer | ASGIApp]]

# The base path of the SDKs, and the two of Azure OpenAI, whose `api-version` is ignored.
PREFIXES: Final = ("/v1", "/openai/v1", "/openai")

PATHS: Final[Mapping[str, Mapping[str, Endpoint]]] = {
    "/threads": {"POST": threads.create_thread, "GET": threads.list_threads},
    "/threads/{thread_id}": {
        "GET": threads.get_thread,
        "POST": threads.modify_thread,
        "DELETE": threads.delete_thread,
    },
    "/threads/{thread_id}/fork": {"POST": threads.fork_thread},
    "/threads/{thread_id}/messages": {"POST": messages.create_message, "GET": messages.list_messages},
    "/threads/{thread_id}/messages/{message_id}": {
        "GET": messages.get_message,
        "POST": messages.modify_message,
        "DELETE": messages.delete_message,
    },
}
# Served where models are set.
RUN_PATHS: Final[Mapping[str, Mapping[str, Endpoint]]] = {
    "/assistants": {"POST": assistants.create_assistant, "GET": assistants.list_assistants},
    "/assistants/{assistant_id}": {
        "GET": assistants.get_assistant,
        "POST": assistants.modify_assistant,
        "DELETE": assistants.delete_assistant,
    },
    "/threads/runs": {"POST": runs.create_thread_and_run},
    "/threads/{thread_id}/runs": {"POST": runs.create_run, "GET": runs.list_runs},
    "/threads/{thread_id}/runs/{run_id}": {"GET": runs.get_run, "POST": runs.modify_run},
    "/threads/{thread_id}/runs/{run_id}/cancel": {"POST": runs.cancel_run},
    "/threads/{thread_id}/runs/{run_id}/submit_tool_outputs": {"POST": runs.submit_tool_outputs},
    "/threads/{thread_id}/runs/{run_id}/steps": {"GET": runs.list_steps},
    "/threads/{thread_id}/runs/{run_id}/steps/{step_id}": {"GET": runs.get_step},
}


class Route(NamedTuple):
    """One route: the pattern of its paths, and an endpoint for each method."""

    pattern: re.Pattern[str]
    template: str
    endpoints: Mapping[str, Endpoint]
    is_of_runs: bool


def _place(path: str) -> tuple[int, str]:
    """Return the number of slashes of a path, and its last segment."""
    return path.count("/"), path[path.rfind("/") + 1 :]


def _by_place() -> dict[tuple[int, str], list[Route]]:
    """Group the routes by their place, so that few patterns are tried for a path; `""` stands for a parameter."""
    found = defaultdict[tuple[int, str], list[Route]](list)
    for prefix, (path, endpoints) in product(PREFIXES, (*RUN_PATHS.items(), *PATHS.items())):
        route = Route(compile_path(prefix + path)[0], prefix + path, endpoints, path in RUN_PATHS)
        depth, last = _place(route.template)
        found[depth, "" if last.startswith("{") else last].append(route)
    return found


_ROUTES: Final = _by_place()


class RestFace:
    """The REST face over a store."""

    def __init__(self, store: Store, authenticator: Authenticator, timeout_s: float, runs: Runs | None = None) -> None:
        self._store = store
        self._runs = runs
        self._authenticator = authenticator
        self._timeout_s = timeout_s
        self._reads, self._writes = Deadlines(), Deadlines()

    def find(self, request: Request) -> Awaitable[Answer | ASGIApp] | None:
        """Start to handle a request; None if its path is not of this face."""
        depth, last = _place(request.path)
        for route in (*_ROUTES.get((depth, last), ()), *_ROUTES.get((depth, ""), ())):
            if found := route.pattern.fullmatch(request.path):
                request.path_params = found.groupdict()
                if ENCODED_SLASH in request.path:
                    request.path_params = _with_slashes(request.path_params)
                request.record.route = route.template
                return self._answer(request, route)
        return None

    def leave(self, task: asyncio.Task[Any]) -> None:
        """Cancel the request that a task answers, if it is one that only reads."""
        self._reads.leave(task)

    async def _answer(self, request: Request, route: Route) -> Answer | ASGIApp:
        method = "GET" if request.method == "HEAD" else request.method
        try:
            if route.is_of_runs and self._runs is None:
                raise UnknownUrl(OFF)
            endpoint = route.endpoints.get(method)
            if endpoint is None:
                message = f"Invalid method for URL ({request.method} {excerpt(display_path(request.path))})"
                raise WrongMethod(message, allowed=", ".join(route.endpoints))
            deadlines = self._reads if method == "GET" else self._writes
            with deadlines.begin(asyncio.get_running_loop().time() + self._timeout_s) as deadline:
                who = await self._authenticator.authenticate(credential_of(request.headers))
                call = Call(
                    self._store, who, request, deadline, self._timeout_s, self._authenticator, with_runs=self._runs
                )
                slot = self._authenticator.rate_limits.acquire(who, READ if method == "GET" else WRITE)
                if slot is None:
                    answer = await _answered(endpoint, call)
                else:
                    async with slot:
                        answer = await _answered(endpoint, call)
                if call.attempt is None or not call.attempt.is_replay:
                    return answer
                await self._authenticator.rate_limits.count_as_read(who)
                return render.replayed(answer) if isinstance(answer, Answer) else answer
        except GatewayError as error:
            return render.error(error)
        except TimeoutError:
            message = f"The request exceeded the deadline of {self._timeout_s:g} seconds and was cancelled."
            return render.error(Unavailable(message, code="deadline_exceeded"))


def _with_slashes(path_params: Mapping[str, str]) -> dict[str, str]:
    """Decode %2F in path parameters, after the path was split."""
    return {name: value.replace(ENCODED_SLASH, "/") for name, value in path_params.items()}


def _answered(endpoint: Endpoint, call: Call) -> Awaitable[Answer | ASGIApp]:
    check_beta(call.request.headers.get("openai-beta"))
    return endpoint(call)
