"""The shape of a row in the tables of refusals, and short ways to write the rows that are alike.

Paths and messages name what the tests have made: {thread} with {message} in it and sixteen pairs of metadata on both,
and {foreign}, a message of another thread.
Source: rest-contract §5; where that leaves a choice (the least limit, unknown cursors), the choice is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

NO_THREAD: Final = "thread_aaaaaaaaaaaaaaaaaaaaaaaa"
NO_MESSAGE: Final = "msg_aaaaaaaaaaaaaaaaaaaaaaaa"
THREAD: Final = "/threads/{thread}"
MESSAGES: Final = "/threads/{thread}/messages"
MESSAGE: Final = "/threads/{thread}/messages/{message}"

USER: Final = {"role": "user", "content": "hi"}
PAIRS: Final = {f"k{n}": "v" for n in range(16)}
_BAD_JSON: Final = (
    "Invalid body: failed to parse JSON value. Please check the value to ensure it is valid JSON. "
    "(Common errors include trailing commas, missing closing brackets, missing quotation marks, etc.)"
)


@dataclass(frozen=True)
class Refused:
    """One request and the error that is its answer."""

    method: str
    path: str
    message: str
    param: str | None = None
    code: str | None = None
    json: Any = None
    content: bytes | None = None
    headers: dict[str, str] | None = None
    status: int = 400


Row = tuple[str, Refused]


def not_found(name: str, method: str, path: str, kind: str, object_id: str) -> Row:
    body = USER if method == "POST" and path.endswith("messages") else None
    message = f"No {kind} found with id '{object_id}'."
    return name, Refused(method, path, message, json=body, status=404)


def wrong_id(name: str, method: str, path: str, kind: str, sent: str) -> Row:
    prefix = {"thread_id": "thread", "message_id": "msg"}[kind]
    message = f"Invalid '{kind}': '{sent}'. Expected an ID that begins with '{prefix}'."
    body = USER if method == "POST" and path.endswith("messages") else None
    return name, Refused(method, path, message, kind, "invalid_value", json=body)


def wrong_body(name: str, message: str, param: str, code: str, **changed: Any) -> Row:
    """Send a message with some fields changed; Ellipsis takes one away."""
    sent = {key: value for key, value in {**USER, **changed}.items() if value is not ...}
    return name, Refused("POST", MESSAGES, message, param, code, json=sent)


def wrong_on(path: str, name: str, message: str, param: str, code: str, **sent: Any) -> Row:
    return name, Refused("POST", path, message, param, code, json=sent)


def wrong_type(name: str, param: str, expected: str, got: str, **changed: Any) -> Row:
    message = f"Invalid type for '{param}': expected {expected}, but got {got} instead."
    return wrong_body(name, message, param, "invalid_type", **changed)


def wrong_root(name: str, content: bytes, got: str) -> Row:
    message = f"Invalid type: expected an object, but got {got} instead."
    return name, Refused("POST", MESSAGES, message, code="invalid_type", content=content)


def bad_json(name: str, content: bytes) -> Row:
    return name, Refused("POST", MESSAGES, _BAD_JSON, code="invalid_json", content=content)


def cut_json(name: str, content: bytes) -> Row:
    message = "Invalid body: expected complete characters, but a string has a lone surrogate, such as half of an emoji."
    return name, Refused("POST", MESSAGES, message, code="lone_surrogate", content=content)


def large_json(name: str, content: bytes, message: str, code: str) -> Row:
    return name, Refused("POST", MESSAGES, message, code=code, content=content)


def wrong_query(name: str, query: str, message: str, param: str, code: str) -> Row:
    return name, Refused("GET", f"{MESSAGES}?{query}", message, param, code)


def wrong_cursor(name: str, param: str, sent: str) -> Row:
    message = f"Invalid '{param}': '{sent}'. Expected the ID of an object in this list."
    return wrong_query(name, f"{param}={sent}", message, param, "invalid_value")


def wrong_beta(name: str, header: str, message: str, method: str = "POST") -> Row:
    headers = {"OpenAI-Beta": header}
    return name, Refused(method, "/threads", message, code="invalid_beta", headers=headers)


def image(url: object, **more: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": url, **more}}]


def too_long(param: str, most: int, got: int) -> str:
    return (
        f"Invalid '{param}': string too long. Expected a string with maximum length {most}, "
        f"but got a string with length {got} instead."
    )


def empty(param: str, kind: str) -> str:
    article = "an" if kind == "array" else "a"
    return (
        f"Invalid '{param}': empty {kind}. Expected {article} {kind} with minimum length 1, "
        f"but got an empty {kind} instead."
    )


def too_many_pairs(param: str) -> str:
    return (
        f"Invalid '{param}': too many properties. Expected an object with at most 16 properties, "
        "but got an object with 17 properties instead."
    )
