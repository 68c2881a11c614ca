"""GraphQL over HTTP: the order of the specification, one line a step, each of which may refuse.

Source: GraphQL over HTTP, sections "Request", "Response" and "Status Codes".
Must not be here: the schema, what a step refuses, what errors say (`errors`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.gql import negotiate
from gateway.gql.context import Context
from gateway.gql.documents import Documents
from gateway.gql.errors import shown
from gateway.gql.options import Options
from gateway.gql.parameters import read_parameters
from gateway.gql.persisted import Persisted
from gateway.gql.refused import GRAPHQL_RESPONSE, JSON, Refused, Stage, refusal, status_of
from gateway.gql.run import Runner, check_operation
from gateway.gql.schema import without_introspection
from gateway.web.authenticate import principal_of
from gateway.web.envelope import REQUEST_ID

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import GraphQLSchema
    from starlette.types import Receive, Scope, Send

    from gateway.core import Store
    from gateway.gql.parameters import Parameters
    from gateway.gql.run import Ran

COST_HEADER: Final = "graphql-cost"  # who sends it, with any value, gets `extensions.cost`


class GraphQLOverHttp:
    """The endpoint `/graphql` as an ASGI app, so that every method comes to us."""

    def __init__(
        self,
        schema: GraphQLSchema,
        store: Store,
        page: Callable[[Request], Response],
        options: Options | None = None,
    ) -> None:
        self._options = options = options or Options()
        self._store = store
        self._page = page
        self._persisted = Persisted(options.trusted)
        self._documents = Documents(schema, introspection=options.introspection, suggestions=options.suggestions)
        self._runner = Runner(schema if options.introspection else without_introspection(schema), options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive, send))
        await response(scope, receive, send)

    async def close(self) -> None:
        """Wait for operations that were given up at their deadline."""
        await self._runner.close()

    async def _answer(self, request: Request) -> Response:
        if self._options.graphiql and negotiate.wants_page(request):
            return self._page(request)
        media_type = negotiate.accepted(request.headers.get("accept"))
        try:
            if media_type is None:
                message = f"Expected to be asked for {GRAPHQL_RESPONSE} or {JSON}."
                raise refusal(Stage.ACCEPT, "bad_request", message)
            negotiate.check_method(request)
            negotiate.check_media_type(request)
            negotiate.check_site(request)
            parameters = await read_parameters(request, self._options.batch)
            if isinstance(parameters, list):
                bodies = [await self._in_batch(request, each) for each in parameters]
                return _response(200, media_type, bodies)
            stage, body = await self._outcome(request, parameters)
        except Refused as refused:
            return self._refuse(request, media_type or JSON, refused)
        return _response(status_of(stage, media_type, by_draft=self._options.by_draft), media_type, body)

    async def _in_batch(self, request: Request, parameters: Parameters) -> dict[str, Any]:
        try:
            return (await self._outcome(request, parameters))[1]
        except Refused as refused:
            return self._errors(request, refused)

    async def _outcome(self, request: Request, parameters: Parameters) -> tuple[Stage, dict[str, Any]]:
        document = self._documents.read(self._persisted.text_of(parameters))
        self._persisted.keep(parameters)
        check_operation(document, parameters, only_queries=request.method == "GET")
        ran = await self._runner.run(document, parameters, Context(self._store, principal_of(request)))
        return (Stage.PARTLY if ran.result.errors else Stage.DONE), self._body(request, ran)

    def _body(self, request: Request, ran: Ran) -> dict[str, Any]:
        body: dict[str, Any] = {"data": ran.result.data}
        if ran.result.errors:
            body = {"errors": shown(ran.result.errors, request.scope[REQUEST_ID]), **body}
        if COST_HEADER in request.headers:
            body["extensions"] = {"cost": {"requested": ran.cost, "limit": self._options.max_cost}}
        return body

    def _refuse(self, request: Request, media_type: str, refused: Refused) -> Response:
        status = status_of(refused.stage, media_type, by_draft=self._options.by_draft)
        return _response(status, media_type, self._errors(request, refused), refused.headers)

    def _errors(self, request: Request, refused: Refused) -> dict[str, Any]:
        return {"errors": shown(refused.errors, request.scope[REQUEST_ID])}


def _response(status: int, media_type: str, body: Any, headers: Any = None) -> Response:
    return Response(orjson.dumps(body), status, headers, media_type=f"{media_type}; charset=utf-8")
