from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.graphql.documents.trusted import TrustedDocuments, TrustMode
from gateway.graphql.refusal import GRAPHQL_RESPONSE, JSON, Stage, status_of
from tests.graphql.serving import URL, serving

if TYPE_CHECKING:
    from gateway.store.store import Store

pytestmark = pytest.mark.one_on_postgres

PARTLY = '{ __typename thread(id: "a") { id } nodes(ids: ["a"]) { id } threads(limit: 0) { nodes { id } } }'

# What is sent, then the status: application/json in either mode; the new media type by the audits and by the draft.
CASES = [
    pytest.param({"query": "{ __typename }"}, 200, 200, 200, id="data"),
    pytest.param({"query": PARTLY}, 200, 200, 294, id="data of null and errors"),
    pytest.param({"query": "{ thread(id: 7) { id } }"}, 200, 200, 200, id="null without errors"),
    pytest.param(b"{", 400, 400, 400, id="no JSON"),
    pytest.param([], 400, 400, 422, id="no object"),
    pytest.param({"qeury": "{ __typename }"}, 400, 400, 422, id="no document"),
    pytest.param({"query": "{ __typename }", "variables": [7]}, 400, 400, 422, id="variables of another kind"),
    pytest.param({"query": "{"}, 200, 400, 400, id="not GraphQL"),
    pytest.param({"query": "{ nope }"}, 200, 400, 422, id="not valid"),
    pytest.param({"query": "{ a " * 21 + "}" * 21}, 200, 400, 422, id="too deep"),
    pytest.param({"query": "query a { __typename } query b { __typename }"}, 200, 400, 422, id="which operation"),
    pytest.param({"query": "query a { __typename }", "operationName": "b"}, 200, 400, 422, id="an unknown operation"),
    pytest.param(
        {"query": "query ($id: ID!) { __typename }", "variables": {"id": None}},
        200,
        400,
        422,
        id="null that may not be",
    ),
    pytest.param(
        {"query": "{ threads(first: 100) { nodes { messages(first: 100) { nodes { id } } } } }"},
        200,
        400,
        422,
        id="too costly",
    ),
    pytest.param({"documentId": "a"}, 200, 400, 422, id="an unknown id"),
]


async def status(store: Store, body: Any, accept: str, **options: Any) -> int:
    """Send a body, and give the status of the answer."""
    headers = {"content-type": "application/json", "accept": accept}
    sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
    async with serving(store, **options) as http:
        return (await http.post(URL, **sent, headers=headers)).status_code


@pytest.mark.parametrize(("body", "known_to_all", "by_audits", "by_the_draft"), CASES)
async def test_outcome_has_its_status(
    store: Store, body: Any, known_to_all: int, by_audits: int, by_the_draft: int
) -> None:
    found = [
        await status(store, body, JSON),
        await status(store, body, JSON, by_draft=True),
        await status(store, body, GRAPHQL_RESPONSE),
        await status(store, body, GRAPHQL_RESPONSE, by_draft=True),
    ]

    assert found == [known_to_all, known_to_all, by_audits, by_the_draft]


@pytest.mark.parametrize("stage", list(Stage))
@pytest.mark.parametrize("by_draft", [False, True])
def test_stage_has_a_status(stage: Stage, *, by_draft: bool) -> None:
    found = {status_of(stage, media_type, by_draft=by_draft) for media_type in (JSON, GRAPHQL_RESPONSE)}

    assert found <= {200, 294, 400, 401, 403, 405, 406, 413, 415, 421, 422, 429, 503}


async def test_untrusted_document_is_422_in_the_draft(store: Store) -> None:
    options = {"trusted": TrustedDocuments(TrustMode.ONLY, {"a": "{ __typename }"}), "by_draft": True}

    assert await status(store, {"query": "{ threads { nodes { id } } }"}, GRAPHQL_RESPONSE, **options) == 422


@pytest.mark.parametrize("by_draft", [False, True])
async def test_method_is_checked_before_parameters(store: Store, *, by_draft: bool) -> None:
    async with serving(store, by_draft=by_draft) as http:
        answer = await http.put(URL, json={})

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
