"""graphql-core's executor with fast paths, for one execution of a compiled operation.

Each fast path overrides a method of graphql-core, and calls that method where it bails out.
Must not be here: what is prepared once (`plan`, `selection`), values without resolvers (`readers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from graphql import ExecutionResult, GraphQLError, GraphQLObjectType, Undefined
from graphql.execution.executor import CollectedErrors
from graphql.pyutils import Path, gather_with_cancel

from gateway.fast_executor.meter import MeteredExecutor
from gateway.fast_executor.readers import Bailout, is_awaitable, new_tuple
from gateway.fast_executor.selection import NotSerializable

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from graphql.execution.values import VariableValues

    from gateway.fast_executor.meter import Meter
    from gateway.fast_executor.readers import Read
    from gateway.fast_executor.selection import FieldDetailsList, Selection, Step


class CompiledExecutor(MeteredExecutor):
    """One execution; all executions of a selection share it."""

    selection: Selection

    def for_execution(
        self, root_value: Any, context_value: Any, variables: VariableValues, meter: Meter
    ) -> CompiledExecutor:
        """Copy this executor for one execution."""
        other: CompiledExecutor = object.__new__(CompiledExecutor)
        other.__dict__ = self.__dict__.copy()
        other.root_value, other.context_value, other.variable_values = root_value, context_value, variables
        other.meter = meter
        other.collected_errors = CollectedErrors()
        other.background_futures = set()
        return other

    def execute_operation(self, serially: bool | None = None) -> Any:  # noqa: FBT001  (graphql-core's own signature)
        """Execute the operation; its root fields are collected once."""
        del serially  # decided by the kind of operation
        fields = self.selection.root_fields
        execute = self.execute_fields_serially if self.selection.is_serial else self.execute_fields
        try:
            result = execute(self.selection.root_type, self.root_value, None, fields, None)
        except GraphQLError as error:
            self.collected_errors.add(error, None)
            return self.build_response(None)
        if is_awaitable(result):
            return self._respond_later(cast("Awaitable[dict[str, Any]]", result))
        return self.build_response(cast("dict[str, Any]", result))

    async def _respond_later(self, result: Awaitable[dict[str, Any]]) -> ExecutionResult:
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
        """Execute fields in parallel."""
        results: dict[str, Any] = {}
        pending: list[str] = []
        try:
            for key, details in grouped_field_set.items():
                own_path = new_tuple(Path, (path, key, parent_type.name))
                result = self.execute_field(parent_type, source_value, details, own_path, None)
                if result is Undefined:
                    continue
                results[key] = result
                if is_awaitable(result):
                    pending.append(key)
        except Exception:
            if pending:  # their exceptions must be retrieved
                self.settle_in_background([results[key] for key in pending])
            raise
        return self._gather(results, pending) if pending else results

    async def _gather(self, results: dict[str, Any], pending: list[str]) -> dict[str, Any]:
        if len(pending) == 1:
            results[pending[0]] = await results[pending[0]]
        else:
            found = await gather_with_cancel(*[results[key] for key in pending])
            results.update(zip(pending, found, strict=True))
        return results

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,  # noqa: ARG002  (nothing is deferred)
    ) -> Any:
        """Execute a field by its step, if it has one."""
        details, step = field_details_list, self.selection.step(parent_type, field_details_list)
        if step is not None:
            try:
                result = step.resolve(self, source)
                if is_awaitable(result):
                    return self._resolve_later(step, result, details, path)
                completed = self._complete(step, result, details, path)
            except Bailout:
                pass  # graphql-core checks its variables, or calls its resolver
            except Exception as error:  # noqa: BLE001  (whatever a resolver raises is an error of its field)
                self.handle_field_error(error, step.definition.type, details, path)
                return None
            else:
                return self._complete_later(completed, step, details, path) if is_awaitable(completed) else completed
        return super().execute_field(parent_type, source, details, path, None)

    async def _resolve_later(self, step: Step, result: Awaitable[Any], details: FieldDetailsList, path: Path) -> Any:
        try:
            completed = self._complete(step, await result, details, path)
            return await completed if is_awaitable(completed) else completed
        except Exception as error:  # noqa: BLE001  (the same)
            self.handle_field_error(error, step.definition.type, details, path)
            return None

    def _complete(self, step: Step, result: Any, details: FieldDetailsList, path: Path) -> Any:
        """Complete a value that is not awaitable, by the fastest path that applies."""
        if step.read is not None:
            completed = self._read(step.read, result)
            if completed is not Undefined:
                return completed
        elif step.is_object is not None and step.is_object(result):
            return self.execute_fields(step.object_type, result, path, step.fields, None)
        nodes = [each.node for each in details]
        info = self.build_resolve_info(step.definition, nodes, step.parent_type, path)
        return self.complete_value(step.definition.type, details, info, path, result, None)

    async def _complete_later(self, value: Awaitable[Any], step: Step, details: FieldDetailsList, path: Path) -> Any:
        try:
            return await value
        except Exception as error:  # noqa: BLE001  (the same)
            self.handle_field_error(error, step.definition.type, details, path)
            return None

    def _read(self, read: Read, value: Any) -> Any:
        """Read a value; if that fails, return Undefined and count nothing: graphql-core reports the error."""
        meter = self.meter
        before = meter.objects, meter.bytes, meter.json
        try:
            return read(value, meter)
        except NotSerializable:
            raise
        except Exception:  # noqa: BLE001
            meter.objects, meter.bytes, meter.json = before
            return Undefined
