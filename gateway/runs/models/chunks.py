"""Reading the stream of `/chat/completions`: bytes become events, with all the deviations of endpoints.

Source: WHATWG HTML, "Server-sent events"; OpenAI API reference, "The chat completion chunk object".
Must not be here: how the bytes arrive (`endpoint`).
"""

from __future__ import annotations

import json
import secrets
from codecs import BOM_UTF8
from typing import TYPE_CHECKING, Any, Final

import orjson

from gateway.domain import bounds
from gateway.runs.models.interface import (
    FailureCode,
    Finished,
    FinishReason,
    ModelFailed,
    TextDelta,
    ToolCallDelta,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_CHARACTERS: Final = bounds.TEXT.number  # of a text and all calls together: a message takes no more
MOST_CALLS: Final = bounds.TOOL_CALLS.number
LONGEST_EVENT: Final = bounds.MIB
LONGEST_MESSAGE: Final = 500  # characters of an error's
_REASONS: Final[Mapping[str, FinishReason]] = {
    **{each.value: each for each in FinishReason},
    "function_call": FinishReason.TOOL_CALLS,  # the older word
    "max_tokens": FinishReason.LENGTH,  # proxies pass on the reasons of other services
}
_OF_RATES: Final = {"rate_limit_exceeded", "rate_limit_error", "insufficient_quota", "tokens", "requests", "429"}
_OF_PROMPTS: Final = {"invalid_request_error", "invalid_prompt", "context_length_exceeded", "BadRequestError", "400"}


class ChunkReader:
    """Reads one stream; `reason` is set once the model has finished, `is_done` once nothing may follow.

    Some endpoints ignore a limit of tokens, so it is applied here too: a chunk with text has at least one.
    """

    def __init__(self, most_tokens: int | None = None) -> None:
        self.reason: FinishReason | None = None
        self.is_done = False
        self._usage: Usage | None = None
        self._unread = b""
        self._data: list[bytes] = []
        self._event = b""
        self._characters = MOST_CHARACTERS
        self._chunks = MOST_CHARACTERS if most_tokens is None else most_tokens
        self._text: list[str] = []
        self._made: list[TextDelta | ToolCallDelta] = []
        self._calls: list[str] = []  # the id that the endpoint gave to each call, or ""
        self._named: set[int] = set()  # the calls whose function is known
        self._places: dict[int, int] = {}  # from the endpoint's index to ours

    def feed(self, data: bytes) -> list[TextDelta | ToolCallDelta]:
        """Read received bytes; adjacent texts are joined.

        Errors: ModelFailed.
        """
        data = self._unread + data
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if end == len(data) and data.endswith(b"\r"):  # its line feed may follow
            end -= 1
        self._unread = data[end:]
        for line in data[:end].splitlines():
            if self.is_done:
                break
            self._line(line)
        if len(self._unread) + sum(map(len, self._data)) > LONGEST_EVENT:
            raise _not_understood("an event that is too long")
        return self._taken()

    def feed_whole(self, data: bytes) -> list[TextDelta | ToolCallDelta]:
        """Read an answer that is one JSON object, of an endpoint that does not stream.

        Errors: ModelFailed.
        """
        self._dispatch(data)
        return self._taken()

    def finish(self) -> Finished:
        """End the stream.

        Errors: ModelFailed where the model had not finished.
        """
        if self.reason is None and not self.is_done:
            raise ModelFailed(FailureCode.SERVER_ERROR, "The model's answer ended before it was finished.")
        if len(self._named) < len(self._calls):
            raise _not_understood("a call of a function without its name")
        reason = self.reason or FinishReason.STOP
        # A function that `tool_choice` names is called with the reason "stop".
        if reason in (FinishReason.STOP, FinishReason.TOOL_CALLS):
            reason = FinishReason.TOOL_CALLS if self._calls else FinishReason.STOP
        return Finished(reason, self._usage)

    def _line(self, line: bytes) -> None:
        if not line:
            if self._data:
                self._dispatch(b"\n".join(self._data))
            self._data, self._event = [], b""
            return
        name, _, value = line.removeprefix(BOM_UTF8).partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name == b"event":
            self._event = value.strip()

    def _dispatch(self, data: bytes) -> None:
        if data.strip() == b"[DONE]":
            self.is_done = True
            return
        chunk = _parse(data)
        error = chunk.get("error") or (chunk if self._event == b"error" else None)
        if error:
            raise failure_of_error(error)
        if usage := chunk.get("usage"):
            self._usage = _usage(_object(usage))
        choices = chunk.get("choices")
        choice = _object(choices[0]) if isinstance(choices, list) and choices else {}
        delta = _object(choice.get("delta") or choice.get("message"))
        self._add_text(_text(delta.get("content")) or delta.get("refusal"))
        calls = delta.get("tool_calls")
        for place, call in enumerate(calls if isinstance(calls, list) else ()):
            self._add_call(_object(call), place)
        reason = choice.get("finish_reason")
        if self.reason is None and isinstance(reason, str):
            self.reason = _REASONS.get(reason, FinishReason.STOP)

    def _add_text(self, text: object) -> None:
        if not isinstance(text, str) or not text:
            return
        if not self._chunks:
            self.reason, self.is_done = FinishReason.LENGTH, True
            return
        self._chunks -= 1
        self._text.append(self._counted(text))

    def _add_call(self, call: Mapping[str, Any], place: int) -> None:
        function = _object(call.get("function"))
        given = call.get("id")
        given = given if isinstance(given, str) and len(given) <= bounds.REFERENCE.number else ""
        name, arguments = function.get("name"), function.get("arguments")
        index = self._index(call.get("index", place), given)
        is_new = index == len(self._calls)
        if is_new:
            if index == MOST_CALLS:
                raise _not_understood("too many calls of functions")
            given = "" if given in self._calls else given  # an output names its call by the id
            self._calls.append(given)
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        piece = self._counted(arguments) if isinstance(arguments, str) else ""
        named = self._counted(name) if isinstance(name, str) and name and index not in self._named else None
        if not (is_new or piece or named):
            return
        self._end_text()
        if named:
            self._named.add(index)
        call_id = (given or f"call_{secrets.token_hex(12)}") if is_new else None
        self._made.append(ToolCallDelta(index, call_id, named, piece))

    def _index(self, given: object, call_id: str) -> int:
        """Find our index of a call; some endpoints give all calls the same index, and different ids."""
        key = given if isinstance(given, int) else 0
        index = self._places.get(key)
        if index is None or (call_id and self._calls[index] and call_id != self._calls[index]):
            index = len(self._calls)
            self._places[key] = index
        return index

    def _counted(self, text: str) -> str:
        """Truncate text at the maximum length of an answer, which ends there."""
        if len(text) > self._characters:
            text, self.reason, self.is_done = text[: self._characters], FinishReason.LENGTH, True
        self._characters -= len(text)
        return text

    def _end_text(self) -> None:
        if text := "".join(self._text):
            self._made.append(TextDelta(text))
        self._text.clear()

    def _taken(self) -> list[TextDelta | ToolCallDelta]:
        self._end_text()
        made, self._made = self._made, []
        return made


def failure_of_error(error: object) -> ModelFailed:
    """Translate the error that an endpoint sends; clients see its message only for a bad prompt."""
    given = _object(error)
    said, kinds = str(given.get("message") or error)[:LONGEST_MESSAGE], {str(given.get("type")), str(given.get("code"))}
    if kinds & _OF_RATES:
        return ModelFailed(FailureCode.RATE_LIMIT_EXCEEDED, "The model's endpoint limits the rate of its calls.", said)
    if kinds & _OF_PROMPTS:
        return ModelFailed(FailureCode.INVALID_PROMPT, said)
    return ModelFailed(FailureCode.SERVER_ERROR, "The model's endpoint failed.", said)


def _not_understood(what: str) -> ModelFailed:
    return ModelFailed(FailureCode.SERVER_ERROR, f"The model's endpoint sent {what}.")


def _parse(data: bytes) -> Mapping[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        chunk = _parse_odd(data)
    if not isinstance(chunk, dict):
        raise _not_understood("an answer that is not a JSON object")
    return chunk


def _parse_odd(data: bytes) -> Any:
    """Parse JSON with lone surrogates or invalid UTF-8, which are replaced."""
    try:
        chunk = json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        raise _not_understood("an answer that is not JSON") from None
    return json.loads(
        json.dumps(chunk, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def _text(content: object) -> object:
    """Return a text, of which some endpoints send parts."""
    if not isinstance(content, list):
        return content
    return "".join(text for part in content if isinstance(text := _object(part).get("text"), str))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _usage(given: Mapping[str, Any]) -> Usage:
    prompt, completion = _object(given.get("prompt_tokens_details")), _object(given.get("completion_tokens_details"))
    return Usage(
        _count(given.get("prompt_tokens")),
        _count(given.get("completion_tokens")),
        _count(prompt.get("cached_tokens")),
        _count(completion.get("reasoning_tokens")),
    )


def _count(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0
