"""The command `assistants import`: what it takes, and what it says of what it does not take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.exports import a_thread, give, run

if TYPE_CHECKING:
    from pathlib import Path

TUTOR = {"id": "asst_tutor", "object": "assistant", "created_at": 5, "name": "Tutor", "model": "m", "tools": []}
READER = {**TUTOR, "id": "asst_reader", "tools": [{"type": "file_search"}]}


def test_assistants_are_imported_once_and_unsupported_ones_rejected(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "assistants.json"
    arguments = ("assistants", "import", str(file), "--database-url", sqlite_url)

    file.write_text(json.dumps({"object": "list", "data": [TUTOR, READER]}))
    first = run(*arguments)
    file.write_text("\n".join([json.dumps(TUTOR), "", json.dumps({**TUTOR, "id": "asst_other"})]))
    second = run(*arguments)

    assert (first.exit_code, second.exit_code) == (1, 0)
    reason, summary = first.stderr.splitlines()[-2:]
    assert reason.startswith(f"{file}: data[1]: Invalid 'tools[0].type': 'file_search' is not supported")
    assert summary == "Imported: 1 assistants; 0 were there already, 1 were rejected."
    assert second.stderr.splitlines()[-1] == "Imported: 1 assistants; 1 were there already, 0 were rejected."


# As the original service returned one, with what it added and what its SDKs write for absent values.
REAL = {
    "id": "asst_abc123",
    "object": "assistant",
    "created_at": 1_698_984_975,
    "name": "Math Tutor",
    "description": None,
    "model": "gpt-4-turbo",
    "instructions": "You are a tutor.",
    "tools": [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}, "strict": None}}],
    "tool_resources": {"code_interpreter": {"file_ids": []}, "file_search": {"vector_store_ids": []}},
    "metadata": {"team": "school"},
    "top_p": 1.0,
    "temperature": None,
    "response_format": "auto",
    "reasoning_effort": None,
    "file_ids": [],
}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(json.dumps(REAL), id="one object"),
        pytest.param(json.dumps(REAL, indent=2), id="one object over lines"),
        pytest.param(json.dumps([REAL]), id="array"),
        pytest.param(
            json.dumps({"object": "list", "data": [REAL], "first_id": "asst_abc123", "has_more": False}), id="page"
        ),
        pytest.param(json.dumps(REAL) + "\n\n" + json.dumps(REAL) + "\n", id="lines"),
        pytest.param("\ufeff" + json.dumps(REAL), id="byte order mark"),
    ],
)
def test_objects_of_the_original_service_are_imported_in_any_form(sqlite_url: str, content: str) -> None:
    done = run("assistants", "import", "-", "--database-url", sqlite_url, given=content.encode())

    assert (done.exit_code, done.stderr) == (0, "Imported: 1 assistants; 0 were there already, 0 were rejected.\n")
    [told] = give(sqlite_url).splitlines()
    found = json.loads(told)
    assert {name: found[name] for name in ("id", "name", "model", "metadata", "tool_resources", "temperature")} == {
        **{name: REAL[name] for name in ("id", "name", "model", "metadata", "tool_resources")},
        "temperature": 1.0,
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("{", "-: the file: Invalid or truncated JSON", id="cut off"),
        pytest.param("", None, id="empty"),
        pytest.param('{"id": "asst_a"', "-: line 1: Invalid JSON: ", id="no JSON"),
        pytest.param(
            json.dumps(TUTOR) + "\n" + json.dumps({**TUTOR, "temperature": 3}),
            "-: line 2: Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.",
            id="value",
        ),
        pytest.param(
            json.dumps({**TUTOR, "model": None}), "-: line 1: Invalid type for 'model': expected a str", id="null"
        ),
        pytest.param(json.dumps({**TUTOR, "odd": 1}), "-: line 1: Unknown parameter: 'odd'.", id="unknown"),
        pytest.param(json.dumps({**TUTOR, "id": "x"}), "-: line 1: Invalid 'id': 'x'. Expected 'asst_' and", id="id"),
        pytest.param(json.dumps({**TUTOR, "created_at": 10**13}), "-: line 1: Invalid 'created_at': integer", id="ms"),
        pytest.param(json.dumps(a_thread()), "-: line 1: Expected an object of the type 'assistant'.", id="thread"),
        pytest.param('{"a": 1}', "-: line 1: Missing required parameter: 'object'.", id="other"),
    ],
)
def test_what_is_no_assistant_is_refused_by_line_and_field(sqlite_url: str, content: str, reason: str | None) -> None:
    done = run("assistants", "import", "-", "--database-url", sqlite_url, given=content.encode())

    *told, summary = done.stderr.splitlines()
    assert (done.exit_code, len(told)) == ((1, 1) if reason else (0, 0))
    assert all(each.startswith(reason or "") for each in told)
    assert summary.endswith(f"{len(told)} were rejected.")
    assert b'"thread"' not in give(sqlite_url)
