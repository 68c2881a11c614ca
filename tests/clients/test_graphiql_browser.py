"""GraphiQL in a real Chromium, from an installed wheel: it works, and nothing leaves this machine.

Set GATEWAY_TEST_SCREENSHOTS to a folder to keep what was seen.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

import httpx
import pytest

from tests.clients import chromium, installed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CONTROL = 2  # the modifier's bit
_EDITOR = ".graphiql-query-editor .monaco-editor"
_HEADERS = "section[aria-label=Headers] .graphiql-editor:not(.hidden) .monaco-editor"
_RUN = ".graphiql-execute-button"
_RESULT = ".result-window"


@dataclass(frozen=True)
class Visit:
    """GraphiQL in a browser, and the server that it came from."""

    address: str
    tab: chromium.Tab
    left: list[str]  # what was asked of any machine but this one

    async def type(self, editor: str, text: str) -> None:
        """Put a text into an editor as a person does."""
        async with asyncio.timeout(20):
            # An editor that has just been shown finds its size a little later, and a click may miss it.
            while not await self.tab.run(f"document.activeElement.closest({editor!r}) !== null"):
                await self.tab.click(f"{editor} .view-lines")
        await self.tab.press("a", ord("A"), _CONTROL, commands=("selectAll",))
        await self.tab.call("Input.insertText", text=text)
        await self.see(text, editor)

    async def run(self, operation: str) -> None:
        """Type an operation and press the button, as soon as GraphiQL has read its name and put it on the tab."""
        await self.type(_EDITOR, operation)
        name = operation.split()[1]
        await self.tab.until(f"document.querySelector('.graphiql-tabs').innerText.includes({name!r})")
        await self.tab.click(_RUN)

    async def see(self, text: str, editor: str = _RESULT) -> None:
        """Wait for a text in an editor, where spaces are drawn as ones that do not break."""
        shown = f"document.querySelector({editor + ' .view-lines'!r})?.innerText"
        await self.tab.until(f"{shown}?.replaceAll('\\u00a0', ' ').includes({text!r})")


def lacking(what: str) -> NoReturn:
    """Fail in CI, where everything shall be there, and skip elsewhere."""
    if os.environ.get("CI") == "true":
        pytest.fail(what)
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser() -> str:
    """Find the browser."""
    return chromium.find() or lacking("there is no Chromium on this machine")


@pytest.fixture(scope="module")
def programs(browser: str, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001  (in vain without it)
    """Install the wheel."""
    return installed.install(tmp_path_factory.mktemp("installed"))


@asynccontextmanager
async def outside() -> AsyncIterator[tuple[int, list[str]]]:
    """Listen as the proxy through which a browser would leave this machine, and note what it wants there."""
    asked: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode(errors="replace").strip())
        writer.close()

    listener = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1], asked


@pytest.fixture
async def visit(browser: str, programs: Path, tmp_path: Path) -> AsyncIterator[Visit]:
    """Open GraphiQL from the installed wheel."""
    async with (
        installed.serve(programs, tmp_path) as address,
        outside() as (port, left),
        # What is on this machine never goes to a proxy: Chromium's own rule.
        chromium.open_tab(browser, tmp_path / "profile", f"http://127.0.0.1:{port}") as tab,
    ):
        await tab.call("Page.navigate", url=f"{address}/graphql")
        if await tab.until("document.title") != "Threads: GraphiQL":
            lacking("GraphiQL could not be built on this machine")
        await tab.until(f"document.querySelector('{_EDITOR} .view-line')?.innerText.length > 0")
        yield Visit(address, tab, left)


def keep(file: Path) -> None:
    """Keep a screenshot where somebody asked for it."""
    if folder := os.environ.get("GATEWAY_TEST_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)


async def test_graphiql_from_a_wheel_answers_and_stays_at_home(visit: Visit, tmp_path: Path) -> None:
    tab = visit.tab
    async with httpx.AsyncClient(base_url=visit.address) as http:
        await http.post("/v1/threads", json={"metadata": {"found": "by a browser"}})

    await visit.run("query Typed { threads(first: 1) { nodes { metadata } } }")
    await visit.see('"found": "by a browser"')
    await tab.click("[data-name=headers]")
    await visit.type(_HEADERS, '{ "x-typed": "yes" }')
    await visit.run("query Again { threads(first: 1) { pageInfo { hasNextPage } } }")
    await visit.see('"hasNextPage": false')
    await tab.screenshot(tmp_path / "graphiql.png")
    keep(tmp_path / "graphiql.png")

    asked = [params["request"] for params in tab.told("Network.requestWillBeSent")]
    home = urlsplit(visit.address).netloc
    assert [each["url"] for each in asked if urlsplit(each["url"]).netloc != home and each["url"][:5] != "data:"] == []
    assert visit.left == []
    assert any(each["headers"].get("x-typed") == "yes" for each in asked)
    assert [params["entry"]["text"] for params in tab.told("Log.entryAdded")] == []  # where broken policies are told
    assert tab.told("Runtime.exceptionThrown") == []


async def test_a_subscription_shows_a_message_that_is_made_meanwhile(visit: Visit) -> None:
    async with httpx.AsyncClient(base_url=visit.address) as http:
        thread_id = (await http.post("/v1/threads")).json()["id"]
        # From the beginning, so that it does not matter which of the two is there first.
        await visit.run(
            f'subscription Typed {{ messageAdded(threadId: "{thread_id}", after: "0") {{ node {{ text }} }} }}'
        )
        said = {"role": "user", "content": "said by another client"}
        await http.post(f"/v1/threads/{thread_id}/messages", json=said)

    await visit.see('"text": "said by another client"')

    [opened] = visit.tab.told("Network.webSocketCreated")
    [shaken] = visit.tab.told("Network.webSocketWillSendHandshakeRequest")
    assert opened["url"] == visit.address.replace("http:", "ws:") + "/graphql"
    assert shaken["request"]["headers"]["Sec-WebSocket-Protocol"] == "graphql-transport-ws"
