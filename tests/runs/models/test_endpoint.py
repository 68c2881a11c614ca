"""A model behind an endpoint, asked over a real connection."""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from gateway.runs.models.endpoint import EndpointModel
from gateway.runs.models.interface import (
    FailureCode,
    Finished,
    FinishReason,
    ModelFailed,
    ModelRequest,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from gateway.settings.models import Endpoint
from tests.ports import free_port
from tests.runs.fake_model import (
    EVENT_STREAM,
    PATIENCE_S,
    Act,
    Script,
    calls,
    chunk,
    event,
    fake_model,
    refuses,
    says,
    usage,
)

if TYPE_CHECKING:
    from gateway.runs.models.interface import ModelEvent
    from tests.runs.fake_model import FakeModel

KEY = "sk-very-secret"
ASKED = ModelRequest("gpt", [{"role": "user", "content": "hi"}])
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}


async def answer(fake: FakeModel, request: ModelRequest = ASKED, **limits: Any) -> list[ModelEvent]:
    model = EndpointModel(Endpoint(limits.pop("url", fake.url), KEY, **limits))
    try:
        return [each async for each in model.stream(request)]
    finally:
        await model.close()


async def failure(fake: FakeModel, **limits: Any) -> ModelFailed:
    with pytest.raises(ModelFailed) as failed:
        await answer(fake, **limits)
    return failed.value


def text_of(events: list[ModelEvent]) -> str:
    return "".join(each.text for each in events if isinstance(each, TextDelta))


async def test_an_answer_is_streamed_with_its_usage(fake: FakeModel) -> None:
    fake.answer(says("Hello", " world"))

    events = await answer(fake)

    assert text_of(events) == "Hello world"
    assert events[-1] == Finished(FinishReason.STOP, Usage(11, 7))


async def test_a_text_arrives_before_the_answer_has_ended(fake: FakeModel) -> None:
    may_end = threading.Event()
    fake.answer(Script([chunk({"content": "first"}), may_end.wait, chunk({"content": "last"}, "stop")]))
    model = EndpointModel(Endpoint(fake.url))

    async with aclosing(model.stream(ASKED)) as events:
        assert await anext(events) == TextDelta("first")
        may_end.set()
        assert [each async for each in events] == [TextDelta("last"), Finished(FinishReason.STOP)]
    await model.close()


async def test_a_function_is_called(fake: FakeModel) -> None:
    fake.answer(calls(("weather", '{"city":"Paris"}')))

    events = await answer(fake)

    assert events[0] == ToolCallDelta(0, "call_0", "weather")
    assert "".join(each.arguments for each in events if isinstance(each, ToolCallDelta)) == '{"city":"Paris"}'
    assert events[-1] == Finished(FinishReason.TOOL_CALLS, Usage(11, 7))


async def test_the_request_has_what_was_given_and_nothing_else(fake: FakeModel) -> None:
    await answer(fake)
    [asked] = fake.asked

    assert asked.path == "/v1/chat/completions"
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body == {
        "model": "gpt",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_all_that_a_run_may_choose_is_handed_on(fake: FakeModel) -> None:
    chosen: dict[str, Any] = {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "response_format": {"type": "json_object"},
        "temperature": 0.0,
        "top_p": 0.5,
        "max_completion_tokens": 300,
        "reasoning_effort": "low",
        "parallel_tool_calls": False,
    }

    await answer(fake, ModelRequest("gpt", [{"role": "user", "content": "hi"}], **chosen))

    assert chosen.items() <= fake.asked[0].body.items()


async def test_choices_about_tools_are_not_sent_without_tools(fake: FakeModel) -> None:
    await answer(fake, ModelRequest("gpt", [], tool_choice="none", parallel_tool_calls=True))

    assert {"tools", "tool_choice", "parallel_tool_calls"}.isdisjoint(fake.asked[0].body)


@pytest.mark.parametrize(("of_run", "sent"), [(None, 256), (300, 256), (100, 100)])
async def test_the_smaller_limit_of_tokens_is_sent(fake: FakeModel, of_run: int | None, sent: int) -> None:
    await answer(fake, ModelRequest("gpt", [], max_completion_tokens=of_run), max_completion_tokens=256)

    assert fake.asked[0].body["max_completion_tokens"] == sent


async def test_an_address_of_azure_keeps_its_version_and_takes_the_key_in_its_own_header(fake: FakeModel) -> None:
    base = fake.url.removesuffix("/v1")

    await answer(fake, url=f"{base}/openai/deployments/gpt?api-version=2024-10-21")
    [asked] = fake.asked

    assert asked.path == "/openai/deployments/gpt/chat/completions?api-version=2024-10-21"
    assert asked.headers["api-key"] == KEY
    assert "authorization" not in asked.headers


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        (
            refuses(429, {"message": f"slow down {KEY}"}),
            FailureCode.RATE_LIMIT_EXCEEDED,
            "The model's endpoint limits the rate of its calls.",
        ),
        (refuses(400, {"message": f"Too long, {KEY}."}), FailureCode.INVALID_PROMPT, "Too long, ********."),
        (refuses(422, "flat"), FailureCode.INVALID_PROMPT, "flat"),
        (
            refuses(401, {"message": KEY, "type": "invalid_request_error", "code": "invalid_api_key"}),
            FailureCode.SERVER_ERROR,
            "The model's endpoint answered with the status 401.",
        ),
        (
            Script([b"<html>"], 503),
            FailureCode.SERVER_ERROR,
            "The model's endpoint answered with the status 503.",
        ),
        (
            Script([event({"error": {"message": KEY}})]),
            FailureCode.SERVER_ERROR,
            "The model's endpoint failed.",
        ),
        (
            Script([chunk({"content": "a"}), Act.BREAK]),
            FailureCode.SERVER_ERROR,
            "The model's endpoint could not be reached, or broke off its answer.",
        ),
        (
            Script([chunk({"content": "a"})]),
            FailureCode.SERVER_ERROR,
            "The model's answer ended before it was finished.",
        ),
    ],
)
async def test_a_failure_is_translated_and_has_no_key(
    fake: FakeModel, caplog: pytest.LogCaptureFixture, script: Script, code: FailureCode, message: str
) -> None:
    fake.answer(script)

    with caplog.at_level(logging.DEBUG):
        failed = await failure(fake)

    assert (failed.code, failed.message) == (code, message)
    assert KEY not in caplog.text


async def test_an_endpoint_that_is_not_there_is_a_failure(fake: FakeModel) -> None:
    failed = await failure(fake, url=f"http://127.0.0.1:{free_port()}/v1")

    assert failed.message == "The model's endpoint could not be reached, or broke off its answer."


@pytest.mark.parametrize("limits", [{"silence_s": 0.1}, {"timeout_s": 0.1}])
@pytest.mark.parametrize("before", [[], [chunk({"content": "a"})]])
async def test_an_endpoint_that_hangs_is_left(fake: FakeModel, before: list[bytes], limits: dict[str, float]) -> None:
    fake.answer(Script([*before, Act.HANG]))

    failed = await failure(fake, **limits)

    assert failed.message == "The model's endpoint did not answer in time."
    assert await asyncio.to_thread(fake.gone.wait, PATIENCE_S)


@pytest.mark.parametrize("after", [Act.HANG, Act.BREAK])
async def test_what_happens_after_the_end_of_an_answer_is_no_failure(fake: FakeModel, after: Act) -> None:
    fake.answer(Script([chunk({"content": "a"}), chunk({}, "stop"), usage(), after]))

    assert (await answer(fake, silence_s=0.1))[-1] == Finished(FinishReason.STOP, Usage(11, 7))


@pytest.mark.parametrize("status", [302, 308])
async def test_a_redirect_is_not_followed(fake: FakeModel, status: int) -> None:
    with fake_model() as other:
        fake.answer(refuses(status, "", location=f"{other.url}/chat/completions"))

        failed = await failure(fake)

    assert failed.message == f"The model's endpoint answered with the status {status}."
    assert other.asked == []


async def test_an_answer_that_is_compressed_unasked_is_a_failure(fake: FakeModel) -> None:
    packed = gzip.compress(chunk({"content": "a"}) + chunk({}, "stop"))
    fake.answer(Script([packed], headers={**EVENT_STREAM, "content-encoding": "gzip"}))

    assert (await failure(fake)).message == "The model's endpoint sent a compressed answer, which was not requested."
    assert fake.asked[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "answered",
    [
        b"",
        b"\x00\x01\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    ],
    ids=["nothing", "no HTTP", "a long header", "a broken chunk", "a negative length"],
)
async def test_what_is_no_http_is_a_failure(answered: bytes) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answered)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        model = EndpointModel(Endpoint(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"))
        with pytest.raises(ModelFailed, match="broke off its answer"):
            _ = [each async for each in model.stream(ASKED)]
        await model.close()


async def test_no_proxy_of_the_environment_is_asked(fake: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_model() as other:
        monkeypatch.setenv("http_proxy", other.url)
        monkeypatch.setenv("HTTP_PROXY", other.url)

        assert text_of(await answer(fake)) == "You said: hi "

    assert other.asked == []


async def test_an_answer_that_does_not_stream_is_taken_whole(fake: FakeModel) -> None:
    whole = event({"choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]})[6:]
    fake.answer(Script([whole], headers={"content-type": "application/json"}))

    assert await answer(fake) == [TextDelta("all"), Finished(FinishReason.STOP)]


async def test_a_last_event_without_an_empty_line_is_read(fake: FakeModel) -> None:
    fake.answer(Script([chunk({"content": "a"}), chunk({}, "length").rstrip()]))

    assert await answer(fake) == [TextDelta("a"), Finished(FinishReason.LENGTH)]


async def test_to_close_the_stream_ends_the_call(fake: FakeModel) -> None:
    fake.answer(Script([chunk({"content": "a"}), Act.HANG]))
    model = EndpointModel(Endpoint(fake.url))

    async with aclosing(model.stream(ASKED)) as events:
        assert await anext(events) == TextDelta("a")

    assert await asyncio.to_thread(fake.gone.wait, PATIENCE_S)
    await model.close()


async def test_calls_wait_where_as_many_as_allowed_are_made(fake: FakeModel) -> None:
    may_end = threading.Event()
    fake.answer(Script([chunk({"content": "a"}), may_end.wait, chunk({}, "stop")]))
    model = EndpointModel(Endpoint(fake.url, max_concurrent=1))

    async with aclosing(model.stream(ASKED)) as first, aclosing(model.stream(ASKED)) as second:
        await anext(first)
        waiting = asyncio.ensure_future(anext(second))
        await asyncio.wait([waiting], timeout=0.05)
        assert len(fake.asked) == 1
        may_end.set()
        assert [each async for each in first]
        assert await waiting
    await model.close()
