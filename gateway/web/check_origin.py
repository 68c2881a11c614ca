"""The check of the Host and Origin headers before routing, and the answer to CORS preflights.

Must not be here: authentication (`auth`); the format of an error response, which each face defines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.errors import CrossSite, UnknownHost
from gateway.web.request import Answer, as_headers

if TYPE_CHECKING:
    from starlette.types import Scope

    from gateway.web.origins import OriginPolicy
    from gateway.web.request import Headers

# Probes of a cluster send an IP address as Host, and the responses hold no data.
_ANY_HOST: Final = ("/healthz", "/readyz")
_READING: Final = ("GET", "HEAD")
_PREFLIGHT_S: Final = 7200  # the maximum in Chromium
_METHODS: Final = "GET, POST, DELETE"


def check_origin(scope: Scope, headers: Headers, policy: OriginPolicy) -> Answer | None:
    """Check the Host and Origin headers; return the response to a CORS preflight of an allowed origin.

    A page of another origin can make a browser send a POST without a preflight, but cannot read the response; so GET
    and HEAD are accepted. The origin of a WebSocket is checked by the GraphQL face, which has a close code for it.
    Errors: UnknownHost, CrossSite.
    """
    if not policy.allows_host(headers) and scope["path"] not in _ANY_HOST:
        raise UnknownHost(headers.get("host") or "")
    if scope["type"] == "websocket" or scope["method"] in _READING:
        return None
    if policy.is_cross_origin(headers):
        raise CrossSite(headers.get("origin") or "")
    if scope["method"] == "OPTIONS" and headers.get("origin") in policy.origins:
        return _preflight(headers)
    return None


def _preflight(headers: Headers) -> Answer:
    """Allow any header for an allowed origin: SDKs add new ones (`x-stainless-...`) with each release."""
    asked = headers.get("access-control-request-headers")
    names = {"access-control-allow-headers": asked} if asked else {}
    allowed = {"access-control-allow-methods": _METHODS, "access-control-max-age": str(_PREFLIGHT_S)}
    return Answer(b"", 204, headers=as_headers({**allowed, **names}))
