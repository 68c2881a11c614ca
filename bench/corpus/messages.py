"""Threads of each kind with their messages, as lines that `gateway import` reads, and the ids of all of them.

Must not be here: the words of a text (`texts`), what is asked (`cases`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from bench.corpus import texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Content = list[dict[str, Any]]

DEFAULT: Final = "default"  # the project that all systems read
PROGRESS: Final = "progress"  # the project whose newest threads have messages in progress
MADE: Final = "made"  # the project in which threads are created while something is measured
INBOX: Final = "inbox"  # the project whose threads are listed by activity, and in which nothing is created
FILLED: Final = (DEFAULT, PROGRESS, INBOX)
PROJECTS: Final = (*FILLED, MADE)
LENGTH: Final = 50  # messages of an ordinary thread
_SHORT: Final = 24  # of one whose messages are special
LISTED: Final = 20  # threads of a page
WRITTEN: Final = 100  # threads that grow while something is measured
ANNOTATIONS: Final = 200
CURSORS: Final = 64

ORDINARY: Final = "ordinary"
LONG: Final = "long"
GROWN: Final = "written"
_START: Final = 1_750_000_000  # long ago, so that what a server adds is newer; a message a second from there
_SECONDS: Final = 1_000  # from a thread to the next
_FILE: Final = "file-{:024d}"


def thread_id(kind: str, number: int = 0) -> str:
    """Name a thread."""
    return f"thread_{kind.replace('-', ''):z<16}{number:08d}"


def message_id(kind: str, place: int, number: int = 0) -> str:
    """Name the message at a place of a thread, from 1."""
    return f"msg_{kind.replace('-', ''):z<12}{number:05d}{place:07d}"


def _plain(text: str) -> Content:
    return [{"type": "text", "text": {"value": text, "annotations": []}}]


def _ordinary(number: int) -> Content:
    return _plain(texts.ordinary(number))


def _images(number: int) -> Content:
    file = {"type": "image_file", "image_file": {"file_id": _FILE.format(number), "detail": "auto"}}
    url = {"type": "image_url", "image_url": {"url": f"https://example.com/{number}.png", "detail": "low"}}
    return [*_plain(texts.ordinary(number)), file if number % 2 else url]


def _parts(number: int) -> Content:
    return [part for each in range(3) for part in _plain(texts.ordinary(number + each))]


def _annotated(number: int) -> Content:
    [part] = _plain(texts.ordinary(number))
    marks = [_annotation(each) for each in range(ANNOTATIONS)]
    return [{**part, "text": {**part["text"], "annotations": marks}}]


def _annotation(number: int) -> dict[str, Any]:
    """Cite a file, name a generated one, or cite a page of the web."""
    mark: dict[str, Any] = {"text": f"【{number}:0†source】", "start_index": number * 10, "end_index": number * 10 + 12}
    file = {"file_id": _FILE.format(number)}
    page = {"url": f"https://example.com/{number}", "title": f"Page {number}"}
    kinds = [("file_citation", file), ("file_path", file), ("url_citation", page)]
    kind, cited = kinds[number % len(kinds)]
    return {"type": kind, **mark, kind: cited}


def _attached(number: int) -> list[dict[str, Any]]:
    return [{"file_id": _FILE.format(number), "tools": [{"type": "file_search"}]}]


# What the messages of a thread hold, by its kind; a thread of a kind that is not named here holds ordinary text.
_CONTENT: Final[dict[str, Callable[[int], Content]]] = {
    "code-1k": lambda number: _plain(texts.code(number, 1_000)),
    "code-32k": lambda number: _plain(texts.code(number, 32_000)),
    "images": _images,
    "parts": _parts,
    "annotations": _annotated,
    "foreign": lambda number: _plain(texts.foreign(number)),
}
_SPECIAL: Final = ("code-1k", "code-32k", "images", "parts", "annotations", "foreign", "attachments")


def lines(project: str, messages: int, long: int) -> Iterator[str]:
    """Write all threads of a project, oldest first, each before its messages."""
    listed = _default(messages, long) if project == DEFAULT else _listed(is_streamed=project == PROGRESS)
    for age, thread in enumerate(listed):
        yield from _lines(thread, _START + age * _SECONDS)


class Stored(NamedTuple):
    """A thread of so many messages; the newest may be in progress."""

    kind: str
    number: int
    length: int
    is_streamed: bool = False


def _default(messages: int, long: int) -> Iterator[Stored]:
    """List the threads that all systems read: ordinary ones are the newest."""
    yield Stored(LONG, 0, long)
    yield from (Stored(kind, 0, _SHORT) for kind in _SPECIAL)
    yield from (Stored(GROWN, number, 2) for number in range(WRITTEN))
    yield from (Stored(ORDINARY, number, LENGTH) for number in range(max(LISTED, (messages - long) // LENGTH)))


def _listed(*, is_streamed: bool) -> Iterator[Stored]:
    """List the threads of one page; every second one may have a message in progress."""
    yield from (Stored(ORDINARY, each, LENGTH, is_streamed=is_streamed and each % 2 == 1) for each in range(LISTED))


def streamed_ids() -> list[str]:
    """Name the messages in progress."""
    return [message_id(each.kind, each.length, each.number) for each in _listed(is_streamed=True) if each.is_streamed]


def _lines(thread: Stored, second: int) -> Iterator[str]:
    own = thread_id(thread.kind, thread.number)
    about = {"metadata": {"client": "web"}, "tool_resources": {}}
    yield json.dumps({"id": own, "object": "thread", "created_at": second, **about})
    content = _CONTENT.get(thread.kind, _ordinary)
    for place in range(1, thread.length + 1):
        is_streamed = thread.is_streamed and place == thread.length
        by_user = place % 2 == 1 and not is_streamed
        number = (
            thread.number + place
        )  # so that the newest messages of a page of threads differ as those of a thread do
        yield json.dumps(
            {
                "id": message_id(thread.kind, place, thread.number),
                "object": "thread.message",
                "created_at": second + place * _SECONDS // (thread.length + 1),
                "thread_id": own,
                "role": "user" if by_user else "assistant",
                "status": "in_progress" if is_streamed else "completed",
                "completed_at": None if is_streamed else second + place * _SECONDS // (thread.length + 1),
                "content": content(number),
                "attachments": _attached(number) if thread.kind == "attachments" else [],
                "metadata": {"client": "web"} if by_user else {},
                "run_id": None if by_user else f"run_{number:024d}",
                "assistant_id": None if by_user else "asst_benchmark",
            }
        )
