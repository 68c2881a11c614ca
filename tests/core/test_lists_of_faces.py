"""Both faces list the threads that the model of `test_thread_lists` lists, for any filter that they can express."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.domain.page import Order
from gateway.domain.thread_list import MetadataMatch, OrderBy, Selection, ThreadFilter
from tests.core.test_thread_lists import SELECTIONS, fill, is_selected
from tests.effort import times

if TYPE_CHECKING:
    import httpx

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from tests.faces import GraphQL

LIST: Final = """query($filter: ThreadFilter, $by: ThreadOrder!, $order: SortOrder!, $after: String, $first: Int!) {
  threads(filter: $filter, orderBy: $by, order: $order, after: $after, first: $first) {
    nodes { id } pageInfo { endCursor hasNextPage } totalCount } }"""
TIMES: Final = ("created_after", "created_before", "active_after", "active_before")


async def test_both_faces_list_what_the_model_does(
    store: Store, who: Principal, rest: httpx.AsyncClient, graphql: GraphQL
) -> None:
    made, loop = await fill(store, who, 48), asyncio.get_running_loop()

    @settings(
        max_examples=times(fast=40, slow=1_000),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
    )
    @given(SELECTIONS.map(asked_for), st.sampled_from(Order), st.integers(1, 20))
    def check(selected: Selection, order: Order, limit: int) -> None:
        expected = [each for each in made if is_selected(selected.only, each)]
        if selected.by is OrderBy.ACTIVITY:
            expected.sort(key=lambda each: each.activity_at or 0)
        ids = [each.id for each in (expected if order is Order.ASC else reversed(expected))]

        walks = [by_graphql(graphql, selected, order, limit)]
        if (filters := query_of(selected.only)) is not None:
            page = {"order_by": selected.by.value, "order": order.value, "limit": str(limit)}
            walks.append(by_rest(rest, [*filters, *page.items()]))

        for walk in walks:
            assert asyncio.run_coroutine_threadsafe(walk, loop).result() == ids

    await asyncio.to_thread(check)


def asked_for(selected: Selection) -> Selection:
    """Leave out the values of a key that must be missing, which no face takes."""
    if selected.only is None:
        return selected
    metadata = tuple(each._replace(values=None) if each.is_missing else each for each in selected.only.metadata)
    return selected._replace(only=replace(selected.only, metadata=metadata))


async def by_graphql(graphql: GraphQL, selected: Selection, order: Order, limit: int) -> list[str]:
    asked = {"filter": input_of(selected.only), "by": selected.by.name, "order": order.name, "first": limit}
    found: list[str] = []
    while True:
        page = (await graphql(LIST, **asked))["threads"]
        found += [each["id"] for each in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            assert page["totalCount"] == len(found)
            return found
        asked["after"] = page["pageInfo"]["endCursor"]


async def by_rest(rest: httpx.AsyncClient, query: list[tuple[str, str]]) -> list[str]:
    found: list[str] = []
    after: list[tuple[str, str]] = []
    while True:
        answer = await rest.get("/threads", params=[*query, *after])
        page = answer.raise_for_status().json()
        found += [each["id"] for each in page["data"]]
        if not page["has_more"]:
            return found
        after = [("after", page.get("next_after") or page["last_id"])]


def input_of(only: ThreadFilter | None) -> dict[str, Any] | None:
    """Write a filter as GraphQL has it."""
    if only is None:
        return None
    at = {name: getattr(only, name) for name in TIMES}
    given = {"owner": only.owner, "hasOwner": only.has_owner, "metadata": [_match(each) for each in only.metadata]}
    words = {name: name.replace("_a", "A").replace("_b", "B") for name in TIMES}
    return given | {words[name]: None if ms is None else _iso(ms) for name, ms in at.items()}


def _match(match: MetadataMatch) -> dict[str, Any]:
    if match.values is None:
        return {"key": match.key, "exists": not match.is_missing}
    [first, *others] = match.values
    return {"key": match.key, **({"in": [first, *others]} if others else {"equals": first})}


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1_000, UTC).isoformat()


def query_of(only: ThreadFilter | None) -> list[tuple[str, str]] | None:
    """Write a filter as REST has it; None where it cannot: it has one condition for a key."""
    if only is None:
        return []
    if len({each.key for each in only.metadata}) < len(only.metadata) or any(each.is_missing for each in only.metadata):
        return None
    pairs = [(f"metadata[{key}]", value) for key, values, _ in only.metadata for value in values or ()]
    pairs += [("metadata_exists[]", key) for key, values, _ in only.metadata if values is None]
    flags = {"owner": only.owner, "has_owner": None if only.has_owner is None else str(only.has_owner).lower()}
    at = {name: None if (ms := getattr(only, name)) is None else str(ms // 1_000) for name in TIMES}
    return pairs + [(name, value) for name, value in (flags | at).items() if value is not None]
