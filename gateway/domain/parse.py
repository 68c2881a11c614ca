"""Parsing of raw JSON objects to valid domain objects, with every limit of threads and messages.

Both faces use it: REST for its bodies, GraphQL for its inputs in the format of REST.
Source: rest-contract §2 to §5; openapi-threads.yaml, Create…/Modify…Request.
Must not be here: anything that needs the database.
"""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.domain import bounds, ids, validate
from gateway.domain.message import (
    COMPLETED,
    ROLE_OF,
    STATUS_OF,
    Ending,
    IncompleteReason,
    MessagePatch,
    NewMessage,
    Role,
    Status,
    count_characters,
)
from gateway.domain.metadata import Metadata, MetadataPatch, refuse_too_many
from gateway.domain.thread import NewFork, NewThread, ThreadPatch, ToolResources
from gateway.domain.unset import UNSET
from gateway.errors import InvalidRequest, excerpt

_MAX_INT: Final = 2**31 - 1  # of GraphQL
_METADATA_KEY: Final = bounds.METADATA_KEY.number
_METADATA_VALUE: Final = bounds.METADATA_VALUE.number

ROLES: Final = tuple(role.value for role in Role)
DETAILS: Final = ("auto", "low", "high")
TOOLS: Final = ("code_interpreter", "file_search")
_BY_CLIENT: Final = ("attachments", "metadata")
_BY_WORKER: Final = (*_BY_CLIENT, "run_id", "assistant_id", "status")
_BEGINNINGS: Final = (Status.COMPLETED.value, Status.IN_PROGRESS.value)
_ENDINGS: Final = (Status.COMPLETED.value, Status.INCOMPLETE.value)
_REFERENCE: Final = re.compile(f"[!-~]{{1,{bounds.REFERENCE.number}}}")
# Letters outside ASCII are allowed: many URLs of images have them, and browsers encode them.
_WEB_ADDRESS: Final = re.compile(
    r"https?://([^\x00-\x20\x7f/?#\[\]]|\[[0-9A-Fa-f:.]+\])+([/?#][^\x00-\x20\x7f]*)?", re.IGNORECASE
)
_OWNER: Final = re.compile(f"[^\x00-\x1f\x7f\ud800-\udfff]{{1,{bounds.OWNER.number}}}")


def new_thread(body: object, *, from_worker: bool = False) -> NewThread:
    """Parse the body of createThread; without a body the thread is empty."""
    raw = validate.root_object(body)
    validate.fields(raw, "", optional=("messages", "tool_resources", "metadata", "owner"))
    messages = validate.an_array(raw.get("messages", []), "messages", at_most=bounds.THREAD_MESSAGES.number)
    validate.total(sum(map(count_parts, messages)), "messages", bounds.REQUEST_PARTS)
    return NewThread(
        messages=tuple(
            new_message(item, f"messages[{index}]", from_worker=from_worker) for index, item in enumerate(messages)
        ),
        tool_resources=tool_resources(raw.get("tool_resources")),
        metadata=metadata(raw.get("metadata"), "metadata"),
        owner=new_owner(raw.get("owner")),
    )


def owner(value: object, path: str = "owner") -> str | None:
    """Parse the name of an end user, or null."""
    return None if value is None else end_user(value, path)


def end_user(value: object, path: str = "owner") -> str:
    """Parse the name of an end user, as an identity provider assigns it."""
    text = validate.a_string(value, path)
    if _OWNER.fullmatch(text):
        return text
    validate.refuse(
        f"Invalid '{path}'. Expected 1 to {bounds.OWNER.number} characters, none of them a control character.",
        path,
        bounds.OWNER.code,
    )


def new_owner(value: object) -> str | None:
    """Parse the owner of a new thread; stored owners may have a wider set of characters."""
    text = owner(value)
    if text is None or validate.is_plain(text):
        return text
    validate.refuse(
        "Invalid 'owner'. Expected no control characters, and none that change the direction of text.",
        "owner",
        bounds.OWNER.code,
    )


def thread_patch(body: object) -> ThreadPatch:
    """Parse the body of modifyThread; a field that is null or missing stays."""
    raw = validate.root_object(body)
    validate.fields(raw, "", optional=("tool_resources", "metadata"))
    resources = raw.get("tool_resources")
    return ThreadPatch(
        tool_resources=UNSET if resources is None else tool_resources(resources),
        metadata=UNSET if raw.get("metadata") is None else metadata_patch(raw["metadata"]),
    )


def new_fork(body: object) -> NewFork:
    """Parse the body of forkThread; without a body the whole thread is copied."""
    raw = validate.root_object(body)
    validate.fields(raw, "", optional=("up_to", "metadata", "owner"))
    up_to, patch = raw.get("up_to"), raw.get("metadata")
    return NewFork(
        up_to=None if up_to is None else ids.message_id(validate.a_string(up_to, "up_to"), "up_to"),
        metadata=UNSET if patch in (None, {}) else metadata_patch(patch),  # one input, for an idempotency key
        owner=new_owner(raw.get("owner")),
    )


def new_message(body: object, path: str = "", *, from_worker: bool = False) -> NewMessage:
    """Parse the body of createMessage, or one of the messages in the body of createThread.

    `from_worker` also accepts the author, and a message in progress: GraphQL has these, REST has not.
    """
    raw = validate.an_object(body, path) if path else validate.root_object(body)
    validate.fields(raw, path, required=("role", "content"), optional=_BY_WORKER if from_worker else _BY_CLIENT)
    at = f"{path}." if path else ""
    word = raw.get("status")
    status = COMPLETED if word is None else STATUS_OF[validate.one_of(word, f"{at}status", _BEGINNINGS)]
    role = ROLE_OF[validate.one_of(raw["role"], at + "role", ROLES)]
    content = _content(raw["content"], at + "content", is_whole=status is COMPLETED)
    attachments = _attachments(raw.get("attachments"), at + "attachments")
    pairs = metadata(raw.get("metadata"), at + "metadata")
    run_id = reference(raw.get("run_id"), at + "run_id")
    assistant_id = reference(raw.get("assistant_id"), at + "assistant_id")
    return NewMessage(role, content, attachments, pairs, run_id, assistant_id, status)  # by name it takes twice as long


def message_patch(body: object) -> MessagePatch:
    """Parse the body of modifyMessage; only metadata can change."""
    raw = validate.root_object(body)
    validate.fields(raw, "", optional=("metadata",))
    return MessagePatch(UNSET if raw.get("metadata") is None else metadata_patch(raw["metadata"]))


def appended_text(text: str) -> str:
    """Parse text for a message in progress."""
    return validate.a_string(text, "text", at_least=1, at_most=bounds.TEXT.number)


def offset(value: int | None) -> int | None:
    """Parse the offset at which a text is appended."""
    return None if value is None else validate.an_integer(value, "offset", at_least=0, at_most=_MAX_INT)


def ending(status: Status, reason: IncompleteReason | None) -> Ending:
    """Parse the end of a message in progress: completed, or incomplete for a reason."""
    validate.one_of(status.value, "status", _ENDINGS)
    param = "incompleteReason"
    if status is Status.INCOMPLETE and reason is None:
        validate.refuse(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")
    if status is COMPLETED and reason is not None:
        validate.refuse(f"Invalid '{param}'. Expected none for a completed message.", param, "invalid_value")
    return Ending(status, reason)


def reference(value: object, path: str) -> str | None:
    """Parse the ID of an object that need not be stored here (a run, an assistant), or null."""
    return None if value is None else a_reference(value, path)


def a_reference(value: object, path: str) -> str:
    """Parse the ID of an object that need not be stored here: opaque, printable and short."""
    text = validate.a_string(value, path)
    if _REFERENCE.fullmatch(text):
        return text
    validate.refuse(
        f"Invalid '{path}': '{excerpt(text)}'. Expected 1 to {bounds.REFERENCE.number} printable ASCII characters.",
        path,
        bounds.REFERENCE.code,
    )


def _content(value: object, path: str, *, is_whole: bool) -> list[dict[str, Any]]:
    at_least = 1 if is_whole else 0
    if isinstance(value, str):
        return [_stored_text(validate.a_string(value, path, at_least=at_least, at_most=bounds.TEXT.number))]
    if not isinstance(value, list):
        validate.refuse_type(path, "one of a string or array of objects", value)
    items = validate.an_array(value, path, at_least=at_least, at_most=bounds.CONTENT_PARTS.number)
    parts = [_part(item, f"{path}[{index}]") for index, item in enumerate(items)]
    if len(parts) > 1:
        validate.total(count_characters(parts), path, bounds.TEXT)
    return parts


def count_parts(message: object) -> int:
    """Count the parts and attachments of a message before it is parsed."""
    if not isinstance(message, dict):
        return 0
    content, attachments = message.get("content"), message.get("attachments")
    return (len(content) if isinstance(content, list) else 1) + (
        len(attachments) if isinstance(attachments, list) else 0
    )


def _part(value: object, path: str) -> dict[str, Any]:
    raw = validate.an_object(value, path)
    if "type" not in raw:
        validate.fields(raw, path, required=("type",))
    kind = validate.one_of(raw["type"], f"{path}.type", tuple(_PARTS))
    validate.fields(raw, path, required=("type", kind))
    return _PARTS[kind](raw[kind], f"{path}.{kind}")


def _text_part(value: object, path: str) -> dict[str, Any]:
    return _stored_text(validate.a_string(value, path, at_least=1, at_most=bounds.TEXT.number))


def _stored_text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": {"value": text, "annotations": []}}


def _image_url_part(value: object, path: str) -> dict[str, Any]:
    raw = validate.an_object(value, path)
    validate.fields(raw, path, required=("url",), optional=("detail",))
    url = validate.a_string(raw["url"], f"{path}.url", at_most=bounds.URL.number)
    if not _WEB_ADDRESS.fullmatch(url):
        message = f"Invalid '{path}.url'. Expected a valid URL, but got a value with an invalid format."
        validate.refuse(message, f"{path}.url", "invalid_value")
    # The original API adds the default here, and only here (rest-contract §2.4).
    detail = validate.one_of(raw.get("detail", "auto"), f"{path}.detail", DETAILS)
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


def _image_file_part(value: object, path: str) -> dict[str, Any]:
    raw = validate.an_object(value, path)
    validate.fields(raw, path, required=("file_id",), optional=("detail",))
    image = {"file_id": validate.a_string(raw["file_id"], f"{path}.file_id", at_least=1, at_most=bounds.FILE_ID.number)}
    if "detail" in raw:
        image["detail"] = validate.one_of(raw["detail"], f"{path}.detail", DETAILS)
    return {"type": "image_file", "image_file": image}


_PARTS: Final = {"text": _text_part, "image_url": _image_url_part, "image_file": _image_file_part}


def _attachments(value: object, path: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    items = validate.an_array(value, path, at_most=bounds.ATTACHMENTS.number)
    return [_attachment(item, f"{path}[{index}]") for index, item in enumerate(items)]


def _attachment(value: object, path: str) -> dict[str, Any]:
    raw = validate.an_object(value, path)
    validate.fields(raw, path, required=("file_id", "tools"))
    file_id = validate.a_string(raw["file_id"], f"{path}.file_id", at_least=1, at_most=bounds.FILE_ID.number)
    tools = validate.an_array(raw["tools"], f"{path}.tools", at_most=bounds.ATTACHMENT_TOOLS.number)
    return {"file_id": file_id, "tools": [_tool(tool, f"{path}.tools[{index}]") for index, tool in enumerate(tools)]}


def _tool(value: object, path: str) -> dict[str, str]:
    raw = validate.an_object(value, path)
    validate.fields(raw, path, required=("type",))
    return {"type": validate.one_of(raw["type"], f"{path}.type", TOOLS)}


def metadata(value: object, path: str) -> Metadata:
    """Parse the metadata of a new object."""
    if value is None:
        return {}
    pairs = _metadata_pairs(value, path)
    refuse_too_many(len(pairs), path)
    for key, text in pairs.items():
        if type(text) is not str or len(text) > _METADATA_VALUE:
            _metadata_value(text, f"{path}.{key}")
    return pairs


def metadata_patch(value: object) -> MetadataPatch:
    """Parse the metadata of a patch, whose keys are merged into what is stored."""
    # A null removes the key, which is an extension of the original API.
    pairs = _metadata_pairs(value, "metadata")
    refuse_too_many(sum(text is not None for text in pairs.values()))
    return {key: None if text is None else _metadata_value(text, f"metadata.{key}") for key, text in pairs.items()}


def _metadata_pairs(value: object, path: str) -> dict[str, Any]:
    pairs = validate.an_object(value, path, "a metadata object")
    for key in pairs:
        if len(key) > _METADATA_KEY:
            message = (
                f"Invalid property name in '{path}': '{key[:3]}...{key[-3:]}' is too long. "
                f"Expected a string with maximum length {_METADATA_KEY}, "
                f"but got a string with length {len(key)} instead."
            )
            validate.refuse(message, validate.within(path, key), bounds.METADATA_KEY.code)
    return pairs


def _metadata_value(value: object, path: str) -> str:
    return validate.a_string(value, path, at_most=_METADATA_VALUE)


def tool_resources(value: object) -> ToolResources:
    """Parse the resources of tools, of a thread, a run or an assistant."""
    if value is None:
        return {}
    raw = validate.an_object(value, "tool_resources")
    validate.fields(raw, "tool_resources", optional=tuple(_RESOURCES))
    return {key: _RESOURCES[key](item, f"tool_resources.{key}") for key, item in raw.items() if item is not None}


def _code_interpreter(value: object, path: str) -> dict[str, Any]:
    raw = validate.an_object(value, path)
    validate.fields(raw, path, optional=("file_ids",))
    return {"file_ids": _id_list(raw.get("file_ids", []), f"{path}.file_ids", at_most=bounds.CODE_FILES.number)}


def _file_search(value: object, path: str) -> dict[str, Any]:
    raw = validate.an_object(value, path)
    validate.fields(raw, path, optional=("vector_store_ids", "vector_stores"))
    if raw.get("vector_stores") is not None:
        # Creating a store without files would silently lose them.
        param = f"{path}.vector_stores"
        message = f"Invalid '{param}': this server creates no vector stores. Use 'vector_store_ids'."
        raise InvalidRequest(message, param=param, code="invalid_value")
    return {
        "vector_store_ids": _id_list(
            raw.get("vector_store_ids", []), f"{path}.vector_store_ids", at_most=bounds.VECTOR_STORES.number
        )
    }


def _id_list(value: object, path: str, *, at_most: int) -> list[str]:
    items = validate.an_array(value, path, at_most=at_most)
    return [
        validate.a_string(item, f"{path}[{index}]", at_least=1, at_most=bounds.FILE_ID.number)
        for index, item in enumerate(items)
    ]


_RESOURCES: Final = {"code_interpreter": _code_interpreter, "file_search": _file_search}
