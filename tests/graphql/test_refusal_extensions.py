"""Refused requests have the extensions of all errors: code, param and type, null if there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import httpx
import pytest

from gateway.app import serve_store
from gateway.auth.authenticator import Authenticator
from gateway.auth.rate_limits import RateLimiter, RateLimits
from gateway.domain import bounds
from gateway.domain.principal import Principal, Reach
from gateway.errors import Unauthorized, Unavailable
from gateway.graphql.documents.trusted import TrustedDocuments, TrustMode
from gateway.graphql.execution import answer_size
from gateway.graphql.refusal import Stage
from gateway.web.origins import OriginPolicy
from tests.graphql.audits import TYPENAME, get, post
from tests.graphql.serving import serving

if TYPE_CHECKING:
    from gateway.store.store import Store

pytestmark = [pytest.mark.counted, pytest.mark.one_on_postgres]

MINE, YOURS = "server_error", "invalid_request_error"
HASH = "extensions.persistedQuery.sha256Hash"
ONLY: dict[str, Any] = {"trusted": TrustedDocuments(TrustMode.ONLY, {"a": "{ a: __typename }"})}
OF_ID = "query ($id: ID!) { node(id: $id) { id } }"


def query(**parameters: Any) -> dict[str, Any]:
    return post({"query": TYPENAME, **parameters})


def document(text: str) -> dict[str, Any]:
    return post({"query": text})


def persisted(**extension: Any) -> dict[str, Any]:
    return {"extensions": {"persistedQuery": {"version": 1, **extension}}}


def row(
    name: str,
    stage: Stage,
    sent: dict[str, Any],
    code: str,
    param: str | None = None,
    /,
    kind: str = YOURS,
    **options: Any,
) -> Any:
    return pytest.param(stage, sent, {"code": code, "param": param, "type": kind}, options, id=name)


ROWS = [
    row("another site", Stage.SITE, {"method": "GET", "params": {"query": TYPENAME}}, "cross_site_request"),
    row("accepts text", Stage.ACCEPT, post({"query": TYPENAME}, "text/plain"), "bad_request"),
    row(
        "no stream accepted",
        Stage.ACCEPT,
        document('subscription { messageAdded(threadId: "a") { cursor } }'),
        "bad_request",
    ),
    row("method", Stage.METHOD, {"method": "PUT"}, "bad_request"),
    row("mutation by GET", Stage.METHOD, get(query="mutation { __typename }"), "bad_request"),
    row("media type", Stage.MEDIA_TYPE, post("", content_type="text/plain"), "bad_request"),
    row("large body", Stage.BODY, post(" " * (bounds.GRAPHQL_BODY.number + 1)), "body_too_large"),
    row("no JSON", Stage.FORM, post("{"), "bad_request"),
    row("variables no JSON", Stage.FORM, get(query=TYPENAME, variables="{"), "bad_request", "variables"),
    row("extensions no JSON", Stage.FORM, get(query=TYPENAME, extensions="{"), "bad_request", "extensions"),
    row("no object", Stage.PARAMETERS, post([]), "bad_request"),
    row("large batch", Stage.PARAMETERS, post([{}] * 3), "batch_too_large", batch=2),
    row("no query", Stage.PARAMETERS, post({}), "bad_request", "query"),
    row("query", Stage.PARAMETERS, post({"query": 1}), "bad_request", "query"),
    row("documentId", Stage.PARAMETERS, post({"documentId": 1}), "bad_request", "documentId"),
    row("doc_id and query", Stage.PARAMETERS, query(doc_id="a"), "bad_request", "doc_id"),
    row("variables", Stage.PARAMETERS, query(variables=[]), "bad_request", "variables"),
    row("operationName", Stage.PARAMETERS, query(operationName=1), "bad_request", "operationName"),
    row("extensions", Stage.PARAMETERS, query(extensions=1), "bad_request", "extensions"),
    row(
        "version of persisting",
        Stage.PARAMETERS,
        query(**persisted(version=2)),
        "PERSISTED_QUERY_NOT_SUPPORTED",
        "extensions.persistedQuery",
    ),
    row("hash", Stage.PARAMETERS, query(**persisted(sha256Hash=1)), "bad_request", HASH),
    row("another hash", Stage.PARAMETERS, query(**persisted(sha256Hash="a")), "persisted_query_hash_mismatch", HASH),
    row("unknown hash", Stage.VALIDATION, post(persisted(sha256Hash="a")), "PERSISTED_QUERY_NOT_FOUND", HASH),
    row("unknown id", Stage.VALIDATION, post({"id": "a"}), "document_not_found", "documentId"),
    row("not trusted", Stage.VALIDATION, query(), "document_not_trusted", "query", **ONLY),
    row("hash not trusted", Stage.VALIDATION, post(persisted(sha256Hash="b")), "document_not_trusted", HASH, **ONLY),
    row("syntax", Stage.SYNTAX, document("{"), "graphql_error"),
    row("not valid", Stage.VALIDATION, document("{ nope }"), "graphql_error"),
    row(
        "introspection",
        Stage.VALIDATION,
        document("{ __schema { __typename } }"),
        "introspection_disabled",
        introspection=False,
    ),
    row("unknown operation", Stage.OPERATION, query(operationName="A"), "unknown_operation", "operationName"),
    row("variable missing", Stage.VARIABLES, document(OF_ID), "graphql_error", "variables"),
    row(
        "deep variables",
        Stage.VARIABLES,
        query(variables={"a": [[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}),
        "variables_too_large",
        "variables",
    ),
    row(
        "deadline",
        Stage.DEADLINE,
        document("{ threads { nodes { id } } }"),
        "deadline_exceeded",
        kind=MINE,
        timeout_s=1e-9,
    ),
]


async def away(_credential: str | None) -> NoReturn:
    """Fail every authentication: the database is unavailable."""
    raise Unavailable("The database cannot answer now.")


async def known(_credential: str | None) -> Principal:
    """Admit everybody."""
    return Principal(Reach("default"))


def kept_by(admit: Any, **rules: Any) -> Authenticator:
    keeper = Authenticator(rate_limits=RateLimiter(RateLimits(**rules)))
    keeper.authenticate = admit  # type: ignore[method-assign]
    return keeper


async def nobody(_credential: str | None) -> NoReturn:
    """Refuse every credential."""
    raise Unauthorized("Who are you?")


AT_THE_DOOR = [
    pytest.param(
        Stage.HOST, {"origin_policy": OriginPolicy(hosts=("a.example",))}, "unknown_host", YOURS, id="another host"
    ),
    pytest.param(Stage.CALLER, {"authenticator": kept_by(nobody)}, "unauthorized", YOURS, id="invalid credential"),
    pytest.param(Stage.BUSY, {"authenticator": kept_by(away)}, "unavailable", MINE, id="database unavailable"),
    pytest.param(
        Stage.RATE, {"authenticator": kept_by(known, concurrent=0)}, "rate_limit_exceeded", YOURS, id="too often"
    ),
]


@pytest.mark.parametrize(("_stage", "parts", "code", "kind"), AT_THE_DOOR)
async def test_authentication_error_has_the_extensions(
    store: Store, _stage: Stage, parts: dict[str, Any], code: str, kind: str
) -> None:
    transport = httpx.ASGITransport(serve_store(store, **parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as http:
        answer = await http.request(url="/graphql", **query())

    assert [each["extensions"] for each in answer.json()["errors"]] == [{"code": code, "param": None, "type": kind}]


@pytest.mark.parametrize(("_stage", "sent", "extensions", "options"), ROWS)
async def test_refusal_has_code_param_and_type(
    store: Store, _stage: Stage, sent: dict[str, Any], extensions: dict[str, Any], options: dict[str, Any]
) -> None:
    async with serving(store, **options) as http:
        answer = await http.request(url="/graphql", **sent)

    assert [each["extensions"] for each in answer.json()["errors"]] == [extensions]


@pytest.mark.parametrize(
    ("asked", "facts"),
    [
        pytest.param("{ a " * 21 + "}" * 21, {"code": "too_deep", "limit": 20}, id="deep"),
        pytest.param("{ threads { nodes { id } } }", {"code": "too_costly", "requested": 21, "limit": 1}, id="costly"),
    ],
)
async def test_refusal_has_the_limit(store: Store, asked: str, facts: dict[str, Any]) -> None:
    async with serving(store, max_cost=1) as http:
        answer = await http.request(url="/graphql", **document(asked))

    assert [each["extensions"] for each in answer.json()["errors"]] == [{"param": None, "type": YOURS, **facts}]


async def test_too_large_response_has_the_extensions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_size, "_BYTES", 1)
    async with serving(store) as http:
        answer = await http.request(url="/graphql", **document("{ threads { nodes { id } } }"))

    expected = {"code": "answer_too_large", "param": None, "type": YOURS}
    assert [each["extensions"] for each in answer.json()["errors"]] == [expected]


def test_table_has_every_refusing_stage() -> None:
    elsewhere = {Stage.PARTLY, Stage.DONE, Stage.SIZE}  # of which the last is in the test above

    assert {each.values[0] for each in (*ROWS, *AT_THE_DOOR)} == {*Stage} - elsewhere
