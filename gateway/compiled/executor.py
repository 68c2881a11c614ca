"""graphql-core's executor with quick ways past it, for one execution of a compiled operation.

Each quick way stands in front of the method of graphql-core's that it saves, and goes on to it where it is surprised.
Must not be here: what is known beforehand (`plan`), values without resolvers (`reader`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from graphql import ExecutionResult, Executor, GraphQLError, is_object_type
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.executor import CollectedErrors

from gateway.compiled.arguments import arguments_of
from gateway.compiled.reader import Surprise, is_awaitable
from gateway.compiled.ways import Attribute, Child, Direct

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from graphql import GraphQLObjectType, GraphQLResolveInfo
    from graphql.execution.values import VariableValues
    from graphql.pyutils import Path

    from gateway.compiled.arguments import Arguments
    from gateway.compiled.plan import Shape

FieldDetailsList = list[FieldDetails]
Resolve = Callable[["CompiledExecutor", Any], Any]


class CompiledExecutor(Executor[Any]):
    """One execution; what is the same in all of them stands in `shape`, which they share."""

    shape: Shape

    def begun(self, root_value: Any, context_value: Any, variables: VariableValues) -> CompiledExecutor:
        """Make the executor of another execution."""
        other: CompiledExecutor = object.__new__(CompiledExecutor)
        other.__dict__.update(self.__dict__)
        other.root_value, other.context_value, other.variable_values = root_value, context_value, variables
        other.collected_errors = CollectedErrors()
        other.background_futures = set()
        return other

    def execute_operation(self, serially: bool | None = None) -> Any:  # noqa: FBT001  (graphql-core's own signature)
        """Execute the operation, whose root fields were collected before."""
        del serially  # mutations are, and nothing else
        shape = self.shape
        try:
            result = self.execute_collected_root_fields(
                shape.root_type, self.root_value, shape.root_fields(), shape.is_serial, []
            )
        except GraphQLError as error:
            self.collected_errors.add(error, None)
            return self.build_response(None)
        if is_awaitable(result):
            return self._awaited(cast("Awaitable[dict[str, Any]]", result))
        return self.build_response(cast("dict[str, Any]", result))

    async def _awaited(self, result: Awaitable[dict[str, Any]]) -> ExecutionResult:
        try:
            data = await result
        except GraphQLError as error:
            self.collected_errors.add(error, None)
            return cast("ExecutionResult", self.build_response(None))
        return cast("ExecutionResult", self.build_response(data))

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """Resolve a field without its framework, where it has such a way; nothing else is done otherwise."""
        resolve = self.shape.resolver(parent_type, field_details_list)
        if resolve is None:
            return super().execute_field(parent_type, source, field_details_list, path, position_context)
        definition = parent_type.fields[field_details_list[0].node.name.value]
        kind = definition.type
        try:
            try:
                result = resolve(self, source)
            except Surprise:
                return super().execute_field(parent_type, source, field_details_list, path, position_context)
            nodes = [each.node for each in field_details_list]
            info = self.build_resolve_info(definition, nodes, parent_type, path)
            if is_awaitable(result):
                return self.complete_awaitable_value(kind, field_details_list, info, path, result, position_context)
            completed = self.complete_value(kind, field_details_list, info, path, result, position_context)
            if is_awaitable(completed):
                return self._completed(completed, kind, field_details_list, path)
        except Exception as error:  # noqa: BLE001  (whatever a resolver raises is an error of its field)
            self.handle_field_error(error, kind, field_details_list, path)
            return None
        return completed

    async def _completed(
        self, completed: Awaitable[Any], kind: Any, field_details_list: FieldDetailsList, path: Path
    ) -> Any:
        try:
            return await completed
        except Exception as error:  # noqa: BLE001  (the same)
            self.handle_field_error(error, kind, field_details_list, path)
            return None

    def complete_object_value(
        self,
        return_type: GraphQLObjectType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Read an object that needs no resolvers."""
        read = self.shape.reader(return_type, field_details_list)
        if read is not None:
            try:
                return read(result)
            except Exception:  # noqa: BLE001, S110  (graphql-core says what is wrong)
                pass
        return super().complete_object_value(return_type, field_details_list, info, path, result, position_context)

    def complete_iterable_value(
        self,
        item_type: Any,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Any,
        position_context: Any,
    ) -> Any:
        """Read a list whose items need no resolvers."""
        if type(items) is list or type(items) is tuple:
            read = self.shape.reader(item_type, field_details_list)
            if read is not None:
                try:
                    return [read(item) for item in items]
                except Exception:  # noqa: BLE001, S110  (graphql-core says what is wrong)
                    pass
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, position_context)


def resolver_of(shape: Shape, parent_type: GraphQLObjectType, details: FieldDetailsList) -> Resolve | None:
    """Make what resolves a field without its framework, if it has such a way."""
    node = details[0].node
    name = node.name.value
    definition, way = parent_type.fields.get(name), shape.ways.fields.get((parent_type.name, name))
    if definition is None:
        return None
    if isinstance(way, Attribute):
        attribute = way.name
        return lambda _executor, source: getattr(source, attribute)
    if not isinstance(way, Direct):
        return None
    arguments = arguments_of(definition, node)
    if arguments is None:
        return None
    if way.wants_children and is_object_type(kind := _named(definition.type)):
        return _with_children(way, arguments, shape, kind, details)
    resolve = way.resolve
    return lambda executor, source: resolve(source, executor.context_value, arguments(executor.variable_values))


def _with_children(
    way: Direct, arguments: Arguments, shape: Shape, kind: GraphQLObjectType, details: FieldDetailsList
) -> Resolve:
    asked = [
        (name, child)
        for selected in shape.collect(kind, details).values()
        if (name := selected[0].node.name.value) in kind.fields
        and isinstance(shape.ways.fields.get((kind.name, name)), Direct)
        and (child := arguments_of(kind.fields[name], selected[0].node))
    ]

    def resolve(executor: CompiledExecutor, source: Any) -> Any:
        variables = executor.variable_values

        def children() -> Sequence[Child]:
            try:
                return [Child(name, child(variables)) for name, child in asked]
            except Surprise:
                return []

        return way.resolve(source, executor.context_value, arguments(variables), children)

    return resolve


def _named(kind: Any) -> Any:
    return kind.of_type if hasattr(kind, "of_type") and is_object_type(kind.of_type) else kind
