"""The refusals of values: content, attachments, tool resources and metadata."""

from __future__ import annotations

from typing import Final

from tests.rest.refused import (
    MESSAGE,
    PAIRS,
    THREAD,
    USER,
    Row,
    empty,
    image,
    too_long,
    too_many_pairs,
    wrong_body,
    wrong_on,
    wrong_type,
)

_BAD_URL: Final = "Invalid 'content[1].image_url.url'. Expected a valid URL, but got a value with an invalid format."
_URL: Final = ("content[1].image_url.url", "invalid_value")
_DETAIL: Final = "Invalid value: 'huge'. Supported values are: 'auto', 'low', and 'high'."
_TOOL: Final = "Invalid value: 'browser'. Supported values are: 'code_interpreter' and 'file_search'."
_PART: Final = "Invalid value: '{}'. Supported values are: 'text', 'image_url', and 'image_file'."
_ANY_CONTENT: Final = "one of a string or array of objects"
_TOO_LONG: Final = "string_above_max_length"
_MISSING: Final = "missing_required_parameter"
_LONG_KEY: Final = (
    "Invalid property name in 'metadata': 'kkk...kkk' is too long. Expected a string with maximum length 64, "
    "but got a string with length 65 instead."
)
_TOO_MANY_FILES: Final = (
    "Invalid 'tool_resources.code_interpreter.file_ids': array too long. Expected an array with maximum length 20, "
    "but got an array with length 21 instead."
)
_TOO_MANY_STORES: Final = (
    "Invalid 'tool_resources.file_search.vector_store_ids': array too long. Expected an array with maximum length 1, "
    "but got an array with length 2 instead."
)
_NO_STORES: Final = (
    "Invalid 'tool_resources.file_search.vector_stores': this server creates no vector stores. Use 'vector_store_ids'."
)
_CODE_FILES: Final = "tool_resources.code_interpreter.file_ids"
_STORE_IDS: Final = "tool_resources.file_search.vector_store_ids"
_STORES: Final = "tool_resources.file_search.vector_stores"

CONTENT: Final = [
    wrong_type("content a whole number", "content", _ANY_CONTENT, "an integer", content=5),
    wrong_type("content a decimal number", "content", _ANY_CONTENT, "a decimal number", content=1.5),
    wrong_type("content a boolean", "content", _ANY_CONTENT, "a boolean", content=True),
    wrong_type("content an object", "content", _ANY_CONTENT, "an object", content={}),
    wrong_type("content null", "content", _ANY_CONTENT, "null", content=None),
    wrong_type("part a string", "content[0]", "an object", "a string", content=["hi"]),
    wrong_type(
        "part text an object",
        "content[0].text",
        "a string",
        "an object",
        content=[{"type": "text", "text": {"value": "hi", "annotations": []}}],
    ),
    wrong_type(
        "part image a string",
        "content[0].image_url",
        "an object",
        "a string",
        content=[{"type": "image_url", "image_url": "https://example.org/a.png"}],
    ),
    wrong_body("content too long", too_long("content", 256_000, 256_001), "content", _TOO_LONG, content="x" * 256_001),
    wrong_body(
        "content too long in code points",
        too_long("content", 256_000, 256_001),
        "content",
        _TOO_LONG,
        content="😀" * 256_001,
    ),
    wrong_body(
        "part too long",
        too_long("content[0].text", 256_000, 256_001),
        "content[0].text",
        _TOO_LONG,
        content=[{"type": "text", "text": "x" * 256_001}],
    ),
    wrong_body("content empty", empty("content", "string"), "content", "empty_string", content=""),
    wrong_body(
        "part empty",
        empty("content[0].text", "string"),
        "content[0].text",
        "empty_string",
        content=[{"type": "text", "text": ""}],
    ),
    wrong_body("no parts", empty("content", "array"), "content", "empty_array", content=[]),
    wrong_body("part unknown", _PART.format("bogus"), "content[0].type", "invalid_value", content=[{"type": "bogus"}]),
    wrong_body(
        "part refusal",
        _PART.format("refusal"),
        "content[0].type",
        "invalid_value",
        content=[{"type": "refusal", "refusal": "no"}],
    ),
    wrong_body(
        "part without type",
        "Missing required parameter: 'content[0].type'.",
        "content[0].type",
        _MISSING,
        content=[{"text": "hi"}],
    ),
    wrong_body(
        "part without its value",
        "Missing required parameter: 'content[0].text'.",
        "content[0].text",
        _MISSING,
        content=[{"type": "text"}],
    ),
    wrong_body(
        "part with a field too many",
        "Unknown parameter: 'content[0].x'.",
        "content[0].x",
        "unknown_parameter",
        content=[{"type": "text", "text": "hi", "x": 1}],
    ),
    wrong_body("image as data", _BAD_URL, *_URL, content=image("data:image/png;base64,AAAA")),
    wrong_body("image over FTP", _BAD_URL, *_URL, content=image("ftp://example.org/a.png")),
    wrong_body("image without a host", _BAD_URL, *_URL, content=image("https:///a.png")),
    wrong_body("image with half a host", _BAD_URL, *_URL, content=image("https://[::1/a.png")),
    wrong_body("image address with a control", _BAD_URL, *_URL, content=image("https://example.org/\x0f.png")),
    wrong_body("image address with a space", _BAD_URL, *_URL, content=image("https://example.org/a .png")),
    wrong_body("image address empty", _BAD_URL, *_URL, content=image("")),
    wrong_type("image address a number", "content[1].image_url.url", "a string", "an integer", content=image(5)),
    wrong_body(
        "image detail",
        _DETAIL,
        "content[1].image_url.detail",
        "invalid_value",
        content=image("https://example.org/a.png", detail="huge"),
    ),
    wrong_body(
        "file without an id",
        "Missing required parameter: 'content[0].image_file.file_id'.",
        "content[0].image_file.file_id",
        _MISSING,
        content=[{"type": "image_file", "image_file": {}}],
    ),
]
ATTACHED: Final = [
    wrong_type("attachments an object", "attachments", "an array", "an object", attachments={}),
    wrong_body(
        "attachment without tools",
        "Missing required parameter: 'attachments[0].tools'.",
        "attachments[0].tools",
        _MISSING,
        attachments=[{"file_id": "file-1"}],
    ),
    wrong_body(
        "attachment tool",
        _TOOL,
        "attachments[1].tools[0].type",
        "invalid_value",
        attachments=[{"file_id": "file-1", "tools": []}, {"file_id": "file-2", "tools": [{"type": "browser"}]}],
    ),
    wrong_on(
        "/threads",
        "resource unknown",
        "Unknown parameter: 'tool_resources.web'.",
        "tool_resources.web",
        "unknown_parameter",
        tool_resources={"web": {}},
    ),
    wrong_on(
        "/threads",
        "21 files",
        _TOO_MANY_FILES,
        _CODE_FILES,
        "array_above_max_length",
        tool_resources={"code_interpreter": {"file_ids": [f"file-{n}" for n in range(21)]}},
    ),
    wrong_on(
        THREAD,
        "two vector stores",
        _TOO_MANY_STORES,
        _STORE_IDS,
        "array_above_max_length",
        tool_resources={"file_search": {"vector_store_ids": ["vs_1", "vs_2"]}},
    ),
    wrong_on(
        "/threads",
        "vector stores to be made",
        _NO_STORES,
        _STORES,
        "invalid_value",
        tool_resources={"file_search": {"vector_stores": [{"file_ids": ["file-1"]}]}},
    ),
]


def _metadata(path: str) -> list[Row]:
    """Give the rows of metadata for one path at which it is sent."""
    more = USER if path.endswith("messages") else {}

    def type_of(name: str, param: str, expected: str, got: str, metadata: object) -> Row:
        message = f"Invalid type for '{param}': expected {expected}, but got {got} instead."
        return wrong_on(path, f"{name}: POST {path}", message, param, "invalid_type", **more, metadata=metadata)

    def value_of(name: str, message: str, param: str, code: str, metadata: object) -> Row:
        return wrong_on(path, f"{name}: POST {path}", message, param, code, **more, metadata=metadata)

    return [
        type_of("metadata boolean", "metadata.k", "a string", "a boolean", {"k": True}),
        type_of("metadata number", "metadata.k", "a string", "an integer", {"k": 1}),
        type_of("metadata object", "metadata.k", "a string", "an object", {"k": {}}),
        type_of("metadata a string", "metadata", "a metadata object", "a string", "x"),
        type_of("metadata an array", "metadata", "a metadata object", "an array", []),
        value_of(
            "17 pairs", too_many_pairs("metadata"), "metadata", "object_above_max_properties", {**PAIRS, "x": "v"}
        ),
        value_of("metadata key", _LONG_KEY, f"metadata.{'k' * 65}", "property_name_above_max_length", {"k" * 65: "v"}),
        value_of("metadata value", too_long("metadata.k0", 512, 513), "metadata.k0", _TOO_LONG, {"k0": "😀" * 513}),
    ]


METADATA: Final[list[Row]] = [
    *[row for path in ("/threads", THREAD, "/threads/{thread}/messages", MESSAGE) for row in _metadata(path)],
    wrong_on(
        "/threads",
        "metadata null in a new thread",
        "Invalid type for 'metadata.k': expected a string, but got null instead.",
        "metadata.k",
        "invalid_type",
        metadata={"k": None},
    ),
    wrong_type("metadata null in a new message", "metadata.k", "a string", "null", metadata={"k": None}),
    wrong_on(
        "/threads",
        "metadata of a new thread's message",
        "Invalid type for 'messages[0].metadata.k': expected a string, but got a boolean instead.",
        "messages[0].metadata.k",
        "invalid_type",
        messages=[{**USER, "metadata": {"k": True}}],
    ),
    # The sixteen pairs are there already: what counts is what the merge would leave.
    wrong_on(
        THREAD,
        "17 pairs after the merge",
        too_many_pairs("metadata"),
        "metadata",
        "object_above_max_properties",
        metadata={"x": "v"},
    ),
    wrong_on(
        MESSAGE,
        "17 pairs after the merge of a message",
        too_many_pairs("metadata"),
        "metadata",
        "object_above_max_properties",
        metadata={"x": "v"},
    ),
]
