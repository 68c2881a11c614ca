"""Run one operation of a valid document: its variables, its cost, its execution until the deadline, or its events.

Must not be here: HTTP; which document it is (`persisted`, `cache`).
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing, nullcontext
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    OperationType,
    create_source_event_stream,
    execute_root_selection_set,
    execute_subscription_event,
)

from gateway.auth.rate_limits import units_of
from gateway.domain.page import AnswerBudget
from gateway.domain.principal import Scope
from gateway.errors import TooManyRequests, Unavailable
from gateway.fast_executor import MeteredExecutor, Unsupported, compile_operation
from gateway.fast_executor.variables import has_long_name
from gateway.graphql.documents.limits import LIMITS, check_variables
from gateway.graphql.errors import cause_of, facts_of
from gateway.graphql.execution import answer_size
from gateway.graphql.execution.deadline import Deadlines
from gateway.graphql.execution.field_hints import hints_of
from gateway.graphql.execution.reading_back import refuse_reading_back
from gateway.graphql.refusal import Refused, Stage, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping

    from graphql import GraphQLSchema

    from gateway.fast_executor import Meter, Plan
    from gateway.graphql.context import Context
    from gateway.graphql.documents.cache import Operation
    from gateway.graphql.options import Options
    from gateway.graphql.parameters import Parameters

    Results = AsyncGenerator[ExecutionResult, None]
    Begin = Callable[[], ExecutionResult | Awaitable[ExecutionResult]]
    Execute = Callable[[Any, Meter], ExecutionResult | Awaitable[ExecutionResult]]


COMPILED_FROM: float = 2  # the use of an operation from which on it is compiled; most that come once never return


@dataclass(slots=True)  # not frozen, as `Context`
class Ran:
    """What came of an operation that was executed, and what it cost."""

    result: ExecutionResult
    cost: int


class Runner:
    """Runs operations, and waits at its end for those that were given up."""

    def __init__(self, schema: GraphQLSchema, options: Options) -> None:
        self._schema = schema
        self._options = options
        self._deadlines = Deadlines()
        self._given_up: set[asyncio.Future[Any]] = set()
        self.compiled = self.normal = 0  # how many operations were executed, or followed, in either way

    async def run(self, operation: Operation, parameters: Parameters, context: Context) -> Ran:
        """Execute a query or mutation.

        Errors: Refused, before anything was executed or at the deadline.
        """
        meter = answer_size.meter(self._options.timeout_s)
        begin, cost = self._prepared(operation, parameters, context, meter)
        slot = context.authenticator.rate_limits.acquire(
            context.who, operation.scope, units_of(cost) - 1
        )  # one is taken
        if slot is None:
            return Ran(await self._executed(operation, begin, context, meter), cost)
        try:
            async with slot:
                return Ran(await self._executed(operation, begin, context, meter), cost)
        except TooManyRequests as error:
            raise too_many(error) from None

    async def _executed(self, operation: Operation, begin: Begin, context: Context, meter: Meter) -> ExecutionResult:
        wait = self._within_deadline if operation.lets_go else self._until_deadline
        found = await wait(begin(), context, meter.deadline)
        if meter.stopped_by == "time":
            raise self._too_late()
        result = answer_size.bounded(found, meter, operation.object_bytes)
        if result is None:
            raise answer_size.too_large()
        return result

    async def subscribe(
        self, operation: Operation, parameters: Parameters, context: Context
    ) -> Results | ExecutionResult:
        """Begin a subscription: its results as they come, or the one result that says why there will be none.

        Errors: Refused, before anything was executed; Unavailable, here or from the results, where the database is
        away. As an error of a result it would pass for the whole event, and be the end for good of what has not begun.
        """
        check_variables(parameters.variables)
        plan = self._plan_of(operation)
        executor = self._executor(operation, parameters, context)
        cost = self._affordable(operation, executor.variable_values.coerced)
        try:
            async with (
                context.authenticator.rate_limits.acquire(context.who, Scope.READ, units_of(cost) - 1) or nullcontext()
            ):
                pass  # following costs nothing while it waits; what may wait on one connection is bounded there
        except TooManyRequests as error:
            raise too_many(error) from None
        found = create_source_event_stream(executor)
        # graphql-core calls them an iterator, and our resolvers give a generator.
        begun = cast("AsyncGenerator[Any, None] | ExecutionResult", await found if isawaitable(found) else found)
        if isinstance(begun, ExecutionResult):
            return _whole(begun)
        if plan is None:
            return self._each(partial(_execute_event, executor), begun, context, operation.object_bytes)
        return self._each(partial(_execute_planned_event, plan, executor), begun, context, operation.object_bytes)

    async def _each(
        self, execute: Execute, events: AsyncGenerator[Any, None], context: Context, object_bytes: int
    ) -> Results:
        """Execute a subscription for each event, which may take as much as an operation.

        graphql-core's own function does the same with two generators more, and holds each event until the next has
        come. Source: GraphQL, 6.2.3.2, "MapSourceToResponseEvent".
        """
        async with aclosing(events):
            async for event in events:
                context.read, context.shown = AnswerBudget(), AnswerBudget()
                meter = answer_size.meter(self._options.timeout_s)
                result = execute(event, meter)
                del event
                result = self._told(_whole(await result if isawaitable(result) else result), meter, object_bytes)
                yield result
                del result

    def _told(self, result: ExecutionResult, meter: Meter, object_bytes: int) -> ExecutionResult:
        """Tell of an event, or why it cannot be told; its followers go on in either case."""
        if meter.stopped_by == "time":
            return ExecutionResult(None, list(self._too_late().errors))
        bounded = answer_size.bounded(result, meter, object_bytes)
        return ExecutionResult(None, list(answer_size.too_large().errors)) if bounded is None else bounded

    def _prepared(
        self, operation: Operation, parameters: Parameters, context: Context, meter: Meter
    ) -> tuple[Begin, int]:
        """Make what begins an operation, compiled where it can be, and count what it costs."""
        check_variables(parameters.variables)
        plan = self._plan_of(operation)
        if plan is None:
            executor = self._executor(operation, parameters, context)
            executor.meter = meter
            coerced = executor.variable_values.coerced
            begin = self._allowed(partial(execute_root_selection_set, executor), operation, coerced, context)
            return begin, self._affordable(operation, coerced)
        variables = plan.coerce(parameters.variables, max_errors=LIMITS.errors)
        if isinstance(variables, list):
            raise _wrong_variables(variables)
        execute = partial(plan.execute, variables, context, meter=meter)
        begin = self._allowed(execute, operation, variables.coerced, context)
        return begin, self._affordable(operation, variables.coerced)

    def _allowed(self, begin: Begin, operation: Operation, variables: Mapping[str, Any], context: Context) -> Begin:
        """Give what begins an operation, or what refuses a mutation that reads what its caller may not."""
        if operation.kind is not OperationType.MUTATION:
            return begin
        refused = refuse_reading_back(self._schema, operation.document, operation.node, variables, context.who)
        return begin if refused is None else lambda: refused

    def _plan_of(self, operation: Operation) -> Plan | None:
        """Find the plan of an operation that is worth one."""
        operation.uses += 1
        if not self._options.compiled or operation.uses < COMPILED_FROM:
            self.normal += 1
            return None
        if operation.plan is None:
            operation.plan = self._compiled(operation)
        if isinstance(operation.plan, Unsupported):
            self.normal += 1
            return None
        self.compiled += 1
        return operation.plan

    def _compiled(self, operation: Operation) -> Plan | Unsupported:
        hide = not self._options.suggestions
        try:
            return compile_operation(
                self._schema, operation.document, operation.node, hints_of(self._schema), hide_suggestions=hide
            )
        except Unsupported as reason:
            return reason

    def _executor(self, operation: Operation, parameters: Parameters, context: Context) -> MeteredExecutor:
        executor = MeteredExecutor.build(
            self._schema,
            operation.document,
            context_value=context,
            raw_variable_values=parameters.variables,
            operation_name=parameters.operation_name,
            max_coercion_errors=LIMITS.errors,
            hide_suggestions=not self._options.suggestions or has_long_name(parameters.variables),
        )
        if isinstance(executor, list):
            raise _wrong_variables(executor)
        return cast("MeteredExecutor", executor)

    def _affordable(self, operation: Operation, variables: Mapping[str, Any]) -> int:
        cost, limit = operation.costs.of(variables), self._options.max_cost
        if cost > limit:
            message = f"The query asks for up to {cost} objects. Expected at most {limit}; ask for smaller pages."
            raise refusal(Stage.VARIABLES, "too_costly", message, requested=cost, limit=limit)
        return cost

    async def _within_deadline(
        self, result: ExecutionResult | Awaitable[ExecutionResult], context: Context, until: float
    ) -> ExecutionResult:
        """Wait for the result of what lets go at once, but not longer than the deadline.

        A task of its own would cost a page of messages a tenth more.
        """
        if isinstance(result, ExecutionResult):
            return result
        try:
            with self._deadlines.begin(until):
                return await result
        except TimeoutError:
            self._give_up(context.at_work)
            raise self._too_late() from None
        except asyncio.CancelledError:
            self._give_up(context.at_work)
            raise

    async def _until_deadline(
        self, result: ExecutionResult | Awaitable[ExecutionResult], context: Context, until: float
    ) -> ExecutionResult:
        """Wait for a result, but not longer than the deadline.

        What is given up is cancelled, and with it the statement that runs. The answer does not wait for that:
        SQLite finishes a statement before it looks up.
        """
        if isinstance(result, ExecutionResult):
            return result
        task = asyncio.ensure_future(result)
        try:
            with self._deadlines.begin(until):
                return await asyncio.shield(task)
        except TimeoutError:
            self._give_up({task, *context.at_work})
            raise self._too_late() from None
        except asyncio.CancelledError:
            self._give_up({task, *context.at_work})
            raise

    def _too_late(self) -> Refused:
        message = f"The operation took longer than {self._options.timeout_s:g} seconds and was cancelled."
        return refusal(Stage.DEADLINE, "deadline_exceeded", message)

    def _give_up(self, tasks: Iterable[asyncio.Future[Any]]) -> None:
        for each in tuple(tasks):
            each.cancel()
            self._given_up.add(each)
            each.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._given_up.discard(task)
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not tell it

    async def close(self) -> None:
        """Wait for what was given up to end."""
        await asyncio.gather(*self._given_up, return_exceptions=True)


def _execute_event(executor: MeteredExecutor, event: Any, meter: Meter) -> ExecutionResult | Awaitable[ExecutionResult]:
    own = cast("MeteredExecutor", executor.build_per_event_executor(event))
    own.meter = meter
    return execute_subscription_event(own)


def _execute_planned_event(
    plan: Plan, executor: MeteredExecutor, event: Any, meter: Meter
) -> ExecutionResult | Awaitable[ExecutionResult]:
    return plan.execute(executor.variable_values, executor.context_value, event, meter)


def _whole(result: ExecutionResult) -> ExecutionResult:
    for error in result.errors or ():
        if isinstance(cause := cause_of(error), Unavailable):
            raise cause
    return result


def _wrong_variables(errors: list[GraphQLError]) -> Refused:
    for error in errors:
        error.extensions = {"param": "variables", **(error.extensions or {})}
    return Refused(Stage.VARIABLES, errors)


def too_many(error: TooManyRequests) -> Refused:
    """Refuse a caller that does too much."""
    headers = {"retry-after": str(error.retry_after_s)}
    return Refused(Stage.RATE, [GraphQLError(error.message, extensions=facts_of(error))], headers)
