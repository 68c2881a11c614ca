"""A model behind an OpenAI-compatible `/chat/completions`; only its configured URL is ever called.

Must not be here: what the bytes of an answer mean (`chunks`), which endpoints there are (`settings.models`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

import aiohttp
import orjson

from gateway.runs.models.chunks import ChunkReader, failure_of_error
from gateway.runs.models.interface import FailureCode, ModelFailed
from gateway.settings.masking import MASK, mask_url

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from gateway.runs.models.interface import ModelEvent, ModelRequest, TextDelta, ToolCallDelta
    from gateway.settings.models import Endpoint

log: Final = logging.getLogger(__name__)

CONNECT_S: Final = 10.0
USAGE_S: Final = 5.0  # time for what follows the end of an answer; some endpoints leave the connection open
LONGEST_WHOLE: Final = 4 * 1024 * 1024  # bytes of an answer that does not stream
LONGEST_ERROR: Final = 64 * 1024
_CODES: Final = {400: "400", 413: "400", 422: "400", 429: "429"}
_LATE: Final = "The model's endpoint did not answer in time."
_BROKEN: Final = "The model's endpoint could not be reached, or broke off its answer."
_OPTIONAL: Final = ("temperature", "top_p", "response_format", "reasoning_effort")
_OF_TOOLS: Final = ("tool_choice", "parallel_tool_calls")  # endpoints refuse them without tools


class EndpointModel:
    """The models of one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._url = _completions_url(endpoint.url)
        self._session: aiohttp.ClientSession | None = None

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Answer a request, as `Model.stream` does."""
        body = body_of(request, self._endpoint.max_completion_tokens)
        reader = ChunkReader(body.get("max_completion_tokens"))
        try:
            async with aclosing(self._events(body, reader)) as events:
                async for event in events:
                    yield event
        except ModelFailed as failed:
            raise self._failed(failed.code, failed.message, failed.details) from None
        except (TimeoutError, aiohttp.ClientError) as error:
            if reader.reason is None:  # otherwise only the usage can be lost
                message = _LATE if isinstance(error, TimeoutError) else _BROKEN
                raise self._failed(FailureCode.SERVER_ERROR, message, type(error).__name__) from None
        yield reader.finish()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _events(
        self, body: Mapping[str, Any], reader: ChunkReader
    ) -> AsyncGenerator[TextDelta | ToolCallDelta, None]:
        async with self._opened().post(self._url, data=orjson.dumps(body), allow_redirects=False) as response:
            if response.status != HTTPStatus.OK:
                raise _refusal(response.status, await _read(response, LONGEST_ERROR))
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise ModelFailed(
                    FailureCode.SERVER_ERROR, "The model's endpoint sent a compressed answer, which was not requested."
                )
            if response.content_type == "application/json":
                for event in reader.feed_whole(await _read(response, LONGEST_WHOLE)):
                    yield event
                return
            while not reader.is_done:
                async with asyncio.timeout(USAGE_S if reader.reason else None):
                    data = await response.content.readany()
                for event in reader.feed(data or b"\n\n"):  # the last event may lack its final empty line
                    yield event
                if not data:
                    return

    def _opened(self) -> aiohttp.ClientSession:
        """Return the session, which can only be made while an event loop runs."""
        if self._session is None:
            own = self._endpoint
            # Servers may close idle connections at any time, and a POST cannot be repeated: each call has its own.
            connector = aiohttp.TCPConnector(limit=own.max_concurrent, force_close=True)
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers={"Content-Type": "application/json", "Accept-Encoding": "identity", **_authorization(own)},
                timeout=aiohttp.ClientTimeout(total=own.timeout_s, sock_connect=CONNECT_S, sock_read=own.silence_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,  # only the configured URL is called, no proxy
            )
        return self._session

    def _failed(self, code: FailureCode, message: str, details: str) -> ModelFailed:
        message, details = self._redacted(message), self._redacted(details)
        log.warning("%s %s %s", message, mask_url(self._endpoint.url), details)
        return ModelFailed(code, message)

    def _redacted(self, text: str) -> str:
        return text.replace(self._endpoint.key, MASK) if self._endpoint.key else text


def body_of(request: ModelRequest, most_tokens: int | None) -> dict[str, Any]:
    """Write the request of `/chat/completions`."""
    names = (*_OPTIONAL, *_OF_TOOLS) if request.tools else _OPTIONAL
    limits = [each for each in (request.max_completion_tokens, most_tokens) if each is not None]
    return {
        "model": request.model,
        "messages": list(request.messages),
        **({"tools": list(request.tools)} if request.tools else {}),
        **{name: value for name in names if (value := getattr(request, name)) is not None},
        **({"max_completion_tokens": min(limits)} if limits else {}),
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _completions_url(base: str) -> str:
    parts = urlsplit(base)
    return urlunsplit(parts._replace(path=f"{parts.path}/chat/completions"))


def _authorization(endpoint: Endpoint) -> dict[str, str]:
    """Write the header with the key; Azure's URLs, which have `api-version`, need another one."""
    if not endpoint.key:
        return {}
    if "api-version" in parse_qs(urlsplit(endpoint.url).query):
        return {"api-key": endpoint.key}
    return {"Authorization": f"Bearer {endpoint.key}"}


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Read the body, up to a limit."""
    read = b""
    while len(read) < most and (data := await response.content.readany()):
        read += data
    return read[:most]


def _refusal(status: int, body: bytes) -> ModelFailed:
    """Translate an answer whose status is not 200; its error is nested or flat, or no JSON at all."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = body.decode("utf-8", "replace")
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    given = error if isinstance(error, dict) else {"message": error}
    failure = failure_of_error({**given, "code": _CODES.get(status, given.get("code")), "type": None})
    message = failure.message
    if failure.code is FailureCode.SERVER_ERROR:
        message = f"The model's endpoint answered with the status {status}."
    return ModelFailed(failure.code, message, failure.details)
