from __future__ import annotations

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    build_schema,
)

from gateway.graphql.schema.build import print_schema

PRINTED = print_schema()
SCHEMA = build_schema(PRINTED)
_LIST = "limit: Int, first: Int, last: Int, after: String, before: String, order: SortOrder!"

# What was decided, one line a field; what is more than this is no contradiction, what is less is.
FIELDS = {
    "Node": ["id: ID!"],
    "Query": [
        "node(id: ID!): Node",
        "nodes(ids: [ID!]!): [Node]!",
        "thread(id: ID!): Thread",
        f"threads({_LIST}, orderBy: ThreadOrder!, filter: ThreadFilter): ThreadConnection!",
    ],
    "Mutation": [
        "createThread(input: CreateThreadInput!): CreateThreadPayload!",
        "updateThread(input: UpdateThreadInput!): UpdateThreadPayload!",
        "deleteThread(input: DeleteThreadInput!): DeleteThreadPayload!",
        "createMessage(input: CreateMessageInput!): CreateMessagePayload!",
        "updateMessage(input: UpdateMessageInput!): UpdateMessagePayload!",
        "deleteMessage(input: DeleteMessageInput!): DeleteMessagePayload!",
        "appendMessageText(input: AppendMessageTextInput!): UpdateMessagePayload!",
        "finishMessage(input: FinishMessageInput!): UpdateMessagePayload!",
    ],
    "Subscription": [
        "messageAdded(threadId: ID!, after: String): MessageEdge!",
        "threadEvents(threadId: ID!, after: String): ThreadEvent!",
    ],
    "Thread": [
        "id: ID!",
        "createdAt: DateTime!",
        "metadata: Metadata!",
        "toolResources: JSON",
        f"messages({_LIST}, runId: ID): MessageConnection!",
    ],
    "Message": [
        "id: ID!",
        "thread: Thread!",
        "threadId: ID!",
        "createdAt: DateTime!",
        "role: MessageRole!",
        "status: MessageStatus!",
        "content: [ContentPart!]!",
        "text: String!",
        "attachments: [Attachment!]!",
        "metadata: Metadata!",
        "runId: ID",
        "assistantId: ID",
        "completedAt: DateTime",
        "incompleteAt: DateTime",
        "incompleteReason: IncompleteReason",
    ],
    "TextContent": ["type: String!", "text: Text!"],
    "Text": ["value: String!", "annotations: [Annotation!]!"],
    "ImageFileContent": ["type: String!", "imageFile: ImageFile!"],
    "ImageUrlContent": ["type: String!", "imageUrl: ImageUrl!"],
    "RefusalContent": ["type: String!", "refusal: String!"],
    "FileCitation": ["text: String!", "startIndex: Int", "endIndex: Int", "fileId: String!"],
    "FilePath": ["text: String!", "startIndex: Int", "endIndex: Int", "fileId: String!"],
    "UrlCitation": ["text: String!", "startIndex: Int", "endIndex: Int", "url: String!", "title: String"],
    "Attachment": ["fileId: String", "tools: [String!]!"],
    "MessageConnection": [
        "edges: [MessageEdge!]!",
        "nodes: [Message!]!",
        "pageInfo: PageInfo!",
        "totalCount: Int!",
    ],
    "MessageEdge": ["cursor: String!", "node: Message!"],
    "ThreadConnection": ["edges: [ThreadEdge!]!", "nodes: [Thread!]!", "pageInfo: PageInfo!"],
    "ThreadEdge": ["cursor: String!", "node: Thread!"],
    "PageInfo": [
        "hasNextPage: Boolean!",
        "hasPreviousPage: Boolean!",
        "startCursor: String",
        "endCursor: String",
    ],
    "CreateMessagePayload": ["message: Message!", "edge: MessageEdge!", "thread: Thread!"],
}
INPUTS = {
    "CreateMessageInput": [
        "threadId: ID!",
        "role: MessageRole!",
        "content: MessageContentInput!",
        "attachments: [AttachmentInput!]",
        "metadata: Metadata",
        "runId: ID",
        "assistantId: ID",
        "status: MessageStatus",
        "idempotencyKey: String",
    ],
    "MessageContentInput": ["text: String", "parts: [ContentPartInput!]"],
    "ContentPartInput": ["text: String", "imageFile: ImageFileInput", "imageUrl: ImageUrlInput"],
}
UNIONS = {
    "ContentPart": {"TextContent", "ImageFileContent", "ImageUrlContent", "RefusalContent"},
    "Annotation": {"FileCitation", "FilePath", "UrlCitation"},
}
ENUMS = {
    "SortOrder": {"ASC", "DESC"},
    "MessageRole": {"USER", "ASSISTANT"},
    "MessageStatus": {"IN_PROGRESS", "INCOMPLETE", "COMPLETED"},
    "IncompleteReason": {"CONTENT_FILTER", "MAX_TOKENS", "RUN_CANCELLED", "RUN_EXPIRED", "RUN_FAILED"},
}


def test_committed_schema_is_current() -> None:
    committed = Path(__file__).parents[2] / "schema.graphql"

    assert committed.read_text() == PRINTED


@pytest.mark.parametrize(("name", "fields"), FIELDS.items(), ids=list(FIELDS))
def test_type_has_its_fields(name: str, fields: list[str]) -> None:
    found = SCHEMA.type_map[name]

    assert isinstance(found, GraphQLObjectType | GraphQLInterfaceType)
    assert set(fields) - {_line(field_name, field) for field_name, field in found.fields.items()} == set()


@pytest.mark.parametrize(("name", "fields"), INPUTS.items(), ids=list(INPUTS))
def test_input_has_its_fields(name: str, fields: list[str]) -> None:
    found = SCHEMA.type_map[name]

    assert isinstance(found, GraphQLInputObjectType)
    assert {f"{field_name}: {field.type}" for field_name, field in found.fields.items()} == set(fields)


@pytest.mark.parametrize("name", ["MessageContentInput", "ContentPartInput"])
def test_input_is_one_of(name: str) -> None:
    assert f"input {name} @oneOf {{" in PRINTED


@pytest.mark.parametrize(("name", "members"), UNIONS.items(), ids=list(UNIONS))
def test_union_has_its_members(name: str, members: set[str]) -> None:
    found = SCHEMA.type_map[name]

    assert isinstance(found, GraphQLUnionType)
    assert {each.name for each in found.types} == members


@pytest.mark.parametrize(("name", "values"), ENUMS.items(), ids=list(ENUMS))
def test_enum_has_its_values(name: str, values: set[str]) -> None:
    found = SCHEMA.type_map[name]

    assert isinstance(found, GraphQLEnumType)
    assert set(found.values) == values


def test_lists_are_newest_first_by_default() -> None:
    assert PRINTED.count("order: SortOrder! = DESC\n") == 4


def test_what_has_an_id_of_its_own_implements_node() -> None:
    node = SCHEMA.type_map["Node"]

    assert isinstance(node, GraphQLInterfaceType)
    assert {each.name for each in SCHEMA.get_possible_types(node)} == {"Thread", "Message", "Run", "Assistant"}


def test_every_schema_element_has_a_description() -> None:
    described: dict[str, str | None] = {}
    for type_name, kind in SCHEMA.type_map.items():
        if type_name.startswith("__") or type_name in ("String", "Int", "Boolean", "ID", "Float"):
            continue
        described[type_name] = kind.description
        if isinstance(kind, GraphQLEnumType):
            described |= {f"{type_name}.{name}": value.description for name, value in kind.values.items()}
        if isinstance(kind, GraphQLInputObjectType):
            described |= {f"{type_name}.{name}": each.description for name, each in kind.fields.items()}
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in kind.fields.items():
                described[f"{type_name}.{name}"] = field.description
                described |= {f"{type_name}.{name}({arg})": each.description for arg, each in field.args.items()}

    assert len(described) > 100
    assert [name for name, description in described.items() if not description] == []


def _line(name: str, field: GraphQLField) -> str:
    arguments = ", ".join(f"{arg}: {each.type}" for arg, each in field.args.items())
    return f"{name}({arguments}): {field.type}" if arguments else f"{name}: {field.type}"
