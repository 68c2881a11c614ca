"""The headers of a request: the media types that it accepts and sends, and whether a page of another site sent it.

Must not be here: parameters, documents.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from gateway.graphql.refusal import EVENT_STREAM, GRAPHQL_RESPONSE, JSON, Stage, refusal

if TYPE_CHECKING:
    from gateway.web.origins import OriginPolicy
    from gateway.web.request import Headers, Request

_KEPT: Final = 64  # cached values of a header; clients repeat the same ones
_SHORT: Final = 500  # characters of a cached value
# A page of another origin can send these only after a preflight, which only allowed origins pass.
_PREFLIGHTED: Final = ("graphql-require-preflight", "apollo-require-preflight", "x-apollo-operation-name")


def accepted(header: str | None) -> str | None:
    """Choose the media type of the response, or None; a client that names none gets JSON.

    Source: RFC 9110, "Accept": the most specific range that fits a type gives its weight, and the heaviest type
    is taken. Of equals, one that is named comes first, then the one that is named first.
    """
    return (_accepted if header is None or len(header) <= _SHORT else _accepted.__wrapped__)(header)


@lru_cache(_KEPT)
def _accepted(header: str | None) -> str | None:
    ranges = [_weighed(each) for each in (header or "*/*").split(",")]
    best: tuple[float, int, int] | None = None
    chosen: str | None = None
    for offer in (JSON, GRAPHQL_RESPONSE, EVENT_STREAM):
        wild = () if offer == EVENT_STREAM else ("application/*", "*/*")  # `*/*` does not mean a stream
        for rank, pattern in enumerate((offer, *wild)):
            place = next((n for n, (media_type, _) in enumerate(ranges) if media_type == pattern), None)
            if place is None:
                continue
            found = (ranges[place][1], -rank, -place)
            if found[0] > 0 and (best is None or found > best):
                best, chosen = found, offer
            break
    return chosen


def _weighed(text: str) -> tuple[str, float]:
    media_type, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return media_type, min(max(float(value), 0.0), 1.0)
            except ValueError:
                return media_type, 0.0
    return media_type, 1.0


def check_method(request: Request) -> None:
    """Accept only GET and POST.

    Errors: Refused.
    """
    if request.method not in ("GET", "POST"):
        raise refusal(Stage.METHOD, "bad_request", "Expected GET or POST.", {"allow": "GET, POST"})


def check_media_type(request: Request) -> None:
    """Accept only bodies of JSON in UTF-8; HTML forms cannot send this type.

    Errors: Refused.
    """
    if request.method == "POST" and not _says_json(request.headers.get("content-type") or ""):
        raise refusal(Stage.MEDIA_TYPE, "bad_request", f"Expected a body of {JSON} in UTF-8.")


def check_site(request: Request, origin_policy: OriginPolicy) -> None:
    """Reject a request that a page of another origin can make a browser send without a preflight.

    A POST of JSON always needs a preflight. A GET is accepted with a header that needs one, from an allowed origin, or
    if the browser marks it as same-origin or without a page (Sec-Fetch-Site). Other programs need such a header too,
    except those that use `fetch` outside of a browser: they send Sec-Fetch-Mode `cors`, with which a browser on another
    site must send an Origin. Pages cannot set headers that begin with Sec-.
    Source: Fetch, "CORS-safelisted request-header" and "Origin header"; Fetch Metadata.
    Errors: Refused.
    """
    headers = request.headers
    if request.method != "GET" or _is_preflighted(headers) or headers.get("origin") in origin_policy.origins:
        return
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return
    if site is None and headers.get("sec-fetch-mode") == "cors" and "origin" not in headers:
        return
    message = "Cross-origin request blocked. Send the header 'GraphQL-Require-Preflight: 1', or use POST."
    raise refusal(Stage.SITE, "cross_site_request", message)


def _is_preflighted(headers: Headers) -> bool:
    return _says_json(headers.get("content-type") or "") or any(name in headers for name in _PREFLIGHTED)


def _says_json(header: str) -> bool:
    return (_is_json if len(header) <= _SHORT else _is_json.__wrapped__)(header)


@lru_cache(_KEPT)
def _is_json(header: str) -> bool:
    media_type, *parameters = (part.strip().lower() for part in header.split(";"))
    charsets = [part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")]
    return media_type == JSON and all(charset in ("utf-8", "utf8") for charset in charsets)


def wants_page(method: str, headers: Headers) -> bool:
    """Say whether a browser wants a page, rather than a program data: a client that also names JSON gets that."""
    if method not in ("GET", "HEAD"):
        return False
    accept = headers.get("accept") or ""
    return "text/html" in accept and JSON not in accept and GRAPHQL_RESPONSE not in accept


@lru_cache(_KEPT)
def accepts_gzip(header: str | None) -> bool:
    """Say whether an answer may be compressed by gzip. Source: RFC 9110, section 12.5.3."""
    weights = dict(_weighed(each) for each in (header or "").split(","))
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0
