"""Short ways to make things over REST and to read lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


async def new_thread(rest: httpx.AsyncClient, **body: Any) -> Any:
    """Make a thread that must be accepted, and give the answer's object."""
    answer = await rest.post("/threads", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def add(rest: httpx.AsyncClient, thread_id: str, content: Any = "hi", **more: Any) -> Any:
    """Add a message that must be accepted, and give the answer's object."""
    body = {"role": "user", "content": content, **more}
    answer = await rest.post(f"/threads/{thread_id}/messages", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def add_many(rest: httpx.AsyncClient, thread_id: str, count: int) -> list[str]:
    """Add messages one after the other, and give their ids."""
    return [(await add(rest, thread_id, f"message {n}"))["id"] for n in range(count)]


async def page(rest: httpx.AsyncClient, path: str, **query: Any) -> Any:
    """Read a page that must be given."""
    answer = await rest.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ids(page: Any) -> list[str]:
    """Name what is on a page, in its order."""
    return [item["id"] for item in page["data"]]
