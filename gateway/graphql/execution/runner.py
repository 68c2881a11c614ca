"""Run one operation of a valid document: variables, cost, execution with a deadline, or subscription events.

Must not be here: HTTP, looking up documents (`persisted`, `cache`).
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Self, TypeAlias, cast

from graphql import (
    ExecutionResult,
    GraphQLError,
    create_source_event_stream,
    execute_root_selection_set,
    execute_subscription_event,
)

from gateway.auth.rate_limits import units_of
from gateway.domain.page import AnswerBudget
from gateway.domain.principal import READ, WRITE
from gateway.errors import TooManyRequests, Unavailable
from gateway.fast_executor.meter import MeteredExecutor
from gateway.fast_executor.plan import Plan
from gateway.fast_executor.unsupported import Unsupported
from gateway.fast_executor.variables import has_long_name
from gateway.graphql.documents.limits import MAX_ERRORS, check_variables
from gateway.graphql.errors import as_graphql_error, cause_of
from gateway.graphql.execution import answer_size
from gateway.graphql.execution.event_answers import answer_key
from gateway.graphql.execution.field_hints import hints_of
from gateway.graphql.execution.reading_back import refuse_reading_back
from gateway.graphql.refusal import Refused, Stage, refusal
from gateway.observability.record import span
from gateway.web.deadline import Deadlines

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping

    from graphql import GraphQLSchema
    from graphql.execution.values import VariableValues

    from gateway.fast_executor.meter import Meter
    from gateway.graphql.context import Context
    from gateway.graphql.documents.cache import Operation
    from gateway.graphql.options import Options
    from gateway.graphql.parameters import Parameters

    Results: TypeAlias = "AsyncGenerator[ExecutionResult, None] | EventResults"
    Begin = Callable[[], ExecutionResult | Awaitable[ExecutionResult]]
    Execute = Callable[[Any, Meter], ExecutionResult | Awaitable[ExecutionResult]]


COMPILES = True  # so that tests of one process can execute the same by graphql-core


@dataclass(slots=True)  # not frozen, as `Context`
class Outcome:
    """The result of an executed operation, and its cost."""

    result: ExecutionResult
    cost: int


class Runner:
    """Runs operations; `close` waits for those that were cancelled."""

    def __init__(self, schema: GraphQLSchema, options: Options) -> None:
        self._schema = schema
        self._options = options
        self._reads, self._writes = Deadlines(), Deadlines()
        self._cancelled: set[asyncio.Future[Any]] = set()
        self._compiled = self._normal = 0  # number of operations, by executor

    async def run(self, operation: Operation, parameters: Parameters, context: Context) -> Outcome:
        """Execute a query or mutation.

        Errors: Refused, before the execution or at the deadline.
        """
        with span("graphql.execute"):
            meter = answer_size.meter(self._options.timeout_s)
            begin, cost = self._prepare(operation, parameters, context, meter)
            rate_limits = context.authenticator.rate_limits
            slot = rate_limits.acquire(context.who, operation.scope, units_of(cost) - 1)  # one unit is charged already
            try:
                if slot is None:
                    result = await self._execute(operation, begin, meter)
                else:
                    async with slot:
                        result = await self._execute(operation, begin, meter)
                if context.replays:
                    result.extensions = {"idempotentReplay": [[key] for key in context.replays]}
                    if len(context.replays) == len(operation.node.selection_set.selections):  # nothing was written
                        await rate_limits.count_as_read(context.who, units_of(cost))
            except TooManyRequests as error:
                raise rate_limited(error) from None
        if result.errors and parameters.literals is not None:
            parameters.literals.locate(result.errors)
        return Outcome(result, cost)

    async def _execute(self, operation: Operation, begin: Begin, meter: Meter) -> ExecutionResult:
        """Execute an operation until its deadline.

        A task of its own, which an operation that cannot be cancelled needs, would make a page of messages 10 % more
        expensive.
        """
        deadlines = self._writes if operation.scope is WRITE else self._reads
        try:
            with deadlines.begin(meter.deadline):
                found = begin()
                if not isinstance(found, ExecutionResult):
                    found = await (found if operation.is_cancellable else self._shielded(found))
        except TimeoutError:
            raise self._deadline_exceeded() from None
        return self._within_limits(found, meter, operation.object_bytes)

    def _within_limits(self, result: ExecutionResult, meter: Meter, object_bytes: int) -> ExecutionResult:
        """Return a result that kept the limits of one operation.

        Errors: Refused.
        """
        if meter.stopped_by == "time":
            raise self._deadline_exceeded()
        return answer_size.bounded(result, meter, object_bytes)

    def leave(self, task: asyncio.Task[Any]) -> None:
        """Cancel the query that a task executes, if any."""
        self._reads.leave(task)

    async def subscribe(
        self, operation: Operation, parameters: Parameters, context: Context
    ) -> Results | ExecutionResult:
        """Start a subscription; returns its results, or one result with the error that prevents it.

        Errors: Refused, before the execution; Unavailable, here or from the results, if the database is unavailable.
        As an error in a result it would look like an event, or like a permanent error at the start.
        """
        with span("graphql.subscribe"):
            return await self._subscribe(operation, parameters, context)

    async def _subscribe(
        self, operation: Operation, parameters: Parameters, context: Context
    ) -> Results | ExecutionResult:
        check_variables(parameters.variables)
        plan = self._plan_of(operation)
        executor = self._executor(operation, parameters, context)
        cost = self._check_cost(operation, executor.variable_values.coerced)
        try:
            async with (
                context.authenticator.rate_limits.acquire(context.who, READ, units_of(cost) - 1) or nullcontext()
            ):
                pass  # a subscription costs nothing while it waits; transports limit subscriptions per connection
        except TooManyRequests as error:
            raise rate_limited(error) from None
        found = create_source_event_stream(executor)
        # graphql-core declares an iterator; ours can be closed.
        begun = cast("AsyncGenerator[Any, None] | ExecutionResult", await found if isawaitable(found) else found)
        if isinstance(begun, ExecutionResult):
            return _raise_unavailable(begun)
        execute: Execute = partial(_execute_event, executor)
        if plan is not None:  # it needs no executor, only the variables, which have been coerced without an error
            variables = cast("VariableValues", plan.coerce(parameters.variables))
            execute = partial(plan.execute, variables, context)
        key = answer_key(operation, parameters.variables, context.who)
        return EventResults(self, begun, context, key, execute, operation.object_bytes)

    async def answer_event(self, execute: Execute, context: Context, object_bytes: int, event: Any) -> ExecutionResult:
        """Execute a subscription for one event, with the limits of one operation; it continues after an error."""
        context.read, context.delivered = AnswerBudget(), AnswerBudget()
        meter = answer_size.meter(self._options.timeout_s)
        result = execute(event, meter)
        found = _raise_unavailable(await result if isawaitable(result) else result)
        try:
            return self._within_limits(found, meter, object_bytes)
        except Refused as refused:
            return ExecutionResult(None, list(refused.errors))

    def _prepare(
        self, operation: Operation, parameters: Parameters, context: Context, meter: Meter
    ) -> tuple[Begin, int]:
        """Prepare the execution of an operation, with its plan if it has one, and check its cost."""
        check_variables(parameters.variables)
        context.reads_event_cursor = operation.reads_event_cursor
        plan = self._plan_of(operation)
        if plan is None:
            executor = self._executor(operation, parameters, context)
            executor.meter = meter
            if parameters.literals is not None:
                executor.variable_values = parameters.literals.added_to(executor.variable_values)
            coerced = executor.variable_values.coerced
            begin = self._check_read_access(partial(execute_root_selection_set, executor), operation, coerced, context)
            return begin, self._check_cost(operation, coerced)
        variables = plan.coerce(parameters.variables, max_errors=MAX_ERRORS)
        if isinstance(variables, list):
            raise _wrong_variables(variables, parameters)
        if parameters.literals is not None:
            variables = parameters.literals.added_to(variables)
        execute = partial(plan.execute, variables, context, meter=meter)
        begin = self._check_read_access(execute, operation, variables.coerced, context)
        return begin, self._check_cost(operation, variables.coerced)

    def _check_read_access(
        self, begin: Begin, operation: Operation, variables: Mapping[str, Any], context: Context
    ) -> Begin:
        """Refuse a mutation that selects what its caller must not read."""
        if not operation.is_mutation:
            return begin
        refused = refuse_reading_back(self._schema, operation.document, operation.node, variables, context.who)
        return begin if refused is None else lambda: refused

    def _plan_of(self, operation: Operation) -> Plan | None:
        """Return the plan of an operation; None if graphql-core has to execute it."""
        if operation.plan is None and COMPILES:
            operation.plan = self._compile(operation)
        if COMPILES and isinstance(operation.plan, Plan):
            self._compiled += 1
            return operation.plan
        self._normal += 1
        return None

    def _compile(self, operation: Operation) -> Plan | Unsupported:
        hide = not self._options.suggestions
        try:
            return Plan(self._schema, operation.document, operation.node, hints_of(self._schema), hide_suggestions=hide)
        except Unsupported as reason:
            return reason

    def _executor(self, operation: Operation, parameters: Parameters, context: Context) -> MeteredExecutor:
        executor = MeteredExecutor.build(
            self._schema,
            operation.document,
            context_value=context,
            raw_variable_values=parameters.variables,
            operation_name=parameters.operation_name,
            max_coercion_errors=MAX_ERRORS,
            hide_suggestions=not self._options.suggestions or has_long_name(parameters.variables),
        )
        if isinstance(executor, list):
            raise _wrong_variables(executor, parameters)
        return cast("MeteredExecutor", executor)

    def _check_cost(self, operation: Operation, variables: Mapping[str, Any]) -> int:
        cost, limit = operation.costs.of(variables), self._options.max_cost
        if cost > limit:
            message = f"Invalid 'query': expected a cost of at most {limit} objects, got {cost}. Use smaller pages."
            raise refusal(Stage.VARIABLES, "too_costly", message, requested=cost, limit=limit)
        return cost

    async def _shielded(self, result: Awaitable[ExecutionResult]) -> ExecutionResult:
        """Wait for a result; a cancellation also cancels the operation and its statement, without waiting for them.

        A write of SQLite, whose transactions share a commit, is completed and undone first.
        """
        task = asyncio.ensure_future(result)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._cancel(task)
            raise

    def _deadline_exceeded(self) -> Refused:
        message = f"The operation exceeded the deadline of {self._options.timeout_s:g} seconds and was cancelled."
        return refusal(Stage.DEADLINE, "deadline_exceeded", message)

    def _cancel(self, task: asyncio.Future[Any]) -> None:
        task.cancel()
        self._cancelled.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._cancelled.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it

    def executed(self) -> dict[str, float]:
        """Return the number of executed operations, by executor."""
        return {"compiled": self._compiled, "normal": self._normal}

    async def close(self) -> None:
        """Wait for operations that were cancelled at their deadline."""
        await asyncio.gather(*self._cancelled, return_exceptions=True)


@dataclass(slots=True)
class EventResults:
    """The results of a subscription: each event is answered here, or by the cached answer of another follower.

    graphql-core's own function needs two generators, and keeps each event until the next arrives.
    Source: GraphQL, 6.2.3.2, "MapSourceToResponseEvent".
    """

    runner: Runner
    events: AsyncGenerator[Any, None]
    context: Context
    key: Hashable
    execute: Execute
    object_bytes: int

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ExecutionResult:
        event = await anext(self.events)
        answers, self.context.answers = self.context.answers, None
        assert answers is not None  # noqa: S101  (each event comes with its own)
        answer = partial(self.runner.answer_event, self.execute, self.context, self.object_bytes, event)
        found: ExecutionResult = await answers.get(self.key, answer)
        return found

    async def aclose(self) -> None:
        """Stop following."""
        await self.events.aclose()


def _execute_event(executor: MeteredExecutor, event: Any, meter: Meter) -> ExecutionResult | Awaitable[ExecutionResult]:
    own = cast("MeteredExecutor", executor.build_per_event_executor(event))
    own.meter = meter
    return execute_subscription_event(own)


def _raise_unavailable(result: ExecutionResult) -> ExecutionResult:
    for error in result.errors or ():
        if isinstance(cause := cause_of(error), Unavailable):
            raise cause
    return result


def _wrong_variables(errors: list[GraphQLError], parameters: Parameters) -> Refused:
    if parameters.literals is not None:
        parameters.literals.locate(errors)
    for error in errors:
        error.extensions = {"param": "variables", **(error.extensions or {})}
    return Refused(Stage.VARIABLES, errors)


def rate_limited(error: TooManyRequests) -> Refused:
    """Make the refusal for a caller that exceeds its rate limit."""
    headers = {"retry-after": str(error.retry_after_s)}
    return Refused(Stage.RATE, [as_graphql_error(error)], headers)


async def single_result(result: ExecutionResult) -> Results:
    """Yield the one result of a query or mutation, as a subscription yields many."""
    yield result
