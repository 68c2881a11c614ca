"""What others wrote, imported by the command and asked of a server: cases F to K, each in threads of its own."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import orjson
import pytest

from tests.exports import a_message, a_text, a_thread, an_export, lines
from tests.following import PATIENCE_S
from tests.live.server import run_gateway, serving

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from subprocess import CompletedProcess

    from tests.live.server import Server

# What `model_dump_json()` writes of a picture that a code interpreter made, of a file, and of all that was not there.
SDK_TOOLS: Final = {"code_interpreter": None, "file_search": {"vector_store_ids": None}}
SDK_CITATION: Final = {
    "end_index": 3,
    "file_citation": {"file_id": "file-2", "quote": None},
    "start_index": 0,
    "text": "[1]",
    "type": "file_citation",
}
SDK_CONTENT: Final = [
    {"image_file": {"file_id": "file-1", "detail": None}, "type": "image_file"},
    {"image_url": {"url": "https://example.com/a.png", "detail": None}, "type": "image_url"},
    {"text": {"annotations": [SDK_CITATION], "value": "[1] é 😀 \u2028"}, "type": "text"},
]
SDK_ATTACHMENTS: Final = [{"file_id": "file-1", "tools": None}, {"file_id": None, "tools": [{"type": "file_search"}]}]
SDK_NULLS: Final = {
    "metadata": None,
    "incomplete_details": None,
    "incomplete_at": None,
    "completed_at": None,
    "status": None,
}
# What Azure's agents write: pages of the web, citations that do not say where they stand, files that lie elsewhere.
AZURE_CONTENT: Final = [
    a_text(
        "See [1], [2] and [3].",
        {
            "type": "url_citation",
            "text": "[1]",
            "start_index": 4,
            "end_index": 7,
            "url_citation": {"url": "https://example.com/a", "title": "A"},
        },
        {"type": "url_citation", "text": "[2]", "url_citation": {"url": "https://example.com/b"}},
        {"type": "file_citation", "text": "[3]", "file_citation": {"file_id": "assistant-3"}},
    )
]
AZURE_ATTACHMENTS: Final = [
    {"data_source": {"type": "uri_asset", "uri": "azureml://a/b"}, "tools": [{"type": "file_search"}]}
]
V1: Final = {key: value for key, value in a_message("msg_h", "thread_h").items() if key != "attachments"}
V1_THREAD: Final = {key: value for key, value in a_thread("thread_h").items() if key != "tool_resources"}


def a_page(letter: str) -> dict[str, Any]:
    """Make a response of the API, newest first."""
    items = [a_message(f"msg_{letter}{n}", f"thread_{letter}", created_at=1_700_000_000 + n // 2) for n in (3, 2, 1)]
    return {"object": "list", "data": items, "first_id": items[0]["id"], "last_id": items[-1]["id"], "has_more": False}


FILES: Final[dict[str, dict[str, bytes]]] = {
    "F": {
        "sdk-dump.jsonl": lines(
            [
                a_thread("thread_f", tool_resources=SDK_TOOLS, metadata=None),
                a_message("msg_f", "thread_f", content=SDK_CONTENT, attachments=SDK_ATTACHMENTS, **SDK_NULLS),
            ]
        )
    },
    "G": {
        "azure.jsonl": lines(
            [
                a_thread("thread_g"),
                a_message("msg_g", "thread_g", content=AZURE_CONTENT, attachments=AZURE_ATTACHMENTS),
            ]
        )
    },
    "H": {"v1.jsonl": lines([V1_THREAD, {**V1, "file_ids": ["file-1", "file-2"]}])},
    "I": {"conversations-000.json": b'[{"title":"t","mapping":{}}]', "user.json": b"{}"},
    "J": {
        "messages.json": orjson.dumps(a_page("j1"), option=orjson.OPT_INDENT_2),
        "pages.jsonl": lines([a_page("j2")]),
        "array.json": orjson.dumps(a_page("j3")["data"]),
    },
    "K": {
        "utf16.jsonl": lines([a_thread("thread_k1"), a_message("msg_k1", "thread_k1")]).decode().encode("utf-16"),
        "THREAD_A.JSON": an_export(a_thread("thread_k2"), a_message("msg_k2", "thread_k2")),
        "all.jsonl.gz": gzip.compress(lines([a_thread("thread_k3"), a_message("msg_k3", "thread_k3")])),
    },
}
MESSAGE: Final = """
query($id: ID!) {
  node(id: $id) { ... on Message {
    attachments { fileId tools }
    content {
      ... on ImageFileContent { imageFile { fileId detail } }
      ... on ImageUrlContent { imageUrl { url detail } }
      ... on TextContent { text { value annotations {
        __typename
        ... on UrlCitation { text startIndex endIndex url title }
        ... on FileCitation { text startIndex endIndex fileId quote }
      } } }
    }
  } }
}"""


@dataclass
class World:
    """What each case's import has said, and the server of what was taken."""

    imports: Mapping[str, CompletedProcess[str]]
    server: Server
    exported: bytes

    def rest(self, path: str) -> httpx.Response:
        """Ask by REST."""
        return httpx.get(f"{self.server.base_url}/v1/{path}", timeout=PATIENCE_S).raise_for_status()

    def message(self, message_id: str) -> Any:
        """Ask for a message by GraphQL."""
        body = {"query": MESSAGE, "variables": {"id": message_id}}
        answer = httpx.post(f"{self.server.base_url}/graphql", json=body, timeout=PATIENCE_S).json()
        assert "errors" not in answer
        return answer["data"]["node"]

    def holds(self, thread_id: str, message_id: str, name: str, value: object) -> bool:
        """Say whether REST and the export give a field as the bytes that it came as."""
        field = b'"%b":%b' % (name.encode(), orjson.dumps(value))
        answer = self.rest(f"threads/{thread_id}/messages/{message_id}").content
        line = next(each for each in self.exported.splitlines() if b'"%b"' % message_id.encode() in each)
        return field in answer and field in line


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("foreign")
    url = request.getfixturevalue(f"new_{request.param}_url")()
    imports = {}
    for case, files in FILES.items():
        (folder / case).mkdir()
        for name, content in files.items():
            (folder / case / name).write_bytes(content)
        named = [case] if case == "I" else [f"{case}/{name}" for name in files]
        imports[case] = run_gateway("import", *named, "--database-url", url, folder=folder)
    exported = run_gateway("export", "--database-url", url, folder=folder).stdout.encode()
    with serving(url, folder=folder) as server:
        yield World(imports, server, exported)


@pytest.mark.parametrize(
    ("case", "threads", "messages"), [("F", 1, 1), ("G", 1, 1), ("H", 1, 1), ("J", 3, 9), ("K", 3, 3)]
)
def test_a_valid_case_is_imported_completely_and_prints_only_a_summary(
    world: World, case: str, threads: int, messages: int
) -> None:
    done = world.imports[case]

    said = f"Threads: {threads}, messages: {messages}, already present: 0, rejected: 0.\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", said)


def test_f_objects_dumped_by_the_sdk_are_kept_byte_for_byte(world: World) -> None:
    assert world.holds("thread_f", "msg_f", "content", SDK_CONTENT)
    assert world.holds("thread_f", "msg_f", "attachments", SDK_ATTACHMENTS)
    assert b'"tool_resources":' + orjson.dumps(SDK_TOOLS) in world.rest("threads/thread_f").content


def test_f_null_fields_have_their_defaults_in_graphql(world: World) -> None:
    found = world.message("msg_f")

    image, web, text = found["content"]
    assert image == {"imageFile": {"fileId": "file-1", "detail": "auto"}}
    assert web == {"imageUrl": {"url": "https://example.com/a.png", "detail": "auto"}}
    [cited] = text["text"]["annotations"]
    assert cited == {
        "__typename": "FileCitation",
        "text": "[1]",
        "startIndex": 0,
        "endIndex": 3,
        "fileId": "file-2",
        "quote": None,
    }
    assert found["attachments"] == [{"fileId": "file-1", "tools": []}, {"fileId": None, "tools": ["file_search"]}]


def test_g_objects_of_azure_are_kept_byte_for_byte(world: World) -> None:
    assert world.holds("thread_g", "msg_g", "content", AZURE_CONTENT)
    assert world.holds("thread_g", "msg_g", "attachments", AZURE_ATTACHMENTS)


def test_g_pages_that_are_cited_are_shown_by_graphql(world: World) -> None:
    found = world.message("msg_g")

    kinds = {"__typename": "UrlCitation"}
    assert found["content"][0]["text"]["annotations"] == [
        {**kinds, "text": "[1]", "startIndex": 4, "endIndex": 7, "url": "https://example.com/a", "title": "A"},
        {**kinds, "text": "[2]", "startIndex": None, "endIndex": None, "url": "https://example.com/b", "title": None},
        {
            "__typename": "FileCitation",
            "text": "[3]",
            "startIndex": None,
            "endIndex": None,
            "fileId": "assistant-3",
            "quote": None,
        },
    ]
    assert found["attachments"] == [{"fileId": None, "tools": ["file_search"]}]


def test_h_files_of_version_1_are_attachments_without_tools(world: World) -> None:
    attachments = [{"file_id": f"file-{n}", "tools": []} for n in (1, 2)]

    assert world.holds("thread_h", "msg_h", "attachments", attachments)
    assert world.message("msg_h")["attachments"] == [{"fileId": f"file-{n}", "tools": []} for n in (1, 2)]
    assert b"file_ids" not in world.exported


def test_i_a_folder_of_another_program_is_refused_with_a_reason_and_a_summary(world: World) -> None:
    done = world.imports["I"]

    sentence, summary = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence.startswith("I: No object of the Assistants API found")
    assert summary == "Threads: 0, messages: 0, already present: 0, rejected: 1."


@pytest.mark.parametrize("letter", ["j1", "j2", "j3"], ids=["a page over lines", "a page on a line", "an array"])
def test_j_api_responses_are_imported_in_the_order_of_the_conversation(world: World, letter: str) -> None:
    listed = world.rest(f"threads/thread_{letter}/messages?order=asc").json()["data"]

    assert [each["id"] for each in listed] == [f"msg_{letter}{n}" for n in (1, 2, 3)]
    assert listed[0]["content"] == a_message(f"msg_{letter}1")["content"]


@pytest.mark.parametrize("letter", ["k1", "k2", "k3"], ids=["UTF-16", "a name in capitals", "gzip"])
def test_k_a_file_in_another_encoding_is_imported(world: World, letter: str) -> None:
    assert world.holds(f"thread_{letter}", f"msg_{letter}", "content", [a_text(f"msg_{letter}")])
    assert world.rest(f"threads/thread_{letter}").json()["created_at"] == 1_700_000_000
