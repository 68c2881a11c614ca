"""What a program that uses the `openai` SDK expects of threads and messages, as checks on a client.

Nothing but the SDK is imported, so that the checks run in an environment which has only that.
Must not be here: which clients there are, and who runs the checks (`python_sdk`).
"""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import OpenAI
    from openai.types.beta.threads import Message

CHECKS: dict[str, Callable[[OpenAI, str], None]] = {}
UNKNOWN_THREAD = "thread_000000000000000000000000"


def check(function: Callable[[OpenAI, str], None]) -> Callable[[OpenAI, str], None]:
    """Take a function into the list of checks, under its name as a sentence."""
    CHECKS[function.__name__.replace("_", " ")] = function
    return function


@check
def a_thread_is_made_of_nothing(client: OpenAI, _base_url: str) -> None:
    thread = client.beta.threads.create()

    assert thread.id.startswith("thread_")
    assert (thread.object, thread.metadata) == ("thread", {})
    assert thread.created_at > 1_700_000_000


@check
def a_thread_is_made_with_messages_metadata_and_tool_resources(client: OpenAI, _base_url: str) -> None:
    thread = client.beta.threads.create(
        messages=[
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": [{"type": "text", "text": "second"}], "metadata": {"n": "2"}},
        ],
        metadata={"topic": "weather"},
        tool_resources={"code_interpreter": {"file_ids": ["file-1"]}},
    )

    said = list(client.beta.threads.messages.list(thread.id, order="asc"))
    assert [(each.role, text_of(each), each.metadata) for each in said] == [
        ("user", "first", {}),
        ("assistant", "second", {"n": "2"}),
    ]
    assert thread.metadata == {"topic": "weather"}
    assert thread.tool_resources is not None
    assert thread.tool_resources.code_interpreter is not None
    assert thread.tool_resources.code_interpreter.file_ids == ["file-1"]


@check
def a_thread_is_retrieved(client: OpenAI, _base_url: str) -> None:
    made = client.beta.threads.create(metadata={"a": "1"})

    found = client.beta.threads.retrieve(made.id)

    assert (found.id, found.created_at, found.metadata) == (made.id, made.created_at, made.metadata)


@check
def a_thread_is_updated(client: OpenAI, _base_url: str) -> None:
    made = client.beta.threads.create(metadata={"kept": "1", "changed": "1"})

    changed = client.beta.threads.update(
        made.id, metadata={"changed": "2"}, tool_resources={"file_search": {"vector_store_ids": ["vs_1"]}}
    )

    assert changed.metadata == {"kept": "1", "changed": "2"}
    assert changed.tool_resources is not None
    assert changed.tool_resources.file_search is not None
    assert changed.tool_resources.file_search.vector_store_ids == ["vs_1"]
    assert client.beta.threads.retrieve(made.id).metadata == changed.metadata


@check
def a_thread_is_deleted(client: OpenAI, _base_url: str) -> None:
    made = client.beta.threads.create(messages=[{"role": "user", "content": "hi"}])

    deleted = client.beta.threads.delete(made.id)

    assert (deleted.id, deleted.object, deleted.deleted) == (made.id, "thread.deleted", True)
    refusal = refused(openai.NotFoundError, lambda: client.beta.threads.retrieve(made.id))
    assert f"No thread found with id '{made.id}'." in refusal.message


@check
def a_message_is_made_of_a_string(client: OpenAI, _base_url: str) -> None:
    thread = client.beta.threads.create()

    made = client.beta.threads.messages.create(thread.id, role="user", content='Grüße \U0001f642 \u2028 "\\')

    assert made.id.startswith("msg_")
    assert (made.object, made.thread_id, made.role, made.status) == ("thread.message", thread.id, "user", "completed")
    assert (made.run_id, made.assistant_id, made.attachments, made.metadata) == (None, None, [], {})
    assert text_of(made) == 'Grüße \U0001f642 \u2028 "\\'


@check
def a_message_is_made_of_parts(client: OpenAI, _base_url: str) -> None:
    thread = client.beta.threads.create()

    made = client.beta.threads.messages.create(
        thread.id,
        role="user",
        content=[
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
            {"type": "image_file", "image_file": {"file_id": "file-1", "detail": "low"}},
        ],
    )

    text, url, file = made.content
    assert text.type == "text"
    assert (text.text.value, text.text.annotations) == ("look", [])
    assert url.type == "image_url"
    assert (url.image_url.url, url.image_url.detail) == ("https://example.com/a.png", "auto")
    assert file.type == "image_file"
    assert (file.image_file.file_id, file.image_file.detail) == ("file-1", "low")


@check
def a_message_keeps_its_attachments_and_metadata(client: OpenAI, _base_url: str) -> None:
    thread = client.beta.threads.create()

    made = client.beta.threads.messages.create(
        thread.id,
        role="assistant",
        content="see there",
        attachments=[{"file_id": "file-1", "tools": [{"type": "file_search"}, {"type": "code_interpreter"}]}],
        metadata={"source": "test"},
    )

    found = client.beta.threads.messages.retrieve(made.id, thread_id=thread.id)
    assert found == made
    assert found.metadata == {"source": "test"}
    assert found.attachments is not None
    [attachment] = found.attachments
    assert attachment.file_id == "file-1"
    assert [tool.type for tool in attachment.tools or ()] == ["file_search", "code_interpreter"]


@check
def a_message_is_updated(client: OpenAI, _base_url: str) -> None:
    thread = client.beta.threads.create()
    made = client.beta.threads.messages.create(thread.id, role="user", content="hi", metadata={"kept": "1"})

    changed = client.beta.threads.messages.update(made.id, thread_id=thread.id, metadata={"new": "2"})

    assert changed.metadata == {"kept": "1", "new": "2"}
    assert (changed.id, changed.content) == (made.id, made.content)


@check
def a_message_is_deleted(client: OpenAI, _base_url: str) -> None:
    thread = client.beta.threads.create()
    messages = client.beta.threads.messages
    made = messages.create(thread.id, role="user", content="hi")

    deleted = messages.delete(made.id, thread_id=thread.id)

    assert (deleted.id, deleted.object, deleted.deleted) == (made.id, "thread.message.deleted", True)
    assert list(messages.list(thread.id)) == []
    refusal = refused(openai.NotFoundError, lambda: messages.retrieve(made.id, thread_id=thread.id))
    assert f"No message found with id '{made.id}'." in refusal.message


@check
def paging_walks_250_messages_forwards_each_once(client: OpenAI, _base_url: str) -> None:
    thread_id = thread_of(client, 250)

    said = [text_of(each) for each in client.beta.threads.messages.list(thread_id, order="asc", limit=30)]

    assert said == [str(n) for n in range(250)]


@check
def paging_walks_250_messages_backwards_each_once(client: OpenAI, _base_url: str) -> None:
    thread_id = thread_of(client, 250)

    said = [text_of(each) for each in client.beta.threads.messages.list(thread_id)]

    assert said == [str(n) for n in reversed(range(250))]


@check
def a_page_lies_between_after_and_before(client: OpenAI, _base_url: str) -> None:
    thread_id = thread_of(client, 10)
    ids = [each.id for each in client.beta.threads.messages.list(thread_id, order="asc")]

    def page(**query: Any) -> tuple[list[str], bool]:
        found = client.beta.threads.messages.list(thread_id, order="asc", **query)
        return [text_of(each) for each in found.data], found.has_next_page()

    assert page(limit=4) == (["0", "1", "2", "3"], True)
    assert page(after=ids[3], limit=2) == (["4", "5"], True)
    assert page(after=ids[7], limit=2) == (["8", "9"], False)
    assert page(before=ids[5], limit=2)[0] == ["3", "4"]
    assert page(after=ids[2], before=ids[6])[0] == ["3", "4", "5"]


@check
def a_list_may_be_of_one_run(client: OpenAI, base_url: str) -> None:
    thread_id = thread_of(client, 3)
    answer = add_answer_of_run(base_url, thread_id, "run_1")

    found = client.beta.threads.messages.list(thread_id, run_id="run_1")

    assert [(each.id, each.run_id, each.assistant_id) for each in found] == [(answer, "run_1", "asst_1")]
    assert list(client.beta.threads.messages.list(thread_id, run_id="run_2")) == []


@check
def what_cannot_be_accepted_is_a_bad_request_error(client: OpenAI, _base_url: str) -> None:
    thread = client.beta.threads.create()
    wrong: Any = "human"

    refusal = refused(
        openai.BadRequestError,
        lambda: client.beta.threads.messages.create(thread.id, role=wrong, content="hi"),
    )

    assert "Invalid value: 'human'. Supported values are: 'user' and 'assistant'." in refusal.message
    assert (refusal.code, refusal.param, refusal.type) == ("invalid_value", "role", "invalid_request_error")
    assert refusal.request_id is not None
    assert refusal.request_id.startswith("req_")


@check
def what_is_not_there_is_a_not_found_error(client: OpenAI, _base_url: str) -> None:
    refusal = refused(
        openai.NotFoundError,
        lambda: client.beta.threads.messages.create(UNKNOWN_THREAD, role="user", content="hi"),
    )

    assert f"No thread found with id '{UNKNOWN_THREAD}'." in refusal.message
    assert (refusal.code, refusal.param, refusal.type) == (None, None, "invalid_request_error")
    assert refusal.request_id is not None
    assert refusal.request_id.startswith("req_")


def text_of(message: Message) -> str:
    [part] = message.content
    assert part.type == "text"
    return part.text.value


def thread_of(client: OpenAI, count: int) -> str:
    return client.beta.threads.create(messages=[{"role": "user", "content": str(n)} for n in range(count)]).id


def refused(kind: type[openai.APIStatusError], call: Callable[[], object]) -> openai.APIStatusError:
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, but nothing was raised")


def add_answer_of_run(base_url: str, thread_id: str, run_id: str) -> str:
    """Record an answer the way the worker that called a model does: the wire has no call for it."""
    query = "mutation($input: CreateMessageInput!) { createMessage(input: $input) { message { id } } }"
    new = {"threadId": thread_id, "role": "ASSISTANT", "content": {"text": "answer"}, "runId": run_id}
    body = json.dumps({"query": query, "variables": {"input": {**new, "assistantId": "asst_1"}}}).encode()
    url = f"{base_url}/graphql"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})  # noqa: S310  (our own server)
    with urllib.request.urlopen(request) as response:  # noqa: S310  (as above)
        made: str = json.load(response)["data"]["createMessage"]["message"]["id"]
    return made
