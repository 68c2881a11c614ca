"""The table of all limits on input, stored objects and responses, each with the error code of a value over it.

Limits on input hold for new input only: stored objects of any size can be read, changed and exported.
`docs/limits.md` documents this table; a test compares both.
Must not be here: code that enforces a limit; internal bounds that no client can reach (sizes of caches and pools).
"""

from __future__ import annotations

from typing import Final, NamedTuple

KIB: Final = 1024
MIB: Final = 1024 * KIB


class Bound(NamedTuple):
    """A limit of `number` in `unit`.

    Errors: `code` is the error code of both faces, or the close code of a WebSocket.
    """

    name: str
    number: int
    unit: str
    code: str
    reason: str


# Content of a message or thread that is created or changed.
CONTENT_PARTS: Final = Bound(
    "content_parts", 500, "parts", "array_above_max_length", "reading a message creates an object for each part"
)
ATTACHMENTS: Final = Bound(
    "attachments",
    500,
    "attachments",
    "array_above_max_length",
    "reading a message creates an object for each attachment",
)
ATTACHMENT_TOOLS: Final = Bound(
    "attachment_tools", 2, "tools", "array_above_max_length", "there are two tools that read files"
)
THREAD_MESSAGES: Final = Bound(
    "thread_messages", 1_000, "messages", "array_above_max_length", "they are written in one transaction"
)
FORK_MESSAGES: Final = Bound(
    "fork_messages", 10_000, "messages", "thread_too_long", "they are copied within one request"
)
REQUEST_PARTS: Final = Bound(
    "request_parts",
    2_000,
    "content parts and attachments of all messages",
    "array_above_max_length",
    "they are parsed and written while other requests wait",
)
TEXT: Final = Bound(
    "text", 256_000, "characters of all text parts", "string_above_max_length", "the original service's bound"
)
FILE_ID: Final = Bound("file_id", 256, "characters", "string_above_max_length", "an ID, not a text")
URL: Final = Bound("url", 8_192, "characters", "string_above_max_length", "browsers and proxies accept no longer ones")
CODE_FILES: Final = Bound("code_files", 20, "files", "array_above_max_length", "the original service's bound")
VECTOR_STORES: Final = Bound("vector_stores", 1, "stores", "array_above_max_length", "the original service's bound")
REFERENCE: Final = Bound("reference", 128, "characters", "invalid_value", "it is part of an index key")
OWNER: Final = Bound("owner", 255, "characters", "invalid_value", "it is part of an index key")
IDEMPOTENCY_KEY: Final = Bound("idempotency_key", 255, "characters", "invalid_value", "it is part of an index key")
METADATA_PAIRS: Final = Bound(
    "metadata_pairs", 16, "pairs", "object_above_max_properties", "the original service's bound"
)
METADATA_KEY: Final = Bound(
    "metadata_key", 64, "characters", "property_name_above_max_length", "the original service's bound"
)
METADATA_VALUE: Final = Bound(
    "metadata_value", 512, "characters", "string_above_max_length", "the original service's bound"
)

# Runs and assistants.
ASSISTANT_NAME: Final = Bound(
    "assistant_name", 256, "characters", "string_above_max_length", "the original service's bound"
)
ASSISTANT_DESCRIPTION: Final = Bound(
    "assistant_description", 512, "characters", "string_above_max_length", "the original service's bound"
)
INSTRUCTIONS: Final = Bound(
    "instructions", 256_000, "characters", "string_above_max_length", "the original service's bound"
)
ASSISTANT_TOOLS: Final = Bound(
    "assistant_tools", 128, "tools", "array_above_max_length", "the original service's bound"
)
RUN_TOOLS: Final = Bound("run_tools", 20, "tools", "array_above_max_length", "the original service's bound")
ADDITIONAL_MESSAGES: Final = Bound(
    "additional_messages", 100, "messages", "array_above_max_length", "they are written in one transaction"
)
TOOL_CALLS: Final = Bound(
    "tool_calls", 128, "calls of functions in one answer", "none", "a model may not fill the database"
)
TOOL_OUTPUT: Final = Bound(
    "tool_output",
    512 * KIB,
    "characters of the output of a function",
    "string_above_max_length",
    "it is sent to a model",
)

# Requests for several objects.
PREVIEW_DEFAULT: Final = 120
PREVIEW: Final = Bound("preview", 500, "characters of a preview", "integer_above_max_value", "a preview is a line")
FILTER_MATCHES: Final = Bound(
    "filter_matches",
    4,
    "conditions on metadata in a filter of threads",
    "array_above_max_length",
    "each is looked up for each thread",
)
FILTER_VALUES: Final = Bound(
    "filter_values", 10, "values of one condition on metadata", "array_above_max_length", "each is looked up"
)
PAGE: Final = Bound("page", 100, "items", "integer_above_max_value", "the original service's bound")
NODES: Final = Bound("nodes", 100, "ids", "array_above_max_length", "the size of the largest page")

# Responses; stored bytes count, whatever fields are selected.
PAGE_BYTES: Final = Bound(
    "page_bytes",
    8 * MIB,
    "stored bytes of the messages, runs, run steps or assistants of a page; a page ends early, but has at least one",
    "none",
    "a response is held in memory until its client has read it",
)
ANSWER_BYTES: Final = Bound(
    "answer_bytes",
    16 * MIB,
    "bytes of a GraphQL response, or stored bytes of the messages, or of the runs of several threads, in it",
    "answer_too_large",
    "two whole pages fit",
)
ANSWER_OBJECTS: Final = Bound(
    "answer_objects",
    50_000,
    "objects in a GraphQL response, or in the content that it reads",
    "answer_too_large",
    "each is created and serialized in Python while other requests wait",
)

# Request bodies and messages, before authentication.
BODY: Final = Bound("body", 4 * MIB, "bytes", "body_too_large", "it is held in memory; the longest text fits, escaped")
GRAPHQL_BODY: Final = Bound(
    "graphql_body",
    MIB,
    "bytes of a GraphQL body or message",
    "body_too_large",
    "its variables are parsed and then coerced",
)
GZIP_MEMBERS: Final = Bound(
    "gzip_members", 100, "members of a gzip body", "invalid_content_encoding", "each needs a new decompressor"
)
HELLO: Final = Bound(
    "hello",
    64 * KIB,
    "bytes of a WebSocket message before connection_init",
    "1009",
    "unauthenticated clients can send it",
)
JSON_VALUES: Final = Bound(
    "json_values",
    50_000,
    "values in JSON",
    "too_many_values",
    "small values take a hundred times their bytes in memory",
)
JSON_STRING: Final = Bound(
    "json_string",
    12 * TEXT.number,
    "bytes of one string in JSON",
    "string_above_max_length",
    "a character takes twelve bytes at most",
)
JSON_MEMORY: Final = Bound(
    "json_memory",
    9_000_000,
    "bytes in memory of all strings in JSON: 50 a string and 1 a character, 2 in a string with one above U+00FF, "
    "4 in a string with one above U+FFFF",
    "string_above_max_length",
    "one emoji makes each character of its string take four bytes",
)
JSON_DEPTH: Final = Bound("json_depth", 128, "levels in JSON", "too_deep", "valid input has at most nine")
SHOWN: Final = Bound(
    "shown",
    200,
    "characters of the input that an error repeats",
    "none",
    "errors end in logs, and unauthenticated clients can cause them",
)

# Request heads and connections.
TARGET: Final = Bound("target", 32 * KIB, "bytes of path and query", "url_too_long", "a GraphQL document fits")
HEAD: Final = Bound(
    "head", 64 * KIB, "bytes of path, query and headers", "headers_too_large", "unauthenticated clients can send it"
)
HEADERS: Final = Bound("headers", 100, "headers", "headers_too_large", "unauthenticated clients can send them")
HANDSHAKE_LINE: Final = Bound(
    "handshake_line",
    8 * KIB,
    "bytes of a line in the handshake of a WebSocket",
    "headers_too_large",
    "the WebSocket library accepts no longer ones",
)
CREDENTIAL: Final = Bound("credential", 8_192, "bytes", "invalid_api_key", "a token with many claims fits")
OPERATION_ID: Final = Bound(
    "operation_id", 200, "characters of an operation's id over WebSocket", "4400", "each of its messages repeats it"
)
OPERATIONS: Final = Bound(
    "operations", 100, "operations at once on one WebSocket", "too_many_operations", "each holds a task"
)

# GraphQL documents and variables.
DOCUMENT: Final = Bound(
    "document", 100_000, "characters", "document_too_large", "a document with a long literal text fits"
)
TOKENS: Final = Bound("tokens", 1_000, "tokens", "document_too_large", "8 ms to parse, up to 40 ms to validate")
NAME: Final = Bound("name", 200, "characters of a name", "document_too_large", "errors repeat names")
COMMENTS: Final = Bound("comments", 1_000, "comments", "document_too_large", "each is read as a token")
DEPTH: Final = Bound("depth", 20, "levels of fields", "too_deep", "introspection has 15")
FIELDS: Final = Bound("fields", 5_000, "fields, fragments spread", "too_many_fields", "10 ms to walk")
PAIRS: Final = Bound(
    "pairs",
    2_000,
    "pairs of fields that share a place",
    "too_many_fields",
    "each is compared, 20 microseconds at worst",
)
ALIASES: Final = Bound("aliases", 30, "aliases", "too_many_aliases", "each adds a copy of an object to the response")
ROOT_FIELDS: Final = Bound("root_fields", 20, "root fields", "too_many_root_fields", "each is a use case of its own")
DIRECTIVES: Final = Bound("directives", 50, "directives", "too_many_directives", "each is looked up and coerced")
VALUE_DEPTH: Final = Bound(
    "value_depth",
    16,
    "levels of lists and objects in a document or its variables",
    "variables_too_large",
    "9 are of use",
)
VARIABLE_VALUES: Final = Bound(
    "variable_values", 12_000, "values in variables", "variables_too_large", "each is coerced in Python"
)

# An import accepts ten times as much as a request: years of use may have produced it.
_IMPORTED: Final = 10
IMPORT_PARTS: Final = Bound(
    "import_parts", _IMPORTED * CONTENT_PARTS.number, "parts", CONTENT_PARTS.code, CONTENT_PARTS.reason
)
IMPORT_ATTACHMENTS: Final = Bound(
    "import_attachments", _IMPORTED * ATTACHMENTS.number, "attachments", ATTACHMENTS.code, ATTACHMENTS.reason
)
IMPORT_TOOLS: Final = Bound(
    "import_tools", _IMPORTED * ATTACHMENT_TOOLS.number, "tools", ATTACHMENT_TOOLS.code, ATTACHMENT_TOOLS.reason
)
IMPORT_TEXT: Final = Bound("import_text", _IMPORTED * TEXT.number, TEXT.unit, TEXT.code, "a message is held in memory")
ANNOTATIONS: Final = Bound(
    "annotations",
    2_000,
    "annotations of an imported part",
    "array_above_max_length",
    "reading a message creates an object for each",
)
LINE: Final = Bound("line", 64 * MIB, "bytes of a line", "line_too_long", "a line is held in memory")
LINE_VALUES: Final = Bound(
    "line_values",
    200_000,
    "values in a line",
    "too_many_values",
    "small values take a hundred times their bytes in memory",
)
INFLATION: Final = Bound(
    "inflation",
    200,
    "decompressed bytes for each byte of a compressed file of more than 64 MiB",
    "file_too_large",
    "ordinary JSON expands 5 to 20 times",
)

BOUNDS: Final = tuple(each for each in tuple(vars().values()) if isinstance(each, Bound))
