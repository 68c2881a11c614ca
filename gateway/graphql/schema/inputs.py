"""Inputs of mutations, and their conversion to REST bodies, for the parser that both APIs share.

Must not be here: validation of inputs (`domain.parse`).
"""

from typing import Any, Final

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from gateway.domain import thread_list, validate
from gateway.domain.idempotency import Attempt, parse_key
from gateway.graphql.schema.scalars import (
    DateTime,
    IncompleteReason,
    MessageRole,
    MessageStatus,
    Metadata,
    ThreadAccess,
)

KEY = (
    "A key that is new for each object to create, such as a UUID, and the same in each retry, which then returns the "
    "object as it is now. 1 to 255 printable ASCII characters. The REST API has the same keys."
)
ARGUMENT = strawberry.argument(description="The input of the mutation.")
_METADATA = "Key-value pairs set by the application."


@strawberry.input(description="An uploaded image.")
class ImageFileInput:
    """REST's `image_file`."""

    file_id: str = strawberry.field(description="The ID of the uploaded file.")
    detail: str | None = strawberry.field(
        default=UNSET, description="The level of detail for the model: `auto`, `low` or `high`."
    )


@strawberry.input(description="An image at a URL.")
class ImageUrlInput:
    """REST's `image_url`."""

    url: str = strawberry.field(description="The URL of the image, with the scheme `http` or `https`.")
    detail: str | None = strawberry.field(
        default=UNSET, description="The level of detail for the model: `auto`, `low` or `high`."
    )


@strawberry.input(one_of=True, description="A part of a message's content.")
class ContentPartInput:
    """A content part of REST; the key is its type."""

    text: str | None = strawberry.field(default=UNSET, description="A text.")
    image_file: ImageFileInput | None = strawberry.field(default=UNSET, description="An uploaded image.")
    image_url: ImageUrlInput | None = strawberry.field(default=UNSET, description="An image at a URL.")


@strawberry.input(one_of=True, description="The content of a message: a text or a list of parts.")
class MessageContentInput:
    """REST's `content`: a string or an array of parts."""

    text: str | None = strawberry.field(default=UNSET, description="The content as one text.")
    parts: list[ContentPartInput] | None = strawberry.field(
        default=UNSET, description="The content as a list of parts."
    )


@strawberry.input(description="A file to attach to a message.")
class AttachmentInput:
    """One of REST's `attachments`."""

    file_id: str = strawberry.field(description="The ID of the file.")
    tools: list[str] = strawberry.field(
        description="The tools that can use the file: `code_interpreter`, `file_search` or both."
    )


@strawberry.input(description="An initial message of a new thread.")
class NewMessageInput:
    """REST's createMessage, with its author."""

    role: MessageRole = strawberry.field(description="The author of the message.")
    content: MessageContentInput = strawberry.field(description="The content of the message.")
    attachments: list[AttachmentInput] | None = strawberry.field(
        default=UNSET, description="Files to attach to the message."
    )
    metadata: Metadata | None = strawberry.field(default=UNSET, description=_METADATA)
    run_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The ID of the run that created the message; set by workers that call a model."
    )
    assistant_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The ID of the assistant that created the message."
    )
    status: MessageStatus | None = strawberry.field(
        default=UNSET,
        description="The status, by default `COMPLETED`. Use `IN_PROGRESS` for an answer that is streamed with "
        "`appendMessageText`; its content can be empty.",
    )


@strawberry.input(description="A message to add to a thread.")
class CreateMessageInput(NewMessageInput):
    """REST's createMessage with the thread of its path."""

    thread_id: strawberry.ID = strawberry.field(description="The thread to add the message to.")
    idempotency_key: str | None = strawberry.field(default=UNSET, description=KEY)


@strawberry.input(description="A thread to create.")
class CreateThreadInput:
    """REST's createThread."""

    messages: list[NewMessageInput] | None = strawberry.field(
        default=UNSET, description="The initial messages of the thread."
    )
    metadata: Metadata | None = strawberry.field(default=UNSET, description=_METADATA)
    tool_resources: JSON | None = strawberry.field(
        default=UNSET, description="Files and vector stores available to tools, in the format of the REST API."
    )
    owner: str | None = strawberry.field(
        default=UNSET,
        description="The end user who will own the thread; only for callers with an API key. A thread that an end "
        "user creates belongs to that user.",
    )
    idempotency_key: str | None = strawberry.field(default=UNSET, description=KEY)


@strawberry.input(description="Changes to a thread; fields that are omitted or null stay unchanged.")
class UpdateThreadInput:
    """REST's modifyThread."""

    id: strawberry.ID = strawberry.field(description="The ID of the thread.")
    metadata: Metadata | None = strawberry.field(default=UNSET, description=_METADATA)
    tool_resources: JSON | None = strawberry.field(
        default=UNSET, description="Files and vector stores available to tools, in the format of the REST API."
    )


@strawberry.input(description="The thread to copy, and what differs in the copy.")
class ForkThreadInput:
    """The arguments of `core.forking.fork`."""

    thread_id: strawberry.ID = strawberry.field(description="The thread to copy.")
    up_to: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The last message to copy; by default the whole thread is copied."
    )
    metadata: Metadata | None = strawberry.field(
        default=UNSET, description="Pairs to merge into the metadata of the thread."
    )
    owner: str | None = strawberry.field(
        default=UNSET,
        description="The end user who will own the copy, by default the owner of the thread; only for callers with an "
        "API key.",
    )
    idempotency_key: str | None = strawberry.field(default=UNSET, description=KEY)


@strawberry.input(description="The thread to delete.")
class DeleteThreadInput:
    """The path of REST's deleteThread."""

    id: strawberry.ID = strawberry.field(description="The ID of the thread.")


_READER = "The reader whose mark it is; only for callers with an API key, which need one."


@strawberry.input(description="How far a thread was read.")
class MarkReadInput:
    """The arguments of `core.read_marks.mark_read`."""

    thread_id: strawberry.ID = strawberry.field(description="The thread.")
    up_to: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The last message that was read; by default the last one of the thread."
    )
    reader: str | None = strawberry.field(default=UNSET, description=_READER)


@strawberry.input(description="From where on a thread was not read.")
class MarkUnreadInput:
    """The arguments of `core.read_marks.mark_unread`."""

    thread_id: strawberry.ID = strawberry.field(description="The thread.")
    from_: strawberry.ID = strawberry.field(name="from", description="The first message that counts as unread.")
    reader: str | None = strawberry.field(default=UNSET, description=_READER)


@strawberry.input(description="The end user to erase.")
class EraseUserInput:
    """The arguments of `core.erasing.erase`."""

    owner: str = strawberry.field(description="The end user, as in `owner` of a thread.")


@strawberry.input(description="The thread token to create.")
class CreateThreadTokenInput:
    """The arguments of `auth.thread_tokens`."""

    thread_id: strawberry.ID = strawberry.field(description="The only thread that the token gives access to.")
    access: ThreadAccess = strawberry.field(default=ThreadAccess.READ, description="The permissions of the token.")
    expires_in: int = strawberry.field(
        default=3_600,
        description="The lifetime in seconds, at most 86400 (one day). It ends no later than the credential of the "
        "caller.",
    )
    assistant_id: strawberry.ID | None = strawberry.field(
        default=UNSET,
        description="An assistant whose runs the token may start, without other settings; the caller needs the scope "
        "`runs`.",
    )


@strawberry.input(description="The thread whose tokens to revoke.")
class RevokeThreadTokensInput:
    """The arguments of `core.thread_tokens.revoke`."""

    thread_id: strawberry.ID = strawberry.field(description="The ID of the thread.")


@strawberry.input(description="Changes to a message; fields that are omitted or null stay unchanged.")
class UpdateMessageInput:
    """REST's modifyMessage, which has no thread ID."""

    id: strawberry.ID = strawberry.field(description="The ID of the message.")
    metadata: Metadata | None = strawberry.field(default=UNSET, description=_METADATA)


@strawberry.input(description="Text to append to a message in progress.")
class AppendMessageTextInput:
    """The arguments of `core.streaming.append_text`."""

    message_id: strawberry.ID = strawberry.field(description="The message; its status must be `IN_PROGRESS`.")
    text: str = strawberry.field(description="The text to append.")
    offset: int | None = strawberry.field(
        default=UNSET,
        description="Where the last text part ends, in UTF-16 code units, like `length` in JavaScript: so a retry does "
        "not append the text again. Any other text is refused with `offset_conflict` and the true offset.",
    )


@strawberry.input(description="The final status of a message in progress.")
class FinishMessageInput:
    """The arguments of `core.streaming.finish`."""

    message_id: strawberry.ID = strawberry.field(description="The message; its status must be `IN_PROGRESS`.")
    status: MessageStatus = strawberry.field(description="The final status: `COMPLETED` or `INCOMPLETE`.")
    incomplete_reason: IncompleteReason | None = strawberry.field(
        default=UNSET, description="Why the message is incomplete; required with `INCOMPLETE`."
    )


@strawberry.input(description="The message to delete.")
class DeleteMessageInput:
    """The path of REST's deleteMessage, which has no thread ID."""

    id: strawberry.ID = strawberry.field(description="The ID of the message.")


# A dict, since `Enum.value` is a Python function and slow.
_VALUES: Final = {each: each.value.value for each in (*MessageRole, *MessageStatus)}


def wire_thread(new: CreateThreadInput) -> dict[str, Any]:
    """Convert a new thread to the body of createThread."""
    return {
        "messages": [wire_message(each) for each in new.messages or ()],
        "metadata": or_null(new.metadata),
        "tool_resources": or_null(new.tool_resources),
        "owner": or_null(new.owner),
    }


def wire_message(new: NewMessageInput) -> dict[str, Any]:
    """Convert a new message to the body of createMessage, with its author; what is omitted or null is left out."""
    body = {"role": _VALUES[new.role], "content": _content(new.content)}
    if new.attachments:
        body["attachments"] = [
            {"file_id": each.file_id, "tools": [{"type": tool} for tool in each.tools]} for each in new.attachments
        ]
    for name in ("metadata", "run_id", "assistant_id"):
        if (given := or_null(getattr(new, name))) is not None:
            body[name] = given
    if new.status:
        body["status"] = _VALUES[new.status]
    return body


def or_null(value: Any) -> Any:
    """Replace an omitted field or argument by null."""
    return None if value is UNSET else value


def attempt_of(key: str | None) -> Attempt | None:
    """Begin an attempt to create something, if it has an idempotency key.

    Errors: InvalidRequest.
    """
    given = or_null(key)
    return None if given is None else Attempt(parse_key(given, "idempotency_key"))


# @oneOf guarantees exactly one non-null key; the parser refuses an empty text.


def _content(content: MessageContentInput) -> Any:
    return [_part(part) for part in content.parts] if isinstance(content.parts, list) else content.text


def _part(part: ContentPartInput) -> dict[str, Any]:
    if part.image_file:
        return {"type": "image_file", "image_file": _image("file_id", part.image_file.file_id, part.image_file.detail)}
    if part.image_url:
        return {"type": "image_url", "image_url": _image("url", part.image_url.url, part.image_url.detail)}
    return {"type": "text", "text": part.text}


def _image(key: str, source: str, detail: str | None) -> dict[str, Any]:
    return {key: source} if or_null(detail) is None else {key: source, "detail": detail}


@strawberry.input(description="A condition on one key of a thread's metadata: exactly one of `equals`, `in`, `exists`.")
class MetadataMatch:
    """`domain.thread_list.MetadataMatch`."""

    key: str = strawberry.field(description="The key.")
    equals: str | None = strawberry.field(default=UNSET, description="The value that it must have.")
    in_: list[str] | None = strawberry.field(
        default=UNSET, name="in", description="The values of which it must have one, up to 10."
    )
    exists: bool | None = strawberry.field(default=UNSET, description="Whether the key must be present or absent.")


@strawberry.input(description="Which threads to list; all conditions must hold, and bounds of times are exclusive.")
class ThreadFilter:
    """`domain.thread_list.ThreadFilter`."""

    metadata: list[MetadataMatch] | None = strawberry.field(
        default=UNSET, description="Up to 4 conditions on the metadata."
    )
    owner: str | None = strawberry.field(default=UNSET, description="The end user who owns the thread.")
    has_owner: bool | None = strawberry.field(default=UNSET, description="Whether the thread has an owner.")
    created_after: DateTime | None = strawberry.field(default=UNSET, description="The thread was created later.")
    created_before: DateTime | None = strawberry.field(default=UNSET, description="The thread was created earlier.")
    active_after: DateTime | None = strawberry.field(
        default=UNSET,
        description="The last activity was later, in milliseconds; `lastActivityAt` is in seconds, rounded down.",
    )
    active_before: DateTime | None = strawberry.field(default=UNSET, description="The last activity was earlier.")
    unread: bool | None = strawberry.field(
        default=UNSET,
        description="Whether the reader has not read all messages of others (`unreadCount`); not for subscriptions.",
    )
    reader: str | None = strawberry.field(
        default=UNSET, description="The reader of `unread` and of `ThreadRead`; only for callers with an API key."
    )


def thread_filter(given: ThreadFilter | None) -> thread_list.ThreadFilter | None:
    """Convert a filter; fields that are omitted or null are no conditions.

    Errors: InvalidRequest.
    """
    if or_null(given) is None:
        return None
    fields = {name: value for name, value in vars(given).items() if or_null(value) is not None}
    metadata = fields.pop("metadata", ())
    matches = [_match(each, f"filter.metadata[{n}]") for n, each in enumerate(metadata)]
    return thread_list.new_filter(matches, **fields)


def _match(given: MetadataMatch, path: str) -> thread_list.MetadataMatch:
    conditions = [name for name in ("equals", "in_", "exists") if or_null(getattr(given, name)) is not None]
    if len(conditions) != 1:
        validate.refuse(f"Invalid '{path}'. Expected exactly one of equals, in and exists.", path, "invalid_value")
    [name] = conditions
    equals = (given.equals,) if isinstance(given.equals, str) else None
    values = tuple(given.in_ or ()) if name == "in_" else equals
    match = thread_list.MetadataMatch(given.key, values, is_missing=given.exists is False)
    return thread_list.checked(match, f"{path}.key", f"{path}.{name.removesuffix('_')}")
