"""The reasons why a request is not executed, and their HTTP statuses.

Source: GraphQL over HTTP, "Status Codes": as the audits of graphql-http 1.23 expect them, and as in the
draft of August 2026.
Must not be here: checks of requests.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from graphql import GraphQLError

from gateway.errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"


class Stage(Enum):
    """The stage at which the processing of a request ended."""

    HOST = "unknown Host header"
    CALLER = "authentication failed"
    RATE = "rate limit exceeded"
    BUSY = "authentication is temporarily unavailable"
    SITE = "cross-origin request blocked"
    ACCEPT = "no acceptable media type"
    METHOD = "method not allowed"
    MEDIA_TYPE = "unsupported media type"
    BODY = "body too large"
    FORM = "invalid JSON in the body"
    PARAMETERS = "invalid parameters of the GraphQL request"
    SYNTAX = "syntax error in the document"
    VALIDATION = "invalid, too large or untrusted document"
    OPERATION = "no operation selected"
    VARIABLES = "invalid variables, or cost limit exceeded"
    DEADLINE = "deadline exceeded"
    SIZE = "response too large"
    PARTLY = "executed with errors"
    DONE = "executed"


# Columns: application/json in both modes; application/graphql-response+json by the audits, and by the draft.
_STATUS: Final[Mapping[Stage, tuple[int, int, int]]] = {
    Stage.HOST: (421, 421, 421),
    Stage.CALLER: (401, 401, 401),
    Stage.RATE: (429, 429, 429),
    Stage.BUSY: (503, 503, 503),
    Stage.SITE: (403, 403, 403),
    Stage.ACCEPT: (406, 406, 406),
    Stage.METHOD: (405, 405, 405),
    Stage.MEDIA_TYPE: (415, 415, 415),
    Stage.BODY: (413, 413, 413),
    Stage.FORM: (400, 400, 400),
    Stage.PARAMETERS: (400, 400, 422),
    Stage.SYNTAX: (200, 400, 400),
    Stage.VALIDATION: (200, 400, 422),
    Stage.OPERATION: (200, 400, 422),
    Stage.VARIABLES: (200, 400, 422),
    Stage.DEADLINE: (200, 503, 503),
    Stage.SIZE: (200, 400, 422),
    Stage.PARTLY: (200, 200, 294),
    Stage.DONE: (200, 200, 200),
}


def status_of(stage: Stage, media_type: str, *, by_draft: bool) -> int:
    """Return the HTTP status of a response."""
    of_json, by_audits, of_draft = _STATUS[stage]
    if media_type != GRAPHQL_RESPONSE:
        return of_json
    return of_draft if by_draft else by_audits


class Refused(Exception):
    """A request that is not executed, or not completely."""

    def __init__(self, stage: Stage, errors: Sequence[GraphQLError], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(stage)
        self.stage = stage
        self.errors = errors
        self.headers = headers


def refusal(
    stage: Stage,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    *,
    param: str | None = None,
    **details: Any,
) -> Refused:
    """Make a refusal with one error; `param` names the parameter at fault, if there is just one.

    `details` are further extensions.
    """
    kind = Unavailable.type if stage is Stage.DEADLINE else InvalidRequest.type
    extensions = {"code": code, "param": param, "type": kind, **details}
    return Refused(stage, [GraphQLError(message, extensions=extensions)], headers)
