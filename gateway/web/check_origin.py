"""Who is let in to the routes: requests that are meant for this server, from pages that may use it.

Must not be here: who has a key (`authenticator`); what a refusal looks like, which each face says for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.errors import CrossSite, UnknownHost
from gateway.web.request import Answer, as_headers

if TYPE_CHECKING:
    from starlette.types import Scope

    from gateway.web.origins import OriginPolicy
    from gateway.web.request import HeadersLike

# What asks from within the machine or the cluster names an address, and learns only whether we live.
_TOLD_TO_ALL: Final = ("/healthz", "/readyz")
_READING: Final = ("GET", "HEAD")
_PREFLIGHT_S: Final = 7200  # what Chromium keeps an answer at the longest
_METHODS: Final = "GET, POST, DELETE"


def check_origin(scope: Scope, headers: HeadersLike, policy: OriginPolicy) -> Answer | None:
    """Let a request pass, or agree to what a browser asks for the page of a site that is let in.

    A page of another site can make a browser send a POST without asking first, and cannot read what is answered;
    so reading is let pass. A WebSocket is looked at by GraphQL, which closes it with a code of its protocol.
    Errors: UnknownHost, CrossSite.
    """
    if not policy.allows_host(headers) and scope["path"] not in _TOLD_TO_ALL:
        raise UnknownHost(headers.get("host") or "")
    if scope["type"] == "websocket" or scope["method"] in _READING:
        return None
    if policy.is_cross_origin(headers):
        raise CrossSite(headers.get("origin") or "")
    if scope["method"] == "OPTIONS" and headers.get("origin") in policy.origins:
        return _agreed(headers)
    return None


def _agreed(headers: HeadersLike) -> Answer:
    """Let a page that is let in send any header: SDKs bring new ones (`x-stainless-...`) with each release."""
    asked = headers.get("access-control-request-headers")
    names = {"access-control-allow-headers": asked} if asked else {}
    agreed = {"access-control-allow-methods": _METHODS, "access-control-max-age": str(_PREFLIGHT_S)}
    return Answer(b"", 204, headers=as_headers({**agreed, **names}))
