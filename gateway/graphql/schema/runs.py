"""Object types of runs, their steps and assistants, and the mutations of runs.

Must not be here: the use cases (`core.runs`, `runs`), validation (`domain.parse_run`).
"""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry import UNSET
from strawberry.scalars import JSON

from gateway.core import assistants, runs
from gateway.domain import ids, page, parse_run, run
from gateway.domain.run import Assistant as DomainAssistant
from gateway.domain.run import Run as DomainRun
from gateway.domain.run import RunStep as DomainStep
from gateway.domain.thread import Thread as DomainThread
from gateway.domain.wire import dump_text
from gateway.graphql.context import Info
from gateway.graphql.schema import inputs, types
from gateway.graphql.schema.argument_paths import names_arguments
from gateway.graphql.schema.content import is_a
from gateway.graphql.schema.scalars import DateTime, Metadata


@strawberry.enum(description="The status of a run.")
class RunStatus(Enum):
    """`domain.run.RunStatus`, with descriptions."""

    QUEUED = strawberry.enum_value(run.RunStatus.QUEUED, description="It waits for a worker.")
    IN_PROGRESS = strawberry.enum_value(run.RunStatus.IN_PROGRESS, description="A model answers.")
    REQUIRES_ACTION = strawberry.enum_value(
        run.RunStatus.REQUIRES_ACTION, description="It waits for the outputs of `toolCalls`."
    )
    CANCELLING = strawberry.enum_value(run.RunStatus.CANCELLING, description="It is being cancelled.")
    CANCELLED = strawberry.enum_value(run.RunStatus.CANCELLED, description="It was cancelled.")
    FAILED = strawberry.enum_value(run.RunStatus.FAILED, description="It failed; `lastError` says why.")
    COMPLETED = strawberry.enum_value(run.RunStatus.COMPLETED, description="The answer is complete.")
    INCOMPLETE = strawberry.enum_value(
        run.RunStatus.INCOMPLETE, description="The answer ended early; `incompleteReason` says why."
    )
    EXPIRED = strawberry.enum_value(run.RunStatus.EXPIRED, description="It did not end in time.")


@strawberry.enum(description="The status of a step of a run.")
class RunStepStatus(Enum):
    """`domain.run.StepStatus`, with descriptions."""

    IN_PROGRESS = strawberry.enum_value(run.StepStatus.IN_PROGRESS, description="It is not finished.")
    CANCELLED = strawberry.enum_value(run.StepStatus.CANCELLED, description="The run was cancelled.")
    FAILED = strawberry.enum_value(run.StepStatus.FAILED, description="The run failed.")
    COMPLETED = strawberry.enum_value(run.StepStatus.COMPLETED, description="It is complete.")
    EXPIRED = strawberry.enum_value(run.StepStatus.EXPIRED, description="The run expired.")


@strawberry.type(description="Why a run failed or expired.")
class RunError:
    """REST's `last_error`."""

    code: str = strawberry.field(description="`server_error`, `rate_limit_exceeded` or `invalid_prompt`.")
    message: str = strawberry.field(description="The reason.")


@strawberry.type(description="The tokens of a run.")
class RunUsage:
    """REST's `usage`."""

    prompt_tokens: int = strawberry.field(description="Tokens that the model has read.")
    completion_tokens: int = strawberry.field(description="Tokens that the model has written.")
    total_tokens: int = strawberry.field(description="Their sum.")


@strawberry.type(description="A call of a function by a model.")
class RunToolCall:
    """One of REST's `tool_calls`."""

    id: strawberry.ID = strawberry.field(description="The ID of the call, for `submitToolOutputs`.")
    name: str = strawberry.field(description="The name of the function.")
    arguments: str = strawberry.field(description="The arguments, as JSON text that the model has written.")
    output: str | None = strawberry.field(description="The output that was submitted; null before.")


def _calls_of(calls: Sequence[dict[str, Any]]) -> list[RunToolCall]:
    return [
        RunToolCall(
            id=strawberry.ID(call["id"]),
            name=function["name"],
            arguments=function["arguments"],
            output=function.get("output"),
        )
        for call in calls
        for function in [call.get("function") or _tool_of(call)]
    ]


def _tool_of(call: dict[str, Any]) -> dict[str, Any]:
    """Describe the call of another tool, which only imported runs have."""
    return {"name": call["type"], "arguments": dump_text(call.get(call["type"]))}


@strawberry.type(description="A step of a run: the creation of a message, or calls of functions.")
class RunStep:
    """`domain.run.RunStep`."""

    id: strawberry.ID = strawberry.field(description="The ID of the step, the same as in the REST API.")
    created_at: DateTime = strawberry.field(description="When the step began.")
    status: RunStepStatus = strawberry.field(description="The status of the step.")
    message_id: strawberry.ID | None = strawberry.field(
        description="The ID of the message that the step creates; null if it calls functions."
    )

    is_type_of = is_a(DomainStep)

    @strawberry.field(description="The calls of functions; empty if the step creates a message.")
    def tool_calls(self, root: strawberry.Parent[DomainStep]) -> list[RunToolCall]:
        """Read the calls."""
        return _calls_of(root.calls)


@strawberry.type(description="An answer to a thread by a model.")
class Run(types.Node):
    """`domain.run.Run`."""

    thread_id: strawberry.ID = strawberry.field(description="The ID of the thread.")
    assistant_id: strawberry.ID = strawberry.field(description="The ID of the assistant.")
    status: RunStatus = strawberry.field(description="The status of the run.")
    created_at: DateTime = strawberry.field(description="When the run was created.")
    started_at: DateTime | None = strawberry.field(description="When the model was last asked; null before.")
    cancelled_at: DateTime | None = strawberry.field(description="When the run was cancelled; null otherwise.")
    failed_at: DateTime | None = strawberry.field(description="When the run failed; null otherwise.")
    completed_at: DateTime | None = strawberry.field(description="When the run was completed; null otherwise.")
    expires_at: DateTime = strawberry.field(description="When the run expires, if it has not ended.")
    metadata: Metadata = strawberry.field(description="Key-value pairs set by the application.")

    is_type_of = is_a(DomainRun)

    @strawberry.field(description="The model that answers.")
    def model(self, root: strawberry.Parent[DomainRun]) -> str | None:
        """Read the model."""
        name: str | None = root.settings["model"]
        return name

    @strawberry.field(description="The calls whose outputs the run waits for; empty otherwise.")
    def tool_calls(self, root: strawberry.Parent[DomainRun]) -> list[RunToolCall]:
        """Read the calls."""
        return _calls_of(root.required_calls)

    @strawberry.field(description="Why the run failed or expired; null otherwise.")
    def last_error(self, root: strawberry.Parent[DomainRun]) -> RunError | None:
        """Read the error."""
        return None if root.last_error is None else RunError(**root.last_error)

    @strawberry.field(
        description="Why the run is incomplete: `max_completion_tokens`, `max_prompt_tokens` or `content_filter`."
    )
    def incomplete_reason(self, root: strawberry.Parent[DomainRun]) -> str | None:
        """Read the reason."""
        return root.incomplete_reason

    @strawberry.field(description="The tokens of the run; null before its end.")
    def usage(self, root: strawberry.Parent[DomainRun]) -> RunUsage | None:
        """Read the tokens."""
        if not root.has_ended or root.usage_json is None:  # imported runs may have none
            return None
        names = ("prompt_tokens", "completion_tokens", "total_tokens")
        return RunUsage(**{name: root.usage[name] for name in names})

    @strawberry.field(description="The steps of the run, oldest first.", graphql_type=list[RunStep])
    async def steps(self, info: Info, root: strawberry.Parent[DomainRun]) -> Sequence[DomainStep]:
        """Read the steps, batched with those of other runs."""
        return await info.context.run_steps.load(root.id) or ()

    @strawberry.field(description="The thread of the run.", graphql_type=types.Thread)
    async def thread(self, info: Info, root: strawberry.Parent[DomainRun]) -> DomainThread:
        """Find the thread."""
        return await info.context.thread_of(root.thread_id)


@strawberry.type(description="A run with its cursor.")
class RunEdge:
    """Relay's edge; the cursor is the ID of the run."""

    cursor: str = strawberry.field(description="The cursor, for `after` and `before`.")
    node: DomainRun = strawberry.field(description="The run.", graphql_type=Run)


@strawberry.type(description="A page of runs.")
class RunConnection:
    """Relay's connection for one page."""

    is_type_of = is_a(types.RunPage)

    @strawberry.field(description="The runs of this page with their cursors.", graphql_type=list[RunEdge])
    def edges(self, root: strawberry.Parent[types.RunPage]) -> list[RunEdge]:
        """Pair each run with its cursor."""
        return [RunEdge(cursor=each.id, node=each) for each in root.found.items]

    @strawberry.field(description="The runs of this page.", graphql_type=list[Run])
    def nodes(self, root: strawberry.Parent[types.RunPage]) -> tuple[DomainRun, ...]:
        """Return the runs without cursors."""
        return root.found.items

    @strawberry.field(description="Pagination information of this page.")
    async def page_info(self, info: Info, root: strawberry.Parent[types.RunPage]) -> types.PageInfo:
        """Check for runs before and after the page."""
        ctx = info.context
        ends = await runs.page_ends(ctx.store, ctx.who, root.thread_id, root.asked, root.found)
        return types.page_info(root.found, ends)


@strawberry.type(description="An assistant: a model with instructions and functions.")
class Assistant(types.Node):
    """`domain.run.Assistant`."""

    created_at: DateTime = strawberry.field(description="When the assistant was created.")

    is_type_of = is_a(DomainAssistant)

    @strawberry.field(description="The name of the assistant.")
    def name(self, root: strawberry.Parent[DomainAssistant]) -> str | None:
        """Read the name."""
        return _text_of(root, "name")

    @strawberry.field(description="The description of the assistant.")
    def description(self, root: strawberry.Parent[DomainAssistant]) -> str | None:
        """Read the description."""
        return _text_of(root, "description")

    @strawberry.field(description="The model that answers.")
    def model(self, root: strawberry.Parent[DomainAssistant]) -> str | None:
        """Read the model."""
        return _text_of(root, "model")

    @strawberry.field(description="The instructions of the model.")
    def instructions(self, root: strawberry.Parent[DomainAssistant]) -> str | None:
        """Read the instructions."""
        return _text_of(root, "instructions")

    @strawberry.field(description="The functions that the model may call, in the format of the REST API.")
    def tools(self, root: strawberry.Parent[DomainAssistant]) -> JSON:
        """Read the tools."""
        return JSON(root.fields["tools"])

    @strawberry.field(description="Key-value pairs set by the application.")
    def metadata(self, root: strawberry.Parent[DomainAssistant]) -> Metadata:
        """Read the metadata."""
        return Metadata(root.fields["metadata"])


def _text_of(assistant: DomainAssistant, name: str) -> str | None:
    text: str | None = assistant.fields[name]
    return text


@strawberry.type(description="An assistant with its cursor.")
class AssistantEdge:
    """Relay's edge; the cursor is the ID of the assistant."""

    cursor: str = strawberry.field(description="The cursor, for `after` and `before`.")
    node: DomainAssistant = strawberry.field(description="The assistant.", graphql_type=Assistant)


@strawberry.type(description="A page of assistants.")
class AssistantConnection:
    """Relay's connection for one page."""

    found: strawberry.Private[page.Page[DomainAssistant]]
    asked: strawberry.Private[page.PageRequest]

    @strawberry.field(description="The assistants of this page with their cursors.")
    def edges(self) -> list[AssistantEdge]:
        """Pair each assistant with its cursor."""
        return [AssistantEdge(cursor=each.id, node=each) for each in self.found.items]

    @strawberry.field(description="The assistants of this page.", graphql_type=list[Assistant])
    def nodes(self) -> tuple[DomainAssistant, ...]:
        """Return the assistants without cursors."""
        return self.found.items

    @strawberry.field(description="Pagination information of this page.")
    async def page_info(self, info: Info) -> types.PageInfo:
        """Check for assistants before and after the page."""
        ctx = info.context
        return types.page_info(self.found, await assistants.page_ends(ctx.store, ctx.who, self.asked, self.found))


@strawberry.input(description="A run to create.")
class CreateRunInput:
    """REST's createRun with the thread of its path."""

    thread_id: strawberry.ID = strawberry.field(description="The thread to answer.")
    assistant_id: strawberry.ID = strawberry.field(description="The assistant to answer it.")
    model: str | None = strawberry.field(default=UNSET, description="The model, in place of the assistant's.")
    instructions: str | None = strawberry.field(
        default=UNSET, description="The instructions, in place of the assistant's."
    )
    additional_instructions: str | None = strawberry.field(
        default=UNSET, description="Instructions to append to the others."
    )
    additional_messages: list[inputs.NewMessageInput] | None = strawberry.field(
        default=UNSET, description="Messages to add to the thread before it is answered."
    )
    tools: JSON | None = strawberry.field(
        default=UNSET, description="The functions, in place of the assistant's, in the format of the REST API."
    )
    metadata: Metadata | None = strawberry.field(default=UNSET, description="Key-value pairs set by the application.")
    temperature: float | None = strawberry.field(default=UNSET, description="The sampling temperature, 0 to 2.")
    top_p: float | None = strawberry.field(default=UNSET, description="The probability to sample from, 0 to 1.")
    reasoning_effort: str | None = strawberry.field(default=UNSET, description="The effort of models that reason.")
    max_prompt_tokens: int | None = strawberry.field(default=UNSET, description="Tokens that the model may read.")
    max_completion_tokens: int | None = strawberry.field(default=UNSET, description="Tokens that the model may write.")
    truncation_strategy: JSON | None = strawberry.field(
        default=UNSET, description="Which messages the model gets, in the format of the REST API."
    )
    tool_choice: JSON | None = strawberry.field(
        default=UNSET, description="Whether the model must call functions, in the format of the REST API."
    )
    parallel_tool_calls: bool | None = strawberry.field(
        default=UNSET, description="Whether the model may call several functions at once."
    )
    response_format: JSON | None = strawberry.field(
        default=UNSET, description="The format of the answer, in the format of the REST API."
    )
    idempotency_key: str | None = strawberry.field(default=UNSET, description=inputs.KEY)


@strawberry.input(description="A run to cancel.")
class CancelRunInput:
    """REST's cancelRun."""

    run_id: strawberry.ID = strawberry.field(description="The ID of the run.")


@strawberry.input(description="The output of a function.")
class ToolOutputInput:
    """One of REST's `tool_outputs`."""

    tool_call_id: strawberry.ID = strawberry.field(description="The ID of the call.")
    output: str = strawberry.field(description="The output, which the model reads.")


@strawberry.input(description="The outputs of all functions that a run waits for.")
class SubmitToolOutputsInput:
    """REST's submitToolOutputs."""

    run_id: strawberry.ID = strawberry.field(description="The ID of the run.")
    outputs: list[ToolOutputInput] = strawberry.field(description="The output of each call.")


@strawberry.type(description="The result of `createRun`, `cancelRun` and `submitToolOutputs`.")
class RunPayload:
    """The run after the change."""

    run: DomainRun = strawberry.field(description="The run after the change.", graphql_type=Run)


@strawberry.type
class RunMutations:
    """The mutations of runs; they fail where no model is set."""

    @strawberry.mutation(description="Let a model answer a thread. Follow the answer with `threadEvents`.")
    @names_arguments
    async def create_run(
        self,
        info: Info,
        input: Annotated[CreateRunInput, inputs.ARGUMENT],
    ) -> RunPayload:
        """POST /threads/{thread_id}/runs."""
        new = parse_run.new_run(_wire(input), from_worker=True)
        ctx, attempt = info.context, inputs.attempt_of(input.idempotency_key)
        created = await ctx.served_runs.create(ctx.who, ids.thread_id(input.thread_id), new, attempt)
        ctx.note_replay(info, attempt)
        return RunPayload(run=created)

    @strawberry.mutation(description="Cancel a run; what was written of its answer stays.")
    @names_arguments
    async def cancel_run(
        self,
        info: Info,
        input: Annotated[CancelRunInput, inputs.ARGUMENT],
    ) -> RunPayload:
        """POST /threads/{thread_id}/runs/{run_id}/cancel."""
        ctx, run_id = info.context, ids.other_id("run", "run", input.run_id)
        return RunPayload(run=await ctx.served_runs.cancel(ctx.who, None, run_id))

    @strawberry.mutation(description="Give a run the outputs of all functions that it waits for.")
    @names_arguments
    async def submit_tool_outputs(
        self,
        info: Info,
        input: Annotated[SubmitToolOutputsInput, inputs.ARGUMENT],
    ) -> RunPayload:
        """POST /threads/{thread_id}/runs/{run_id}/submit_tool_outputs."""
        given = [{"tool_call_id": each.tool_call_id, "output": each.output} for each in input.outputs]
        outputs = parse_run.tool_outputs({"tool_outputs": given})
        ctx, run_id = info.context, ids.other_id("run", "run", input.run_id)
        changed, _ = await ctx.served_runs.submit_tool_outputs(ctx.who, None, run_id, outputs)
        return RunPayload(run=changed)


_SAME = (
    *("assistant_id", "model", "instructions", "additional_instructions", "tools", "metadata", "temperature", "top_p"),
    *("reasoning_effort", "max_prompt_tokens", "max_completion_tokens", "truncation_strategy", "tool_choice"),
    *("parallel_tool_calls", "response_format"),
)


def _wire(new: CreateRunInput) -> dict[str, Any]:
    """Convert a new run to the body of createRun."""
    messages = [inputs.wire_message(each) for each in new.additional_messages or ()]
    return {name: inputs.or_null(getattr(new, name)) for name in _SAME} | {"additional_messages": messages}
