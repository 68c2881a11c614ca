"""Short ways to make what an import reads, and to run the command line as people do."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
from click.testing import CliRunner

from gateway.cli.commands import main

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.testing import Result

ROOT: Final = Path(__file__).parents[1]


def a_thread(thread_id: Any = "thread_a", **fields: Any) -> dict[str, Any]:
    """Make a thread as the API does."""
    return {
        "id": thread_id,
        "object": "thread",
        "created_at": 1_700_000_000,
        "metadata": {},
        "tool_resources": {},
        **fields,
    }


def a_message(message_id: Any = "msg_a", thread_id: Any = "thread_a", **fields: Any) -> dict[str, Any]:
    """Make a message as the API does."""
    return {
        "id": message_id,
        "object": "thread.message",
        "created_at": 1_700_000_000,
        "assistant_id": None,
        "thread_id": thread_id,
        "run_id": None,
        "role": "user",
        "content": [a_text(message_id)],
        "attachments": [],
        "metadata": {},
        **fields,
    }


def a_run(run_id: str = "run_a", thread_id: str = "thread_a", **fields: Any) -> dict[str, Any]:
    """Make a run as the original service returned it: without what came later, and with its nulls."""
    return {
        "id": run_id,
        "object": "thread.run",
        "created_at": 1_700_000_000,
        "assistant_id": "asst_a",
        "thread_id": thread_id,
        "status": "completed",
        "started_at": 1_700_000_001,
        "expires_at": None,
        "cancelled_at": None,
        "failed_at": None,
        "completed_at": 1_700_000_005,
        "required_action": None,
        "last_error": None,
        "model": "gpt-4-1106-preview",
        "instructions": "You are a tutor.",
        "tools": [
            {"type": "code_interpreter"},
            {"type": "file_search"},
            {"type": "function", "function": {"name": "f"}},
        ],
        "tool_resources": {"file_search": {"vector_store_ids": ["vs_1"]}},
        "file_ids": [],
        "metadata": {},
        "usage": None,
        **fields,
    }


def a_step(step_id: str = "step_a", run_id: str = "run_a", **fields: Any) -> dict[str, Any]:
    """Make a step as the original service returned it."""
    return {
        "id": step_id,
        "object": "thread.run.step",
        "created_at": 1_700_000_001,
        "run_id": run_id,
        "assistant_id": "asst_a",
        "thread_id": "thread_a",
        "type": "message_creation",
        "status": "completed",
        "cancelled_at": None,
        "completed_at": 1_700_000_005,
        "expires_at": None,
        "failed_at": None,
        "last_error": None,
        "step_details": {"type": "message_creation", "message_creation": {"message_id": "msg_a"}},
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "odd": {"cached_tokens": 1}},
        **fields,
    }


def a_text(value: str, *annotations: dict[str, Any]) -> dict[str, Any]:
    """Make a text part."""
    return {"type": "text", "text": {"value": value, "annotations": list(annotations)}}


def an_export(thread: Any, *messages: Any, **fields: Any) -> bytes:
    """Make a file of assistants-thread-export/v1, as its exporter writes it."""
    whole = {"export_schema": "assistants-thread-export/v1", "thread": thread, "messages": messages, "runs": []}
    return orjson.dumps({**whole, "files": {}, "errors": [], **fields}, option=orjson.OPT_INDENT_2)


def lines(objects: Iterable[Any]) -> bytes:
    """Write objects one a line."""
    return b"".join(orjson.dumps(each) + b"\n" for each in objects)


def environment(**more: str) -> dict[str, str]:
    """Give the environment of this process without what would change the words of the program."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"} and not name.startswith("GATEWAY_")
    }
    return {**inherited, "PYTHONPATH": str(ROOT), **more}


def run(*arguments: str, given: bytes = b"") -> Result:
    """Run the command line in this process."""
    without = {name: None for name in os.environ if name.startswith("GATEWAY_")}
    return CliRunner().invoke(main, arguments, input=given, env=without, catch_exceptions=False)


def take(database_url: str, *objects: Any) -> None:
    """Import objects from standard input, all of which must be taken."""
    done = run("import", "--database-url", database_url, given=lines(objects))
    assert (done.exit_code, done.stdout, told(done)) == (0, "", [])


def take_some(database_url: str, *objects: Any) -> list[str]:
    """Import objects from standard input, and return what is reported of those that are rejected."""
    done = run("import", "--database-url", database_url, given=lines(objects))
    assert (done.exit_code, done.stdout) == (1, "")
    return told(done)


def told(done: Result) -> list[str]:
    """Give what an import has told, without the sum at its end."""
    *sentences, summary = done.stderr.splitlines()
    assert re.fullmatch(r"Threads: \d+, messages: \d+,( \w+: \d+,)* already present: \d+, rejected: \d+\.", summary)
    return sentences


def give(database_url: str) -> bytes:
    """Export a database."""
    done = run("export", "--database-url", database_url)
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout_bytes


def held(database_url: str) -> list[str]:
    """Name everything that an export gives, in its order."""
    return [orjson.loads(line)["id"] for line in give(database_url).splitlines()]
