"""Whether this process lives, and whether it should be sent requests; for balancers and supervisors.

Neither needs a key, and neither says more than what an operator has to look at.
Must not be here: how a database is asked (`store`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse, Response

from gateway.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

CHECK_S: Final = 2.0  # how long the database may take; supervisors give a probe some seconds at most
KEPT_S: Final = 1.0  # how long a finding is given again, so that nobody can keep the database busy with probes
_HEADERS: Final = {"cache-control": "no-store"}
_STOPS: Final = {"draining": "The server is shutting down."}
_AWAY: Final = {"database": f"The database did not answer within {CHECK_S:g} s."}
_BEHIND: Final = {"migrations": "The database schema is older than this version needs. Run: gateway migrate"}


async def liveness(_request: Request) -> Response:
    """Answer `/healthz`: the process runs, whatever else does not."""
    return JSONResponse({"status": "ok"}, headers=_HEADERS)


class Readiness:
    """Answers `/readyz`; `is_migrated` asks the database, and may raise Unavailable."""

    def __init__(self, is_migrated: Callable[[], Awaitable[bool]], is_draining: Callable[[], bool]) -> None:
        self._is_migrated = is_migrated
        self._is_draining = is_draining
        self._checking: asyncio.Task[Mapping[str, str]] | None = None
        self._stale_at = 0.0
        self._asked: set[asyncio.Future[bool]] = set()

    async def answer(self, _request: Request) -> Response:
        """Answer whether requests may be sent here, and if not, why."""
        failed = _STOPS if self._is_draining() else await self._found()
        if failed:
            return JSONResponse({"status": "not ready", "failed": failed}, 503, headers=_HEADERS)
        return JSONResponse({"status": "ready"}, headers=_HEADERS)

    async def _found(self) -> Mapping[str, str]:
        """Give what is known, or find it out; who comes meanwhile waits for the same check."""
        loop = asyncio.get_running_loop()
        if self._checking is None or (self._checking.done() and loop.time() >= self._stale_at):
            self._checking = loop.create_task(self._check())
        return await asyncio.shield(self._checking)

    async def _check(self) -> Mapping[str, str]:
        asked = asyncio.ensure_future(self._is_migrated())
        self._asked.add(asked)  # asyncio itself holds no task
        asked.add_done_callback(self._forget)
        await asyncio.wait({asked}, timeout=CHECK_S)
        self._stale_at = asyncio.get_running_loop().time() + KEPT_S
        if not asked.done():
            asked.cancel()  # not waited for: a driver may take long to let go
            return _AWAY
        try:
            return {} if asked.result() else _BEHIND
        except Unavailable:
            return _AWAY

    def _forget(self, asked: asyncio.Future[bool]) -> None:
        self._asked.discard(asked)
        if not asked.cancelled():
            asked.exception()  # seen, so that asyncio does not tell it
