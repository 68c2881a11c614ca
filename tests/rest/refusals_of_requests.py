"""The refusals of ids, headers, paths, JSON and fields, each with the answer to it, word for word."""

from __future__ import annotations

from typing import Final

from tests.rest.refused import (
    MESSAGE,
    MESSAGES,
    NO_MESSAGE,
    NO_THREAD,
    THREAD,
    USER,
    Refused,
    bad_json,
    cut_json,
    large_json,
    not_found,
    wrong_beta,
    wrong_body,
    wrong_id,
    wrong_on,
    wrong_root,
    wrong_type,
)

_V1_IS_OVER: Final = (
    "The v1 Assistants API has been deprecated. Please try again by setting the header 'OpenAI-Beta: assistants=v2'. "
    "See the migration guide for more information: https://platform.openai.com/docs/assistants/migration."
)
_TOO_LARGE: Final = "Invalid body: number too large. Expected numbers of at most 1.7e308."
_TOO_DEEP: Final = "Invalid body: nested too deep. Expected at most 128 levels."
_TOO_MANY: Final = "Invalid body: too many values. Expected at most 50000 in one JSON text."
_NO_RUNS: Final = (
    "Runs are not served here: this server keeps threads and messages and does not run models. To turn runs on, set "
    "GATEWAY_MODEL_URL to an OpenAI-compatible endpoint."
)

IDS: Final = [
    *[
        not_found(
            f"no such thread: {method} {tail or 'itself'}", method, f"/threads/{NO_THREAD}{tail}", "thread", NO_THREAD
        )
        for tail, methods in (
            ("", ("GET", "POST", "DELETE")),
            ("/messages", ("GET", "POST")),
            ("/messages/{message}", ("GET", "POST", "DELETE")),
        )
        for method in methods
    ],
    *[
        not_found(f"no such message: {method}", method, f"{MESSAGES}/{NO_MESSAGE}", "message", NO_MESSAGE)
        for method in ("GET", "POST", "DELETE")
    ],
    *[
        not_found(f"a message of another thread: {method}", method, f"{MESSAGES}/{{foreign}}", "message", "{foreign}")
        for method in ("GET", "POST", "DELETE")
    ],
    *[
        wrong_id(f"no thread's id: {method} {sent}{tail}", method, f"/threads/{sent}{tail}", "thread_id", sent)
        for method, sent, tail in (
            ("GET", "undefined", ""),
            ("POST", "new", ""),
            ("DELETE", "1234", ""),
            ("GET", "undefined", "/messages"),
            ("POST", "undefined", "/messages"),
            ("GET", "95f6a1a0-1111-4222-8333-444455556666", "/messages/{message}"),
            ("POST", "undefined", "/messages/undefined"),
            ("DELETE", "undefined", "/messages/undefined"),
        )
    ],
    *[
        wrong_id(f"no message's id: {method}", method, f"{MESSAGES}/x", "message_id", "x")
        for method in ("GET", "POST", "DELETE")
    ],
]
HEADERS: Final = [
    wrong_beta("beta v1", "assistants=v1", _V1_IS_OVER),
    wrong_beta("beta v1 on a list", "assistants=v1", _V1_IS_OVER, "GET"),
    wrong_beta(
        "beta malformed",
        "v1",
        "Invalid beta header provided: 'v1'. The header should be in the format 'OpenAI-Beta: example_beta=v1'.",
    ),
    wrong_beta("beta unknown", "vector_stores=v2", "Unknown beta requested: 'vector_stores'."),
]
URLS: Final = [
    ("unknown URL", Refused("GET", "/unknown", "Invalid URL (GET /v1/unknown)", status=404)),
    ("wrong method", Refused("PUT", "/threads", "Invalid method for URL (PUT /v1/threads)", status=405)),
    ("thread and run", Refused("POST", "/threads/runs", _NO_RUNS, status=404)),
    ("run", Refused("POST", "/threads/{thread}/runs", _NO_RUNS, status=404)),
]
JSON: Final = [
    bad_json("JSON with a trailing comma", b'{"role":"user","content":"hi",}'),
    bad_json("JSON cut off", b'{"role":"user"'),
    bad_json("JSON of blanks", b"  "),
    bad_json("JSON that is no UTF-8", b'{"role":"user","content":"\xff"}'),
    cut_json("JSON with a lone high surrogate", b'{"role":"user","content":"\\ud83d"}'),
    cut_json("JSON with a lone low surrogate", b'{"role":"user","content":"a\\ude00b"}'),
    bad_json("JSON with NaN", b'{"role":"user","content":NaN}'),
    large_json("JSON with an infinite number", b'{"role":1e400}', _TOO_LARGE, "number_too_large"),
    large_json("JSON nested too deep", b"[" * 129 + b"]" * 129, _TOO_DEEP, "too_deep"),
    large_json("JSON with too many values", b"[" + b"1," * 50_000 + b"1]", _TOO_MANY, "array_above_max_length"),
    wrong_root("an array", b"[]", "an array"),
    wrong_root("a string", b'"hi"', "a string"),
    wrong_root("a whole number", b"1", "an integer"),
    wrong_root("a decimal number", b"1.5", "a decimal number"),
    wrong_root("a boolean", b"true", "a boolean"),
    wrong_root("null", b"null", "null"),
]
FIELDS: Final = [
    wrong_body("unknown field", "Unknown parameter: 'run_id'.", "run_id", "unknown_parameter", run_id="run_1"),
    wrong_on(
        "/threads",
        "unknown field of a new thread's message",
        "Unknown parameter: 'messages[0].foo'.",
        "messages[0].foo",
        "unknown_parameter",
        messages=[{**USER, "foo": 1}],
    ),
    wrong_on(
        "/threads", "unknown field of a thread", "Unknown parameter: 'id'.", "id", "unknown_parameter", id="thread_1"
    ),
    wrong_on(
        THREAD,
        "messages are not modified",
        "Unknown parameter: 'messages'.",
        "messages",
        "unknown_parameter",
        messages=[],
    ),
    wrong_on(
        MESSAGE, "content is not modified", "Unknown parameter: 'content'.", "content", "unknown_parameter", content="x"
    ),
    # An SDK with an empty thread id calls this path; the doubled slash counts as one, and the body is looked at first.
    wrong_on(
        "/threads//messages",
        "an empty id in the path",
        "Unknown parameter: 'role'.",
        "role",
        "unknown_parameter",
        **USER,
    ),
    wrong_on(
        "/threads/undefined/messages",
        "the body before the thread's id",
        "Unknown parameter: 'x'.",
        "x",
        "unknown_parameter",
        x=1,
        **USER,
    ),
    wrong_on(
        f"/threads/{NO_THREAD}/messages",
        "the body before the thread",
        "Unknown parameter: 'x'.",
        "x",
        "unknown_parameter",
        x=1,
        **USER,
    ),
    wrong_body("missing role", "Missing required parameter: 'role'.", "role", "missing_required_parameter", role=...),
    wrong_body(
        "missing content",
        "Missing required parameter: 'content'.",
        "content",
        "missing_required_parameter",
        content=...,
    ),
    wrong_body(
        "missing before unknown",
        "Missing required parameter: 'role'.",
        "role",
        "missing_required_parameter",
        role=...,
        x=1,
    ),
    wrong_body("unknown before wrong", "Unknown parameter: 'x'.", "x", "unknown_parameter", role=5, x=1),
    wrong_body(
        "role before content",
        "Invalid value: 'human'. Supported values are: 'user' and 'assistant'.",
        "role",
        "invalid_value",
        role="human",
        content=5,
    ),
    wrong_on(
        "/threads",
        "missing role of a new thread's message",
        "Missing required parameter: 'messages[0].role'.",
        "messages[0].role",
        "missing_required_parameter",
        messages=[{"content": "hi"}],
    ),
    wrong_on(
        "/threads",
        "the second message of a new thread",
        "Invalid value: 'human'. Supported values are: 'user' and 'assistant'.",
        "messages[1].role",
        "invalid_value",
        messages=[USER, {**USER, "role": "human"}],
    ),
    wrong_body(
        "system role",
        "Invalid value: 'system'. Supported values are: 'user' and 'assistant'.",
        "role",
        "invalid_value",
        role="system",
    ),
    wrong_type("role of another type", "role", "a string", "null", role=None),
]
