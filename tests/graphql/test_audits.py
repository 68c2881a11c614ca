from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from gateway.app import serve_store
from gateway.graphql.options import options_of
from gateway.settings.load import load_settings
from gateway.store.store import open_store
from tests.graphql.audits import AUDITS, NEW, OLD, Audit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

MANY = 61  # in graphql-http 1.23.1


@pytest.fixture(scope="module", params=["development", "production"])
async def http(request: pytest.FixtureRequest, new_sqlite_url: Callable[[], str]) -> AsyncIterator[httpx.AsyncClient]:
    """Call one application of each profile, with no headers but those that are given; no audit writes anything."""
    options = options_of(load_settings({"profile": request.param}))
    store = open_store(new_sqlite_url())
    transport = httpx.ASGITransport(serve_store(store, options))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        del client.headers["accept"]
        yield client
    await store.close()


@pytest.mark.parametrize("audit", AUDITS, ids=[each.id for each in AUDITS])
@pytest.mark.uncounted
async def test_audit_passes(http: httpx.AsyncClient, audit: Audit) -> None:
    answer = await http.request(url="/graphql", **audit.request)

    body: dict[str, Any] = answer.json()
    assert any(least <= answer.status_code <= most for least, most in audit.statuses), audit.sentence
    media_types = [audit.media_type] if audit.media_type else [NEW, OLD]
    assert answer.headers["content-type"] in [f"{each}; charset=utf-8" for each in media_types], audit.sentence
    assert audit.never not in body, audit.sentence
    # Not part of the audits: an executed request has data, a refused one only errors.
    assert [*body] in (["data"], ["errors"])


def test_table_has_every_audit() -> None:
    assert len({each.id for each in AUDITS}) == len(AUDITS) == MANY
