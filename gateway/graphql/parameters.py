"""The parameters of a GraphQL request, from the body of a POST or the URL of a GET.

Source: GraphQL over HTTP, "Request Parameters".
Must not be here: headers (`negotiation`), documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from gateway.domain.read_json import NOT_JSON, read_json
from gateway.errors import BodyTooLarge, InvalidRequest, UnsupportedCoding
from gateway.graphql.refusal import Stage, refusal
from gateway.web.body import read_body
from gateway.web.request import query_pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway.graphql.literals import Literals
    from gateway.graphql.refusal import Refused
    from gateway.web.request import Request

# The appendix "Persisted Documents" says `documentId`; Relay's documentation `doc_id`, and its older texts `id`.
_IN_TURN: Final = ("documentId", "doc_id", "id")
_IDS: Final = frozenset(_IN_TURN)
_SHAPE: Final[Mapping[str, tuple[type, str]]] = {
    "query": (str, "a string with a GraphQL document"),
    **dict.fromkeys(_IN_TURN, (str, "a string or null")),
    "variables": (dict, "an object or null"),
    "operationName": (str, "a string or null"),
    "extensions": (dict, "an object or null"),
}
_ANYTHING: Final = (object, "")  # unknown parameters are ignored


@dataclass(slots=True)  # not frozen, as `Context`
class Parameters:
    """One well-formed GraphQL request."""

    query: str | None
    document_id: str | None
    variables: dict[str, Any]
    operation_name: str | None
    extensions: dict[str, Any]
    literals: Literals | None = None  # of the document, once it is found


async def read_parameters(request: Request, batch: int, body_size: int) -> Parameters | list[Parameters]:
    """Read the parameters of a request, or of each request of a batch if batches are enabled.

    Units: `batch` is the maximum number of requests, `body_size` the maximum number of bytes.
    Errors: Refused.
    """
    if request.method == "GET":
        query = dict(query_pairs(request.scope["query_string"]))
        return take_parameters(
            query | {key: _json(query[key], key) for key in ("variables", "extensions") if key in query}
        )
    try:
        body = await read_body(request, body_size)
    except BodyTooLarge as error:
        raise refusal(Stage.BODY, error.code or "body_too_large", error.message) from None
    except UnsupportedCoding as error:
        accepted = {"accept-encoding": "gzip"}
        raise refusal(Stage.MEDIA_TYPE, str(error.code), error.message, accepted) from None
    except InvalidRequest as error:
        raise refusal(Stage.FORM, str(error.code), error.message) from None
    raw = _json(body, "body")
    if isinstance(raw, list) and batch:
        if not 0 < len(raw) <= batch:
            raise refusal(
                Stage.PARAMETERS,
                "batch_too_large",
                f"Invalid body: expected a batch of 1 to {batch} requests, got {len(raw)}.",
            )
        return [take_parameters(each) for each in raw]
    if isinstance(raw, list):
        raise _bad("Invalid body: expected a JSON object, since batches are off: GATEWAY_GRAPHQL_BATCH turns them on.")
    return take_parameters(raw)


def take_parameters(raw: Any) -> Parameters:
    """Parse the parameters of one request; graphql-transport-ws uses the same names as GraphQL over HTTP.

    Errors: Refused.
    """
    if not isinstance(raw, dict):
        raise _bad("Invalid body: expected a JSON object.")
    for key, value in raw.items():
        kind, expected = _SHAPE.get(key, _ANYTHING)
        if value is not None and not isinstance(value, kind):
            raise _bad(f"Invalid '{key}': expected {expected}.", key)
    id_name = None if _IDS.isdisjoint(raw) else next((name for name in _IN_TURN if raw.get(name) is not None), None)
    query, extensions = raw.get("query"), raw.get("extensions")
    # Clients of graphql-transport-ws must send a string; with a document ID or hash, an empty one means none.
    if query == "" and (id_name is not None or (extensions and extensions.get("persistedQuery") is not None)):
        query = None
    if id_name is not None and query is not None:
        raise _bad(f"Invalid '{id_name}': expected either 'query' or a document id, got both.", id_name)
    return Parameters(
        query,
        None if id_name is None else raw[id_name],
        raw.get("variables") or {},
        raw.get("operationName") or None,  # some clients send "" if a document has only one operation
        extensions or {},
    )


def _json(text: bytes | str, name: str) -> Any:
    try:
        return read_json(text, name)
    except InvalidRequest as error:
        param = None if name == "body" else name
        if error.code == NOT_JSON:
            raise refusal(Stage.FORM, "bad_request", f"Invalid {name}: expected JSON.", param=param) from None
        raise refusal(Stage.FORM, str(error.code), error.message, param=param) from None


def _bad(message: str, param: str | None = None) -> Refused:
    return refusal(Stage.PARAMETERS, "bad_request", message, param=param)
