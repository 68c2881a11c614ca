"""graphql-core's executor with quick ways past it, for one execution of a compiled operation.

Each quick way stands in front of the method of graphql-core's that it saves, and goes on to it where it is surprised.
Must not be here: what is known beforehand (`plan`), values without resolvers (`readers`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    Undefined,
    is_non_null_type,
    is_object_type,
)
from graphql.execution.collect_fields import FieldDetails
from graphql.execution.executor import CollectedErrors
from graphql.pyutils import Path, gather_with_cancel

from gateway.fast_executor.arguments import arguments_of
from gateway.fast_executor.hints import Attribute, Child, Direct, Way, Written
from gateway.fast_executor.metered_executor import MeteredExecutor
from gateway.fast_executor.readers import Fitting, Read, Surprise, is_awaitable, new_tuple, or_null

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from graphql import GraphQLResolveInfo
    from graphql.execution.values import VariableValues

    from gateway.fast_executor.arguments import Arguments
    from gateway.fast_executor.hints import Places
    from gateway.fast_executor.meter import Meter
    from gateway.fast_executor.plan import Shape

FieldDetailsList = list[FieldDetails]
Resolve = Callable[["CompiledExecutor", Any], Any]


class CompiledExecutor(MeteredExecutor):
    """One execution; what is the same in all of them stands in `shape`, which they share."""

    shape: Shape

    def begun(self, root_value: Any, context_value: Any, variables: VariableValues, meter: Meter) -> CompiledExecutor:
        """Make the executor of another execution."""
        other: CompiledExecutor = object.__new__(CompiledExecutor)
        other.__dict__.update(self.__dict__)
        other.root_value, other.context_value, other.variable_values = root_value, context_value, variables
        other.meter = meter
        other.collected_errors = CollectedErrors()
        other.background_futures = set()
        return other

    def execute_operation(self, serially: bool | None = None) -> Any:  # noqa: FBT001  (graphql-core's own signature)
        """Execute the operation, whose root fields were collected before."""
        del serially  # mutations are, and nothing else
        shape = self.shape
        try:
            fields = shape.root_fields()
            # One field alone comes neither before nor behind another.
            execute = self.execute_fields_serially if shape.is_serial and len(fields) > 1 else self.execute_fields
            result = execute(shape.root_type, self.root_value, None, fields, None)
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

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: dict[str, FieldDetailsList],
        position_context: Any,  # noqa: ARG002  (nothing is deferred)
    ) -> Any:
        """Execute fields side by side, each by its step where it has one."""
        results: dict[str, Any] = {}
        waiting: list[str] = []
        try:
            for key, details, step in self.shape.entries(parent_type, grouped_field_set):
                place = new_tuple(Path, (path, key, parent_type.name))
                result = self._field(step, parent_type, source_value, details, place)
                if result is Undefined:
                    continue
                results[key] = result
                if is_awaitable(result):
                    waiting.append(key)
        except Exception:
            if waiting:  # what they raise must be seen by somebody
                self.settle_in_background([results[key] for key in waiting])
            raise
        return self._gathered(results, waiting) if waiting else results

    async def _gathered(self, results: dict[str, Any], waiting: list[str]) -> dict[str, Any]:
        if len(waiting) == 1:
            results[waiting[0]] = await results[waiting[0]]
        else:
            found = await gather_with_cancel(*[results[key] for key in waiting])
            results.update(zip(waiting, found, strict=True))
        return results

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,  # noqa: ARG002  (nothing is deferred)
    ) -> Any:
        """Execute one of the fields of a mutation."""
        step = self.shape.step(parent_type, field_details_list)
        return self._field(step, parent_type, source, field_details_list, path)

    def _field(
        self,
        step: Step | None,
        parent_type: GraphQLObjectType,
        source: Any,
        details: FieldDetailsList,
        path: Path,
    ) -> Any:
        """Resolve a field without its framework, where it has such a way; nothing else is done otherwise."""
        if step is not None:
            try:
                result = step.resolve(self, source)
                if is_awaitable(result):
                    return self._resolved(step, result, details, path)
                completed = self._value(step, result, details, path)
            except Surprise:
                pass  # its variables are such that graphql-core has to look at them
            except Exception as error:  # noqa: BLE001  (whatever a resolver raises is an error of its field)
                self.handle_field_error(error, step.definition.type, details, path)
                return None
            else:
                return self._completed(completed, step, details, path) if is_awaitable(completed) else completed
        return super().execute_field(parent_type, source, details, path, None)

    async def _resolved(self, step: Step, result: Awaitable[Any], details: FieldDetailsList, path: Path) -> Any:
        try:
            completed = self._value(step, await result, details, path)
            return await completed if is_awaitable(completed) else completed
        except Exception as error:  # noqa: BLE001  (the same)
            self.handle_field_error(error, step.definition.type, details, path)
            return None

    def _value(self, step: Step, result: Any, details: FieldDetailsList, path: Path) -> Any:
        """Complete a value that nobody waits for, by the quickest way that fits it."""
        if step.read is not None:
            try:
                return self._read(step.read, result)
            except _Unwritten:
                raise
            except Exception:  # noqa: BLE001, S110  (graphql-core says what is wrong)
                pass
        elif step.fits is not None and step.fits(result):
            return self.execute_fields(step.object_type, result, path, step.fields, None)
        nodes = [each.node for each in details]
        info = self.build_resolve_info(step.definition, nodes, step.parent_type, path)
        return self.complete_value(step.definition.type, details, info, path, result, None)

    async def _completed(self, completed: Awaitable[Any], step: Step, details: FieldDetailsList, path: Path) -> Any:
        try:
            return await completed
        except Exception as error:  # noqa: BLE001  (the same)
            self.handle_field_error(error, step.definition.type, details, path)
            return None

    def _read(self, read: Read, value: Any) -> Any:
        """Read a value; what was counted of one that cannot be read is not answered."""
        meter = self.meter
        objects, written = meter.objects, meter.written
        try:
            return read(value, meter)
        except Exception:
            meter.objects, meter.written = objects, written
            raise

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
                return self._read(read, result)
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
                    return self._read(partial(_read_each, read), items)
                except Exception:  # noqa: BLE001, S110  (graphql-core says what is wrong)
                    pass
        return super().complete_iterable_value(item_type, field_details_list, info, path, items, position_context)


class Step(NamedTuple):
    """How one field is resolved without its framework, and the quick ways to complete what it gives."""

    resolve: Resolve
    parent_type: GraphQLObjectType
    definition: GraphQLField
    read: Read | None
    fits: Callable[[Any], bool] | None  # for an object that has fields with resolvers, which are executed at once
    object_type: Any = None
    fields: Any = None


def step_of(shape: Shape, parent_type: GraphQLObjectType, details: FieldDetailsList) -> Step | None:
    """Find out how a field is resolved without its framework, if it can be."""
    node = details[0].node
    name = node.name.value
    definition, way = parent_type.fields.get(name), shape.ways.fields.get((parent_type.name, name))
    if definition is None or way is None:
        return None
    if isinstance(way, Written):
        some = _writing(way.write or _as_it_is)
        write = some if is_non_null_type(definition.type) else or_null(some)
        return Step(_taking(way.name), parent_type, definition, write, None)
    resolve = _taking(way.name) if isinstance(way, Attribute) else _resolve(shape, way, definition, details)
    if resolve is None:
        return None
    read, kind = shape.reader(definition.type, details), _named(definition.type)
    if read is None and is_object_type(kind):
        fits = Fitting(kind, shape.ways.classes_of(kind.name))
        return Step(resolve, parent_type, definition, None, fits, kind, shape.collect(kind, details))
    return Step(resolve, parent_type, definition, read, None)


def _read_each(read: Read, items: Sequence[Any], meter: Meter) -> list[Any]:
    return [read(item, meter) for item in meter.walk(items)]


class _Unwritten(Surprise):
    """A value has no final form; what is stored is not what the resolver would give, so it has to be asked."""


def _writing(write: Callable[[Any], Any]) -> Read:
    def read(value: Any, _meter: Meter) -> Any:
        try:
            return write(value)
        except Exception:  # noqa: BLE001  (whatever it raises, the resolver is asked)
            raise _Unwritten from None

    return read


def _as_it_is(value: Any) -> Any:
    return value


def _taking(attribute: str) -> Resolve:
    return lambda _executor, source: getattr(source, attribute)


def _resolve(shape: Shape, way: Way, definition: GraphQLField, details: FieldDetailsList) -> Resolve | None:
    if not isinstance(way, Direct):
        return None
    arguments = arguments_of(definition, details[0].node)
    if arguments is None:
        return None
    if way.wants_children:
        return _with_children(way, arguments, shape, _named(definition.type), details)
    resolve = way.resolve
    return lambda executor, source: resolve(source, executor.context_value, arguments(executor.variable_values))


def _with_children(way: Direct, arguments: Arguments, shape: Shape, kind: Any, details: FieldDetailsList) -> Resolve:
    asked = [
        _Asked(
            name,
            arguments_of(kind.fields[name], selected[0].node) or _surprised,
            shape.places(kind.fields[name].type, selected),
        )
        for selected in _collected(shape, kind, details).values()
        if (name := selected[0].node.name.value) in kind.fields
    ]

    def resolve(executor: CompiledExecutor, source: Any) -> Any:
        variables = executor.variable_values

        def children() -> Sequence[Child]:
            try:
                return [Child(name, child(variables), places) for name, child, places in asked]
            except Surprise:
                return []

        return way.resolve(source, executor.context_value, arguments(variables), children)

    return resolve


class _Asked(NamedTuple):
    """What is known beforehand of a `Child`."""

    name: str
    arguments: Arguments
    places: Places | None


def _surprised(_variables: VariableValues) -> dict[str, Any]:
    raise Surprise


def _collected(shape: Shape, kind: Any, details: FieldDetailsList) -> dict[str, FieldDetailsList]:
    return shape.collect(kind, details) if is_object_type(kind) else {}


def _named(kind: Any) -> Any:
    return kind.of_type if is_non_null_type(kind) else kind
