"""The page of docs/sidebar.md in two windows of a browser: live, with right counts, nothing blinks, nothing is double.

Every frame counts: what the list and the thread show whenever anything of them has changed.
"""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.clients import chromium, page
from tests.clients.node import CLIENTS, run
from tests.lacking import lacking
from tests.live.server import PATIENCE_S, run_gateway, serving
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from tests.live.server import Server

# In the window that sends, the first answer to each creation gets lost.
_WATCHED: Final = """
window.frames_ = [];
new MutationObserver(() => {
  const shown = (selector) => [...document.querySelectorAll(selector)].map(({ textContent }) => textContent);
  const [frame, last] = [{ list: shown("nav > *"), thread: shown("main > *") }, frames_.at(-1)];
  if (JSON.stringify([last?.list, last?.thread]) === JSON.stringify([frame.list, frame.thread])) return;
  frames_.push({ ...frame, at: Date.now() });
}).observe(document, { childList: true, characterData: true, subtree: true });
window.sockets_ = [];
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    sockets_.push(this);
  }
};
const [plainFetch, lost] = [fetch, new Set()];
window.fetch = async (place, options) => {
  const answer = await plainFetch(place, options);
  const key = JSON.parse(options?.body ?? "{}").variables?.input?.idempotencyKey;
  if (!key || lost.has(key)) return answer;
  lost.add(key);
  throw new TypeError("the answer got lost");
};
"""
_FIRST: Final = [
    [],
    ["two: hello", "one: hello"],
    ["one: sent", "two: hello"],
    ["one: again", "two: hello"],
]
FRAMES: Final = {
    "alice": [
        *_FIRST,
        ["one: answered", "two: hello"],
        ["two: unasked (1)", "one: answered"],
        ["three: hello", "two: unasked (1)", "one: answered"],
    ],
    "bob": [
        *_FIRST,
        ["one: answered (1)", "two: hello"],
        ["two: unasked (1)", "one: answered (1)"],
        ["two: unasked (1)", "one: answered"],
        ["two: unasked", "one: answered"],
        ["three: hello", "two: unasked", "one: answered"],
    ],
}
_BEGIN: Final = """mutation ($id: ID!) {
  createMessage(input: { threadId: $id, role: ASSISTANT, status: IN_PROGRESS, content: { parts: [] } }) {
    message { id }
  }
}"""
_APPEND: Final = """mutation ($id: ID!, $text: String!) {
  appendMessageText(input: { messageId: $id, text: $text }) { message { id } }
}"""
_DELETE: Final = "mutation ($id: ID!) { deleteMessage(input: { id: $id }) { deletedMessageId } }"
_UNREAD: Final = "query ($id: ID!, $who: String) { thread(id: $id) { unreadCount(reader: $who) { value } } }"


@dataclass(frozen=True)
class Window:
    """A window of the page."""

    tab: chromium.Tab
    address: str

    async def load(self) -> None:
        """Load the page, and note each frame from its beginning."""
        await self.tab.call("Page.addScriptToEvaluateOnNewDocument", source=_WATCHED)
        await self.tab.call("Page.navigate", url=self.address)

    async def until_list(self, *expected: str) -> None:
        """Wait until the list is as expected."""
        await self.tab.until(f"JSON.stringify(frames_.at(-1)?.list) === {json.dumps(_json(expected))}")

    async def until_thread(self, *expected: str) -> None:
        """Wait until the open thread is as expected."""
        await self.tab.until(f"JSON.stringify(frames_.at(-1)?.thread) === {json.dumps(_json(expected))}")

    async def open(self, number: int) -> None:
        """Open a thread of the list."""
        await self.tab.click(f"nav > :nth-child({number})")

    async def send(self, text: str) -> float:
        """Send a message as a person does, and give the time of the browser's clock."""
        await self.tab.click("input")
        await self.tab.call("Input.insertText", text=text)
        at = await self.tab.run("Date.now()")
        await self.tab.click("form > button")
        return float(at)


async def frames(window: Window, part: str) -> list[list[str]]:
    """Give what a part of the page has shown, one frame after the other."""
    shown: list[list[str]] = [frame[part] for frame in await window.tab.run("frames_")]
    return [frame for n, frame in enumerate(shown) if n == 0 or frame != shown[n - 1]]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


@contextmanager
def hosted(folder: Path) -> Iterator[str]:
    """Serve files, as the host of a page does, and give its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{host.server_port}"
        host.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_given: object) -> None:
        """Say nothing."""


def make_thread(server: Server, title: str) -> str:
    """Make a thread with a message."""
    thread = {"metadata": {"title": title}, "messages": [{"role": "user", "content": "hello"}]}
    return str(httpx.post(f"{server.base_url}/v1/threads", json=thread).json()["id"])


def answer(server: Server, thread_id: str, text: str) -> None:
    """Post a message of the assistant, as a worker does."""
    message = {"role": "assistant", "content": text}
    httpx.post(f"{server.base_url}/v1/threads/{thread_id}/messages", json=message).raise_for_status()


def ask(server: Server, query: str, **variables: str) -> Any:
    """Run an operation, as a worker does."""
    told = httpx.post(f"{server.base_url}/graphql", json={"query": query, "variables": variables}).json()
    assert "errors" not in told, told
    return told["data"]


def unread(server: Server, thread_id: str, reader: str) -> int:
    """Count what a reader has not read, by the server."""
    return int(ask(server, _UNREAD, id=thread_id, who=reader)["thread"]["unreadCount"]["value"])


async def delay(sender: Window, receiver: Window, other: Window, text: str) -> float:
    """Send a message, and give the milliseconds until another window has its thread on top; all of them have then."""
    sent = await sender.send(text)
    for window in (receiver, sender, other):
        await window.until_list(f"one: {text}", "two: hello")
    return float(await receiver.tab.run("frames_.at(-1).at")) - sent


def ended_by(*texts: str) -> list[list[str]]:
    """Give the frames of a list that grows by one text at a time."""
    return [list(texts[:n]) for n in range(1, len(texts) + 1)]


async def until_read(server: Server, thread_id: str, *readers: str) -> None:
    """Wait until the server has heard that readers have read a thread."""
    async with asyncio.timeout(PATIENCE_S):
        while any(unread(server, thread_id, reader) for reader in readers):  # noqa: ASYNC110  (another program does it)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def windows(program: str, folder: Path, url: str, file: str) -> AsyncIterator[tuple[Server, list[Window]]]:
    """Have windows of the page, one for Alice and two for Bob, and a server of another origin."""
    files = folder / "page"
    files.mkdir()
    with hosted(files) as origin, serving(url, folder=folder, given={"GATEWAY_CORS_ORIGINS": origin}) as server:
        page.lay_out(files, server.base_url)
        if "relay" in file:
            page.compile_relay(files)
        run(CLIENTS / "bundle.mjs", files / file, files / "bundle.js")
        (files / "index.html").write_text('<!doctype html><script type="module" src="bundle.js"></script>')
        async with (
            chromium.start(program, folder / "profile") as browser,
            browser.open_tab("direct://") as alice,
            browser.open_tab("direct://") as bob,
            browser.open_tab("direct://") as bobs_other,
        ):
            readers = ((alice, "alice"), (bob, "bob"), (bobs_other, "bob"))
            yield server, [Window(tab, f"{origin}/?reader={reader}") for tab, reader in readers]


@pytest.mark.uncounted
@pytest.mark.usefixtures("node_clients")
@pytest.mark.parametrize("file", ["sidebar-apollo.js", "sidebar-relay.js"])
async def test_each_frame_of_two_windows_has_the_list_in_order_with_the_reader_s_own_counts(
    tmp_path: Path, new_sqlite_url: Callable[[], str], file: str
) -> None:
    program = chromium.find() or lacking("there is no Chromium on this machine")
    async with windows(program, tmp_path, new_sqlite_url(), file) as (server, (alice, bob, other)):
        one, two = make_thread(server, "one"), make_thread(server, "two")
        for window in (alice, bob, other):
            await window.load()
            await window.until_list("two: hello", "one: hello")

        await alice.open(2)
        await alice.until_thread("hello")
        delays = [await delay(alice, bob, other, text) for text in ("sent", "again")]
        answer(server, one, "answered")
        await alice.until_list("one: answered", "two: hello")
        await alice.until_thread("hello", "sent", "again", "answered")
        for window in (bob, other):
            await window.until_list("one: answered (1)", "two: hello")
        await bob.tab.run("sockets_.at(-1).close(4000)")
        answer(server, two, "unasked")
        await alice.until_list("two: unasked (1)", "one: answered")
        for window in (bob, other):
            await window.until_list("two: unasked (1)", "one: answered (1)")
        await bob.open(2)
        await bob.until_thread("hello", "sent", "again", "answered")
        await other.until_list("two: unasked (1)", "one: answered")
        await bob.open(1)
        await bob.until_thread("hello", "unasked")
        await other.until_list("two: unasked", "one: answered")
        await alice.until_list("two: unasked (1)", "one: answered")
        await until_read(server, one, "alice", "bob")
        await until_read(server, two, "bob")
        make_thread(server, "three")
        await alice.until_list("three: hello", "two: unasked (1)", "one: answered")
        for window in (bob, other):
            await window.until_list("three: hello", "two: unasked", "one: answered")

        assert min(delays) < patience(1_000)
        assert unread(server, two, "alice") == 1
        assert await frames(alice, "list") == FRAMES["alice"]
        assert await frames(bob, "list") == await frames(other, "list") == FRAMES["bob"]
        assert await frames(alice, "thread") == [[], *ended_by("hello", "sent", "again", "answered")]
        assert await frames(bob, "thread") == [[], ["hello", "sent", "again", "answered"], [], ["hello", "unasked"]]
        for event in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            assert alice.tab.told(event) + bob.tab.told(event) == []


@pytest.mark.uncounted
@pytest.mark.usefixtures("node_clients")
@pytest.mark.parametrize("file", ["sidebar-apollo.js", "sidebar-relay.js"])
async def test_an_answer_grows_in_the_open_thread_and_a_deleted_message_leaves_it(
    tmp_path: Path, new_sqlite_url: Callable[[], str], file: str
) -> None:
    program = chromium.find() or lacking("there is no Chromium on this machine")
    async with windows(program, tmp_path, new_sqlite_url(), file) as (server, (alice, *_)):
        one = make_thread(server, "one")
        await alice.load()
        await alice.until_list("one: hello")
        await alice.open(1)
        await alice.until_thread("hello")

        message_id = ask(server, _BEGIN, id=one)["createMessage"]["message"]["id"]
        written = ""
        for text in ("A thread", " is a list", ", of course."):
            ask(server, _APPEND, id=message_id, text=text)
            written += text
            await alice.until_thread("hello", written)
            await alice.tab.run("sockets_.at(-1).close(4000)")
        answer(server, one, "next")
        await alice.until_thread("hello", written, "next")
        ask(server, _DELETE, id=message_id)
        await alice.until_thread("hello", "next")

        assert all(len(frame) == len(set(frame)) for frame in await frames(alice, "thread"))
        for event in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
            assert alice.tab.told(event) == []


@pytest.mark.uncounted
@pytest.mark.usefixtures("node_clients")
@pytest.mark.parametrize("file", ["sidebar-apollo.js", "sidebar-relay.js"])
async def test_after_a_restore_an_open_page_has_what_the_database_has_and_follows_it(
    tmp_path: Path, new_sqlite_url: Callable[[], str], file: str
) -> None:
    program = chromium.find() or lacking("there is no Chromium on this machine")
    url, copy = new_sqlite_url(), str(tmp_path / "copy.db")
    async with windows(program, tmp_path, url, file) as (server, (alice, *_)):
        one = make_thread(server, "one")
        run_gateway("backup", "--database-url", url, copy, folder=tmp_path).check_returncode()
        await alice.load()
        await alice.until_list("one: hello")
        await alice.open(1)
        answer(server, one, "lost")
        make_thread(server, "lost, too")
        await alice.until_list("lost, too: hello", "one: lost")
        await alice.until_thread("hello", "lost")

        server.stop()
        run_gateway("restore", "--database-url", url, copy, folder=tmp_path).check_returncode()
        origin = {"GATEWAY_CORS_ORIGINS": alice.address.partition("/?")[0]}
        with serving(url, "--port", str(server.port), folder=tmp_path, given=origin) as restored:
            await alice.until_list("one: hello")
            await alice.until_thread("hello")
            answer(restored, one, "answered")
            await alice.until_list("one: answered")
            await alice.until_thread("hello", "answered")
            for event in ("Runtime.exceptionThrown", "Runtime.consoleAPICalled"):
                assert alice.tab.told(event) == []
