"""Headless Chromium, driven through its DevTools protocol over a pipe: no package needed, no port opened."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_FLAGS: Final = (
    "--remote-debugging-pipe",
    "--headless",
    "--no-sandbox",  # tests may run as root, in a container
    "--disable-gpu",
    "--proxy-server=http://127.0.0.1:9",  # the port where nobody listens
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-features=AutofillServerCommunication",
    "--disable-domain-reliability",
    "--disable-sync",
    "--window-size=1400,900",
)
# Chromium reads from descriptor 3 and writes to 4: first out of their way, then there.
_LAUNCH: Final = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for end, place in zip(ends, (3, 4)):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
_PATIENCE_S: Final = patience(60)  # for what takes a second on a machine that does nothing else
_LARGEST_MESSAGE: Final = 64 * 2**20  # a screenshot is one message


def find() -> str | None:
    """Find a Chromium on this machine."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((found for found in map(shutil.which, names) if found), None)


class Browser:
    """A browser that runs: its methods are called here, and what it says is passed on to its pages."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._tabs: dict[str, Tab] = {}

    async def call(self, method: str, session: str | None = None, **params: Any) -> Any:
        """Call a method of the protocol, of one page if its session is given, and give its result."""
        number = len(self._answers) + 1
        self._answers[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._writer.write(json.dumps(message).encode() + b"\0")
        return await asyncio.wait_for(self._answers[number], _PATIENCE_S)

    async def listen(self) -> None:
        """Take in what the browser says, until it goes."""
        while True:
            message = json.loads((await self._reader.readuntil(b"\0"))[:-1])
            if "id" not in message:
                if tab := self._tabs.get(message.get("sessionId", "")):
                    tab.events.append((message["method"], message["params"]))
            elif "error" in message:
                self._answers[message["id"]].set_exception(RuntimeError(message["error"]["message"]))
            else:
                self._answers[message["id"]].set_result(message["result"])

    @asynccontextmanager
    async def open_tab(self, proxy: str) -> AsyncIterator[Tab]:
        """Open an empty page that shares nothing with others, and have all of its network and its console told.

        What the page asks of other machines goes to `proxy`.
        """
        context = await self.call("Target.createBrowserContext", proxyServer=proxy)
        target = await self.call("Target.createTarget", url="about:blank", **context)
        session = (await self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True))["sessionId"]
        tab = self._tabs[session] = Tab(self, session)
        for domain in ("Page", "Network", "Runtime", "Log"):
            await tab.call(f"{domain}.enable")
        try:
            yield tab
        finally:
            await self.call("Target.disposeBrowserContext", **context)
            del self._tabs[session]


class Tab:
    """One page, with everything that it said since it was opened."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.events: list[tuple[str, dict[str, Any]]] = []

    async def call(self, method: str, **params: Any) -> Any:
        """Call a method of the protocol on the page, and give its result."""
        return await self._browser.call(method, self._session, **params)

    def told(self, method: str) -> list[dict[str, Any]]:
        """Give the parameters of all events of one kind."""
        return [params for name, params in self.events if name == method]

    async def run(self, script: str) -> Any:
        """Run a script in the page, and give its value."""
        answer = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str, seconds: float = _PATIENCE_S) -> Any:
        """Run a script until its value is true, and give that."""
        try:
            async with asyncio.timeout(seconds):
                while not (value := await self.run(script)):  # noqa: ASYNC110  (it happens in another program)
                    await asyncio.sleep(0.1)
        except TimeoutError:
            shown = await self.run("document.body.innerText")
            raise AssertionError(f"never became true: {script}\nThe page shows: {shown}") from None
        return value

    async def click(self, selector: str) -> None:
        """Click in the middle of an element."""
        rectangle = f"document.querySelector({json.dumps(selector)})?.getBoundingClientRect()"
        place = await self.until(f"(r => r && ({{ x: r.x + r.width / 2, y: r.y + r.height / 2 }}))({rectangle})")
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    async def press(self, key: str, code: int, modifiers: int = 0, commands: tuple[str, ...] = ()) -> None:
        """Press a key."""
        for kind in ("rawKeyDown", "keyUp"):
            given = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
            await self.call("Input.dispatchKeyEvent", **given, commands=commands if kind == "rawKeyDown" else ())

    async def screenshot(self, file: Path) -> None:
        """Keep what is seen."""
        answer = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(file.write_bytes, base64.b64decode(answer["data"]))


@asynccontextmanager
async def start(program: str, profile: Path, prefix: tuple[str, ...] = ()) -> AsyncIterator[Browser]:
    """Start a browser with an empty profile, its command behind a prefix, and end it.

    What the browser itself asks of its makers goes nowhere.
    """
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()
    launch = (*prefix, sys.executable, "-c", _LAUNCH, str(from_us), str(to_us), program, *_FLAGS)
    log = profile.with_suffix(".log").open("wb")
    process = await asyncio.create_subprocess_exec(
        *launch, f"--user-data-dir={profile}", pass_fds=(from_us, to_us), stdout=log, stderr=log
    )
    os.close(from_us)
    os.close(to_us)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LARGEST_MESSAGE)
    reading = asyncio.StreamReaderProtocol(reader)
    incoming, _ = await loop.connect_read_pipe(lambda: reading, os.fdopen(from_browser, "rb"))
    outgoing, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(to_browser, "wb"))
    opened = Browser(reader, asyncio.StreamWriter(outgoing, protocol, None, loop))
    listening = asyncio.create_task(opened.listen())
    try:
        yield opened
    finally:
        listening.cancel()
        outgoing.close()  # without its pipe, the browser ends
        try:
            await asyncio.wait_for(process.wait(), patience(10))
        except TimeoutError:
            process.kill()
            await process.wait()
        incoming.close()
        log.close()
