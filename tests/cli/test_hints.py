"""Commands that change threads send hints, as servers do."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from gateway.events.hub import Hub
from tests.events.carrying import carrier_at, exchanging
from tests.following import until
from tests.live.server import run_gateway

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gateway.domain.change import Hint


class NotingHub(Hub):
    """Notes the threads of all hints."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def wake(self, hints: Iterable[Hint]) -> None:
        self.noted += [hint.thread_id for hint in hints]


async def test_an_import_and_an_erasure_notify_servers(postgres_url: str, tmp_path: Path) -> None:
    thread = {"id": "thread_a", "object": "thread", "created_at": 1, "metadata": {}, "owner": "alice"}
    content = [{"type": "text", "text": {"value": "Hello", "annotations": []}}]
    message = {"id": "msg_a", "object": "thread.message", "created_at": 1, "thread_id": "thread_a", "role": "user"}
    lines = json.dumps(thread), json.dumps({**message, "content": content})
    (tmp_path / "threads.jsonl").write_text("\n".join(lines), encoding="utf-8")
    given, hub = {"GATEWAY_DATABASE_URL": postgres_url}, NotingHub()

    async with exchanging(carrier_at(postgres_url), hub):
        for arguments in (("import", "threads.jsonl"), ("erase", "--owner", "alice")):
            ran = await asyncio.to_thread(run_gateway, *arguments, folder=tmp_path, given=given)
            assert ran.returncode == 0, ran.stderr
            await until(lambda: hub.noted[:1] == ["thread_a"])  # an erasure notifies of its owner, too
            hub.noted.clear()
