"""The command `assistants import`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.exports import run

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
    assert reason.startswith("object 2: Invalid 'tools[0].type': 'file_search' is not supported")
    assert summary == "Imported: 1 assistants; 0 were there already, 1 were rejected."
    assert second.stderr.splitlines()[-1] == "Imported: 1 assistants; 1 were there already, 0 were rejected."
