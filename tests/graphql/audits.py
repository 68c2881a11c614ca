"""The server audits of npm's graphql-http 1.23.1 as a table: the request and the expected response of each.

Ids and sentences are the tool's own (`tests/live/test_audits.py` compares them). Requests are those that it sends by
`fetch`, but that no media type is accepted where it names none: `fetch` would send `*/*` there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

NEW: Final = "application/graphql-response+json"
OLD: Final = "application/json"
_OK: Final = (200, 200)
_BAD: Final = (400, 400)
_REFUSED: Final = (400, 499)
_FAILED: Final = (400, 599)
_ANY: Final = (200, 299), (400, 599)


@dataclass(frozen=True)
class Audit:
    """One audit: the arguments of a request, and the statuses, the media type and the keys that its answer may have."""

    id: str
    sentence: str
    request: dict[str, Any]
    statuses: tuple[tuple[int, int], ...] = (_OK,)
    media_type: str = ""
    never: str = ""  # the key that the body must not have


def post(body: Any, accept: str | None = None, content_type: str | None = OLD) -> dict[str, Any]:
    """Send a body, JSON if it is no text."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    headers = {"content-type": content_type, "accept": accept}
    return {"method": "POST", "content": text.encode(), "headers": {k: v for k, v in headers.items() if v}}


def get(accept: str = "*/*", **params: str) -> dict[str, Any]:
    """Send parameters in the URL, the way `fetch` does outside of a browser."""
    return {"method": "GET", "params": params, "headers": {"accept": accept, "sec-fetch-mode": "cors"}}


def refuses_types(prefix: str, parameter: str, invalid: dict[str, Any]) -> list[Audit]:
    """Make the audits that send values of wrong types for one parameter."""
    return [
        Audit(
            f"{prefix}{n}",
            f"MAY use 400 status code on {kind} {{{parameter}}} parameter",
            post({"query": TYPENAME, parameter: value}),
            (_BAD,),
        )
        for n, (kind, value) in enumerate(invalid.items())
    ]


def allows(audit_id: str, what: str, body: Any, accept: str) -> Audit:
    """Make an audit of a parameter that must be taken; by JSON alone it also asks for no errors."""
    must, never = ("MUST", "errors") if accept == OLD else ("SHOULD", "")
    return Audit(audit_id, f"{must} allow {what} parameter when accepting {accept}", post(body, accept), never=never)


def allows_null(n: int, parameter: str) -> list[Audit]:
    """Make the two audits that send null for a parameter."""
    return [
        Audit(
            f"{prefix}{n}",
            f"{must} allow null {{{parameter}}} parameter when accepting {accept}",
            post({"query": TYPENAME, parameter: None}, accept),
            never="errors",
        )
        for prefix, must, accept in (("94B", "SHOULD", NEW), ("022", "MUST", OLD))
    ]


TYPENAME: Final = "{ __typename }"
QUERY: Final = {"query": TYPENAME}
NAMED: Final = {"operationName": "Query", "query": "query Query { __typename }"}
OF_TYPE: Final = "query Type($name: String!) { __type(name: $name) { name } }"
TYPO: Final = {"qeury": TYPENAME}
NO_JSON: Final = '{ "not a JSON'
NO_GRAPHQL: Final = {"query": "{"}
NO_FIELD: Final = {"query": "{ 8f31403dfe404bccbb0e835f2629c6a7 }"}
NO_VALUE: Final = {"query": "query CoerceFailure($id: ID!){ __typename }", "variables": {"id": None}}
WITH_MAP: Final = {"query": OF_TYPE, "variables": {"name": "sometype"}}
WITH_EXTENSION: Final = {**QUERY, "extensions": {"some": "value"}}
BY_URL: Final = {"query": OF_TYPE, "variables": '{"name": "sometype"}'}
NO_TEXT: Final = {"object": {"obj": "ect"}, "number": 0, "boolean": False, "array": ["array"]}
NO_MAP: Final = {"string": "string", "number": 0, "boolean": False, "array": ["array"]}

_PARSING: Final = "document parsing failure when accepting"
_VALIDATION: Final = "document validation failure when accepting"
_COERCION: Final = "variable coercion failure when accepting"
_JSON: Final = "JSON parsing failure when accepting"
_IN_URL: Final = "MAY allow URL-encoded JSON string {variables} parameter in GETs when accepting"

AUDITS: Final = [
    Audit("22EB", f"SHOULD accept {NEW} and match the content-type", post(QUERY, NEW), media_type=NEW),
    Audit("4655", f"MUST accept {OLD} and match the content-type", post(QUERY, OLD), media_type=OLD),
    Audit("47DE", f"SHOULD accept */* and use {OLD} for the content-type", post(QUERY, "*/*"), media_type=OLD),
    Audit("80D8", f"SHOULD assume {OLD} content-type when accept is missing", post(QUERY), media_type=OLD),
    Audit("82A3", "MUST use utf-8 encoding when responding", post(QUERY)),
    Audit(
        "BF61",
        "MUST accept utf-8 encoded request",
        post({"query": '{ __type(name: "Run🏃Swim🏊") { name } }'}, content_type=f"{OLD}; charset=utf-8"),
    ),
    Audit("78D5", "MUST assume utf-8 in request if encoding is unspecified", post(QUERY)),
    Audit("2C94", "MUST accept POST requests", post(QUERY)),
    Audit("5A70", "MAY accept application/x-www-form-urlencoded formatted GET requests", get(query=TYPENAME)),
    Audit(
        "9C48",
        "MAY NOT allow executing mutations on GET requests",
        get(NEW, query="mutation { __typename }"),
        (_REFUSED,),
    ),
    Audit(
        "9ABE",
        "SHOULD respond with 4xx status code if content-type is not supplied on POST requests",
        post(QUERY, content_type="text/plain;charset=UTF-8"),  # which `fetch` supplies
        (_REFUSED,),
    ),
    Audit("03D4", f"MUST accept {OLD} POST requests", post(QUERY)),
    Audit("A5BF", "MAY use 400 status code when request body is missing on POST", post(""), (_BAD,)),
    Audit("423L", "MAY use 400 status code on missing {query} parameter", post({"notquery": TYPENAME}, NEW), (_BAD,)),
    *refuses_types("LKJ", "query", NO_TEXT),
    allows("34A2", "string {query}", QUERY, NEW),
    allows("13EE", "string {query}", QUERY, OLD),
    *refuses_types("6C0", "operationName", NO_TEXT),
    allows("8161", "string {operationName}", NAMED, NEW),
    allows("B8B3", "string {operationName}", NAMED, OLD),
    *allows_null(0, "variables"),
    *allows_null(1, "operationName"),
    *allows_null(2, "extensions"),
    *refuses_types("476", "variables", NO_MAP),
    allows("2EA1", "map {variables}", WITH_MAP, NEW),
    allows("28B9", "map {variables}", WITH_MAP, OLD),
    Audit("D6D5", f"{_IN_URL} {NEW}", get(NEW, **BY_URL), never="errors"),
    Audit("6A70", f"{_IN_URL} {OLD}", get(OLD, **BY_URL), never="errors"),
    *refuses_types("58B", "extensions", NO_MAP),
    allows("428F", "map {extensions}", WITH_EXTENSION, NEW),
    allows("1B7A", "map {extensions}", WITH_EXTENSION, OLD),
    Audit("B6DC", f"MAY use 2xx, 4xx, or 5xx status codes on {_JSON} {OLD}", post(NO_JSON, OLD), _ANY),
    Audit("BCF8", f"SHOULD use 400 status code on {_JSON} {OLD}", post(NO_JSON, OLD), (_BAD,)),
    Audit("B7N8", f"SHOULD use 400 status code on {_JSON} {NEW}", post(NO_JSON, NEW), (_BAD,)),
    Audit("8764", "MAY use 4xx or 5xx status codes if parameters are invalid", post(TYPO), (_FAILED,)),
    Audit("3E3A", "MAY use 400 status code if parameters are invalid", post(TYPO), (_BAD,)),
    Audit("572B", f"SHOULD use 200 status code on {_PARSING} {OLD}", post(NO_GRAPHQL, OLD)),
    Audit("FDE2", f"SHOULD use 200 status code on {_VALIDATION} {OLD}", post(NO_FIELD, OLD)),
    Audit("7B9B", f"SHOULD use a status code of 200 on {_COERCION} {OLD}", post(NO_VALUE, OLD)),
    Audit("865D", f"SHOULD use 4xx or 5xx status codes on {_PARSING} {NEW}", post(NO_GRAPHQL, NEW), (_FAILED,)),
    Audit("556A", f"SHOULD use 400 status code on {_PARSING} {NEW}", post(NO_GRAPHQL, NEW), (_BAD,)),
    Audit(
        "D586",
        f"SHOULD not contain the data entry on {_PARSING} {NEW}",
        post(NO_GRAPHQL, NEW),
        (_FAILED,),
        never="data",
    ),
    Audit("51FE", f"SHOULD use 4xx or 5xx status codes on {_VALIDATION} {NEW}", post(NO_FIELD, NEW), (_FAILED,)),
    Audit("74FF", f"SHOULD use 400 status code on {_VALIDATION} {NEW}", post(NO_FIELD, NEW), (_BAD,)),
    Audit(
        "5E5B",
        f"SHOULD not contain the data entry on {_VALIDATION} {NEW}",
        post(NO_FIELD, NEW),
        (_FAILED,),
        never="data",
    ),
    Audit("86EE", f"SHOULD use a status code of 400 on {_COERCION} {NEW}", post(NO_VALUE, NEW), (_BAD,)),
]
