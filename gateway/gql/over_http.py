"""GraphQL over HTTP: the order of the specification, told by early returns.

Source: GraphQL over HTTP, sections "Request", "Response" and "Status Codes".
Must not be here: the schema, what errors say (`errors`).
"""

from __future__ import annotations

from dataclasses import dataclass
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import ExecutionResult, GraphQLError, OperationType, execute, get_operation_ast
from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import BodyTooLarge, GatewayError, InvalidRequest
from gateway.gql.context import Context
from gateway.gql.documents import open_documents
from gateway.gql.errors import shown
from gateway.web.authenticate import principal_of
from gateway.web.envelope import REQUEST_ID
from gateway.web.limits import read_body

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import DocumentNode, GraphQLSchema
    from starlette.types import Receive, Scope, Send

    from gateway.core import Store

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Parameters:
    """One well-formed GraphQL request."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None


class GraphQLOverHttp:
    """The endpoint `/graphql` as an ASGI app, so that every method comes to us."""

    def __init__(self, schema: GraphQLSchema, store: Store, page: Callable[[Request], Response]) -> None:
        self._schema = schema
        self._store = store
        self._page = page
        self._read_document = open_documents(schema)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive, send))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method in ("GET", "HEAD") and _is_browser(request):
            return self._page(request)
        accepted = _accepted(request.headers.get("accept"))
        if accepted is None:
            return _refusal(406, JSON, f"Expected to be asked for {GRAPHQL_RESPONSE} or {JSON}.")
        if request.method not in ("GET", "POST"):
            return _refusal(405, accepted, "Expected GET or POST.", {"allow": "GET, POST"})
        if request.method == "POST" and _media_type(request.headers.get("content-type", "")) != JSON:
            return _refusal(415, accepted, f"Expected a body of {JSON}.")
        try:
            parameters = await _parameters(request)
        except BodyTooLarge as error:
            return _refusal(413, accepted, error.message, code=error.code)
        except GatewayError as error:
            return _refusal(400, accepted, error.message, code=error.code)
        document = self._read_document(parameters.query)
        request_id = request.scope[REQUEST_ID]
        if isinstance(document, list):
            return _respond(accepted, ExecutionResult(None, document), request_id)
        operation = get_operation_ast(document, parameters.operation_name)
        if operation is not None and operation.operation is not OperationType.QUERY and request.method == "GET":
            return _refusal(405, accepted, "Mutations are sent by POST.", {"allow": "POST"})
        return _respond(accepted, await self._execute(request, document, parameters), request_id)

    async def _execute(self, request: Request, document: DocumentNode, parameters: Parameters) -> ExecutionResult:
        result = execute(
            self._schema,
            document,
            context_value=Context(self._store, principal_of(request)),
            variable_values=parameters.variables,
            operation_name=parameters.operation_name,
        )
        return await result if isawaitable(result) else result


async def _parameters(request: Request) -> Parameters:
    raw: Any = dict(request.query_params)
    if request.method == "POST":
        raw = _json(await read_body(request), "body")
        if not isinstance(raw, dict):
            raise _bad("Invalid body: expected a JSON object.")
    else:
        raw |= {key: _json(raw[key], key) for key in ("variables", "extensions") if key in raw}
    for key, kind, expected in _SHAPE:
        if not isinstance(raw.get(key), kind):
            raise _bad(f"Invalid '{key}': expected {expected}.")
    return Parameters(raw["query"], raw.get("variables"), raw.get("operationName"))


# Source: GraphQL over HTTP, "Request Parameters".
_SHAPE: Final[tuple[tuple[str, Any, str], ...]] = (
    ("query", str, "a string with a GraphQL document"),
    ("variables", dict | None, "an object or null"),
    ("operationName", str | None, "a string or null"),
    ("extensions", dict | None, "an object or null"),
)


def _json(text: bytes | str, name: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _bad(f"Invalid {name}: expected JSON.") from None


def _bad(message: str) -> InvalidRequest:
    return InvalidRequest(message, code="bad_request")


def _media_type(header: str) -> str:
    return header.partition(";")[0].strip().lower()


def _accepted(header: str | None) -> str | None:
    """Choose the media type of the answer: the first one named that we speak; JSON for who names none."""
    offers = {GRAPHQL_RESPONSE: GRAPHQL_RESPONSE, JSON: JSON, "application/*": JSON, "*/*": JSON}
    named = [_media_type(each) for each in (header or "*/*").split(",")]
    return next((offers[each] for each in named if each in offers), None)


def _is_browser(request: Request) -> bool:
    return "query" not in request.query_params and "text/html" in request.headers.get("accept", "")


def _respond(accepted: str, result: ExecutionResult, request_id: str) -> Response:
    # Source: "Status Codes": a request that never ran is 400, but 200 for clients which only know JSON.
    ran = result.data is not None or all(error.path for error in result.errors or ())
    body: dict[str, Any] = {}
    if result.errors:
        body["errors"] = shown(result.errors, request_id)
    if ran:
        body["data"] = result.data
    status = 200 if ran or accepted == JSON else 400
    return _response(status, accepted, body)


def _refusal(
    status: int, accepted: str, message: str, headers: dict[str, str] | None = None, code: str | None = None
) -> Response:
    error = GraphQLError(message, extensions={"code": code or "bad_request"})
    return _response(status, accepted, {"errors": [error.formatted]}, headers)


def _response(status: int, accepted: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type=f"{accepted}; charset=utf-8")
