from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.rest.calls import add, new_thread

if TYPE_CHECKING:
    import httpx

PAIRS = {f"k{n:02}": "v" for n in range(16)}


@pytest.fixture(params=["thread", "message"])
async def path(request: pytest.FixtureRequest, rest: httpx.AsyncClient, thread_id: str) -> str:
    """Make a thread, or a message, with two pairs, and give its path."""
    pairs = {"a": "1", "b": "2"}
    if request.param == "thread":
        return f"/threads/{(await new_thread(rest, metadata=pairs))['id']}"
    return f"/threads/{thread_id}/messages/{(await add(rest, thread_id, metadata=pairs))['id']}"


CHANGES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "absent changes nothing": ({}, {"a": "1", "b": "2"}),
    "null changes nothing": ({"metadata": None}, {"a": "1", "b": "2"}),
    "no pairs change nothing": ({"metadata": {}}, {"a": "1", "b": "2"}),
    "a new key comes to the others": ({"metadata": {"c": "3"}}, {"a": "1", "b": "2", "c": "3"}),
    "a known key is set": ({"metadata": {"a": "9"}}, {"a": "9", "b": "2"}),
    "an empty text is a value": ({"metadata": {"a": ""}}, {"a": "", "b": "2"}),
    "null removes a key": ({"metadata": {"a": None}}, {"b": "2"}),
    "null for an unknown key is nothing": ({"metadata": {"x": None}}, {"a": "1", "b": "2"}),
    "all keys can go": ({"metadata": {"a": None, "b": None}}, {}),
}


@pytest.mark.uncounted
async def test_metadata_is_changed_key_by_key(rest: httpx.AsyncClient, path: str) -> None:
    for name, (sent, left) in CHANGES.items():
        await rest.post(path, json={"metadata": {"a": "1", "b": "2", "c": None}})  # as it was

        answer = await rest.post(path, json=sent)

        assert answer.json()["metadata"] == left, name
        assert (await rest.get(path)).json()["metadata"] == left, name


async def test_an_empty_body_changes_nothing(rest: httpx.AsyncClient, path: str) -> None:
    answer = await rest.post(path)

    assert (answer.status_code, answer.json()["metadata"]) == (200, {"a": "1", "b": "2"})


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({key: PAIRS[key] for key in list(PAIRS)[:14]}, id="fourteen and the two"),
        pytest.param({**PAIRS, "a": None, "b": None}, id="sixteen for the two"),
    ],
)
async def test_sixteen_pairs_after_the_merge_are_accepted(
    rest: httpx.AsyncClient, path: str, sent: dict[str, str | None]
) -> None:
    answer = await rest.post(path, json={"metadata": sent})

    assert (answer.status_code, len(answer.json()["metadata"])) == (200, 16)


async def test_seventeen_pairs_after_the_merge_are_refused(rest: httpx.AsyncClient, path: str) -> None:
    answer = await rest.post(path, json={"metadata": {key: PAIRS[key] for key in list(PAIRS)[:15]}})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "object_above_max_properties")
