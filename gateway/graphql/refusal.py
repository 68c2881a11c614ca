"""Why a request is not executed, and the status that each reason has over HTTP.

Source: GraphQL over HTTP, "Status Codes": as the audits of graphql-http 1.23 want them, and as the draft of
August 2026 does.
Must not be here: finding a reason.
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
    """How far a request came."""

    HOST = "it is meant for another host"
    CALLER = "nobody who is known sends it"
    RATE = "the caller asks more than it may"
    BUSY = "it cannot be found out now who sends it"
    SITE = "it may come from a page of another site"
    ACCEPT = "nothing that we speak is accepted"
    METHOD = "the method does not fit"
    MEDIA_TYPE = "the body is no JSON by its type"
    BODY = "the body is too large"
    FORM = "the body is no JSON by what it holds"
    PARAMETERS = "the parameters are not those of a GraphQL request"
    SYNTAX = "the document cannot be parsed"
    VALIDATION = "the document is not valid for the schema, too large, or not trusted"
    OPERATION = "no single operation is asked for"
    VARIABLES = "the variables do not fit, or ask for too much"
    DEADLINE = "the execution took too long"
    SIZE = "the answer is larger than one may be"
    PARTLY = "executed, with errors"
    DONE = "executed"


# The columns: clients that know only JSON, in either mode; then the new media type by the audits and by the draft.
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
    """Find the status of an answer."""
    known_to_all, by_audits, by_the_draft = _STATUS[stage]
    if media_type != GRAPHQL_RESPONSE:
        return known_to_all
    return by_the_draft if by_draft else by_audits


class Refused(Exception):
    """A request that is not executed, or not to its end."""

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
    **facts: Any,
) -> Refused:
    """Make a refusal with one error; `param` is the parameter of the request that is wrong, if it is one alone.

    The facts stand beside the code.
    """
    kind = Unavailable.type if stage is Stage.DEADLINE else InvalidRequest.type
    extensions = {"code": code, "param": param, "type": kind, **facts}
    return Refused(stage, [GraphQLError(message, extensions=extensions)], headers)
