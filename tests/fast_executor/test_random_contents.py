"""Both executors agree on random contents and attachments, also with unknown keys, as imports store them."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any, Final

import pytest
from graphql import GraphQLField, GraphQLList, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, Undefined, parse

from gateway.domain import archive
from gateway.domain.message import Message
from gateway.fast_executor.executor import CompiledExecutor
from gateway.fast_executor.hints import Attribute, FieldHints
from gateway.fast_executor.meter import LONG
from gateway.graphql.execution.field_hints import hints_of
from gateway.graphql.schema.build import build_schema
from tests.effort import times
from tests.exports import a_message
from tests.fast_executor.comparison import plan_of, run_compiled, run_normally

_TEXTS: Final = (
    "",
    "plain",
    'a "quote" \\ and a line\nbreak',
    '","annotations":[]}}]',
    '[{"type":"text","text":{"value":"',
    "🙂 ü 漢 \u2028 \x00 \x7f\ue000",
    "{" * 30,
    "long " * 1_000,
)
_CITED: Final = {"file_citation": ("file_id", "quote"), "file_path": ("file_id",), "url_citation": ("url", "title")}
_REQUIRED: Final = ("file_id", "url")
_CITATION: Final = (
    "... on FileCitation { text startIndex fileId quote } ... on UrlCitation { text at: endIndex url title }"
)
_IMAGES: Final = """... on ImageFileContent { type imageFile { detail fileId } }
  ... on ImageUrlContent { type imageUrl { url at: detail } }"""
_SELECTIONS: Final = (
    "text content { __typename ... on TextContent { type text { value annotations { __typename } } } }",
    f"content {{ ... on TextContent {{ text {{ annotations {{ {_CITATION} }} value }} }} }}",
    f"content {{ {_IMAGES} ... on RefusalContent {{ refusal }} }} role",
    "a: content { __typename } b: content { ... on TextContent { t: text { v: value } u: text { value } } } c: text",
    "attachments { fileId tools } text",
    "threadId own: text attachments { t: tools }",
)


def _schema() -> tuple[GraphQLSchema, FieldHints]:
    """Make a schema whose only query returns a list of our messages, and the hints of ours."""
    ours = build_schema()._schema  # noqa: SLF001  (Strawberry has no public name for it)
    found = GraphQLNonNull(GraphQLList(GraphQLNonNull(ours.type_map["Message"])))  # type: ignore[type-var]
    query = GraphQLObjectType("Query", {"found": GraphQLField(found, resolve=lambda source, _info: source.found)})
    hints = hints_of(ours)
    fields = {**hints.fields, ("Query", "found"): Attribute("found")}
    return GraphQLSchema(query), FieldHints(fields, hints.types, hints.keys, hints.tags)


_SCHEMA, _HINTS = _schema()


@pytest.mark.parametrize("selection", _SELECTIONS)
async def test_random_contents_have_the_same_answer(selection: str) -> None:
    chance = Random(selection)  # noqa: S311  (reproducible)
    document = parse(f"{{ found {{ {selection} }} }}")
    plan = plan_of(_SCHEMA, document, _HINTS)

    for _ in range(times(fast=6, slow=300)):
        messages = [_message(chance) for _ in range(10)]
        root = SimpleNamespace(found=[*messages, *(each._replace(plain_text=None) for each in messages)])

        assert await run_compiled(plan, {}, root) == await run_normally(_SCHEMA, document, {}, root)


_LONG: Final = '"long" text\n' * LONG
_CONTENTS: Final = {
    "one text": [{"type": "text", "text": {"value": _LONG, "annotations": []}}],
    "texts": [{"type": "text", "text": {"value": _LONG, "annotations": []}}] * 2,
    "a citation": [
        {
            "type": "text",
            "text": {
                "value": _LONG,
                "annotations": [
                    {
                        "type": "file_citation",
                        "text": _LONG,
                        "start_index": 0,
                        "end_index": 1,
                        "file_citation": {"file_id": "file-a", "quote": _LONG},
                    }
                ],
            },
        }
    ],
}


@pytest.mark.parametrize("selection", _SELECTIONS)
@pytest.mark.parametrize("content", _CONTENTS)
async def test_long_contents_are_read_by_the_generated_functions(
    selection: str, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where one fails, graphql-core gives the same answer in ten times the time.
    found: list[Any] = []
    read = CompiledExecutor._read  # noqa: SLF001

    def noted(self: CompiledExecutor, *arguments: Any) -> Any:
        found.append(read(self, *arguments))
        return found[-1]

    monkeypatch.setattr(CompiledExecutor, "_read", noted)
    message = archive.read_strictly(a_message(content=_CONTENTS[content], attachments=[]))
    await run_compiled(
        plan_of(_SCHEMA, parse(f"{{ found {{ {selection} }} }}"), _HINTS), {}, SimpleNamespace(found=[message])
    )

    assert found
    assert Undefined not in found


def _message(chance: Random) -> Message:
    """Make a message as an import stores it; half of them are one text, marked where that is plain."""
    count = 1 if chance.random() < 0.5 else chance.randrange(4)
    parts = [_part(chance, "text" if count == 1 else chance.choice(list(_PARTS))) for _ in range(count)]
    files = [_attachment(chance) for _ in range(chance.choice((0, 0, 1, 2)))]
    message = archive.read_strictly(a_message(content=parts, attachments=files))
    assert isinstance(message, Message)
    return message


def _part(chance: Random, kind: str) -> dict[str, Any]:
    return _shuffled(chance, {"type": kind, kind: _PARTS[kind](chance)})


def _shuffled(chance: Random, made: dict[str, Any]) -> dict[str, Any]:
    """Put keys in another order and add unknown ones, sometimes."""
    if chance.random() < 0.2:
        made["unknown"] = chance.choice((None, 7, "said", {"type": "text", "value": [{}]}, [{"type": "text"}]))
    keys = list(made)
    if chance.random() < 0.3:
        chance.shuffle(keys)
    return {key: made[key] for key in keys}


def _text(chance: Random) -> dict[str, Any]:
    count = chance.choice((0, 0, 0, 1, 3))
    return _shuffled(
        chance, {"value": chance.choice(_TEXTS), "annotations": [_annotation(chance) for _ in range(count)]}
    )


def _annotation(chance: Random) -> dict[str, Any]:
    kind = chance.choice(list(_CITED))
    target = {key: chance.choice(_TEXTS[1:]) for key in _CITED[kind] if key in _REQUIRED or chance.random() < 0.5}
    made: dict[str, Any] = {"type": kind, "text": chance.choice(_TEXTS), kind: _shuffled(chance, target)}
    for key in ("start_index", "end_index"):
        if chance.random() < 0.8:
            made[key] = chance.choice((None, 0, 12, 2**31 - 1))
    return _shuffled(chance, made)


def _image(key: str, chance: Random) -> dict[str, Any]:
    made: dict[str, Any] = {key: "https://example.org/a" if key == "url" else "file-1"}
    if chance.random() < 0.6:
        made["detail"] = chance.choice((None, "auto", "low", "high"))
    return _shuffled(chance, made)


def _attachment(chance: Random) -> dict[str, Any]:
    kinds = ("code_interpreter", "file_search")
    made: dict[str, Any] = {"tools": [{"type": chance.choice(kinds)} for _ in range(chance.randrange(3))]}
    if chance.random() < 0.8:
        made["file_id"] = "file-1"
    if chance.random() < 0.2:
        made["tools"] = None
    return _shuffled(chance, made)


_PARTS: Final[dict[str, Any]] = {
    "text": _text,
    "image_file": lambda chance: _image("file_id", chance),
    "image_url": lambda chance: _image("url", chance),
    "refusal": lambda chance: chance.choice(_TEXTS),
}
