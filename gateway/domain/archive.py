"""Imported objects: IDs, times, runs and annotations are preserved.

`parse` validates what a caller may create; this accepts what years of use may have created.
Source: rest-contract §2 (objects as read), §10 (exports).
Must not be here: files and lines (`transfer`).
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gateway.domain import bounds, ids, validate
from gateway.domain.direction import Direction
from gateway.domain.idempotency import KeyRecord
from gateway.domain.message import IncompleteReason, Message, Status, plain_text
from gateway.domain.parse import DETAILS, ROLES, TOOLS
from gateway.domain.thread import Thread
from gateway.domain.wire import dump, dump_text, load
from gateway.errors import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.domain.validate import JsonObject

THREAD: Final = "thread"
MESSAGE: Final = "thread.message"
RUN: Final = "thread.run"
STEP: Final = "thread.run.step"
ASSISTANT: Final = "assistant"
ORDER: Final = "thread.order"  # ours: the order of lists whose times do not determine it
KEY: Final = "thread.idempotency_key"  # ours: under which a thread, a message or a run was created
MAX_TIME: Final = 253_402_300_799  # the last second of the year 9999; milliseconds in place of seconds are larger
MAX_INDEX: Final = 2**31 - 1  # GraphQL's Int
MAX_DEPTH: Final = 128  # orjson serializes at most 254 levels, and stored JSON is nested in other objects
LIMIT_CODES: Final = frozenset({bounds.IMPORT_PARTS.code, bounds.IMPORT_TEXT.code})  # codes of `check_bounds`

_STATUSES: Final = tuple(status.value for status in Status)
_WHOLE: Final = Status.COMPLETED.value
_REASONS: Final = tuple(reason.value for reason in IncompleteReason)
_KEY_FIELDS: Final = ("object", "thread_id", "id", "scope", "key", "fingerprint")
_THREAD_FIELDS: Final = ("id", "object", "created_at", "metadata", "tool_resources", "owner")
_MESSAGE_FIELDS: Final = (
    "id",
    "object",
    "created_at",
    "assistant_id",
    "thread_id",
    "run_id",
    "status",
    "incomplete_details",
    "incomplete_at",
    "completed_at",
    "role",
    "content",
    "attachments",
    "metadata",
    "file_ids",
)
_KNOWN: Final = frozenset(_MESSAGE_FIELDS)
_NEEDED: Final = itemgetter("id", "thread_id", "created_at", "role", "content")
_OPTIONAL: Final = ("status", "completed_at", "run_id", "assistant_id", "attachments", "metadata")
_PART: Final = frozenset({"type", "text"})
_PART_TEXT: Final = frozenset({"value", "annotations"})
_CITATION: Final = frozenset({"type", "text", "start_index", "end_index", "file_citation"})
_CITED_FILE: Final = frozenset({"file_id", "quote"})
# The target of each kind of annotation: its required and its optional keys.
_CITED: Final = {
    "file_citation": ("file_id", "quote"),
    "file_path": ("file_id", "quote"),
    "url_citation": ("url", "title"),
}
_TEXT: Final = frozenset({str})
_REFERENCE: Final = re.compile(r"[^\x00]{1,512}", re.DOTALL)
# Wider than for new input: every export can be imported.
_OWNER: Final = re.compile("[^\x00-\x1f\x7f\ud800-\udfff]{1,255}")
# Shorter JSON cannot exceed a limit.
_SHORT_CONTENT: Final = 100_000
_SHORT_ATTACHMENTS: Final = 300


class ThreadOrder(NamedTuple):
    """The order of all lists of a thread, regardless of times."""

    thread_id: ids.ThreadId
    direction: Direction


def order_record(thread_id: str, direction: Direction) -> JsonObject:
    """Create the line of an export that gives the order of a thread if its times do not."""
    return {"object": ORDER, "thread_id": thread_id, "order": direction.value}


def key_record(key: KeyRecord) -> JsonObject:
    """Create the line of an export that gives the idempotency key of an object."""
    return {"object": KEY, **dict(zip(_KEY_FIELDS[1:], key, strict=True))}


def read(value: object) -> Thread | Message | ThreadOrder | KeyRecord:
    """Parse an object of the API, without limits of size.

    Errors: InvalidRequest if it is not one, or is incomplete.
    """
    return read_fast(value) or read_strictly(value)


def check_bounds(message: Message) -> None:
    """Reject a message that exceeds the limits of an import.

    Errors: InvalidRequest with a code of LIMIT_CODES.
    """
    if len(message.content_json) > _SHORT_CONTENT:
        parts = validate.an_array(load(message.content_json), "content", at_most=bounds.IMPORT_PARTS.number)
        texts = [(index, part["text"]) for index, part in enumerate(parts) if part["type"] == "text"]
        for index, text in texts:
            path = f"content[{index}].text.annotations"
            validate.an_array(text["annotations"], path, at_most=bounds.ANNOTATIONS.number)
        length = sum(len(text["value"]) for _, text in texts)
        if length > bounds.IMPORT_TEXT.number:
            message_ = (
                f"Invalid 'content': string too long. Expected text parts with maximum length "
                f"{bounds.IMPORT_TEXT.number} together, but got text parts with length {length} instead."
            )
            validate.refuse(message_, "content", bounds.IMPORT_TEXT.code)
    if len(message.attachments_json) > _SHORT_ATTACHMENTS:
        at_most = bounds.IMPORT_ATTACHMENTS.number
        for index, each in enumerate(validate.an_array(load(message.attachments_json), "attachments", at_most=at_most)):
            tools = _given(each, "tools", [])
            validate.an_array(tools, f"attachments[{index}].tools", at_most=bounds.IMPORT_TOOLS.number)


def read_strictly(value: object) -> Thread | Message | ThreadOrder | KeyRecord:
    """Parse an object of the API step by step, with an error for each fault.

    Errors: InvalidRequest if it is not one, or is incomplete.
    """
    raw = validate.root_object(value)
    validate.fields(raw, "", required=("object",), optional=tuple(raw))
    if is_too_deep(raw):
        validate.refuse(f"The object is nested too deep: expected at most {MAX_DEPTH} levels.", None, "invalid_value")
    kind = raw["object"]
    if kind not in (ORDER, KEY):
        validate.one_of(kind, "object", (THREAD, MESSAGE, RUN, STEP, ASSISTANT))
    return _READERS[kind](raw)


def read_fast(raw: Any) -> Message | None:
    """Parse a message whose parts are all text, as nearly all are; return None for any other.

    An import reads millions of them, and this takes a fifth of the time of `read_strictly`.
    """
    if type(raw) is not dict or not raw.keys() <= _KNOWN or raw.get("object") != MESSAGE:
        return None
    try:
        message_id, thread_id, created_at, role, content = _NEEDED(raw)
    except KeyError:
        return None
    get = raw.get
    status, completed_at, run_id, assistant_id, attachments, metadata = map(get, _OPTIONAL)
    is_plain = (
        type(message_id) is type(thread_id) is str
        and ids.as_message_id(message_id)
        and ids.as_thread_id(thread_id)
        and type(created_at) is int
        and 0 <= created_at <= MAX_TIME
        and role in ROLES
        and type(content) is list
        and all(map(_is_plain_part, content))
        and (not attachments and (attachments is None or type(attachments) is list))
        and (metadata is None or (type(metadata) is dict and _TEXT.issuperset(map(type, metadata.values()))))
        and (run_id is None or (type(run_id) is str and _REFERENCE.fullmatch(run_id)))
        and (assistant_id is None or (type(assistant_id) is str and _REFERENCE.fullmatch(assistant_id)))
        and (status is None or status == _WHOLE)
        and (completed_at is None or (type(completed_at) is int and 0 <= completed_at <= MAX_TIME))
        and get("incomplete_at") is None
        and get("incomplete_details") is None
        and not get("file_ids")
    )
    if not is_plain:
        return None
    if status is None and completed_at is None:
        completed_at = created_at
    metadata_json = dump_text(metadata) if metadata else "{}"
    kept = (message_id, thread_id, created_at, role, _WHOLE, dump(content), "[]", metadata_json)
    return Message(*kept, run_id, assistant_id, completed_at, plain_text=plain_text(content))


def is_too_deep(value: object) -> bool:
    """Check whether a JSON value is nested too deeply to be serialized again."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


def _is_plain_part(part: Any) -> bool:
    text = part.get("text") if type(part) is dict and part.keys() == _PART and part["type"] == "text" else None
    return (
        type(text) is dict
        and text.keys() == _PART_TEXT
        and type(text["value"]) is str
        and type(text["annotations"]) is list
        and all(map(_is_plain_citation, text["annotations"]))
    )


def _is_plain_citation(each: Any) -> bool:
    if type(each) is not dict or each.keys() != _CITATION or each["type"] != "file_citation":
        return False
    start, end, cited = each["start_index"], each["end_index"], each["file_citation"]
    return (
        type(each["text"]) is str
        and type(start) is type(end) is int
        and 0 <= start <= MAX_INDEX
        and 0 <= end <= MAX_INDEX
        and type(cited) is dict
        and "file_id" in cited
        and cited.keys() <= _CITED_FILE
        and _TEXT.issuperset(map(type, cited.values()))
    )


def _thread(raw: JsonObject) -> Thread:
    check_fields(raw, _THREAD_FIELDS, required=("id", "created_at"))
    return Thread(
        id=ids.ThreadId(an_id(raw["id"], "id", ids.as_thread_id, "thread_")),
        created_at=a_time(raw["created_at"], "created_at"),
        metadata_json=dump_text(metadata_of(raw.get("metadata"))),
        tool_resources_json=dump_text(validate.an_object(_given(raw, "tool_resources", {}), "tool_resources")),
        message_count=0,
        owner=_owner(raw.get("owner")),
    )


def _message(raw: JsonObject) -> Message:
    check_fields(raw, _MESSAGE_FIELDS, required=("id", "created_at", "thread_id", "role", "content"))
    created_at = a_time(raw["created_at"], "created_at")
    # The original API has no status outside of streams (rest-contract §2.3): listed messages are completed.
    has_status = raw.get("status") is not None
    completed_at = time_or_null(raw.get("completed_at"), "completed_at")
    details = raw.get("incomplete_details")
    status = validate.one_of(raw["status"], "status", _STATUSES) if has_status else _WHOLE
    content = _each(raw["content"], "content", _part)
    return Message(
        id=ids.MessageId(an_id(raw["id"], "id", ids.as_message_id, "msg_")),
        thread_id=thread_id_of(raw),
        created_at=created_at,
        role_value=validate.one_of(raw["role"], "role", ROLES),
        status_value=status,
        content_json=dump(content),
        attachments_json=dump_text(_attachments(raw)),
        metadata_json=dump_text(metadata_of(raw.get("metadata"))),
        run_id=reference(raw.get("run_id"), "run_id"),
        assistant_id=reference(raw.get("assistant_id"), "assistant_id"),
        completed_at=created_at if completed_at is None and not has_status else completed_at,
        incomplete_at=time_or_null(raw.get("incomplete_at"), "incomplete_at"),
        reason_value=None if details is None else _incomplete_reason(details),
        plain_text=plain_text(content),
    )


def _order(raw: JsonObject) -> ThreadOrder:
    check_fields(raw, ("thread_id", "object", "order"), required=("thread_id", "order"))
    thread_id = thread_id_of(raw)
    return ThreadOrder(thread_id, Direction(validate.one_of(raw["order"], "order", _ORDERS)))


def _key(raw: JsonObject) -> KeyRecord:
    check_fields(raw, _KEY_FIELDS, required=_KEY_FIELDS[1:])
    thread_id = thread_id_of(raw)
    object_id = raw["id"]
    if object_id != thread_id:
        object_id = ids.as_other_id("run", str(object_id)) or an_id(object_id, "id", ids.as_message_id, "msg_")
    of_key = [a_reference(raw[name], name) for name in _KEY_FIELDS[3:]]
    return KeyRecord(thread_id, object_id, *of_key)


_ORDERS: Final = (Direction.RISING.value, Direction.FALLING.value)
_READERS: Final[dict[str, Callable[[JsonObject], Thread | Message | ThreadOrder | KeyRecord]]] = {
    THREAD: _thread,
    MESSAGE: _message,
    ORDER: _order,
    KEY: _key,
}


def check_fields(raw: JsonObject, known: tuple[str, ...], required: tuple[str, ...]) -> None:
    """Reject fields that would be lost; an empty one (`file_ids: []` of v1) loses nothing."""
    empty = tuple(key for key, value in raw.items() if value in (None, [], {}, ""))
    validate.fields(raw, "", required=required, optional=known + empty)


def an_id(value: object, path: str, read_id: Callable[[str], str | None], prefix: str) -> str:
    """Check an ID of one kind."""
    found = read_id(validate.a_string(value, path))
    if found is None:
        got = excerpt(str(value))
        message = f"Invalid '{path}': '{got}'. Expected '{prefix}' and up to 120 of A-Z, a-z, 0-9, '_' and '-'."
        validate.refuse(message, path, "invalid_value")
    return found


def thread_id_of(raw: JsonObject) -> ids.ThreadId:
    """Check the ID of the thread that an object belongs to."""
    return ids.ThreadId(an_id(raw["thread_id"], "thread_id", ids.as_thread_id, "thread_"))


def a_time(value: object, path: str) -> int:
    """Check a time in Unix seconds."""
    return validate.an_integer(value, path, at_least=0, at_most=MAX_TIME)


def time_or_null(value: object, path: str) -> int | None:
    """Check a time, which may be null."""
    return None if value is None else a_time(value, path)


def a_reference(value: object, path: str) -> str:
    """Check the ID of an object that need not be stored here."""
    text = validate.a_string(value, path)
    if not _REFERENCE.fullmatch(text):
        validate.refuse(f"Invalid '{path}'. Expected 1 to 512 characters.", path, "invalid_value")
    return text


def reference(value: object, path: str) -> str | None:
    """Check such an ID, which may be null."""
    return None if value is None else a_reference(value, path)


def _owner(value: object) -> str | None:
    if value is None:
        return None
    text = validate.a_string(value, "owner")
    if not _OWNER.fullmatch(text):
        message = "Invalid 'owner'. Expected 1 to 255 characters, none of them a control character."
        validate.refuse(message, "owner", "invalid_value")
    return text


def _incomplete_reason(value: object) -> str:
    details = validate.an_object(value, "incomplete_details")
    validate.fields(details, "incomplete_details", required=("reason",))
    return validate.one_of(details["reason"], "incomplete_details.reason", _REASONS)


def metadata_of(value: object) -> JsonObject:
    """Check metadata of any size, which may be null."""
    pairs = validate.an_object({} if value is None else value, "metadata", "a metadata object")
    return {key: validate.a_string(text, validate.within("metadata", key)) for key, text in pairs.items()}


def _each(value: object, path: str, take: Callable[[object, str], object]) -> list[Any]:
    """Validate every item and keep all of them unchanged, unknown keys included."""
    items = validate.an_array(value, path)
    for index, item in enumerate(items):
        take(item, f"{path}[{index}]")
    return items


def _member(value: object, path: str, key: str) -> Any:
    """Return the value of a required key."""
    raw = validate.an_object(value, path)
    validate.fields(raw, path, required=(key,), optional=tuple(raw))
    return raw[key]


def _part(value: object, path: str) -> None:
    kind = validate.one_of(_member(value, path, "type"), f"{path}.type", tuple(_PARTS))
    _PARTS[kind](_member(value, path, kind), f"{path}.{kind}")


def _text(value: object, path: str) -> None:
    validate.a_string(_member(value, path, "value"), f"{path}.value")
    _each(_member(value, path, "annotations"), f"{path}.annotations", _annotation)


def _annotation(value: object, path: str) -> None:
    raw = validate.an_object(value, path)
    kind = validate.one_of(_member(value, path, "type"), f"{path}.type", tuple(_CITED))
    validate.a_string(_member(value, path, "text"), f"{path}.text")
    for key in ("start_index", "end_index"):  # Azure's agents omit them
        if raw.get(key) is not None:
            validate.an_integer(raw[key], f"{path}.{key}", at_least=0, at_most=MAX_INDEX)
    needed, optional = _CITED[kind]
    target = _member(value, path, kind)
    validate.a_string(_member(target, f"{path}.{kind}", needed), f"{path}.{kind}.{needed}")
    if target.get(optional) is not None:
        validate.a_string(target[optional], f"{path}.{kind}.{optional}")


def _image_file(value: object, path: str) -> None:
    validate.a_string(_member(value, path, "file_id"), f"{path}.file_id")
    _detail(value, path)


def _image_url(value: object, path: str) -> None:
    validate.a_string(_member(value, path, "url"), f"{path}.url")
    _detail(value, path)


def _detail(image: Any, path: str) -> None:
    if image.get("detail") is not None:
        validate.one_of(image["detail"], f"{path}.detail", DETAILS)


_PARTS: Final[Mapping[str, Callable[[object, str], object]]] = {
    "text": _text,
    "image_file": _image_file,
    "image_url": _image_url,
    "refusal": validate.a_string,
}


def _attachments(raw: JsonObject) -> list[Any]:
    """Return the attachments, followed by the `file_ids` of version 1, which have no tools."""
    attachments = _each(_given(raw, "attachments", []), "attachments", _attachment)
    attached = {each.get("file_id") for each in attachments}
    files: list[str] = _each(_given(raw, "file_ids", []), "file_ids", validate.a_string)
    return attachments + [{"file_id": file_id, "tools": []} for file_id in files if file_id not in attached]


def _given(raw: JsonObject, key: str, otherwise: object) -> object:
    """Return an optional or nullable field; other empty values are validated."""
    value = raw.get(key)
    return otherwise if value is None else value


def _attachment(value: object, path: str) -> None:
    """Validate an attachment; one that is not a file of the API has another source and no ID."""
    raw = validate.an_object(value, path)
    if raw.get("file_id") is not None:
        validate.a_string(raw["file_id"], f"{path}.file_id")
    if raw.get("data_source") is not None:
        validate.an_object(raw["data_source"], f"{path}.data_source")
    _each(_given(raw, "tools", []), f"{path}.tools", _tool)


def _tool(value: object, path: str) -> None:
    validate.one_of(_member(value, path, "type"), f"{path}.type", TOOLS)
