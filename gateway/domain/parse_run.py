"""Parsing of raw JSON objects to new runs, outputs of tools and assistants, with their limits.

Source: contract of runs, "Objects" and "Requests"; openapi-runs.yaml, Create…/Modify…Request.
Must not be here: anything that needs the database; threads and messages (`parse`).
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from gateway.domain import bounds, parse, validate
from gateway.domain.run import ASSISTANT_FIELDS, SETTINGS, NewRun, ToolOutputs
from gateway.domain.unset import UNSET
from gateway.errors import InvalidRequest, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.domain.metadata import MetadataPatch
    from gateway.domain.unset import Unset

    Parse = Callable[[Any, str], Any]

_LEAST_TOKENS: Final = 256
_MOST_TOKENS: Final = 2**31 - 1
_EFFORTS: Final = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_FORMATS: Final = ("text", "json_object", "json_schema")
_CHOICES: Final = ("none", "auto", "required")
_FUNCTION_NAME: Final = re.compile("[A-Za-z0-9_-]{1,64}")
_NOT_RUN: Final = (
    "is not supported by this server, which runs functions alone: it has no files, vector stores or code interpreter."
)
_OF_RUN: Final = ("additional_instructions", "additional_messages", "metadata", "stream")
_OF_THREAD: Final = ("messages", "tool_resources", "metadata", "owner")


def new_run(body: object, *, with_thread: bool = False, from_worker: bool = False) -> NewRun:
    """Parse the body of createRun, or of createThreadAndRun; `from_worker` as for messages."""
    raw = validate.root_object(body)
    more = ("thread", "metadata", "stream") if with_thread else _OF_RUN
    settings = SETTINGS if with_thread else tuple(name for name in SETTINGS if name != "tool_resources")
    validate.fields(raw, "", required=("assistant_id",), optional=(*settings, *more))
    messages = [] if raw.get("additional_messages") is None else raw["additional_messages"]
    validate.an_array(messages, "additional_messages", at_most=bounds.ADDITIONAL_MESSAGES.number)
    validate.total(sum(map(parse.count_parts, messages)), "additional_messages", bounds.REQUEST_PARTS)
    return NewRun(
        assistant_id=assistant_id(raw["assistant_id"]),
        given=_given(raw, settings, tools=bounds.RUN_TOOLS.number),
        additional_instructions=_optional(_instructions, raw.get("additional_instructions"), "additional_instructions"),
        additional_messages=tuple(
            parse.new_message(each, f"additional_messages[{n}]", from_worker=from_worker)
            for n, each in enumerate(messages)
        ),
        metadata=parse.metadata(raw.get("metadata"), "metadata"),
        thread=_thread(raw.get("thread")) if with_thread else None,
        is_streamed=_flag(raw.get("stream"), "stream"),
    )


def _thread(value: object) -> Any:
    if value is None:
        return parse.new_thread({})
    validate.fields(validate.an_object(value, "thread"), "thread", optional=_OF_THREAD)
    return parse.new_thread(value)


def assistant_id(value: object) -> str:
    """Parse the id of an assistant, which may have been made elsewhere."""
    return parse.a_reference(validate.a_string(value, "assistant_id", at_least=1), "assistant_id")


def tool_outputs(body: object) -> ToolOutputs:
    """Parse the body of submitToolOutputs."""
    raw = validate.root_object(body)
    validate.fields(raw, "", required=("tool_outputs",), optional=("stream",))
    given = validate.an_array(raw["tool_outputs"], "tool_outputs", at_most=bounds.TOOL_CALLS.number)
    outputs: list[tuple[str, str]] = []
    for n, each in enumerate(given):
        path = f"tool_outputs[{n}]"
        output = validate.an_object(each, path)
        validate.fields(output, path, required=("tool_call_id",), optional=("output",))
        call_id = validate.a_string(
            output["tool_call_id"], f"{path}.tool_call_id", at_least=1, at_most=bounds.REFERENCE.number
        )
        text = output.get("output")
        text = validate.a_string("" if text is None else text, f"{path}.output", at_most=bounds.TOOL_OUTPUT.number)
        outputs.append((call_id, text))
    return ToolOutputs(tuple(outputs), _flag(raw.get("stream"), "stream"))


def new_assistant(body: object) -> dict[str, Any]:
    """Parse the body of createAssistant: all ASSISTANT_FIELDS, in their order."""
    raw = validate.root_object(body)
    validate.fields(raw, "", required=("model",), optional=tuple(ASSISTANT_FIELDS))
    given = _given(raw, tuple(ASSISTANT_FIELDS), tools=bounds.ASSISTANT_TOOLS.number)
    if given.get("model") is None:
        validate.refuse_type("model", "a string", None)
    return {**ASSISTANT_FIELDS, **given}


def assistant_patch(body: object) -> tuple[dict[str, Any], MetadataPatch | Unset]:
    """Parse the body of modifyAssistant: the fields that change, and the patch of the metadata."""
    raw = validate.root_object(body)
    validate.fields(raw, "", optional=tuple(ASSISTANT_FIELDS))
    patch = raw.get("metadata")
    names = tuple(name for name in ASSISTANT_FIELDS if name != "metadata")
    given = _given(raw, names, tools=bounds.ASSISTANT_TOOLS.number)
    return given, UNSET if patch is None else parse.metadata_patch(patch)


def run_patch(body: object) -> MetadataPatch | Unset:
    """Parse the body of modifyRun; only metadata can change."""
    raw = validate.root_object(body)
    validate.fields(raw, "", optional=("metadata",))
    return UNSET if raw.get("metadata") is None else parse.metadata_patch(raw["metadata"])


def _given(raw: dict[str, Any], names: tuple[str, ...], *, tools: int) -> dict[str, Any]:
    """Parse those fields that are given and not null; null is the default in all of them."""
    parsers: dict[str, Parse] = {**_PARSERS, "tools": partial(_tools, at_most=tools)}
    return {name: parsers[name](raw[name], name) for name in names if raw.get(name) is not None}


def _optional(parser: Parse, value: Any, path: str) -> Any:
    return None if value is None else parser(value, path)


def _text(value: Any, path: str, bound: bounds.Bound, at_least: int = 0) -> str:
    return validate.a_string(value, path, at_least=at_least, at_most=bound.number)


def _instructions(value: Any, path: str) -> str:
    return _text(value, path, bounds.INSTRUCTIONS)


def _boolean(value: Any, path: str) -> bool:
    if isinstance(value, bool):
        return value
    validate.refuse_type(path, "a boolean", value)


def _flag(value: Any, path: str) -> bool:
    return value is not None and _boolean(value, path)


def _decimal(value: Any, path: str, at_most: float) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        validate.refuse_type(path, "a decimal number", value)
    for is_outside, side, bound in ((value < 0, "below minimum", ">= 0"), (value > at_most, "above maximum", at_most)):
        if is_outside:
            expected = bound if isinstance(bound, str) else f"<= {at_most:g}"
            code = f"decimal_{'below_min' if value < 0 else 'above_max'}_value"
            message = f"Invalid '{path}': decimal {side} value. Expected a value {expected}, but got {value} instead."
            validate.refuse(message, path, code)
    return float(value)


def _tokens(value: Any, path: str) -> int:
    return validate.an_integer(value, path, at_least=_LEAST_TOKENS, at_most=_MOST_TOKENS)


def _tools(value: Any, path: str, at_most: int) -> list[dict[str, Any]]:
    items = validate.an_array(value, path, at_most=at_most)
    return [_tool(item, f"{path}[{n}]") for n, item in enumerate(items)]


def _tool(value: Any, path: str) -> dict[str, Any]:
    raw = validate.an_object(value, path)
    validate.fields(raw, path, required=("type",), optional=tuple(raw))
    kind = validate.one_of(raw["type"], f"{path}.type", ("code_interpreter", "file_search", "function"))
    if kind != "function":
        raise InvalidRequest(f"Invalid '{path}.type': '{kind}' {_NOT_RUN}", param=f"{path}.type", code="unsupported")
    validate.fields(raw, path, required=("type", "function"))
    function = _named(raw["function"], f"{path}.function", "parameters")
    kept = {key: each for key, each in function.items() if each is not None}
    return {"type": "function", "function": {**kept, "strict": bool(function.get("strict"))}}


def _named(value: Any, path: str, schema: str) -> dict[str, Any]:
    """Check what has a name and a JSON Schema: a function, or the format of an answer."""
    raw = validate.an_object(value, path)
    validate.fields(raw, path, required=("name",), optional=("description", schema, "strict"))
    _function_name(raw["name"], f"{path}.name")
    _optional(partial(_text, bound=bounds.TEXT), raw.get("description"), f"{path}.description")
    _optional(validate.an_object, raw.get(schema), f"{path}.{schema}")
    _flag(raw.get("strict"), f"{path}.strict")
    return raw


def _function_name(value: Any, path: str) -> str:
    text = validate.a_string(value, path, at_least=1)
    if _FUNCTION_NAME.fullmatch(text):
        return text
    message = (
        f"Invalid '{path}': '{excerpt(text)}'. Expected 1 to 64 letters, digits, underscores and dashes (A-Z a-z 0-9)."
    )
    validate.refuse(message, path, "invalid_value")


def _truncation(value: Any, path: str) -> dict[str, Any]:
    raw = validate.an_object(value, path)
    validate.fields(raw, path, required=("type",), optional=("last_messages",))
    kind = validate.one_of(raw["type"], f"{path}.type", ("auto", "last_messages"))
    last = raw.get("last_messages")
    if kind == "last_messages" or last is not None:
        last = validate.an_integer(last, f"{path}.last_messages", at_least=1, at_most=_MOST_TOKENS)
    return {"type": kind, "last_messages": last}


def _tool_choice(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return validate.one_of(value, path, _CHOICES)
    raw = validate.an_object(value, path)
    validate.fields(raw, path, required=("type",), optional=("function",))
    kind = validate.one_of(raw["type"], f"{path}.type", ("function", "code_interpreter", "file_search"))
    if kind != "function":
        raise InvalidRequest(f"Invalid '{path}.type': '{kind}' {_NOT_RUN}", param=f"{path}.type", code="unsupported")
    function = validate.an_object(raw.get("function"), f"{path}.function")
    validate.fields(function, f"{path}.function", required=("name",))
    return {"type": "function", "function": {"name": _function_name(function["name"], f"{path}.function.name")}}


def _response_format(value: Any, path: str) -> Any:
    if isinstance(value, str):
        return validate.one_of(value, path, ("auto",))
    raw = validate.an_object(value, path)
    validate.fields(raw, path, required=("type",), optional=tuple(raw))
    kind = validate.one_of(raw["type"], f"{path}.type", _FORMATS)
    if kind != "json_schema":
        validate.fields(raw, path, required=("type",))
        return {"type": kind}
    validate.fields(raw, path, required=("type", "json_schema"))
    named = _named(raw["json_schema"], f"{path}.json_schema", "schema")
    return {"type": kind, "json_schema": named}


_PARSERS: Final[dict[str, Parse]] = {
    "model": lambda value, path: _text(value, path, bounds.ASSISTANT_NAME, at_least=1),
    "name": partial(_text, bound=bounds.ASSISTANT_NAME),
    "description": partial(_text, bound=bounds.ASSISTANT_DESCRIPTION),
    "instructions": _instructions,
    "tool_resources": lambda value, _path: parse.tool_resources(value),
    "metadata": parse.metadata,
    "temperature": partial(_decimal, at_most=2),
    "top_p": partial(_decimal, at_most=1),
    "reasoning_effort": partial(validate.one_of, supported=_EFFORTS),
    "max_completion_tokens": _tokens,
    "max_prompt_tokens": _tokens,
    "truncation_strategy": _truncation,
    "response_format": _response_format,
    "tool_choice": _tool_choice,
    "parallel_tool_calls": _boolean,
}
