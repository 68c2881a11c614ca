"""What GraphQL answers to each error: the same facts as the REST envelope, in `extensions`.

Must not be here: the status of the HTTP answer (`http`).
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
    InvalidRequest,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import ExecutionResult

log: Final = logging.getLogger(__name__)

# A code of its own is kept (`invalid_value`, ...); these stand where the wire has null.
CODES: Final[Mapping[type[GatewayError], str]] = {
    InvalidRequest: "invalid_request",
    Unauthorized: "unauthorized",
    TooManyRequests: "rate_limit_exceeded",
    Forbidden: "forbidden",
    NotFound: "not_found",
    AnswerTooLarge: "answer_too_large",
    Unavailable: "unavailable",
}

_OF_GRAPHQL: Final = {"code": "graphql_error", "param": None, "type": InvalidRequest.type}
INTERNAL: Final = {"code": "internal", "param": None, "type": "server_error"}


def shown(errors: Sequence[GraphQLError], request_id: str) -> list[dict[str, Any]]:
    """Lay errors out for the client: ours with their facts, GraphQL's own as they are, all others masked."""
    return [_shown(error, request_id) for error in errors]


def laid_out(result: ExecutionResult, request_id: str) -> dict[str, Any]:
    """Lay the result of an execution out as GraphQL's response, errors first, as the specification advises."""
    errors = {"errors": shown(result.errors, request_id)} if result.errors else {}
    return {**errors, "data": result.data}


def cause_of(error: GraphQLError) -> Exception | None:
    """Find what was raised, if it was not GraphQL itself that found fault."""
    cause = error.original_error
    while isinstance(cause, GraphQLError):
        cause = cause.original_error
    return cause


def facts_of(error: GatewayError) -> dict[str, str | None]:
    """Give what stands in `extensions` of an error of ours."""
    return {"code": error.code or CODES[type(error)], "param": error.param, "type": error.type}


def _abridged(message: str) -> str:
    """Keep both ends of a long message of GraphQL's own: nobody can tell which of its words were sent."""
    half = bounds.SHOWN.number // 2
    return message if len(message) <= 2 * half else f"{message[:half]} ... {message[-half:]}"


def _shown(error: GraphQLError, request_id: str) -> dict[str, Any]:
    cause = cause_of(error)
    formatted: dict[str, Any] = {**error.formatted}
    if cause is None or error.path is None:  # GraphQL's own, or a scalar's on a value that it does not take
        extensions = error.extensions or {}
        if "code" not in extensions:  # ours have one, and were shortened where they were made
            formatted["message"] = _abridged(error.message)
        formatted["extensions"] = {**_OF_GRAPHQL, **extensions}
        return formatted
    if isinstance(cause, GatewayError):
        formatted["extensions"] = facts_of(cause)
        return formatted
    log.error("%s: a resolver failed at %s", request_id, error.path, exc_info=cause)
    formatted["message"] = f"The server had an error while processing your request ({request_id})."
    formatted["extensions"] = INTERNAL
    return formatted
