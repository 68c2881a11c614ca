"""Validation in one pass that can only accept; everything uncertain is left to graphql-core.

It visits fields as they merge: all selection sets of one object together, a fragment at each of its spreads. What it
accepts satisfies every rule of `validation.RULES`, so it has no errors and needs no messages.
Must not be here: errors (`validation`), limits on a document (`limits`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import (
    BooleanValueNode,
    EnumValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLBoolean,
    GraphQLID,
    GraphQLInt,
    GraphQLString,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    Undefined,
    VariableNode,
    do_types_overlap,
    get_named_type,
    is_composite_type,
    is_enum_type,
    is_input_object_type,
    is_input_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
    print_ast,
    type_from_ast,
)
from graphql.utilities.validate_input_value import validate_input_literal
from graphql.validation.rules.variables_in_allowed_position import allowed_variable_usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from graphql import (
        ArgumentNode,
        DirectiveNode,
        DocumentNode,
        GraphQLSchema,
        SelectionNode,
        ValueNode,
        VariableDefinitionNode,
    )

MAX_VISITS: Final = 1_000  # of selections; a document has as many tokens, and graphql-core visits a fragment once
_CONDITIONS: Final = ("skip", "include")
_LITERALS: Final[Mapping[Any, tuple[type, ...]]] = {
    GraphQLBoolean: (BooleanValueNode,),
    GraphQLID: (StringValueNode, IntValueNode),
    GraphQLString: (StringValueNode,),
}
_INT_LENGTH: Final = 9  # so many digits always fit into 32 bits

Argument = tuple["ArgumentNode", Any]  # with its type


class _Unsure(Exception):
    """The document is invalid, or uses something that is not decided here."""


class _Definition(NamedTuple):
    """A field, or a directive, of the schema."""

    type: Any
    named: Any
    is_composite: bool
    arguments: Mapping[str, Any]
    required: frozenset[str]


_Fields = dict[str, list[tuple[_Definition, FieldNode]]]  # by response key


class FastValidation:
    """The parts of a schema that validation needs."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.schema = schema
        self._fields: dict[tuple[str, str], _Definition] = {}
        self._overlaps: dict[tuple[str, str], bool] = {}
        self.conditions = {
            each.name: _Definition(None, None, False, each.args, _required(each.args))
            for each in schema.directives
            if each.name in _CONDITIONS
        }

    def check(self, document: DocumentNode) -> list[Argument] | None:
        """Check a document, and list the arguments of its fields, each once; None means that it may be invalid.

        Those that are variables are left out, and all if two fields merge, since that depends on their values.
        `limits.check_document` has ensured that the document's fragments have no cycles.
        """
        try:
            return _Document(self, document).check()
        except _Unsure:
            return None

    def field(self, parent: Any, name: str) -> _Definition:
        """Find a field; introspection of the schema has its own rule, so it is left to graphql-core."""
        known = self._fields.get((parent.name, name))
        if known is None:
            found = self.schema.get_field(parent, name)
            if found is None or name in ("__schema", "__type"):
                raise _Unsure
            named = get_named_type(found.type)
            known = _Definition(found.type, named, is_composite_type(named), found.args, _required(found.args))
            self._fields[parent.name, name] = known
        return known

    def check_overlap(self, one: Any, other: Any) -> None:
        """Check that an object can be of both types."""
        if one is other:
            return
        key = one.name, other.name
        if key not in self._overlaps:
            self._overlaps[key] = do_types_overlap(self.schema, one, other)
        _check(self._overlaps[key])


class _Document:
    """One document while it is visited."""

    def __init__(self, validation: FastValidation, document: DocumentNode) -> None:
        self._validation = validation
        self._schema = validation.schema
        self._definitions = document.definitions
        self._fragments: dict[str, tuple[Any, FragmentDefinitionNode]] = {}
        self._spread: set[str] = set()
        self._visits = 0
        self._declared: dict[str, tuple[Any, ValueNode | None]] = {}  # variables of the operation that is visited
        self._used: set[str] = set()
        self._arguments: dict[int, Argument] = {}
        self._merges = False  # fields with arguments

    def check(self) -> list[Argument]:
        """Check all definitions, and list the arguments.

        Errors: _Unsure.
        """
        operations: list[OperationDefinitionNode] = []
        for each in self._definitions:
            if isinstance(each, FragmentDefinitionNode):
                _check(each.name.value not in self._fragments and not each.variable_definitions)
                self._fragments[each.name.value] = self._composite(each.type_condition), each
            elif isinstance(each, OperationDefinitionNode):
                operations.append(each)
            _check(isinstance(each, OperationDefinitionNode | FragmentDefinitionNode) and not each.directives)
        names = {each.name.value for each in operations if each.name}
        _check(len(names) == len(operations) or len(operations) == 1)
        for operation in operations:
            self._operation(operation)
        _check(len(self._spread) == len(self._fragments))
        return [] if self._merges else list(self._arguments.values())

    def _operation(self, operation: OperationDefinitionNode) -> None:
        root = self._schema.get_root_type(operation.operation)
        selections = operation.selection_set.selections
        _check(root is not None)
        if operation.operation is OperationType.SUBSCRIPTION:
            first = selections[0] if len(selections) == 1 else None
            _check(isinstance(first, FieldNode) and not first.directives and not first.name.value.startswith("__"))
        self._declared, self._used = {}, set()
        for each in operation.variable_definitions or ():
            self._declare(each)
        self._object([(root, selections)])
        _check(len(self._used) == len(self._declared))

    def _declare(self, definition: VariableDefinitionNode) -> None:
        name, kind = definition.variable.name.value, type_from_ast(self._schema, definition.type)
        _check(name not in self._declared and is_input_type(kind) and not definition.directives)
        if definition.default_value is not None:
            self._value(definition.default_value, kind)
        self._declared[name] = kind, definition.default_value

    def _composite(self, node: Any) -> Any:
        kind = self._schema.get_type(node.name.value)
        _check(is_composite_type(kind))
        return kind

    def _object(self, selected: list[tuple[Any, Iterable[SelectionNode]]]) -> None:
        """Check the selection sets of one object, each with its type."""
        for same in self._collect(selected).values():
            if len(same) > 1:
                _check_equal(same)
                self._merges = self._merges or bool(same[0][1].arguments)
            if same[0][0].is_composite:
                self._object([(own.named, node.selection_set.selections) for own, node in same if node.selection_set])

    def _collect(self, pending: list[tuple[Any, Iterable[SelectionNode]]]) -> _Fields:
        """Check the selections of selection sets, and collect their fields by response key."""
        fields: _Fields = {}
        spread: set[str] = set()
        while pending:
            parent, selections = pending.pop()
            for each in selections:
                self._visits += 1
                _check(self._visits <= MAX_VISITS)
                if each.directives:
                    self._conditions(each.directives)
                if isinstance(each, FieldNode):
                    definition = self._field(parent, each)
                    fields.setdefault((each.alias or each.name).value, []).append((definition, each))
                elif isinstance(each, InlineFragmentNode):
                    kind = self._composite(each.type_condition) if each.type_condition else parent
                    self._validation.check_overlap(kind, parent)
                    pending.append((kind, each.selection_set.selections))
                elif isinstance(each, FragmentSpreadNode):
                    pending += self._fragment(each.name.value, parent, spread)
        self._spread |= spread
        return fields

    def _fragment(self, name: str, parent: Any, spread: set[str]) -> Iterable[tuple[Any, Iterable[SelectionNode]]]:
        """Check a spread, and return the selections of its fragment at its first spread in an object."""
        _check(name in self._fragments)
        kind, fragment = self._fragments[name]
        self._validation.check_overlap(kind, parent)
        if name in spread:
            return ()
        spread.add(name)
        return [(kind, fragment.selection_set.selections)]

    def _field(self, parent: Any, node: FieldNode) -> _Definition:
        definition = self._validation.field(parent, node.name.value)
        _check((node.selection_set is not None) == definition.is_composite)
        if node.arguments or definition.required:
            self._check_arguments(definition, node.arguments or ())
            for each in node.arguments or ():
                if not isinstance(each.value, VariableNode):
                    self._arguments[id(each)] = each, definition.arguments[each.name.value].type
        return definition

    def _conditions(self, directives: tuple[DirectiveNode, ...]) -> None:
        known = self._validation.conditions
        names = [each.name.value for each in directives]
        _check(len(set(names)) == len(names) and all(name in known for name in names))
        for name, each in zip(names, directives, strict=True):
            self._check_arguments(known[name], each.arguments or ())

    def _check_arguments(self, definition: _Definition, nodes: tuple[ArgumentNode, ...]) -> None:
        given = {each.name.value for each in nodes}
        _check(len(given) == len(nodes) and definition.required <= given)
        _check(given <= definition.arguments.keys())
        for each in nodes:
            argument = definition.arguments[each.name.value]
            self._value(each.value, argument.type, argument)

    def _value(self, node: ValueNode, kind: Any, place: Any = None) -> None:
        """Check a value of a type, at the argument or input field that may have a default."""
        if isinstance(node, VariableNode):
            return self._variable(node, kind, place)
        if is_non_null_type(kind):
            _check(not isinstance(node, NullValueNode))
            kind = kind.of_type
        elif isinstance(node, NullValueNode):
            return None
        if is_list_type(kind):
            for each in node.values if isinstance(node, ListValueNode) else (node,):
                self._value(each, kind.of_type)
        elif is_input_object_type(kind):
            self._input(node, kind)
        elif is_enum_type(kind):
            _check(isinstance(node, EnumValueNode) and node.value in kind.values)
        elif kind is GraphQLInt:
            _check(isinstance(node, IntValueNode) and len(node.value) <= _INT_LENGTH)
        elif kind in _LITERALS:
            _check(isinstance(node, _LITERALS[kind]))
        else:
            _check_constant(node)
            validate_input_literal(node, kind, _refuse)
        return None

    def _variable(self, node: VariableNode, kind: Any, place: Any) -> None:
        name = node.name.value
        _check(name in self._declared)
        self._used.add(name)
        declared, own_default = self._declared[name]
        default = Undefined if place is None else place.default_value if place.default is None else place.default
        _check(allowed_variable_usage(self._schema, declared, own_default, kind, default))

    def _input(self, node: ValueNode, kind: Any) -> None:
        _check(isinstance(node, ObjectValueNode))
        assert isinstance(node, ObjectValueNode)  # noqa: S101  (for mypy)
        given = {each.name.value: each.value for each in node.fields}
        _check(len(given) == len(node.fields) and given.keys() <= kind.fields.keys())
        _check(all(name in given or not is_required_input_field(each) for name, each in kind.fields.items()))
        if kind.is_one_of:
            _check(len(given) == 1)
            [only] = given.values()
            _check(not isinstance(only, NullValueNode))
            _check(
                not isinstance(only, VariableNode) or is_non_null_type(self._declared.get(only.name.value, (None,))[0])
            )
        for name, value in given.items():
            self._value(value, kind.fields[name].type, kind.fields[name])


def _required(arguments: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(name for name, each in arguments.items() if is_required_argument(each))


def _check(is_sure: object) -> None:
    if not is_sure:
        raise _Unsure


def _refuse(*_error: Any) -> None:
    raise _Unsure


def _check_equal(same: list[tuple[_Definition, FieldNode]]) -> None:
    """Check that fields are equal except for their selections; fields of disjoint types may differ in more."""
    (first, node), *others = same
    arguments = [print_ast(each) for each in node.arguments or ()]
    for definition, other in others:
        _check(other.name.value == node.name.value and str(definition.type) == str(first.type))
        _check([print_ast(each) for each in other.arguments or ()] == arguments)


def _check_constant(node: ValueNode) -> None:
    """Check a literal of a scalar that may hold any value: it has no variables, and each key of an object once."""
    _check(not isinstance(node, VariableNode))
    if isinstance(node, ListValueNode):
        for each in node.values:
            _check_constant(each)
    elif isinstance(node, ObjectValueNode):
        _check(len({each.name.value for each in node.fields}) == len(node.fields))
        for field in node.fields:
            _check_constant(field.value)
