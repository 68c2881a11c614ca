"""GraphQL over HTTP: the order of the specification, one line a step, each of which may refuse.

Source: GraphQL over HTTP, sections "Request", "Response" and "Status Codes".
Must not be here: the schema, what a step refuses, what errors say (`errors`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.auth.authenticator import credential_of
from gateway.domain import bounds
from gateway.errors import GatewayError, TooManyRequests, Unauthorized, Unavailable, UnknownHost
from gateway.graphql.errors import as_graphql_error, format_errors, to_response
from gateway.graphql.execution.answer_size import too_large
from gateway.graphql.execution.runner import rate_limited
from gateway.graphql.parameters import read_parameters
from gateway.graphql.refusal import EVENT_STREAM, GRAPHQL_RESPONSE, JSON, Refused, Stage, refusal, status_of
from gateway.graphql.transport import negotiation
from gateway.graphql.transport.sse import interrupted, stream
from gateway.web.request import Answer, as_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from graphql import ExecutionResult
    from starlette.types import ASGIApp

    from gateway.domain.principal import Principal
    from gateway.graphql.documents.cache import Operation
    from gateway.graphql.execution.operations import Operations
    from gateway.graphql.execution.runner import Outcome, Results
    from gateway.graphql.parameters import Parameters
    from gateway.web.origins import OriginPolicy
    from gateway.web.request import Request

URL: Final = "/graphql"
LAST_EVENT_ID: Final = "Last-Event-ID"
COST_HEADER: Final = "graphql-cost"  # requests with it, whatever its value, get `extensions.cost`


# The media type of a refusal before a stream begins.
_WRITTEN: Final = {
    JSON: b"application/json; charset=utf-8",
    EVENT_STREAM: b"application/json; charset=utf-8",
    GRAPHQL_RESPONSE: b"application/graphql-response+json; charset=utf-8",
}


class GraphQLOverHttp:
    """The endpoint `/graphql`, whatever the method."""

    def __init__(self, operations: Operations, page: Callable[[Request], Answer], origin_policy: OriginPolicy) -> None:
        self._operations = operations
        self._origin_policy = origin_policy
        self._options = operations.options
        self._page = page

    def find(self, request: Request) -> Awaitable[Answer | ASGIApp] | None:
        """Begin to answer a request, if its path is this endpoint's."""
        if request.path != URL:
            return None
        request.record.route = URL
        return self._answer(request)

    async def _answer(self, request: Request) -> Answer | ASGIApp:
        if self._options.graphiql and negotiation.wants_page(request.method, request.headers):
            return self._page(request)
        media_type = negotiation.accepted(request.headers.get("accept"))
        try:
            if media_type is None:
                message = f"Expected to be asked for {GRAPHQL_RESPONSE} or {JSON}."
                raise refusal(Stage.ACCEPT, "bad_request", message)
            negotiation.check_method(request)
            negotiation.check_media_type(request)
            negotiation.check_site(request, self._origin_policy)
            who = await self._caller(request)
            parameters = await self._parameters(request, who)
            if isinstance(parameters, list):
                bodies = await self._in_batch(request, who, parameters)
                request.record.name_operation("batch", None)
                return _response(200, media_type, bodies)
            if media_type == EVENT_STREAM:
                return await self._stream(request, who, parameters)
            stage, body = await self._outcome(request, who, parameters)
        except Refused as refused:
            return self._refuse(request, media_type or JSON, refused)
        return _response(status_of(stage, media_type, by_draft=self._options.by_draft), media_type, body)

    async def _caller(self, request: Request) -> Principal:
        try:
            return await self._operations.authenticator.authenticate(credential_of(request.headers))
        except Unauthorized as error:
            raise Refused(Stage.CALLER, [as_graphql_error(error)], {"www-authenticate": "Bearer"}) from None
        except TooManyRequests as error:
            raise rate_limited(error) from None
        except Unavailable as error:
            raise Refused(Stage.BUSY, [as_graphql_error(error)]) from None

    async def _parameters(self, request: Request, who: Principal) -> Parameters | list[Parameters]:
        try:
            return await read_parameters(request, self._options.batch, self._options.body_size)
        except Refused:
            await self._operations.charge(who)  # such a request is counted like any other
            raise

    async def _in_batch(self, request: Request, who: Principal, batch: list[Parameters]) -> list[orjson.Fragment]:
        """Answer one operation after the other; together they may hold as much as one alone."""
        written: list[bytes] = []
        left = bounds.ANSWER_BYTES.number
        for each in batch:
            try:
                own = orjson.dumps((await self._outcome(request, who, each))[1])
                if len(own) > left:
                    raise too_large()
                left -= len(own)
            except Refused as refused:
                own = orjson.dumps(self._errors(request, refused))
            written.append(own)
        return [orjson.Fragment(each) for each in written]

    async def _find(self, request: Request, who: Principal, parameters: Parameters) -> Operation:
        operation = await self._operations.find(parameters, who)
        if operation.is_mutation and request.method == "GET":
            raise refusal(Stage.METHOD, "bad_request", "Mutations are sent by POST.", {"allow": "POST"})
        return operation

    async def _outcome(self, request: Request, who: Principal, parameters: Parameters) -> tuple[Stage, dict[str, Any]]:
        operation = await self._find(request, who, parameters)
        if operation.is_subscription:
            message = f"Subscriptions are answered over WebSocket, or to clients that accept {EVENT_STREAM}."
            raise refusal(Stage.ACCEPT, "bad_request", message)
        context = self._operations.context(who)
        outcome = await self._operations.runner.run(operation, parameters, context)
        return (Stage.PARTLY if outcome.result.errors else Stage.DONE), self._body(request, outcome)

    async def _stream(self, request: Request, who: Principal, parameters: Parameters) -> Answer | ASGIApp:
        """Answer with events; a browser that reconnects resumes after `Last-Event-ID`."""
        operation = await self._find(request, who, parameters)
        context = self._operations.context(who, _last_event_id(request))
        request_id, runner = request.record.request_id, self._operations.runner
        if not operation.is_subscription:
            found: Results | ExecutionResult = (await runner.run(operation, parameters, context)).result
        else:
            try:
                found = await runner.subscribe(operation, parameters, context)
            except Unavailable:
                return interrupted(request_id)
        return stream(found, context, request_id)

    def _body(self, request: Request, outcome: Outcome) -> dict[str, Any]:
        body = to_response(outcome.result, request.record.request_id)
        if COST_HEADER in request.headers:
            cost = {"requested": outcome.cost, "limit": self._options.max_cost}
            body["extensions"] = {**body.get("extensions", {}), "cost": cost}
        return body

    def _refuse(self, request: Request, media_type: str, refused: Refused) -> Answer:
        status = status_of(refused.stage, media_type, by_draft=self._options.by_draft)
        return _response(status, media_type, self._errors(request, refused), refused.headers)

    def _errors(self, request: Request, refused: Refused) -> dict[str, Any]:
        return {"errors": format_errors(refused.errors, request.record.request_id)}


def _last_event_id(request: Request) -> str | None:
    """Return the last event of a client that subscribes again.

    A browser that has received no id sends no such header, so an empty one was written by hand, like an empty cursor.
    Source: WHATWG HTML, "Server-sent events", "reestablish the connection".
    """
    found = request.headers.get("last-event-id")
    if found == "":
        message = f"Invalid '{LAST_EVENT_ID}': empty string. Expected the id of an event, or no such header."
        raise refusal(Stage.PARAMETERS, "empty_string", message, param=LAST_EVENT_ID)
    return found


def refuse_at_the_door(error: GatewayError) -> Answer:
    """Answer a request from a forbidden origin, or to an unknown host."""
    stage = Stage.HOST if isinstance(error, UnknownHost) else Stage.SITE
    body = {"errors": [as_graphql_error(error).formatted]}
    return _response(status_of(stage, JSON, by_draft=False), JSON, body)


def _response(status: int, media_type: str, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(orjson.dumps(body), status, _WRITTEN[media_type], as_headers(headers) if headers else ())
