"""The selection of an operation for one combination of @skip and @include, and what is prepared once for each field.

That is its reader, if nothing in its selection needs a resolver; and its step, if it has a hint.
Must not be here: execution (`executor`), the source of readers (`codegen`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from graphql import GraphQLField, GraphQLObjectType, OperationType, get_named_type, is_non_null_type, is_object_type
from graphql.execution.collect_fields import FieldDetails, collect_fields

from gateway.fast_executor.arguments import arguments_of
from gateway.fast_executor.codegen import Readers
from gateway.fast_executor.hints import Attribute, FieldHint, Resolver, SelectedField, Serialized
from gateway.fast_executor.readers import Bailout, ObjectCheck, nullable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from graphql import Executor
    from graphql.execution.values import VariableValues

    from gateway.fast_executor.arguments import Arguments
    from gateway.fast_executor.compiling import Generated
    from gateway.fast_executor.hints import Columns, FieldHints
    from gateway.fast_executor.readers import Read

    Resolve = Callable[[Executor[Any], Any], Any]

FieldDetailsList = list[FieldDetails]


class Step(NamedTuple):
    """How one field is resolved without its framework, and the fast paths that complete its value."""

    resolve: Resolve
    parent_type: GraphQLObjectType
    definition: GraphQLField
    read: Read | None
    is_object: Callable[[Any], bool] | None = None  # for an object with resolvers, whose fields are executed directly
    object_type: Any = None
    fields: Any = None


class Selection:
    """The fields that an operation selects; the same lists are returned each time, so their identity is a key."""

    def __init__(self, executor: Executor[Any], hints: FieldHints) -> None:
        self.hints = hints
        self._executor = own = executor
        root_type = own.schema.get_root_type(own.operation.operation)
        self.root_type = cast("GraphQLObjectType", root_type)  # `Plan` has checked it
        self.root_fields: dict[str, FieldDetailsList] = collect_fields(
            own.schema, own.fragments, own.variable_values, self.root_type, own.operation
        ).grouped_field_set
        # A single field has no order, and parallel execution is faster.
        self.is_serial = own.operation.operation is OperationType.MUTATION and len(self.root_fields) > 1
        self._readers = Readers(own.schema, hints, self.collect)
        # By the identity of lists, which graphql-core's cache and `root_fields` keep alive.
        self._cache: dict[tuple[int, int, bool], tuple[Generated, Columns | None] | None] = {}
        self._steps: dict[int, Step | None] = {}

    def step(self, parent_type: GraphQLObjectType, details: FieldDetailsList) -> Step | None:
        """Find the step of a field."""
        key = id(details)
        if key not in self._steps:
            self._steps[key] = _step_of(self, parent_type, details)
        return self._steps[key]

    def collect(self, kind: GraphQLObjectType, details: FieldDetailsList) -> dict[str, FieldDetailsList]:
        """Collect the selected fields of an object."""
        return self._executor.collect_subfields(kind, details).grouped_field_set

    def reader(self, kind: Any, details: FieldDetailsList, *, prefetched: bool) -> Read | None:
        """Find the reader of a type with its selected fields; None if any of them needs a resolver."""
        found = self._reader(kind, details, prefetched=prefetched)
        return None if found is None else found[0].read

    def columns(self, kind: Any, details: FieldDetailsList) -> Columns | None:
        """Find the columns that this reader uses; None if they are unknown."""
        found = self._reader(kind, details, prefetched=False)
        return None if found is None else found[1]

    def _reader(
        self, kind: Any, details: FieldDetailsList, *, prefetched: bool
    ) -> tuple[Generated, Columns | None] | None:
        key = (id(kind), id(details), prefetched)
        if key not in self._cache:
            self._cache[key] = self._readers.build(kind, details, prefetched=prefetched)
        return self._cache[key]


def _step_of(selection: Selection, parent_type: GraphQLObjectType, details: FieldDetailsList) -> Step | None:
    """Prepare the step of a field; None if it has no hint, or graphql-core has to coerce its arguments."""
    node = details[0].node
    name = node.name.value
    definition, hint = parent_type.fields.get(name), selection.hints.fields.get((parent_type.name, name))
    if definition is None or hint is None:
        return None
    if isinstance(hint, Serialized):
        read = _serializing(hint.serialize or _identity)
        is_required = is_non_null_type(definition.type)
        return Step(_getting(hint.name), parent_type, definition, read if is_required else nullable(read))
    resolve = _getting(hint.name) if isinstance(hint, Attribute) else _resolving(selection, hint, definition, details)
    if resolve is None:
        return None
    prefetched = isinstance(hint, Resolver) and hint.wants_look_ahead
    read_value = selection.reader(definition.type, details, prefetched=prefetched)
    kind = _nullable_type(definition.type)
    if read_value is None and is_object_type(kind):
        check = ObjectCheck(kind, selection.hints.classes_of(kind.name))
        return Step(resolve, parent_type, definition, None, check, kind, selection.collect(kind, details))
    return Step(resolve, parent_type, definition, read_value)


class NotSerializable(Bailout):
    """A stored value cannot be serialized; the resolver, which may return another one, is called."""


def _serializing(serialize: Callable[[Any], Any]) -> Read:
    def read(value: Any, _meter: Any) -> Any:
        try:
            return serialize(value)
        except Exception:  # noqa: BLE001  (whatever it raises, the resolver is called)
            raise NotSerializable from None

    return read


def _identity(value: Any) -> Any:
    return value


def _getting(attribute: str) -> Resolve:
    return lambda _executor, source: getattr(source, attribute)


def _resolving(
    selection: Selection, hint: FieldHint, definition: GraphQLField, details: FieldDetailsList
) -> Resolve | None:
    if not isinstance(hint, Resolver):
        return None
    arguments = arguments_of(definition, details[0].node)
    if arguments is None:
        return None
    if hint.wants_look_ahead:
        return _with_look_ahead(hint, arguments, selection, _nullable_type(definition.type), details)
    resolve = hint.resolve
    wanted: list[Any] = []
    if hint.wants_key:
        node = details[0].node
        wanted.append((node.alias or node.name).value)
    if hint.wants_columns:
        wanted.append(selection.columns(definition.type, details))
    return lambda executor, source: resolve(
        source, executor.context_value, arguments(executor.variable_values), *wanted
    )


def _with_look_ahead(
    hint: Resolver, arguments: Arguments, selection: Selection, kind: Any, details: FieldDetailsList
) -> Resolve:
    prepared = [each for path in hint.below for each in _prepared(selection, kind, details, path)]

    def resolve(executor: Executor[Any], source: Any) -> Any:
        variables = executor.variable_values

        def look_ahead() -> Sequence[SelectedField]:
            try:
                return [
                    SelectedField(each.name, each.arguments(variables), each.columns, each.within) for each in prepared
                ]
            except Bailout:
                return []

        return hint.resolve(source, executor.context_value, arguments(variables), look_ahead)

    return resolve


def _prepared(selection: Selection, kind: Any, details: FieldDetailsList, path: Sequence[str]) -> Iterator[_Prepared]:
    """Prepare the selected fields of the objects at a path below a field."""
    for selected in selection.collect(kind, details).values() if is_object_type(kind) else ():
        name = selected[0].node.name.value
        if name not in kind.fields:
            continue
        definition = kind.fields[name]
        if not path:
            arguments = arguments_of(definition, selected[0].node) or _bail_out
            own = _nullable_type(definition.type)
            within = selection.collect(own, selected).values() if is_object_type(own) else ()
            names = frozenset(each[0].node.name.value for each in within)
            yield _Prepared(name, arguments, selection.columns(definition.type, selected), names)
        elif name == path[0]:
            yield from _prepared(selection, get_named_type(definition.type), selected, path[1:])


class _Prepared(NamedTuple):
    """The part of a `SelectedField` that is the same in every execution."""

    name: str
    arguments: Arguments
    columns: Columns | None
    within: frozenset[str]


def _bail_out(_variables: VariableValues) -> dict[str, Any]:
    raise Bailout


def _nullable_type(kind: Any) -> Any:
    return kind.of_type if is_non_null_type(kind) else kind
