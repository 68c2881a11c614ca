"""The health probes: liveness (`/healthz`) and readiness (`/readyz`), for load balancers and supervisors.

Neither needs a key, and neither reveals more than what an operator has to check.
Must not be here: how a database is asked (`store`).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from gateway.errors import Unavailable
from gateway.web.request import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from gateway.web.request import Request

CHECK_S: Final = 2.0  # time limit of the database check; supervisors time a probe out after some seconds
KEPT_S: Final = 1.0  # how long a result is cached, so that probes cannot overload the database
_STOPS: Final = {"draining": "The server is shutting down."}
_AWAY: Final = {"database": f"The database did not answer within {CHECK_S:g} s."}


async def liveness(_request: Request) -> Answer:
    """Answer `/healthz`: the process is running."""
    return Answer(b'{"status":"ok"}')


def _answer(body: Mapping[str, object], status: int = 200) -> Answer:
    return Answer(json.dumps(body, separators=(",", ":")).encode(), status)


class Readiness:
    """Answers `/readyz`; `failures` says what keeps the server from serving, and may raise Unavailable.

    `background` says of each background task whether it works. A failing one delays events or refusals, but fails no
    request, so the server stays ready.
    """

    def __init__(
        self,
        failures: Callable[[], Awaitable[Mapping[str, str]]],
        is_draining: Callable[[], bool],
        background: Callable[[], Mapping[str, bool]] = dict,
    ) -> None:
        self._failures = failures
        self._is_draining = is_draining
        self._background = background
        self._checking: asyncio.Task[Mapping[str, str]] | None = None
        self._stale_at = 0.0
        self._asked: set[asyncio.Future[Mapping[str, str]]] = set()

    async def answer(self, _request: Request) -> Answer:
        """Answer 200 if the server accepts requests, with the background tasks that fail; else 503 with the reasons."""
        failed = _STOPS if self._is_draining() else await self._found()
        if failed:
            return _answer({"status": "not ready", "failed": failed}, 503)
        stopped = {name: False for name, works in self._background().items() if not works}
        return _answer({"status": "degraded" if stopped else "ready", **stopped})

    async def _found(self) -> Mapping[str, str]:
        """Return the cached result or run the check; concurrent probes share one check."""
        loop = asyncio.get_running_loop()
        if self._checking is None or (self._checking.done() and loop.time() >= self._stale_at):
            self._checking = loop.create_task(self._check())
        return await asyncio.shield(self._checking)

    async def _check(self) -> Mapping[str, str]:
        asked = asyncio.ensure_future(self._failures())
        self._asked.add(asked)  # asyncio itself holds no task
        asked.add_done_callback(self._forget)
        await asyncio.wait({asked}, timeout=CHECK_S)
        self._stale_at = asyncio.get_running_loop().time() + KEPT_S
        if not asked.done():
            asked.cancel()  # not awaited: a driver may take long to cancel
            return _AWAY
        try:
            return asked.result()
        except Unavailable as error:
            return {"database": error.message}

    def _forget(self, asked: asyncio.Future[Mapping[str, str]]) -> None:
        self._asked.discard(asked)
        if not asked.cancelled():
            asked.exception()  # retrieved, so that asyncio does not log it
