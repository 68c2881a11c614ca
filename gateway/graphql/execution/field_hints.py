"""The hints by which compiled operations read the fields of our schema, made from Strawberry's definitions.

Must not be here: reading itself (`gateway.fast_executor`); a field's resolver is the same in both hints.
"""

from __future__ import annotations

from enum import Enum
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final

import orjson
from graphql import (
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    is_non_null_type,
)

from gateway.domain import message
from gateway.domain.message import SIMPLE_BEGIN, SIMPLE_END, Message
from gateway.domain.run import Assistant, Run, RunStep
from gateway.domain.thread import ForkSource, Thread, title_of
from gateway.fast_executor.hints import (
    MARKER,
    Attribute,
    FieldHints,
    Key,
    Parsed,
    Preloaded,
    Resolver,
    Self,
    Serialized,
    Template,
)
from gateway.graphql.execution.listed_fields import PREFETCHED
from gateway.graphql.execution.prefetch import (
    append_text,
    find_messages,
    find_node,
    find_nodes,
    find_thread,
    find_threads,
    note_root_key,
)
from gateway.graphql.schema.build import DEFINITION
from gateway.graphql.schema.scalars import iso
from gateway.graphql.schema.subscription import EVENT_TYPES
from gateway.graphql.schema.types import Edge, EdgeOfThread, MessagePage, RunPage, UnreadCount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import GraphQLField, GraphQLInputObjectType, GraphQLSchema
    from strawberry.types.field import StrawberryField
    from strawberry.types.fields.resolver import StrawberryResolver

    from gateway.fast_executor.hints import FieldHint
    from gateway.graphql.context import Context

    Convert = Callable[[Any], Any]

_TYPES: Final[Mapping[type, str]] = {
    Thread: "Thread",
    Message: "Message",
    Run: "Run",
    RunStep: "RunStep",
    Assistant: "Assistant",
    RunPage: "RunConnection",
    Edge: "MessageEdge",
    MessagePage: "MessageConnection",
    EdgeOfThread: "ThreadEdge",
    ForkSource: "ForkedFrom",
    UnreadCount: "UnreadCount",
    **{each: each.__name__ for each in EVENT_TYPES},
}


def _names(kind: type[Enum]) -> Callable[[str], str]:
    """Map the values of the domain to the names of the schema."""
    return {each.value: each.name for each in kind}.__getitem__


_CITATIONS: Final = ("FileCitation", "FilePath", "UrlCitation")
_TAGS: Final[Mapping[str, str]] = {
    "text": "TextContent",
    "image_file": "ImageFileContent",
    "image_url": "ImageUrlContent",
    "refusal": "RefusalContent",
    "file_citation": "FileCitation",
    "file_path": "FilePath",
    "url_citation": "UrlCitation",
}


_WITHIN_CITATION: Final = frozenset({"file_id", "quote", "url", "title"})  # in an object named by the tag
_COMPUTED: Final[Mapping[tuple[str, str], Key | Convert]] = {
    ("ImageFile", "detail"): Key(("detail",), optional=True, otherwise="auto"),
    ("ImageUrl", "detail"): Key(("detail",), optional=True, otherwise="auto"),
    ("Attachment", "tools"): Key(("tools",), optional=True, otherwise=(), each="type"),
}


def _plain(sample: Any) -> Template:
    return Template("plain_text", sample, SIMPLE_BEGIN, SIMPLE_END)


_STORED: Final[Mapping[tuple[str, str], FieldHint]] = {
    ("Thread", "id"): Serialized("id", plain=True),
    ("Thread", "metadata"): Serialized("metadata_json", orjson.Fragment),
    ("Thread", "toolResources"): Serialized("tool_resources_json", orjson.Fragment),
    ("Thread", "title"): Serialized("metadata_json", title_of),
    ("Thread", "idempotencyKey"): Serialized("idempotency_key"),
    ("Message", "id"): Serialized("id", plain=True),
    ("Message", "threadId"): Serialized("thread_id", plain=True),
    ("Message", "metadata"): Serialized("metadata_json", orjson.Fragment),
    ("Message", "content"): Parsed(
        message.parse_content,
        "content_json",
        _plain([{"type": "text", "text": {"value": MARKER, "annotations": []}}]),
        short=message.SHORT,
    ),
    ("Message", "text"): Parsed(message.parse_text, "content_json", _plain(MARKER)),
    ("Message", "attachments"): Parsed(message.parse_attachments, "attachments_json", short=message.SHORT),
    ("Message", "role"): Serialized("role_value", _names(message.Role), plain=True),
    ("Message", "status"): Serialized("status_value", _names(message.Status), plain=True),
    ("Message", "runId"): Serialized("run_id"),
    ("Message", "assistantId"): Serialized("assistant_id"),
    ("Message", "idempotencyKey"): Serialized("idempotency_key"),
    ("MessageEdge", "cursor"): Serialized("cursor", plain=True),
    ("ThreadEdge", "cursor"): Serialized("cursor", plain=True),
    ("Run", "metadata"): Serialized("metadata_json", orjson.Fragment),
}


# Attributes of pages and payloads that hold the results of their resolvers.
_AS_EDGE: Final[Mapping[str, Serialized | Self]] = {"cursor": Serialized("id", plain=True), "node": Self()}
_PRELOADED: Final[Mapping[tuple[str, str], Preloaded]] = {
    ("CreateMessagePayload", "edge"): Preloaded("message", Message, _AS_EDGE),
    ("CreateThreadPayload", "edge"): Preloaded("thread", Thread, _AS_EDGE),
    ("MessageConnection", "edges"): Preloaded("items", Message, _AS_EDGE, "rows"),
    ("MessageConnection", "nodes"): Preloaded("items", Message, rows="rows"),
    ("MessageConnection", "pageInfo"): Preloaded("preloaded_page_info"),
    ("MessageConnection", "totalCount"): Preloaded("preloaded_total"),
    ("ThreadConnection", "edges"): Preloaded("preloaded_edges", EdgeOfThread),
    ("ThreadConnection", "nodes"): Preloaded("items", Thread),
    ("ThreadConnection", "pageInfo"): Preloaded("preloaded_page_info"),
}


def _creating(resolve: Callable[..., Any]) -> Resolver:
    return Resolver(partial(note_root_key, resolve), wants_key=True)


# Resolvers that need not be called, or that read ahead what the operation selects of their results.
_RESOLVERS: Final[Mapping[tuple[str, str], Callable[[Callable[..., Any]], Resolver]]] = {
    ("Query", "thread"): lambda _resolve: Resolver(find_thread, wants_look_ahead=True),
    ("Query", "threads"): lambda resolve: Resolver(
        partial(find_threads, resolve), wants_look_ahead=True, below=((), ("nodes",), ("edges", "node"))
    ),
    ("Query", "node"): lambda resolve: Resolver(partial(find_node, resolve), wants_columns=True),
    ("Query", "nodes"): lambda resolve: Resolver(partial(find_nodes, resolve), wants_columns=True),
    ("Thread", "messages"): lambda resolve: Resolver(
        partial(find_messages, resolve), preloaded=Preloaded(PREFETCHED["messages"], prefetched=True)
    ),
    **{key: partial(Resolver, preloaded=preloaded) for key, preloaded in _PRELOADED.items()},
    **{
        ("Thread", name): partial(Resolver, preloaded=Preloaded(attribute, prefetched=True))
        for name, attribute in PREFETCHED.items()
        if name != "messages"
    },
    ("Message", "thread"): lambda resolve: Resolver(resolve, parts={"id": Serialized("thread_id", plain=True)}),
    **{("Mutation", name): _creating for name in ("createThread", "forkThread", "createMessage", "createRun")},
    ("Mutation", "appendMessageText"): lambda resolve: Resolver(partial(append_text, resolve), wants_look_ahead=True),
}


@cache
def hints_of(schema: GraphQLSchema) -> FieldHints:
    """Collect the hints of all fields of a schema that Strawberry has built."""
    objects = [each for each in schema.type_map.values() if isinstance(each, GraphQLObjectType)]
    fields = {
        (kind.name, name): field
        for kind in objects
        if not kind.name.startswith("__")
        for name, field in kind.fields.items()
    }
    hints = {key: _hint_of(key, field) for key, field in fields.items()}
    return FieldHints(hints, _TYPES, _keys_of(schema), _TAGS)


def _hint_of(key: tuple[str, str], field: GraphQLField) -> FieldHint:
    if key in _STORED:
        return _STORED[key]
    if key[0] == "Subscription":
        return Resolver(_event)
    definition: StrawberryField = field.extensions[DEFINITION]
    if definition.base_resolver is not None:
        return _RESOLVERS.get(key, Resolver)(_calling(definition.base_resolver, field))
    is_time = get_named_type(field.type).name == "DateTime"
    return Serialized(definition.python_name, iso, plain=True) if is_time else Attribute(definition.python_name)


def _event(event: Any, _context: Context, _arguments: Mapping[str, Any]) -> Any:
    return event


def _keys_of(schema: GraphQLSchema) -> dict[tuple[str, str], Key | Convert]:
    """Find the values of fields in stored JSON, whose keys are the Python names of the fields."""
    found: dict[tuple[str, str], Key | Convert] = dict(_COMPUTED)
    tags = {kind: tag for tag, kind in _TAGS.items()}
    for kind in (*tags, "Text", "ImageFile", "ImageUrl", "Attachment"):
        fields: Mapping[str, GraphQLField] = getattr(schema.type_map[kind], "fields")  # noqa: B009  (of object types)
        for name, field in fields.items():
            key = field.extensions[DEFINITION].python_name
            path = (tags[kind], key) if kind in _CITATIONS and key in _WITHIN_CITATION else (key,)
            found.setdefault((kind, name), Key(path, optional=not is_non_null_type(field.type)))
    return found


def _calling(resolver: StrawberryResolver[Any], field: GraphQLField) -> Callable[..., Any]:
    """Call a resolver like Strawberry, with the object, the context and the arguments that it declares."""
    function: Any = resolver.wrapped_func
    is_method = resolver.self_parameter is not None
    parents = [each.name for each in (resolver.parent_parameter, resolver.root_parameter) if each is not None]
    info = resolver.info_parameter
    names = _names_of(field.args)
    if is_method and not names and not parents:
        if info is None:
            return lambda source, _context, _arguments: function(source)
        return lambda source, context, _arguments: function(source, context)

    def call(source: Any, context: Context, arguments: Mapping[str, Any]) -> Any:
        given = {}
        for name, value in arguments.items():
            python_name, convert = names[name]
            given[python_name] = value if convert is None else convert(value)
        for parent in parents:
            given[parent] = source
        if info is not None:
            given[info.name] = context
        return function(source, **given) if is_method else function(**given)

    return call


def _names_of(fields: Mapping[str, Any]) -> dict[str, tuple[str, Convert | None]]:
    """Map each argument or input field to its Python name and its converter, if it needs one."""
    return {name: (each.extensions[DEFINITION].python_name, _converter(each.type)) for name, each in fields.items()}


def _converter(kind: Any) -> Convert | None:
    """Make the converter to Strawberry's input objects; None for types without any."""
    kind = get_nullable_type(kind)
    if is_input_object_type(kind):
        return _making(kind)
    if not is_list_type(kind):
        return None
    convert = _converter(kind.of_type)
    return None if convert is None else lambda value: None if value is None else [convert(each) for each in value]


def _making(kind: GraphQLInputObjectType) -> Convert:
    origin = kind.extensions[DEFINITION].origin
    names = _names_of(kind.fields)

    def make(value: Any) -> Any:
        if value is None:
            return None
        # Like the data class itself: the defaults of its fields are constants of the class.
        made = object.__new__(origin)
        for name, each in value.items():
            python_name, convert = names[name]
            setattr(made, python_name, each if convert is None else convert(each))
        return made

    return make
