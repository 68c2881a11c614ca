"""Inputs of mutations, and how each is laid out as the wire has it, for the one parser of both faces.

Must not be here: rules on what an input may hold (`domain.parse`).
"""

from typing import Any, Final

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from gateway.graphql.schema.scalars import IncompleteReason, MessageRole, MessageStatus, Metadata, ThreadAccess

_METADATA = "What the application notes on it."


@strawberry.input(description="An uploaded image.")
class ImageFileInput:
    """The wire's `image_file`."""

    file_id: str = strawberry.field(description="The uploaded file.")
    detail: str | None = strawberry.field(
        default=UNSET, description="How closely a model looks at it: `auto`, `low` or `high`."
    )


@strawberry.input(description="An image on the web.")
class ImageUrlInput:
    """The wire's `image_url`."""

    url: str = strawberry.field(description="Where the image is; http or https.")
    detail: str | None = strawberry.field(
        default=UNSET, description="How closely a model looks at it: `auto`, `low` or `high`."
    )


@strawberry.input(one_of=True, description="One part of what a message says.")
class ContentPartInput:
    """One of the wire's content parts, told apart by the key."""

    text: str | None = strawberry.field(default=UNSET, description="A text.")
    image_file: ImageFileInput | None = strawberry.field(default=UNSET, description="An uploaded image.")
    image_url: ImageUrlInput | None = strawberry.field(default=UNSET, description="An image on the web.")


@strawberry.input(one_of=True, description="What a message says: one text, or several parts.")
class MessageContentInput:
    """The wire's `content`: a string or an array of parts."""

    text: str | None = strawberry.field(default=UNSET, description="All of it as one text.")
    parts: list[ContentPartInput] | None = strawberry.field(default=UNSET, description="Part by part.")


@strawberry.input(description="A file that comes with a message.")
class AttachmentInput:
    """One of the wire's `attachments`."""

    file_id: str = strawberry.field(description="The file.")
    tools: list[str] = strawberry.field(
        description="The tools that may read it: `code_interpreter`, `file_search`, or both."
    )


@strawberry.input(description="A message that a new thread begins with.")
class NewMessageInput:
    """The wire's createMessage, and who wrote it."""

    role: MessageRole = strawberry.field(description="Who speaks.")
    content: MessageContentInput = strawberry.field(description="What is said.")
    attachments: list[AttachmentInput] | None = strawberry.field(
        default=UNSET, description="Files that come with the message."
    )
    metadata: Metadata | None = strawberry.field(default=UNSET, description=_METADATA)
    run_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The run that wrote it: for the worker that called a model."
    )
    assistant_id: strawberry.ID | None = strawberry.field(default=UNSET, description="The assistant that wrote it.")
    status: MessageStatus | None = strawberry.field(
        default=UNSET,
        description="`COMPLETED` if nothing is said, or `IN_PROGRESS` for an answer that will come piece by piece; its "
        "content may then be empty.",
    )


@strawberry.input(description="A message for the end of a thread.")
class CreateMessageInput(NewMessageInput):
    """The wire's createMessage with the thread from its path."""

    thread_id: strawberry.ID = strawberry.field(description="The thread that it goes to.")


@strawberry.input(description="A new thread.")
class CreateThreadInput:
    """The wire's createThread."""

    messages: list[NewMessageInput] | None = strawberry.field(
        default=UNSET, description="The messages that it begins with."
    )
    metadata: Metadata | None = strawberry.field(default=UNSET, description=_METADATA)
    tool_resources: JSON | None = strawberry.field(
        default=UNSET, description="Files and vector stores for tools, as the REST face takes them."
    )
    owner: str | None = strawberry.field(
        default=UNSET,
        description="The end user that it shall belong to: for a project's key. An end user's threads are its own.",
    )


@strawberry.input(description="What changes in a thread; what is left out, or null, stays.")
class UpdateThreadInput:
    """The wire's modifyThread."""

    id: strawberry.ID = strawberry.field(description="The thread.")
    metadata: Metadata | None = strawberry.field(default=UNSET, description=_METADATA)
    tool_resources: JSON | None = strawberry.field(default=UNSET, description="Files and vector stores for tools.")


@strawberry.input(description="The thread that shall go.")
class DeleteThreadInput:
    """The path of the wire's deleteThread."""

    id: strawberry.ID = strawberry.field(description="The thread.")


@strawberry.input(description="The token that shall be made.")
class CreateThreadTokenInput:
    """What `auth.thread_tokens` takes."""

    thread_id: strawberry.ID = strawberry.field(description="The thread that it lets into, and nothing else.")
    access: ThreadAccess = strawberry.field(default=ThreadAccess.READ, description="What its holder may do.")
    expires_in: int = strawberry.field(
        default=3_600, description="How many seconds it lasts, a day at most; never longer than what it is made with."
    )


@strawberry.input(description="The thread whose tokens shall be good no more.")
class RevokeThreadTokensInput:
    """What `core.thread_tokens.revoke` takes."""

    thread_id: strawberry.ID = strawberry.field(description="The thread.")


@strawberry.input(description="What changes in a message; what is left out, or null, stays.")
class UpdateMessageInput:
    """The wire's modifyMessage; the message is found by its id alone."""

    id: strawberry.ID = strawberry.field(description="The message.")
    metadata: Metadata | None = strawberry.field(default=UNSET, description=_METADATA)


@strawberry.input(description="Text that a message in progress has gained.")
class AppendMessageTextInput:
    """What `core.streaming.append_text` takes."""

    message_id: strawberry.ID = strawberry.field(description="The message, which must be in progress.")
    text: str = strawberry.field(description="The text, which goes behind what is there.")


@strawberry.input(description="How a message in progress ends.")
class FinishMessageInput:
    """What `core.streaming.finish` takes."""

    message_id: strawberry.ID = strawberry.field(description="The message, which must be in progress.")
    status: MessageStatus = strawberry.field(description="`COMPLETED` or `INCOMPLETE`.")
    incomplete_reason: IncompleteReason | None = strawberry.field(
        default=UNSET, description="Why it broke off; needed if it is `INCOMPLETE`."
    )


@strawberry.input(description="The message that shall go.")
class DeleteMessageInput:
    """The path of the wire's deleteMessage; the message is found by its id alone."""

    id: strawberry.ID = strawberry.field(description="The message.")


# The wire's, looked up: to read the value of an enum's member takes a function of Python's.
_WORDS: Final = {each: each.value.value for each in (*MessageRole, *MessageStatus)}


def wire_thread(new: CreateThreadInput) -> dict[str, Any]:
    """Lay a new thread out as the body of createThread."""
    return {
        "messages": [wire_message(each) for each in new.messages or ()],
        "metadata": or_null(new.metadata),
        "tool_resources": or_null(new.tool_resources),
        "owner": or_null(new.owner),
    }


def wire_message(new: NewMessageInput) -> dict[str, Any]:
    """Lay a new message out as the body of createMessage, with who wrote it."""
    return {
        "role": _WORDS[new.role],
        "content": _content(new.content),
        "attachments": [
            {"file_id": each.file_id, "tools": [{"type": tool} for tool in each.tools]}
            for each in new.attachments or ()
        ],
        "metadata": or_null(new.metadata),
        "run_id": or_null(new.run_id),
        "assistant_id": or_null(new.assistant_id),
        "status": _WORDS[new.status] if new.status else None,
    }


def or_null(value: Any) -> Any:
    """Take a field that was left out for one that is null."""
    return None if value is UNSET else value


# Of the keys below @oneOf has let through just one, and not as null; an empty text is left for the parser to refuse.


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
