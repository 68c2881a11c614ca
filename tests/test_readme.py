"""The README is part of the product: what it shows is run, and what it lists is complete."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from gateway.server import http_protocol
from gateway.settings.load import PREFIX, SECRETS, SETTINGS
from tests.live.server import ROOT, Server, environment, run_gateway, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_README: Final = (ROOT / "README.md").read_text()
_GRAPHIQL: Final = "gateway/graphql/graphiql/built"
_PLACE: Final = "http://127.0.0.1:8000"
_BLOCKS: Final = re.findall(r"^( *)```(\w+)\n(.*?)^\1```$", _README, re.DOTALL | re.MULTILINE)


def _blocks(language: str, word: str) -> list[str]:
    """Find the snippets of one language that hold a word."""
    return [text for _, kind, text in _BLOCKS if kind == language and word in text]


@pytest.fixture
def server(sqlite_url: str, tmp_path: Path) -> Iterator[Server]:
    with serving(sqlite_url, folder=tmp_path) as running:
        yield running


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_setting_has_a_row_with_its_flag_and_default(setting: str) -> None:
    flag, default = f"`--{setting.replace('_', '-')}` ", SETTINGS[setting].default
    shown = f" `{str(default).lower() if isinstance(default, bool) else default}` " if default != "" else " "

    row = f"| `{PREFIX}{setting.upper()}` | {'' if setting in SECRETS else flag}|{shown}|"

    assert row in _README


def test_the_sdk_snippet_prints_the_conversation(server: Server) -> None:
    [snippet] = _blocks("python", "OpenAI(")

    ran = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", snippet.replace(_PLACE, server.base_url)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout == "user What is a thread?\nassistant A conversation in its order.\n"


def test_the_curl_snippet_makes_a_thread_and_lists_it(server: Server) -> None:
    [snippet] = _blocks("sh", "curl ")
    first, second = (shlex.split(each) for each in snippet.replace("\\\n", " ").strip().splitlines())

    made = httpx.post(
        first[1].replace(_PLACE, server.base_url), headers=dict([first[3].split(": ")]), content=first[5]
    ).json()
    listed = httpx.get(second[1].replace(_PLACE, server.base_url)).json()

    assert [thread["id"] for thread in listed["data"]] == [made["id"]]


def test_the_graphql_snippet_answers_without_errors(server: Server) -> None:
    [snippet] = _blocks("graphql", "query Newest")
    httpx.post(f"{server.base_url}/v1/threads", json={"messages": [{"role": "user", "content": "Hello"}]})

    answer = httpx.post(f"{server.base_url}/graphql", json={"query": snippet}).json()

    assert answer["data"]["threads"]["nodes"][0]["messages"]["edges"][0]["node"] == {"role": "USER", "text": "Hello"}


def test_the_commands_on_keys_make_one_and_list_it(sqlite_url: str, tmp_path: Path) -> None:
    [snippet] = _blocks("sh", "gateway keys create --project shop")
    create, show = (shlex.split(line)[1:] for line in snippet.strip().splitlines())

    made = run_gateway(*create, "--database-url", sqlite_url, folder=tmp_path, is_forked=False)
    listed = run_gateway(*show, "--database-url", sqlite_url, folder=tmp_path)

    assert made.stdout.startswith("sk-")
    assert "the web shop" in listed.stdout


def test_the_mutation_hands_out_a_token_for_one_conversation(sqlite_url: str, tmp_path: Path) -> None:
    [snippet] = _blocks("graphql", "mutation Hand")
    with serving(sqlite_url, folder=tmp_path, given={"GATEWAY_TOKEN_SECRET": "x" * 32}) as server:
        thread, other = (httpx.post(f"{server.base_url}/v1/threads").json()["id"] for _ in range(2))
        body = {"query": snippet, "variables": {"threadId": thread}}
        token = httpx.post(f"{server.base_url}/graphql", json=body).json()["data"]["createThreadToken"]["token"]
        statuses = [
            httpx.get(f"{server.base_url}/v1/threads/{each}", headers={"authorization": f"Bearer {token}"}).status_code
            for each in (thread, other)
        ]

    assert statuses == [200, 404]


@pytest.mark.parametrize("command", ["gateway import", "gateway export", "gateway migrate", "gateway backup"])
def test_every_command_it_shows_exists_with_those_flags(command: str) -> None:
    [snippet] = _blocks("sh", command)
    name, *arguments = shlex.split(snippet)[shlex.split(snippet).index("gateway") + 1 :]

    told = subprocess.run(
        [sys.executable, "-m", "gateway", name, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout

    assert all(flag in told for flag in arguments if flag.startswith("-"))


@pytest.mark.parametrize(("status", "refused"), http_protocol.REFUSALS.items())
def test_every_refusal_of_a_connection_is_told(status: int, refused: tuple[str, str]) -> None:
    assert f"| {status:d} | `{refused[0]}` |" in _README


def test_ci_runs_the_very_test_command() -> None:
    [command] = _blocks("sh", "python -m tests")
    lines = (ROOT / ".ci/run").read_text().splitlines()

    steps = [line for line in lines if line.startswith(("python", ".venv/"))]
    assert " && ".join(steps) == command.strip()
    assert lines[-1] == steps[-1]


@pytest.mark.timeout(400)
def test_the_first_command_serves_in_a_clean_clone(tmp_path: Path) -> None:
    [command] = _blocks("sh", "gateway serve")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", ROOT.as_uri(), clone], check=True)  # noqa: S607
    # The installation of this checkout has built GraphiQL already. pip takes that for the clone's only if it carries
    # the digest of the clone's own sources, and otherwise builds it; what npm fetches is no part of the claim.
    if (ROOT / _GRAPHIQL).is_dir():
        shutil.copytree(ROOT / _GRAPHIQL, clone / _GRAPHIQL)

    process = subprocess.Popen(
        ["bash", "-c", command],  # noqa: S607
        cwd=clone,
        # The fourth is pip's way to say --no-compile: what is imported is compiled then, the rest is most of it.
        env={**environment(), "PYTHONPATH": "", "GATEWAY_PORT": "0", "PIP_NO_COMPILE": "0"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stderr
        banner = next(line for line in process.stderr if "base_url" in line)
        [base_url] = re.findall(r"base_url=(\S+)/v1", banner)
        made = httpx.post(f"{base_url}/v1/threads")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate()

    assert made.status_code == httpx.codes.OK
