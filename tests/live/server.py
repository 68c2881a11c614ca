"""A real server in a process of its own, as a user has it, and always cleaned up."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from click.testing import CliRunner

from gateway.cli.commands import main
from tests.live.nursery import CAN_FORK, Forked, nursery
from tests.pace import patience

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).parents[2]
PATIENCE_S: Final = patience(60)  # for what takes a second or two on a machine that does nothing else
_BASE_URL: Final = re.compile(r"base_url=(http://\S+)/v1")


def gateway_command(*arguments: str) -> list[str]:
    """Name the program under test, which is the one of this checkout."""
    return [sys.executable, "-m", "gateway", *arguments]


def environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Make an environment in which only the given settings are set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}
    return {**kept, "PYTHONPATH": str(ROOT), **(given or {})}


def run_gateway(
    *arguments: str, folder: Path, given: Mapping[str, str] | None = None, is_forked: bool = CAN_FORK
) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    if is_forked:
        return nursery().run(arguments, folder, environment(given), PATIENCE_S)
    return subprocess.run(
        gateway_command(*arguments),
        cwd=folder,
        env=environment(given),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def run_here(*arguments: str, folder: Path, given: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command as `run_gateway` does, but within this process, which has loaded it: that takes a second each.

    Not for what gets as far as a port: a server sets up its process's log before.
    """
    ours: dict[str, str | None] = {name: None for name in os.environ if name.startswith("GATEWAY_")}
    with chdir(folder):
        ran = CliRunner().invoke(main, arguments, env={**ours, **(given or {})}, catch_exceptions=False)
    return subprocess.CompletedProcess(arguments, ran.exit_code, ran.stdout, ran.stderr)


@dataclass
class Server:
    """A server that runs; its whole group of processes is ended with it."""

    process: subprocess.Popen[str] | Forked
    base_url: str = ""
    _lines: list[str] = field(default_factory=list)
    _is_up: threading.Event = field(default_factory=threading.Event)
    _reader: threading.Thread | None = None
    _is_read: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.base_url.rpartition(":")[2])

    @property
    def stderr(self) -> str:
        """What it has said until now; all of it once it has been stopped."""
        return "".join(self._lines)

    def wait_until_up(self) -> None:
        """Wait for the whole banner; the socket listens before that is printed."""
        self._reader = threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True)
        self._reader.start()
        assert self._is_up.wait(PATIENCE_S), f"no banner within {PATIENCE_S} s:\n{self.stderr}"
        found = _BASE_URL.search(self.stderr)
        assert found, f"the server did not start:\n{self.stderr}"
        self.base_url = found[1]

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, wait until it has, and give its exit code."""
        self.process.send_signal(how)
        return self.wait()

    def kill(self) -> None:
        """End it the way a power cut would."""
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        """Wait until it has ended with all that it started, and everything that they said is here."""
        code = self.process.wait(PATIENCE_S)
        if self._reader is not None:
            self._reader.join(PATIENCE_S)
            assert not self._reader.is_alive(), "a process that the server has started outlives it"
        return code

    @contextmanager
    def unread(self) -> Iterator[None]:
        """Let nobody read what it says, for the duration of the block."""
        self._is_read.clear()
        try:
            yield
        finally:
            self._is_read.set()

    def _read(self, stream: IO[str]) -> None:
        self._is_read.set()
        for line in stream:
            self._is_read.wait()
            self._lines.append(line)
            if line.startswith("Stop with"):
                self._is_up.set()
        self._is_up.set()  # it ended: nobody needs to wait any longer


@contextmanager
def serving(
    database_url: str | None,
    *flags: str,
    folder: Path,
    given: Mapping[str, str] | None = None,
    is_forked: bool = CAN_FORK,
) -> Iterator[Server]:
    """Serve a database on a free port for as long as the block, with `folder` as the working folder.

    It is forked off a process that has loaded the program, and forks its workers, but where a test looks at a start.
    """
    database = () if database_url is None else ("--database-url", database_url)
    arguments = ("serve", "--port", "0", *database, *flags)
    process: subprocess.Popen[str] | Forked
    if is_forked:
        process = nursery().serve(arguments, folder, environment(given))
    else:
        process = subprocess.Popen(
            gateway_command(*arguments),
            cwd=folder,
            env=environment(given),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    server = Server(process)
    try:
        server.wait_until_up()
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        server.wait()
        if process.stderr:
            process.stderr.close()


async def until_refused(server: Server) -> None:
    """Wait until nobody can connect any more: the server has heard the signal."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", server.port), PATIENCE_S).close()
        except ConnectionError:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"the server still listens {PATIENCE_S} s after the signal")
