"""The least that can answer from the same tables in Python: bare ASGI, one prepared statement, stored text joined.

It reads a thread's newest messages and adds one, in the shape of our REST face; input is not validated and
requests are not authenticated. What a real server takes beyond this is what it does for its users.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import orjson

from bench.systems.peers.bare_databases import open_database
from bench.systems.peers.listen import database_url, serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.systems.peers.bare_databases import Database

_HEADERS: Final = (b"content-type", b"application/json")


class Bare:
    """The app, on one database."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._database: Database

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer a page or a creation; any other path is not asked for."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        thread_id = scope["path"].split("/")[3]
        if scope["method"] == "GET":
            limit = int(parse_qs(scope["query_string"])[b"limit"][0])
            body = page(await self._database.newest(thread_id, limit + 1), limit, thread_id)
        else:
            body = await self._add(thread_id, orjson.loads((await receive())["body"]))
        headers = [_HEADERS, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()
        self._database = await open_database(self._url)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._database.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _add(self, thread_id: str, asked: dict[str, Any]) -> bytes:
        second = int(time.time())
        parts = [{"type": "text", "text": {"value": asked["content"], "annotations": []}}]
        content, metadata = orjson.dumps(parts), orjson.dumps(asked["metadata"])
        values = (thread_id, f"msg_{secrets.token_hex(12)}", second, asked["role"], content.decode(), metadata.decode())
        await self._database.add(values)
        return message(
            (values[1], second, None, None, "completed", second, asked["role"], content, "[]", values[5]), thread_id
        )


def page(rows: Sequence[Any], limit: int, thread_id: str) -> bytes:
    """Format a list; one extra row shows whether there are more."""
    shown = rows[:limit]
    data = b",".join([message(row, thread_id) for row in shown])
    more = b"true" if len(rows) > limit else b"false"
    ends = (shown[0][0].encode(), shown[-1][0].encode(), more)
    return b'{"object":"list","data":[' + data + b'],"first_id":"%b","last_id":"%b","has_more":%b}' % ends


def message(row: Sequence[Any], thread_id: str) -> bytes:
    """Format a message, its content as it is stored."""
    id_, created_at, assistant_id, run_id, status, completed_at, role, content, attachments, metadata = row
    assistant = f'"{assistant_id}"' if assistant_id else "null"
    run = f'"{run_id}"' if run_id else "null"
    head = (
        f'{{"id":"{id_}","object":"thread.message","created_at":{created_at},"assistant_id":{assistant},'
        f'"thread_id":"{thread_id}","run_id":{run},"status":"{status}","incomplete_details":null,'
        f'"incomplete_at":null,"completed_at":{completed_at},"role":"{role}","content":'
    )
    tail = f',"attachments":{attachments},"metadata":{metadata}}}'
    stored: bytes = content
    return head.encode() + stored + tail.encode()


if __name__ == "__main__":
    serve(Bare(database_url()))
