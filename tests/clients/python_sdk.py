"""Run the checks of `sdk_checks` against a server by every client that the SDK has, and tell what became of each.

`python -m tests.clients.python_sdk http://127.0.0.1:8000` prints JSON: the SDK's version, and for each client and check
"ok" or what went wrong. It imports nothing but the SDK, so it also runs under older ones.
"""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
import warnings
from typing import TYPE_CHECKING, Any, cast

import openai
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from openai.pagination import AsyncCursorPage

from tests.clients.sdk_checks import CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLIENTS = ("sync", "async", "azure")


class Blocking:
    """An asynchronous client that waits for each call, so that the same checks run on it."""

    def __init__(self, inner: Any, runner: asyncio.Runner) -> None:
        self._inner = inner
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        return self._waiting(value) if callable(value) else Blocking(value, self._runner)

    def _waiting(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wait(*arguments: Any, **named: Any) -> Any:
            async def run() -> Any:
                return await call(*arguments, **named)

            answer = self._runner.run(run())
            return BlockingPage(answer, self._runner) if isinstance(answer, AsyncCursorPage) else answer

        return wait


class BlockingPage:
    """A page that, walked, also waits for those which follow."""

    def __init__(self, page: AsyncCursorPage[Any], runner: asyncio.Runner) -> None:
        self._page = page
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._page, name)

    def __iter__(self) -> Iterator[Any]:
        async def walk() -> list[Any]:
            return [item async for item in self._page]

        return iter(self._runner.run(walk()))


def client_of(kind: str, base_url: str, runner: asyncio.Runner) -> OpenAI:
    # No retries: a fault of the server's must show, not be tried again until it passes.
    shared: dict[str, Any] = {"api_key": "any", "max_retries": 0, "_strict_response_validation": True}
    if kind == "azure":
        return AzureOpenAI(azure_endpoint=base_url, api_version="2024-05-01-preview", **shared)
    if kind == "async":
        return cast("OpenAI", Blocking(AsyncOpenAI(base_url=f"{base_url}/v1", **shared), runner))
    return OpenAI(base_url=f"{base_url}/v1", **shared)


def summary(base_url: str) -> dict[str, object]:
    """Run all of them, in which any warning is an error."""
    outcomes: dict[str, dict[str, str]] = {}
    with warnings.catch_warnings(), asyncio.Runner() as runner:
        warnings.simplefilter("error")
        # The SDK says so on each call since OpenAI has switched its own service off, which is why this server exists.
        warnings.filterwarnings("ignore", "The Assistants API is deprecated", DeprecationWarning)
        for kind in CLIENTS:
            client = client_of(kind, base_url, runner)
            outcomes[kind] = {name: outcome(client, base_url, name) for name in CHECKS}
            client.close()
    return {"sdk": openai.__version__, "outcomes": outcomes}


def outcome(client: OpenAI, base_url: str, name: str) -> str:
    try:
        CHECKS[name](client, base_url)
    except Exception:  # noqa: BLE001  (any error is reported, and the next check runs)
        return traceback.format_exc()
    return "ok"


if __name__ == "__main__":
    print(json.dumps(summary(sys.argv[1])))  # noqa: T201  (its caller reads it)
