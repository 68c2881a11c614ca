"""The shape of documents that differ only in literals: the places of these, and their conversion to variables.

Literals that do not become variables, such as the defaults of variables, belong to the shape. In any doubt a document
is not shared.
Must not be here: how a text is split (`gateway.graphql.literals`), which documents are valid (`fast_validation`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson
from graphql import (
    GraphQLID,
    IntValueNode,
    ListValueNode,
    NameNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    OperationType,
    StringValueNode,
    VariableNode,
    get_nullable_type,
    is_input_object_type,
    is_list_type,
    is_scalar_type,
    specified_scalar_types,
    value_from_ast_untyped,
)

from gateway.fast_executor.readers import Bailout
from gateway.fast_executor.variables import coercer
from gateway.graphql.literals import Literals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from graphql import DocumentNode, GraphQLScalarType, ValueNode

    from gateway.fast_executor.variables import Coerce
    from gateway.graphql.documents.fast_validation import Argument
    from gateway.graphql.literals import Split

_KEPT: Final = 1_024  # types of arguments and input fields: more than a schema has
_coercer: Final = lru_cache(_KEPT)(coercer)


class _Place(NamedTuple):
    """A value in arguments that has literals and no variables; its holder is an argument or a field of an object."""

    name: str
    holder: Any
    node: ValueNode
    kind: Any
    coerce: Coerce


class Shape:
    """The places of the literals in documents with the same common text, and their conversion."""

    def __init__(self, own: Split, arguments: Iterable[Argument]) -> None:
        self.identity = object()  # for literals, in whose cache the shape itself would outlive its document
        self._common = own.common
        self._starts = [each.start for each in own.tokens]
        self._places: list[_Place] = []
        within = {start for node, kind in arguments for start in self._find(node, kind, set(self._starts))}
        self._fixed = [(n, each.text) for n, each in enumerate(own.tokens) if each.start not in within]

    @property
    def names(self) -> list[str]:
        """The variables of the literals."""
        return [each.name for each in self._places]

    def literals(self, own: Split, text: str) -> Literals | None:
        """Read the literals of a document with the common text; None in any doubt."""
        if any(own.tokens[n].text != fixed for n, fixed in self._fixed):
            return None
        given = dict(zip(self._starts, [each.text for each in own.tokens], strict=True))
        try:
            values = {each.name: each.coerce(_raw(each.node, each.kind, given)) for each in self._places}
        except Exception:  # noqa: BLE001  (a custom scalar may raise anything; graphql-core reports it)
            return None
        return Literals(self._common, self.identity, text, values)

    def insert_variables(self) -> None:
        """Replace the literals by variables in the document of the arguments, which is not shared yet."""
        for each in self._places:
            variable = VariableNode(name=NameNode(value=each.name), loc=each.node.loc)
            object.__setattr__(each.holder, "value", variable)  # nodes are frozen, for documents that share them

    def _find(self, holder: Any, kind: Any, starts: set[int]) -> Iterator[int]:
        """Find the places in a value, and yield the positions of their literals."""
        within = list(_leaves(holder.value))
        if not any(_start(each) in starts for each in within):
            return
        if not any(isinstance(each, VariableNode) for each in within):
            self._places.append(_Place(str(len(self._places)), holder, holder.value, kind, _coercer(kind)))
            yield from map(_start, within)
        elif isinstance(holder.value, ObjectValueNode) and is_input_object_type(kind := get_nullable_type(kind)):
            for field in holder.value.fields:
                yield from self._find(field, kind.fields[field.name.value].type, starts)


def shape_of(own: Split, document: DocumentNode, arguments: Iterable[Argument], text: str) -> Shape | None:
    """Replace the literals of a new document by variables; None if it cannot be shared."""
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    if len(operations) != 1 or operations[0].operation is OperationType.SUBSCRIPTION:
        return None
    shape = Shape(own, arguments)
    if not shape.names or shape.literals(own, text) is None:
        return None
    shape.insert_variables()
    return shape


def _start(node: ValueNode) -> int:
    return node.loc.start if node.loc else -1


def _leaves(node: ValueNode) -> Iterator[ValueNode]:
    if isinstance(node, ListValueNode):
        for each in node.values:
            yield from _leaves(each)
    elif isinstance(node, ObjectValueNode):
        for field in node.fields:
            yield from _leaves(field.value)
    else:
        yield node


def _raw(node: ValueNode, kind: Any, given: dict[int, str]) -> Any:
    """Convert a value to the JSON that a client would send in a variable; values within a scalar have no type."""
    kind = get_nullable_type(kind)
    if isinstance(node, NullValueNode):
        return None
    if is_list_type(kind):
        items = node.values if isinstance(node, ListValueNode) else (node,)
        return [_raw(each, kind.of_type, given) for each in items]
    if is_scalar_type(kind) and kind not in specified_scalar_types.values() and _parses_literals(kind):
        raise Bailout
    if isinstance(node, ListValueNode):
        return [_raw(each, None, given) for each in node.values]
    if isinstance(node, ObjectValueNode):
        fields = kind.fields if is_input_object_type(kind) else {}
        of = {each.name.value: each.value for each in node.fields}
        return {name: _raw(each, fields[name].type if fields else None, given) for name, each in of.items()}
    text = given.get(_start(node))
    if isinstance(node, StringValueNode) and text is not None:
        return orjson.loads(text) if "\\" in text else text[1:-1]
    if isinstance(node, IntValueNode) and text is not None:
        return text if kind is GraphQLID else int(text)
    return value_from_ast_untyped(node)


def _parses_literals(kind: GraphQLScalarType) -> bool:
    """Report whether a scalar parses a literal differently from a variable of the same value."""
    return kind.coerce_input_literal is not None or "parse_literal" in vars(kind)
