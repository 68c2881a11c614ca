"""A message, the parts of its content, and the input to create or change one.

Must not be here: how it is read from a request (`parse`) or kept (`store`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import orjson

from gateway.domain import bounds
from gateway.domain.metadata import Metadata, MetadataPatch, load_metadata
from gateway.domain.unset import UNSET, Unset
from gateway.errors import AnswerTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from gateway.domain.idempotency import IdempotencyKey
    from gateway.domain.ids import MessageId, ThreadId


SHORT: Final = bounds.ANSWER_OBJECTS.number  # characters of JSON, which has fewer objects than a response may have


class Role(Enum):
    """The role of a message's author."""

    USER = "user"
    ASSISTANT = "assistant"


class Status(Enum):
    """The status of a message; messages of users are completed at once."""

    IN_PROGRESS = "in_progress"
    INCOMPLETE = "incomplete"
    COMPLETED = "completed"


USER: Final = Role.USER  # see `domain.principal`
COMPLETED: Final = Status.COMPLETED


class IncompleteReason(Enum):
    """The reason why a message is incomplete."""

    CONTENT_FILTER = "content_filter"
    MAX_TOKENS = "max_tokens"
    RUN_CANCELLED = "run_cancelled"
    RUN_EXPIRED = "run_expired"
    RUN_FAILED = "run_failed"


@dataclass(frozen=True, slots=True)
class FileCitation:
    """A citation of a file in a text; its start and end are optional."""

    text: str
    start_index: int | None
    end_index: int | None
    file_id: str
    quote: str | None


@dataclass(frozen=True, slots=True)
class FilePath:
    """A reference in a text to a generated file."""

    text: str
    start_index: int | None
    end_index: int | None
    file_id: str


@dataclass(frozen=True, slots=True)
class UrlCitation:
    """A citation of a web page in a text, as Azure's agents produce it."""

    text: str
    start_index: int | None
    end_index: int | None
    url: str
    title: str | None


Annotation = FileCitation | FilePath | UrlCitation


@dataclass(frozen=True, slots=True)
class Text:
    """A text and its annotations."""

    value: str
    annotations: tuple[Annotation, ...]


@dataclass(frozen=True, slots=True)
class TextContent:
    """A text part."""

    text: Text
    type: str = "text"


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An uploaded image, and the level of detail for a model."""

    file_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class ImageFileContent:
    """A part with an uploaded image."""

    image_file: ImageFile
    type: str = "image_file"


@dataclass(frozen=True, slots=True)
class ImageUrl:
    """An image at a URL, and the level of detail for a model."""

    url: str
    detail: str


@dataclass(frozen=True, slots=True)
class ImageUrlContent:
    """A part with an image at a URL."""

    image_url: ImageUrl
    type: str = "image_url"


@dataclass(frozen=True, slots=True)
class RefusalContent:
    """A model's refusal to answer."""

    refusal: str
    type: str = "refusal"


ContentPart = TextContent | ImageFileContent | ImageUrlContent | RefusalContent


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file attached to a message, and the tools that may read it; a file of another source has no ID."""

    file_id: str | None
    tools: tuple[str, ...]


class MessageRow(NamedTuple):
    """The stored fields of a message, in the order of the columns, so that a row becomes one without conversion.

    The content is UTF-8, as in a response: a `str` would be decoded only to be encoded again, and with one emoji take
    four bytes per character. Other JSON is short.
    """

    id: MessageId
    thread_id: ThreadId
    created_at: int
    role_value: str
    status_value: str
    content_json: bytes
    attachments_json: str
    metadata_json: str
    run_id: str | None = None
    assistant_id: str | None = None
    completed_at: int | None = None
    incomplete_at: int | None = None
    reason_value: str | None = None
    plain_text: int | None = None  # what the function of this name says of the content, where that was noted
    idempotency_key: str | None = None


class Message(MessageRow):
    """A message as it is stored; its JSON and its enums are converted on first use.

    Units: `created_at`, `completed_at` and `incomplete_at` are Unix seconds, UTC.
    """

    @property
    def role(self) -> Role:
        """The role of the author."""
        return ROLE_OF[self.role_value]

    @property
    def status(self) -> Status:
        """The status."""
        return STATUS_OF[self.status_value]

    @property
    def incomplete_reason(self) -> IncompleteReason | None:
        """The reason why it is incomplete."""
        return None if self.reason_value is None else IncompleteReason(self.reason_value)

    @property
    def stored(self) -> int:
        """The number of stored bytes, where a character outside of ASCII counts as one."""
        return len(self.content_json) + len(self.attachments_json) + len(self.metadata_json)

    @cached_property
    def content(self) -> tuple[ContentPart, ...]:
        """The parts of the content, in order."""
        return load_content(self.content_json)

    @cached_property
    def text(self) -> str:
        """The text of all text parts, joined by line breaks."""
        return parse_text(self.content_json)

    @cached_property
    def attachments(self) -> tuple[Attachment, ...]:
        """The attached files, in order."""
        parsed = parse_attachments(self.attachments_json)
        return tuple(Attachment(item.get("file_id"), tuple(tools_of(item))) for item in parsed)

    @cached_property
    def metadata(self) -> Metadata:
        """The metadata as a mapping."""
        return load_metadata(self.metadata_json)


class Addition(NamedTuple):
    """A message to add to the end of its thread; its author, the `reader`, has then read the thread up to it.

    Units: `active_at` is Unix milliseconds, UTC.
    """

    message: Message
    active_at: int
    reader: str | None = None
    key: IdempotencyKey | None = None


def with_created_at(message: Message, created_at: int) -> Message:
    """Set the time of a new message to that of its position in the thread."""
    if message.created_at == created_at:
        return message
    completed_at = None if message.completed_at is None else created_at
    return message._replace(created_at=created_at, completed_at=completed_at)


def load_content(content_json: bytes) -> tuple[ContentPart, ...]:
    """Read the parts of a stored content.

    Errors: AnswerTooLarge.
    """
    return tuple(PART_READERS[part["type"]](part) for part in parse_content(content_json))


def parse_content(content_json: bytes) -> list[dict[str, Any]]:
    """Parse a stored content.

    Errors: AnswerTooLarge, without parsing, if it has more objects with types than a response may have; an import
    accepts such. A quotation mark within a text follows a backslash, so none is counted as the end of a key.
    """
    if len(content_json) > SHORT and content_json.count(b'"type":') > SHORT:
        raise AnswerTooLarge
    parts: list[dict[str, Any]] = orjson.loads(content_json)
    return parts


def parse_text(content_json: bytes) -> str:
    """Parse the text of all text parts of a stored content, joined with line breaks.

    Errors: AnswerTooLarge.
    """
    return "\n".join(part["text"]["value"] for part in parse_content(content_json) if part["type"] == "text")


def parse_attachments(attachments_json: str) -> list[dict[str, Any]]:
    """Parse stored attachments.

    Errors: AnswerTooLarge.
    """
    if len(attachments_json) > SHORT and attachments_json.count("{") > SHORT:
        raise AnswerTooLarge
    attachments: list[dict[str, Any]] = orjson.loads(attachments_json)
    return attachments


def tools_of(attachment: dict[str, Any]) -> list[str]:
    """Return the types of the tools that can read a stored attachment."""
    return [tool["type"] for tool in attachment.get("tools") or ()]


def detail_of(image: dict[str, Any]) -> str:
    """Return the level of detail of a stored image."""
    return image.get("detail") or "auto"


# The JSON around the text of content that is one text without annotations, as most is.
SIMPLE_BEGIN: Final = b'[{"type":"text","text":{"value":"'
SIMPLE_END: Final = b'","annotations":[]}}]'
_INNER: Final = slice(len(SIMPLE_BEGIN), -len(SIMPLE_END))
_MOST_MARKED: Final = 32_767  # a column of 16 bits
_SIMPLE_PART: Final = ["type", "text"]
_SIMPLE_TEXT: Final = ["value", "annotations"]


def plain_text(parts: Sequence[dict[str, Any]]) -> int:
    """Note, when a content is written, whether it begins with a text in the simple form: these keys alone, in order.

    1 if the content is one such text; the length of its JSON string if further parts follow it; else 0.
    """
    part = parts[0] if parts else {}
    text: dict[str, Any] = part["text"] if list(part) == _SIMPLE_PART and part["type"] == "text" else {}
    if list(text) != _SIMPLE_TEXT or type(text["value"]) is not str or text["annotations"] != []:
        return 0
    length = 1 if len(parts) == 1 else len(orjson.dumps(text["value"]))
    return length if length <= _MOST_MARKED else 0


def grow_content(content_json: bytes, mark: int | None, gained: Mapping[int, Sequence[str]]) -> tuple[bytes, int]:
    """Append texts to parts of a content; `mark` is its `plain_text` before, and the second result that after.

    A content that is one plain text is not parsed.
    """
    if len(gained) == 1 and 0 in gained and (mark == 1 or content_json == b"[]"):
        more = orjson.dumps("".join(gained[0]))[1:-1]
        return b"".join((SIMPLE_BEGIN, content_json[_INNER], more, SIMPLE_END)), 1
    parts = orjson.loads(content_json)
    append_texts(parts, gained)
    return orjson.dumps(parts), plain_text(parts)


def count_characters(parts: Iterable[Mapping[str, Any]]) -> int:
    """Count the characters of all text parts of content in the format of the API."""
    return sum(len(part["text"]["value"]) for part in parts if part["type"] == "text")


def append_texts(parts: list[dict[str, Any]], gained: Mapping[int, Sequence[str]]) -> None:
    """Append texts to parts of content, given by their indexes; the index after the last one begins a new part."""
    for part_index, texts in gained.items():
        if part_index == len(parts):
            parts.append({"type": "text", "text": {"value": "", "annotations": []}})
        parts[part_index]["text"]["value"] += "".join(texts)


def finished(message: Message, ending: Ending, now: int) -> Message:
    """Finish a message in progress whose content is complete."""
    parts = orjson.loads(message.content_json)
    return message._replace(
        content_json=orjson.dumps(parts),
        plain_text=plain_text(parts),
        status_value=ending.status.value,
        completed_at=now if ending.status is COMPLETED else None,
        incomplete_at=now if ending.status is Status.INCOMPLETE else None,
        reason_value=None if ending.reason is None else ending.reason.value,
    )


@dataclass(slots=True)  # not frozen, as `Rows`
class NewMessage:
    """Input to create a message; `content` and `attachments` are lists in the format of the API."""

    role: Role
    content: list[dict[str, Any]]
    attachments: list[dict[str, Any]] = field(default_factory=list)
    metadata: Metadata = field(default_factory=dict)
    run_id: str | None = None
    assistant_id: str | None = None
    status: Status = COMPLETED


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a message in progress; `reason` is set if and only if it is incomplete."""

    status: Status
    reason: IncompleteReason | None


@dataclass(frozen=True, slots=True)
class MessagePatch:
    """Changes of a message; fields that are UNSET stay."""

    metadata: MetadataPatch | Literal[Unset.UNSET] = UNSET


def _text(part: dict[str, Any]) -> TextContent:
    annotations = tuple(ANNOTATION_READERS[each["type"]](each) for each in part["text"]["annotations"])
    return TextContent(Text(part["text"]["value"], annotations))


def _image_file(part: dict[str, Any]) -> ImageFileContent:
    image = part["image_file"]
    return ImageFileContent(ImageFile(image["file_id"], detail_of(image)))


def _image_url(part: dict[str, Any]) -> ImageUrlContent:
    image = part["image_url"]
    return ImageUrlContent(ImageUrl(image["url"], detail_of(image)))


def _refusal(part: dict[str, Any]) -> RefusalContent:
    return RefusalContent(part["refusal"])


def _file_citation(each: dict[str, Any]) -> FileCitation:
    cited = each["file_citation"]
    return FileCitation(*_place(each), cited["file_id"], cited.get("quote"))


def _file_path(each: dict[str, Any]) -> FilePath:
    return FilePath(*_place(each), each["file_path"]["file_id"])


def _url_citation(each: dict[str, Any]) -> UrlCitation:
    cited = each["url_citation"]
    return UrlCitation(*_place(each), cited["url"], cited.get("title"))


def _place(each: dict[str, Any]) -> tuple[str, int | None, int | None]:
    return each["text"], each.get("start_index"), each.get("end_index")


# A lookup in a Python enum takes ten times as long as in a dict.
ROLE_OF: Final = {each.value: each for each in Role}
STATUS_OF: Final = {each.value: each for each in Status}
# Stored content was validated when it was written, so these do not validate again.
PART_READERS: Final[dict[str, Callable[[dict[str, Any]], ContentPart]]] = {
    "text": _text,
    "image_file": _image_file,
    "image_url": _image_url,
    "refusal": _refusal,
}
ANNOTATION_READERS: Final[dict[str, Callable[[dict[str, Any]], Annotation]]] = {
    "file_citation": _file_citation,
    "file_path": _file_path,
    "url_citation": _url_citation,
}
