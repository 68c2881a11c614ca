"""Assistants through REST: made, listed, changed and deleted, and what their fields and those of runs may hold."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from gateway.domain import archive_runs, parse_run
from gateway.errors import InvalidRequest

if TYPE_CHECKING:
    import httpx

FUNCTION: dict[str, Any] = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True}}
LOOSE = {"type": "json_schema", "json_schema": {"name": "a", "schema": 5}}


async def test_an_assistant_is_made_read_changed_and_deleted(rest: httpx.AsyncClient) -> None:
    made = (await rest.post("/assistants", json={"model": "m", "name": "Tutor", "metadata": {"a": "1"}})).json()
    path = f"/assistants/{made['id']}"

    changed = (await rest.post(path, json={"name": "Reader", "tools": [FUNCTION], "metadata": {"b": "2"}})).json()
    read = (await rest.get(path)).json()
    deleted = (await rest.delete(path)).json()
    missing = [(await rest.request(method, path)).status_code for method in ("GET", "POST", "DELETE")]

    assert (
        changed
        == read
        == made
        | {
            "name": "Reader",
            "tools": [{"type": "function", "function": {**FUNCTION["function"], "strict": False}}],
            "metadata": {"a": "1", "b": "2"},
        }
    )
    assert deleted == {"id": made["id"], "object": "assistant.deleted", "deleted": True}
    assert missing == [404] * 3


async def test_an_assistant_is_made_once_under_a_key(rest: httpx.AsyncClient) -> None:
    keyed = {"Idempotency-Key": "one"}
    made = await rest.post("/assistants", json={"model": "m", "temperature": 1}, headers=keyed)

    again = await rest.post("/assistants", json={"temperature": 1.0, "model": "m", "tools": []}, headers=keyed)
    other = await rest.post("/assistants", json={"model": "other"}, headers=keyed)
    thread = await rest.post("/threads", headers=keyed)

    assert (again.status_code, again.json()) == (200, made.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert thread.status_code == 200
    assert len((await rest.get("/assistants")).json()["data"]) == 1


async def test_a_replayed_assistant_is_as_it_is_now_and_one_that_was_deleted_is_made_again(
    rest: httpx.AsyncClient,
) -> None:
    async def make() -> dict[str, Any]:
        made: dict[str, Any] = (
            await rest.post("/assistants", json={"model": "m"}, headers={"Idempotency-Key": "one"})
        ).json()
        return made

    made = await make()
    await rest.post(f"/assistants/{made['id']}", json={"name": "Tutor"})
    now = await make()
    await rest.delete(f"/assistants/{made['id']}")
    after = await make()

    assert now == made | {"name": "Tutor"}
    assert after["id"] != made["id"]


async def test_fifty_assistants_at_once_with_one_key_are_one(rest: httpx.AsyncClient) -> None:
    keyed = {"Idempotency-Key": "one"}

    made = await asyncio.gather(*(rest.post("/assistants", json={"model": "m"}, headers=keyed) for _ in range(50)))

    assert len({each.json()["id"] for each in made}) == 1


async def test_assistants_are_paged_newest_first(rest: httpx.AsyncClient) -> None:
    ids = [(await rest.post("/assistants", json={"model": "m"})).json()["id"] for _ in range(3)]

    first = (await rest.get("/assistants", params={"limit": 2})).json()
    rest_of = (await rest.get("/assistants", params={"after": first["last_id"]})).json()
    before = (await rest.get("/assistants", params={"before": ids[0], "order": "desc"})).json()
    unknown = await rest.get("/assistants", params={"after": "asst_000000000000000000000000"})

    assert [each["id"] for each in first["data"]] == ids[:0:-1]
    assert ([each["id"] for each in rest_of["data"]], rest_of["has_more"]) == ([ids[0]], False)
    assert [each["id"] for each in before["data"]] == ids[:0:-1]
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "after")


async def test_runs_of_a_thread_are_listed_read_and_changed(rest: httpx.AsyncClient, assistant_id: str) -> None:
    thread = (await rest.post("/threads", json={"messages": [{"role": "user", "content": "Hi"}]})).json()["id"]
    run = (await rest.post(f"/threads/{thread}/runs", json={"assistant_id": assistant_id, "stream": True})).text
    listed = (await rest.get(f"/threads/{thread}/runs")).json()
    path = f"/threads/{thread}/runs/{listed['first_id']}"

    changed = (await rest.post(path, json={"metadata": {"a": "1"}})).json()
    steps = (await rest.get(f"{path}/steps")).json()
    step = (await rest.get(f"{path}/steps/{steps['first_id']}")).json()
    cancelled = await rest.post(f"{path}/cancel")

    assert "thread.run.completed" in run
    assert changed["metadata"] == (await rest.get(path)).json()["metadata"] == {"a": "1"}
    assert [each["id"] for each in steps["data"]] == [step["id"]]
    assert cancelled.json()["error"]["message"] == "Cannot cancel run with status 'completed'."


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"tools": [{"type": "file_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "two words"}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"temperature": 2.5}, "temperature"),
        ({"temperature": -1}, "temperature"),
        ({"top_p": True}, "top_p"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": ""}}}, "response_format.json_schema.name"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"model": None}, "model"),
    ],
)
def test_a_wrong_field_of_an_assistant_is_named(given: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_run.new_assistant({"model": "m", **given})

    assert refused.value.param == param


@pytest.mark.parametrize(
    "given",
    [
        {"tool_choice": {"type": "function", "function": {"name": "add"}}},
        {"tool_choice": "required"},
        {"truncation_strategy": {"type": "last_messages", "last_messages": 3}},
        {"truncation_strategy": {"type": "auto", "last_messages": None}},
        {"response_format": SCHEMA},
        {"response_format": {"type": "json_object"}},
        {"response_format": "auto"},
        {"parallel_tool_calls": False},
        {"max_completion_tokens": 256},
        {"temperature": 0, "top_p": 1},
    ],
)
def test_settings_of_a_run_are_kept_as_given(given: dict[str, Any]) -> None:
    new = parse_run.new_run({"assistant_id": "asst_a", **given})

    assert {name: new.given[name] for name in given} == given


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice.type"),
        ({"truncation_strategy": {"type": "last_messages"}}, "truncation_strategy.last_messages"),
        ({"truncation_strategy": {"type": "auto", "last_messages": "x"}}, "truncation_strategy.last_messages"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "text", "json_schema": {"name": "a"}}}, "response_format.json_schema"),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format.json_schema.name"),
        ({"response_format": LOOSE}, "response_format.json_schema.schema"),
        ({"tools": [{"type": "function", "function": {"name": "f", "strict": 1}}]}, "tools[0].function.strict"),
        ({"max_prompt_tokens": 255}, "max_prompt_tokens"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
    ],
)
def test_a_wrong_setting_of_a_run_is_named(given: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_run.new_run({"assistant_id": "asst_a", **given})

    assert refused.value.param == param


@pytest.mark.parametrize("given", [{"id": "assistant_a"}, {"created_at": -1}, {"model": 5}])
def test_a_wrong_assistant_of_an_export_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        archive_runs.read({"id": "asst_a", "object": "assistant", "created_at": 5, "model": "m", **given})
