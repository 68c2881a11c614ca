"""A proxy for tests that were written against a stub, which accepts any id: it makes what their requests name.

openai-python's own tests ask for `thread_id`, `run_id`, `step_id` and `assistant_id`, in a state that their call needs,
and for tools that read files, which this server refuses. Each request gets objects of its own.
Must not be here: what is expected of answers.
"""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import httpx

from tests.asgi import body_of
from tests.pace import patience
from tests.runs.fake_model import Act, Script, chunk, echoes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

_TLS: Final = ssl.create_default_context()  # nothing here has TLS, but a client makes one otherwise
HANGING: Final = "hanging"  # a model that never ends its answer
_FUNCTION: Final = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}
# A stub takes them; here they would name objects of a list that is empty, and a page of nothing.
_PLACEHOLDERS: Final = (("after", "after"), ("before", "before"), ("limit", "0"))
_FILE_TOOLS: Final = ("code_interpreter", "file_search")
_ENDED: Final = ("completed", "requires_action", "failed", "incomplete", "expired", "cancelled")


def model(body: Mapping[str, Any]) -> Script:
    """Answer for the fake endpoint as the seeds need it."""
    return Script([chunk({"content": "so"}), Act.HANG]) if body["model"] == HANGING else echoes(body)


class SeedingProxy:
    """An ASGI application in front of a server."""

    def __init__(self, base_url: str) -> None:
        self._base_url = f"{base_url}/v1"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Make what a request names, send it on, and send its answer back."""
        if scope["type"] != "http":
            return
        raw = await body_of(receive)
        path, ids = scope["path"], await self._seed(scope["path"])
        for name, made in ids.items():
            path = path.replace(f"/{name}", f"/{made}")
        body = json.loads(raw) if raw else None
        if isinstance(body, dict):
            body = await self._body(path, body)
        query = [pair for pair in parse_qsl(scope["query_string"].decode()) if pair not in _PLACEHOLDERS]
        answer = await self._call(scope["method"], path, params=query, json=body)
        headers = [(b"content-type", answer.headers["content-type"].encode())]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content})

    async def _body(self, path: str, body: dict[str, Any]) -> Any:
        if "assistant_id" in body:
            body["assistant_id"] = await self._assistant(tools=[], model="any")
        if path.endswith("/submit_tool_outputs"):
            run = await self._post(path.removesuffix("/submit_tool_outputs"), None, method="GET")
            calls = run["required_action"]["submit_tool_outputs"]["tool_calls"]
            body["tool_outputs"] = [{"tool_call_id": call["id"], "output": "out"} for call in calls]
        return _without_files(body)

    async def _seed(self, path: str) -> dict[str, str]:
        names = path.split("/")
        made: dict[str, str] = {}
        if "assistant_id" in names:
            made["assistant_id"] = await self._assistant(tools=[], model="any")
        if "thread_id" in names:
            made["thread_id"] = (await self._post("/threads", {"messages": [{"role": "user", "content": "hi"}]}))["id"]
        if "run_id" in names:
            made["run_id"] = await self._run(made["thread_id"], names[-1])
        if "step_id" in names:
            steps = await self._post(f"/threads/{made['thread_id']}/runs/{made['run_id']}/steps", None, method="GET")
            made["step_id"] = steps["data"][0]["id"]
        if "message_id" in names:
            messages = await self._post(f"/threads/{made['thread_id']}/messages", None, method="GET")
            made["message_id"] = messages["data"][0]["id"]
        return made

    async def _run(self, thread_id: str, wanted: str) -> str:
        """Make a run that can be cancelled, waits for outputs, or has ended."""
        is_cancelled, tools = wanted == "cancel", [_FUNCTION] if wanted == "submit_tool_outputs" else []
        assistant_id = await self._assistant(tools=tools, model=HANGING if is_cancelled else "any")
        run = await self._post(f"/threads/{thread_id}/runs", {"assistant_id": assistant_id})
        while not is_cancelled and run["status"] not in _ENDED:
            run = await self._post(f"/threads/{thread_id}/runs/{run['id']}", None, method="GET")
        run_id: str = run["id"]
        return run_id

    async def _assistant(self, **fields: Any) -> str:
        made: str = (await self._post("/assistants", fields))["id"]
        return made

    async def _call(self, method: str, path: str, **more: Any) -> httpx.Response:
        # One for each request: what runs this application ends without a word to it.
        async with httpx.AsyncClient(base_url=self._base_url, timeout=patience(30), verify=_TLS) as client:
            return await client.request(method, path, **more)

    async def _post(self, path: str, body: Any, method: str = "POST") -> Any:
        answer = await self._call(method, path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


def _without_files(value: Any) -> Any:
    """Leave out what reads files, at any depth."""
    if isinstance(value, list):
        return [_without_files(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _without_files(each) for name, each in value.items() if name not in ("attachments", "tool_resources")}
    return _FUNCTION if kept.get("type") in _FILE_TOOLS else kept
