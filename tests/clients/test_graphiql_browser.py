"""GraphiQL in a real Chromium, from an installed wheel, without a network: it works, and nothing leaves this machine.

Where the system lets nobody make a network without a way out, a proxy notes what would leave instead.

Set GATEWAY_TEST_SCREENSHOTS to a folder to keep what was seen.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.clients import chromium, installed
from tests.clients.cut_off import Network, NotPermittedError, cut_off
from tests.clients.node import made_once
from tests.lacking import lacking
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_CONTROL = 2  # the modifier's bit
_EDITOR = ".graphiql-query-editor .monaco-editor"
_TOOL = "section[aria-label={}] .graphiql-editor:not(.hidden) .monaco-editor"
_HEADERS, _VARIABLES = _TOOL.format("Headers"), _TOOL.format("Variables")
_RUN = ".graphiql-execute-button"
_RESULT = ".result-window"


@dataclass(frozen=True)
class Visit:
    """GraphiQL in a browser, and the server that it came from."""

    address: str
    tab: chromium.Tab
    left: list[str]  # what was asked of any machine but this one, where it could be

    async def go(self, query_string: str = "") -> None:
        """Open the page, and wait until something stands in its editor."""
        await self.tab.call("Page.navigate", url=f"{self.address}/graphql{query_string}")
        if await self.tab.until("document.title") != "Threads: GraphiQL":
            lacking("GraphiQL could not be built on this machine")
        await self.tab.until(f"document.querySelector('{_EDITOR} .view-line')?.innerText.length > 0")

    async def type(self, editor: str, text: str) -> None:
        """Put a text into an editor as a person does."""
        async with asyncio.timeout(patience(60)):
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

    async def open(self, tab: str, has: str) -> None:
        """Open one of the tabs by its name, and wait for a text in it."""
        named = (
            f"[...document.querySelectorAll('.graphiql-tab-button')].find(each => each.innerText.trim() === {tab!r})"
        )
        await self.tab.until(f"{named} !== undefined")
        await self.tab.run(f"{named}.click()")
        await self.see(has, _EDITOR)

    async def post(self, path: str, body: Any = None) -> Any:
        """Send a request of REST from the page, since nobody else can reach the server."""
        sent = json.dumps({"method": "POST", "body": json.dumps(body or {})})
        return await self.tab.run(f"fetch({path!r}, {sent}).then(answer => answer.json())")

    async def delete_threads(self) -> None:
        """Delete all that other tests have made, of which no page would show more."""
        threads = (await self.tab.run("fetch('/v1/threads?limit=100').then(answer => answer.json())"))["data"]
        for each in threads:
            await self.tab.run(f"fetch('/v1/threads/{each['id']}', {{ method: 'DELETE' }})")

    async def see(self, text: str, editor: str = _RESULT) -> None:
        """Wait for a text in an editor, where spaces are drawn as ones that do not break."""
        shown = f"document.querySelector({editor + ' .view-lines'!r})?.innerText"
        await self.tab.until(f"{shown}?.replaceAll('\\u00a0', ' ').includes({text!r})")


@pytest.fixture(scope="module")
def chromium_program() -> str:
    """Find the browser."""
    return chromium.find() or lacking("there is no Chromium on this machine")


@pytest.fixture(scope="module")
def programs(chromium_program: str, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001  (in vain without)
    """Install the wheel, once for all workers of this run."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "installed"
    folder.mkdir(exist_ok=True)
    programs = installed.programs_in(folder)
    with made_once(programs / "gateway", note=folder / "note", what="installed") as is_made:
        if not is_made:
            installed.install(folder)
    return programs


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


@pytest.fixture(scope="module")
async def network(chromium_program: str) -> AsyncIterator[Network | None]:  # noqa: ARG001  (in vain without it)
    """Make a network without a way out, or give None where nobody may."""
    async with AsyncExitStack() as stack:
        try:
            made: Network | None = await stack.enter_async_context(cut_off())
        except NotPermittedError:
            made = None
        except FileNotFoundError as error:
            lacking(f"{error.filename} is not on this machine")
        yield made


@pytest.fixture(scope="module")
async def browser(
    chromium_program: str, network: Network | None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[chromium.Browser]:
    """Start the browser once: that takes as long as many a test."""
    prefix = network.prefix if network else ()
    async with chromium.start(chromium_program, tmp_path_factory.mktemp("browser") / "profile", prefix) as started:
        yield started


@pytest.fixture(scope="module")
async def address(
    programs: Path, network: Network | None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """Serve from the installed wheel, without a key."""
    async with installed.serve(programs, tmp_path_factory.mktemp("open"), network.prefix if network else ()) as served:
        yield served


@asynccontextmanager
async def visiting(browser: chromium.Browser, network: Network | None, address: str) -> AsyncIterator[Visit]:
    """Open GraphiQL in a page of its own."""
    # What is on this machine never goes to a proxy: Chromium's own rule.
    async with (
        outside() as (port, left),
        browser.open_tab("direct://" if network else f"http://127.0.0.1:{port}") as tab,
    ):
        visit = Visit(address, tab, left)
        await visit.go()
        yield visit


@pytest.fixture
async def visit(browser: chromium.Browser, network: Network | None, address: str) -> AsyncIterator[Visit]:
    """Open GraphiQL on the server that these tests share."""
    async with visiting(browser, network, address) as visit:
        yield visit


async def test_graphiql_works_without_network_access(visit: Visit, network: Network | None) -> None:
    if network is None:
        pytest.skip("nobody may make a network on this system: only a proxy has noted what would leave it")

    inside = "\n".join(network.programs())
    assert "gateway serve" in inside
    assert "--user-data-dir" in inside
    assert await network.probe("192.0.2.1", "2001:db8::1", "8.8.8.8") == ["lo", *["ENETUNREACH"] * 3]
    gone = await visit.tab.call("Page.navigate", url="http://192.0.2.1/")
    assert gone["errorText"] in ("net::ERR_INTERNET_DISCONNECTED", "net::ERR_ADDRESS_UNREACHABLE")


def keep(file: Path) -> None:
    """Keep a screenshot where somebody asked for it."""
    if folder := os.environ.get("GATEWAY_TEST_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)


async def test_graphiql_from_a_wheel_answers_and_stays_at_home(visit: Visit, tmp_path: Path) -> None:
    tab = visit.tab
    await visit.post("/v1/threads", {"metadata": {"found": "by a browser"}})

    await visit.run("query Typed { threads(first: 1) { nodes { metadata } } }")
    await visit.see('"found": "by a browser"')
    await tab.click("[data-name=headers]")
    await visit.type(_HEADERS, '{ "x-typed": "yes" }')
    await visit.run("query Again { threads(first: 1) { pageInfo { hasPreviousPage } } }")
    await visit.see('"hasPreviousPage": false')
    await tab.screenshot(tmp_path / "graphiql.png")
    keep(tmp_path / "graphiql.png")

    asked = [params["request"] for params in tab.told("Network.requestWillBeSent")]
    home = urlsplit(visit.address).netloc
    assert [each["url"] for each in asked if urlsplit(each["url"]).netloc != home and each["url"][:5] != "data:"] == []
    assert visit.left == []
    assert any(each["headers"].get("x-typed") == "yes" for each in asked)
    assert [
        params["entry"]["text"] for params in tab.told("Log.entryAdded")
    ] == []  # where violations of the policy are logged
    assert tab.told("Runtime.exceptionThrown") == []
    answers = [params["response"] for params in tab.told("Network.responseReceived")]
    files = [each for each in answers if "/graphql/assets/" in each["url"]]
    assert {each["headers"].get("content-encoding") for each in files} == {"gzip"}
    assert len(files) > 5


async def test_a_subscription_shows_a_message_that_is_made_meanwhile(visit: Visit) -> None:
    thread_id = (await visit.post("/v1/threads"))["id"]
    # From the beginning, so that it does not matter which of the two is there first.
    await visit.run(f'subscription Typed {{ messageAdded(threadId: "{thread_id}", after: "0") {{ node {{ text }} }} }}')
    said = {"role": "user", "content": "said by another client"}
    await visit.post(f"/v1/threads/{thread_id}/messages", said)

    await visit.see('"text": "said by another client"')

    [opened] = visit.tab.told("Network.webSocketCreated")
    [shaken] = visit.tab.told("Network.webSocketWillSendHandshakeRequest")
    assert opened["url"] == visit.address.replace("http:", "ws:") + "/graphql"
    assert shaken["request"]["headers"]["Sec-WebSocket-Protocol"] == "graphql-transport-ws"


async def test_example_tabs_use_the_newest_thread_and_a_link_opens_its_operation(visit: Visit, tmp_path: Path) -> None:
    await visit.delete_threads()
    await visit.open("ReadMessages", "query ReadMessages")
    await visit.tab.click(_RUN)
    await visit.see("There is no thread yet.")
    thread_id = (await visit.post("/v1/threads", {"messages": [{"role": "user", "content": "the newest"}]}))["id"]
    await visit.tab.click(_RUN)
    await visit.see('"text": "the newest"')
    await visit.see(f'"threadId": "{thread_id}"', _VARIABLES)
    await visit.open("AddMessage", "mutation AddMessage")
    await visit.tab.click(_RUN)
    await visit.see('"text": "And what is a message?"')
    await visit.tab.screenshot(tmp_path / "newest-thread.png")
    keep(tmp_path / "newest-thread.png")

    linked = "query A { a: __typename } query B($first: Int) { b: threads(first: $first) { nodes { id } } }"
    given = {"query": linked, "variables": '{ "first": 1 }', "operationName": "B"}
    await visit.go("?" + urlencode(given))
    await visit.see("query B($first: Int)", _EDITOR)
    await visit.see('{ "first": 1 }', _VARIABLES)
    await visit.tab.until("document.querySelector('.graphiql-tab-active')?.innerText.trim() === 'B'")
    shown = await visit.tab.run(f"document.querySelector('{_RESULT} .view-lines')?.innerText.trim() ?? ''")
    assert shown == ""  # only a person runs it
    await visit.tab.click(_RUN)
    await visit.tab.click("[role=menuitem]:nth-child(2)")  # there are two
    await visit.see(thread_id)
    await visit.tab.screenshot(tmp_path / "link.png")
    keep(tmp_path / "link.png")


@pytest.fixture
async def keyed(
    browser: chromium.Browser, network: Network | None, programs: Path, tmp_path: Path
) -> AsyncIterator[tuple[Visit, str]]:
    """Open GraphiQL from a server of its own, which has a key, and give that too."""
    url = f"sqlite:///{tmp_path / 'threads.db'}"
    create = (programs / "gateway", "keys", "create", "--database-url", url)
    made = await asyncio.create_subprocess_exec(*create, stdout=asyncio.subprocess.PIPE)
    secret = (await made.communicate())[0].decode().strip()
    async with (
        installed.serve(programs, tmp_path, network.prefix if network else ()) as address,
        visiting(browser, network, address) as visit,
    ):
        yield visit, secret


async def test_without_its_key_a_subscription_is_refused_as_a_query_is(
    keyed: tuple[Visit, str], tmp_path: Path
) -> None:
    visit, secret = keyed
    await visit.see("You didn't provide an API key.")  # before anything is run
    await visit.tab.screenshot(tmp_path / "opened-without-key.png")
    keep(tmp_path / "opened-without-key.png")
    await visit.run('subscription Told { messageAdded(threadId: "thread_000000000000000000000000") { cursor } }')
    await visit.see("Forbidden: API key required")
    await visit.tab.screenshot(tmp_path / "subscription-without-key.png")
    keep(tmp_path / "subscription-without-key.png")
    shown = await visit.tab.run(f"document.querySelector('{_RESULT}').innerText")
    assert "stack" not in shown
    assert len(visit.tab.told("Network.webSocketCreated")) == 1
    await visit.tab.click("[data-name=headers]")
    await visit.type(_HEADERS, f'{{ "Authorization": "Bearer {secret}" }}')
    await visit.tab.click(_RUN)
    await visit.see("No thread found with id")
    await visit.tab.screenshot(tmp_path / "subscription-with-key.png")
    keep(tmp_path / "subscription-with-key.png")
