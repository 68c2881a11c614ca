"""Each bound on what a message or thread may be made of: taken at its number, refused with its error one above."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.domain import bounds, parse
from gateway.errors import InvalidRequest, excerpt, excerpt_of_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.domain.bounds import Bound

    Case = Callable[[int], object]

TEXT_PART = {"type": "text", "text": "x"}


def message(content: Any = "x", **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **fields}


def make_message(content: Any = "x", **fields: Any) -> object:
    return parse.new_message(message(content, **fields))


def attachments(many: int, tools: int = 1) -> list[dict[str, Any]]:
    return [{"file_id": "file-1", "tools": [{"type": "file_search"}] * tools}] * many


def make_thread(*messages: dict[str, Any], **fields: Any) -> object:
    return parse.new_thread({"messages": [*messages], **fields})


def with_parts(many: int) -> object:
    """Make a thread of five messages that have so many parts and attachments in all."""
    full = message([TEXT_PART] * 400)
    return make_thread(full, full, full, full, message(attachments=attachments(many - 4 * 400 - 1)))


def two_texts(characters: int) -> object:
    first = characters // 2
    return make_message([{"type": "text", "text": "é" * first}, {"type": "text", "text": "x" * (characters - first)}])


def image(url: str) -> list[dict[str, Any]]:
    return [{"type": "image_url", "image_url": {"url": url}}]


def file_ids(many: int) -> object:
    return make_thread(tool_resources={"code_interpreter": {"file_ids": ["file-1"] * many}})


def stores(many: int) -> object:
    return make_thread(tool_resources={"file_search": {"vector_store_ids": ["vs_1"] * many}})


def pairs(many: int) -> dict[str, str]:
    return {str(n): "x" for n in range(many)}


def case(bound: Bound, make: Case, param: str, marker: str = "") -> Any:
    return pytest.param(bound, make, param, id=f"{bound.name}{marker}")


CASES = [
    case(bounds.CONTENT_PARTS, lambda n: make_message([TEXT_PART] * n), "content"),
    case(bounds.CONTENT_PARTS, lambda n: make_thread(message([TEXT_PART] * n)), "messages[0].content", " in a thread"),
    case(bounds.ATTACHMENTS, lambda n: make_message(attachments=attachments(n)), "attachments"),
    case(bounds.ATTACHMENT_TOOLS, lambda n: make_message(attachments=attachments(1, n)), "attachments[0].tools"),
    case(bounds.THREAD_MESSAGES, lambda n: make_thread(*[message()] * n), "messages"),
    case(bounds.REQUEST_PARTS, with_parts, "messages"),
    case(bounds.TEXT, lambda n: make_message("é" * n), "content"),
    case(bounds.TEXT, lambda n: make_message([{"type": "text", "text": "x" * n}]), "content[0].text", " of a part"),
    case(bounds.TEXT, two_texts, "content", " of two parts"),
    case(
        bounds.FILE_ID,
        lambda n: make_message(attachments=[{"file_id": "f" * n, "tools": []}]),
        "attachments[0].file_id",
    ),
    case(bounds.URL, lambda n: make_message(image("https://a/".ljust(n, "x"))), "content[0].image_url.url"),
    case(bounds.CODE_FILES, file_ids, "tool_resources.code_interpreter.file_ids"),
    case(bounds.VECTOR_STORES, stores, "tool_resources.file_search.vector_store_ids"),
    case(bounds.REFERENCE, lambda n: parse.reference("r" * n, "run_id"), "run_id"),
    case(bounds.OWNER, lambda n: make_thread(owner="o" * n), "owner"),
    case(bounds.METADATA_PAIRS, lambda n: make_message(metadata=pairs(n)), "metadata"),
    case(bounds.METADATA_PAIRS, lambda n: parse.message_patch({"metadata": pairs(n)}), "metadata", " in a patch"),
    case(bounds.METADATA_KEY, lambda n: make_message(metadata={"k" * n: "x"}), f"metadata.{'k' * 65}"),
    case(bounds.METADATA_VALUE, lambda n: make_message(metadata={"k": "x" * n}), "metadata.k"),
]


@pytest.mark.parametrize(("bound", "make", "param"), CASES)
def test_input_at_the_limit_is_accepted(bound: Bound, make: Case, param: str) -> None:
    assert param
    make(bound.number)


@pytest.mark.parametrize(("bound", "make", "param"), CASES)
def test_input_over_the_limit_is_refused_with_the_error_of_the_limit(bound: Bound, make: Case, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        make(bound.number + 1)

    assert (refused.value.code, refused.value.param) == (bound.code, param)
    assert str(bound.number) in refused.value.message


def test_a_patch_may_remove_more_pairs_than_an_object_may_have() -> None:
    removed = dict.fromkeys(map(str, range(1_000)))

    assert parse.message_patch({"metadata": removed}).metadata == removed


def test_no_two_bounds_have_one_name() -> None:
    assert len({each.name for each in bounds.BOUNDS}) == len(bounds.BOUNDS)


def test_an_error_shows_no_more_of_a_value_and_a_name_than_the_bound() -> None:
    long = "x" * 1_000

    assert len(excerpt(long)) + len(excerpt_of_name(long)) <= bounds.SHOWN.number


@pytest.mark.parametrize("shorten", [excerpt, excerpt_of_name])
def test_short_input_is_quoted_unchanged(shorten: Callable[[str], str]) -> None:
    assert shorten("k" * bounds.METADATA_KEY.number) == "k" * bounds.METADATA_KEY.number
