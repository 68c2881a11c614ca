"""Who is let in to the routes: requests that are meant for this server, from pages that may use it.

Must not be here: who has a key (`authenticate`); what a refusal looks like, which each face says for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.responses import Response

from gateway.errors import CrossSite, GatewayError, UnknownHost

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.web.sites import Sites

# What asks from within the machine or the cluster names an address, and learns only whether we live.
_TOLD_TO_ALL: Final = ("/healthz", "/readyz")
_READING: Final = ("GET", "HEAD")
_PREFLIGHT_S: Final = 7200  # what Chromium keeps an answer at the longest
_METHODS: Final = "GET, POST, DELETE"


class Door:
    """Refuse what does not belong here, and agree to what browsers ask for the pages of sites that are let in."""

    def __init__(self, app: ASGIApp, sites: Sites, refuse: Callable[[Scope, GatewayError], Response]) -> None:
        self._app = app
        self._sites = sites
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        try:
            answer = self._answer(scope, Headers(scope=scope))
        except GatewayError as error:
            answer = self._refuse(scope, error)
        await (answer or self._app)(scope, receive, send)

    def _answer(self, scope: Scope, headers: Headers) -> Response | None:
        """Find out whether a request is answered here.

        A page of another site can make a browser send a POST without asking first, and cannot read what is answered;
        so reading is let pass. A WebSocket is looked at by GraphQL, which closes it with a code of its protocol.
        Errors: UnknownHost, CrossSite.
        """
        if scope["path"] not in _TOLD_TO_ALL and not self._sites.go_by(headers):
            raise UnknownHost(headers.get("host", ""))
        if scope["type"] == "websocket" or scope["method"] in _READING:
            return None
        if self._sites.send_from_elsewhere(headers):
            raise CrossSite(headers.get("origin", ""))
        if scope["method"] == "OPTIONS" and headers.get("origin") in self._sites.origins:
            return _agreed(headers)
        return None


def _agreed(headers: Headers) -> Response:
    """Let a page that is let in send any header: SDKs bring new ones (`x-stainless-...`) with each release."""
    asked = headers.get("access-control-request-headers")
    names = {"access-control-allow-headers": asked} if asked else {}
    agreed = {"access-control-allow-methods": _METHODS, "access-control-max-age": str(_PREFLIGHT_S)}
    return Response(status_code=204, headers={**agreed, **names})
