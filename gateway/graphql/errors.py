"""GraphQL errors for each error of the gateway: `extensions` has the fields of the REST error object.

Must not be here: HTTP statuses (`refusal`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from graphql import GraphQLError

from gateway.domain import bounds
from gateway.errors import (
    AnswerTooLarge,
    Forbidden,
    GatewayError,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    OffsetConflict,
    ThreadLocked,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import ExecutionResult

log: Final = logging.getLogger(__name__)

# The code of an error without a code of its own (in REST it is null).
CODES: Final[Mapping[type[GatewayError], str]] = {
    InvalidRequest: "invalid_request",
    OffsetConflict: "offset_conflict",
    Unauthorized: "unauthorized",
    TooManyRequests: "rate_limit_exceeded",
    Forbidden: "forbidden",
    NotFound: "not_found",
    ThreadLocked: "thread_locked",
    AnswerTooLarge: "answer_too_large",
    IdempotencyKeyInUse: "idempotency_key_in_use",
    IdempotencyKeyReused: "idempotency_key_reused",
    Unavailable: "unavailable",
}

_OF_GRAPHQL: Final = {"code": "graphql_error", "param": None, "type": InvalidRequest.type}
_INTERNAL: Final = {"code": "internal", "param": None, "type": "server_error"}


def format_errors(errors: Sequence[GraphQLError], request_id: str) -> list[dict[str, Any]]:
    """Format errors for the client: ours with their extensions, GraphQL's own unchanged, all others masked."""
    return [_format_error(error, request_id) for error in errors]


def to_response(result: ExecutionResult, request_id: str) -> dict[str, Any]:
    """Convert a result to a GraphQL response, errors first, as the specification advises."""
    errors = {"errors": format_errors(result.errors, request_id)} if result.errors else {}
    extensions = {"extensions": result.extensions} if result.extensions else {}
    return {**errors, "data": result.data, **extensions}


def cause_of(error: GraphQLError) -> Exception | None:
    """Return the original exception; None for an error of GraphQL itself."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def extensions_of(error: GatewayError) -> dict[str, str | int | None]:
    """Return the `extensions` of a gateway error."""
    offset = {"offset": error.offset} if isinstance(error, OffsetConflict) else {}
    return {"code": error.code or CODES[type(error)], "param": error.param, "type": error.type, **offset}


def as_graphql_error(error: GatewayError) -> GraphQLError:
    """Make the GraphQL error of an error that no resolver has raised."""
    return GraphQLError(error.message, extensions=extensions_of(error))


def internal_error(request_id: str) -> GraphQLError:
    """Make the error that masks an unexpected exception."""
    message = f"The server had an error while processing your request ({request_id})."
    return GraphQLError(message, extensions=_INTERNAL)


def _shorten(message: str) -> str:
    """Keep both ends of a long message of GraphQL itself, which may repeat text of the request."""
    half = bounds.SHOWN.number // 2
    return message if len(message) <= 2 * half else f"{message[:half]} ... {message[-half:]}"


def _format_error(error: GraphQLError, request_id: str) -> dict[str, Any]:
    cause = cause_of(error)
    formatted: dict[str, Any] = {**error.formatted}
    if cause is None or error.path is None:  # of GraphQL itself, or of a scalar that rejects a value
        extensions = error.extensions or {}
        if "code" not in extensions:  # ours have a code, and are short already
            formatted["message"] = _shorten(error.message)
        formatted["extensions"] = {**_OF_GRAPHQL, **extensions}
        return formatted
    if isinstance(cause, GatewayError):
        formatted["extensions"] = extensions_of(cause)
        return formatted
    log.error("%s: a resolver failed at %s", request_id, error.path, exc_info=cause)
    return {**formatted, **internal_error(request_id).formatted}
