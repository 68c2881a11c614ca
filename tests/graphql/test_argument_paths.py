"""`extensions.param` is the path of the invalid value in the arguments."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import is_object_type
from strawberry import ID

from gateway.graphql.schema import inputs
from gateway.graphql.schema.argument_paths import argument_path
from gateway.graphql.schema.build import build_schema
from gateway.graphql.schema.scalars import Metadata

SCHEMA = build_schema()._schema  # noqa: SLF001


def new_message(**content: Any) -> inputs.CreateMessageInput:
    message = object.__new__(inputs.CreateMessageInput)
    message.content = inputs.MessageContentInput(**content)
    message.metadata = Metadata({"a_b.c[0]": 1})
    message.attachments = [inputs.AttachmentInput(file_id="f", tools=["x", "y"])]
    return message


IMAGE = inputs.ContentPartInput(image_url=inputs.ImageUrlInput(url="x"))


@pytest.mark.parametrize(
    ("param", "given", "path"),
    [
        ("after", {"after": ""}, "after"),
        ("run_id", {"run_id": ""}, "runId"),
        ("thread_id", {"thread_id": ""}, "threadId"),
        ("ids[3]", {"ids": []}, "ids[3]"),
        ("thread_id", {"input": inputs.UpdateThreadInput(id=ID("x"))}, "input.id"),
        ("message_id", {"input": inputs.AppendMessageTextInput(message_id=ID("x"), text="")}, "input.messageId"),
        ("content", {"input": new_message(text="")}, "input.content.text"),
        ("content", {"input": new_message(parts=[])}, "input.content.parts"),
        ("content[0].image_url.url", {"input": new_message(parts=[IMAGE])}, "input.content.parts[0].imageUrl.url"),
        ("attachments[0].tools[1].type", {"input": new_message(text="a")}, "input.attachments[0].tools[1]"),
        ("metadata.a_b.c[0]", {"input": new_message(text="a")}, "input.metadata.a_b.c[0]"),
        ("incompleteReason", {"input": object.__new__(inputs.FinishMessageInput)}, "input.incompleteReason"),
        ("has_owner", {"filter": inputs.ThreadFilter()}, "filter.hasOwner"),
        ("metadata", {"filter": inputs.ThreadFilter()}, "filter.metadata"),
        ("filter.metadata[0].in", {"filter": inputs.ThreadFilter()}, "filter.metadata[0].in"),
        ("after", {"filter": inputs.ThreadFilter()}, "after"),
        ("elsewhere", {"input": new_message(text="a")}, "input"),
    ],
)
def test_path_is_converted_to_argument_path(param: str, given: dict[str, Any], path: str) -> None:
    assert argument_path(param, given) == path


def test_every_resolver_with_arguments_converts_paths() -> None:
    silent = {
        f"{kind.name}.{name}"
        for kind in SCHEMA.type_map.values()
        if is_object_type(kind) and not kind.name.startswith("__")
        for name, field in kind.fields.items()
        if field.args
        and not hasattr(field.extensions["strawberry-definition"].base_resolver.wrapped_func, "__wrapped__")
    }

    assert silent == set()
