"""The mutation type.

Must not be here: conversion of inputs (`inputs`), validation (`domain`).
"""

from collections.abc import Iterable
from typing import Annotated

import strawberry

from gateway.core import erasing, forking, messages, read_marks, streaming, thread_tokens, threads
from gateway.domain import bounds, ids, parse, parse_run, validate
from gateway.domain.message import Message as DomainMessage
from gateway.domain.message import Status
from gateway.domain.principal import Scope
from gateway.domain.thread import Thread as DomainThread
from gateway.errors import Forbidden
from gateway.graphql.context import Context, Info
from gateway.graphql.schema import inputs, types
from gateway.graphql.schema.argument_paths import names_arguments
from gateway.graphql.schema.runs import RunMutations
from gateway.graphql.schema.scalars import DateTime, ThreadAccess

_SCOPES = {
    ThreadAccess.READ: frozenset({Scope.READ}),
    ThreadAccess.SEND: frozenset({Scope.READ, Scope.SEND}),
    ThreadAccess.READ_WRITE: frozenset({Scope.READ, Scope.WRITE}),
}


@strawberry.type(description="The result of `createThread`.")
class CreateThreadPayload:
    """The result of createThread."""

    thread: DomainThread = strawberry.field(description="The thread.", graphql_type=types.Thread)

    @strawberry.field(
        description="The thread with its cursor, to add to a cached list.",
        graphql_type=types.ThreadEdge,
    )
    def edge(self) -> types.Edge:
        """Pair the thread with its cursor."""
        return types.EdgeOfThread(self.thread.id, self.thread)


@strawberry.type(description="The result of `forkThread`.")
class ForkThreadPayload:
    """The result of forkThread."""

    thread: DomainThread = strawberry.field(description="The copy.", graphql_type=types.Thread)


@strawberry.type(description="The result of `updateThread`.")
class UpdateThreadPayload:
    """The result of updateThread."""

    thread: DomainThread = strawberry.field(description="The thread after the change.", graphql_type=types.Thread)


@strawberry.type(description="The result of `deleteThread`.")
class DeleteThreadPayload:
    """The result of deleteThread."""

    deleted_thread_id: strawberry.ID = strawberry.field(description="The ID of the deleted thread.")


@strawberry.type(description="The result of `markRead` and `markUnread`.")
class MarkReadPayload:
    """The result of markRead and markUnread."""

    thread_id: strawberry.Private[str]

    @strawberry.field(description="The thread after the change.", graphql_type=types.Thread)
    async def thread(self, info: Info) -> DomainThread:
        """Read the thread after the change."""
        return await info.context.thread_of(self.thread_id)


@strawberry.type(description="The result of `eraseUser`.")
class EraseUserPayload:
    """The result of eraseUser."""

    threads: int = strawberry.field(description="How many threads were deleted.")
    messages: int = strawberry.field(description="How many messages were deleted with them.")


@strawberry.type(description="The result of `createMessage`.")
class CreateMessagePayload:
    """The result of createMessage."""

    message: DomainMessage = strawberry.field(description="The message.", graphql_type=types.Message)

    @strawberry.field(
        description="The message with its cursor, to add to a cached list.",
        graphql_type=types.MessageEdge,
    )
    def edge(self) -> types.Edge:
        """Pair the message with its cursor."""
        return types.Edge(self.message.id, self.message)

    @strawberry.field(description="The thread after the change.", graphql_type=types.Thread)
    async def thread(self, info: Info) -> DomainThread:
        """Read the thread after the change."""
        return await info.context.thread_of(self.message.thread_id)


@strawberry.type(description="The result of `updateMessage`, `appendMessageText` and `finishMessage`.")
class UpdateMessagePayload:
    """The result of updateMessage."""

    message: DomainMessage = strawberry.field(description="The message after the change.", graphql_type=types.Message)


@strawberry.type(description="The result of `deleteMessage`.")
class DeleteMessagePayload:
    """The result of deleteMessage."""

    deleted_message_id: strawberry.ID = strawberry.field(description="The ID of the deleted message.")
    thread_id: strawberry.Private[str]

    @strawberry.field(description="The thread after the change.", graphql_type=types.Thread)
    async def thread(self, info: Info) -> DomainThread:
        """Read the thread after the change."""
        return await info.context.thread_of(self.thread_id)


@strawberry.type(description="The result of `createThreadToken`.")
class CreateThreadTokenPayload:
    """The result of createThreadToken."""

    token: str = strawberry.field(description="The token. Send it as a bearer token or in `connection_init`.")
    expires_at: DateTime = strawberry.field(
        description="When the token expires; connections that use it are closed then."
    )


@strawberry.type(description="The result of `revokeThreadTokens`.")
class RevokeThreadTokensPayload:
    """The result of revokeThreadTokens."""

    thread_id: strawberry.ID = strawberry.field(description="The ID of the thread.")


@strawberry.type(description="The root of all mutations.")
class Mutation(RunMutations):
    """The root of all mutations."""

    @strawberry.mutation(description="Create a thread, with or without initial messages.")
    @names_arguments
    async def create_thread(
        self,
        info: Info,
        input: Annotated[inputs.CreateThreadInput, inputs.ARGUMENT],
    ) -> CreateThreadPayload:
        """POST /threads."""
        raw = inputs.wire_thread(input)
        new = parse.new_thread(raw, from_worker=True)
        _count_parts(info.context, "messages", raw["messages"])
        ctx, attempt = info.context, inputs.attempt_of(input.idempotency_key)
        created = await threads.create(ctx.store, ctx.who, new, attempt)
        info.context.note_replay(info, attempt)
        return CreateThreadPayload(thread=created)

    @strawberry.mutation(
        description="Create a thread with copies of the messages of another one, up to a message, with new IDs."
    )
    @names_arguments
    async def fork_thread(
        self,
        info: Info,
        input: Annotated[inputs.ForkThreadInput, inputs.ARGUMENT],
    ) -> ForkThreadPayload:
        """POST /threads/{thread_id}/fork."""
        raw = {"up_to": input.up_to, "metadata": input.metadata, "owner": input.owner}
        new = parse.new_fork({name: inputs.or_null(value) for name, value in raw.items()})
        ctx, attempt = info.context, inputs.attempt_of(input.idempotency_key)
        copy = await forking.fork(ctx.store, ctx.who, ids.thread_id(input.thread_id), new, attempt)
        info.context.note_replay(info, attempt)
        return ForkThreadPayload(thread=copy)

    @strawberry.mutation(description="Update the metadata and tool resources of a thread.")
    @names_arguments
    async def update_thread(
        self,
        info: Info,
        input: Annotated[inputs.UpdateThreadInput, inputs.ARGUMENT],
    ) -> UpdateThreadPayload:
        """POST /threads/{thread_id}."""
        patch = parse.thread_patch(
            {"metadata": inputs.or_null(input.metadata), "tool_resources": inputs.or_null(input.tool_resources)}
        )
        thread_id = ids.thread_id(input.id)
        changed = await threads.update(info.context.store, info.context.who, thread_id, patch)
        return UpdateThreadPayload(thread=changed)

    @strawberry.mutation(description="Delete a thread and all its messages permanently.")
    @names_arguments
    async def delete_thread(
        self,
        info: Info,
        input: Annotated[inputs.DeleteThreadInput, inputs.ARGUMENT],
    ) -> DeleteThreadPayload:
        """DELETE /threads/{thread_id}."""
        await threads.delete(info.context.store, info.context.who, ids.thread_id(input.id))
        return DeleteThreadPayload(deleted_thread_id=input.id)

    @strawberry.mutation(description="Note that a reader has read a thread up to a message; later marks stay.")
    @names_arguments
    async def mark_read(
        self,
        info: Info,
        input: Annotated[inputs.MarkReadInput, inputs.ARGUMENT],
    ) -> MarkReadPayload:
        """Move a read mark forward."""
        ctx, thread_id, up_to = info.context, ids.thread_id(input.thread_id), inputs.or_null(input.up_to)
        message_id = None if up_to is None else ids.message_id(up_to, "up_to")
        reader = parse.owner(inputs.or_null(input.reader), "reader")
        await read_marks.mark_read(ctx.store, ctx.who, thread_id, message_id, reader)
        return MarkReadPayload(thread_id=thread_id)

    @strawberry.mutation(description="Note that a reader has not read a thread from a message on; earlier marks stay.")
    @names_arguments
    async def mark_unread(
        self,
        info: Info,
        input: Annotated[inputs.MarkUnreadInput, inputs.ARGUMENT],
    ) -> MarkReadPayload:
        """Move a read mark back."""
        ctx, thread_id = info.context, ids.thread_id(input.thread_id)
        message_id, reader = ids.message_id(input.from_, "from"), parse.owner(inputs.or_null(input.reader), "reader")
        await read_marks.mark_unread(ctx.store, ctx.who, thread_id, message_id, reader)
        return MarkReadPayload(thread_id=thread_id)

    @strawberry.mutation(
        description="Delete everything that is stored of an end user, permanently; for keys with the scope `erase`. "
        "Repeat it after an error: it continues.",
    )
    @names_arguments
    async def erase_user(
        self,
        info: Info,
        input: Annotated[inputs.EraseUserInput, inputs.ARGUMENT],
    ) -> EraseUserPayload:
        """Erase an end user."""
        erased = await erasing.erase(info.context.store, info.context.who, parse.end_user(input.owner))
        return EraseUserPayload(threads=erased.threads, messages=erased.messages)

    @strawberry.mutation(description="Create a short-lived token for one thread, for example for a browser.")
    @names_arguments
    async def create_thread_token(
        self,
        info: Info,
        input: Annotated[inputs.CreateThreadTokenInput, inputs.ARGUMENT],
    ) -> CreateThreadTokenPayload:
        """Sign a token for a thread that the caller can reach."""
        ctx = info.context
        if ctx.authenticator.tokens is None:
            message = "Thread tokens are disabled: the operator has to set GATEWAY_TOKEN_SECRET."
            raise Forbidden(message, code="thread_tokens_disabled")
        thread_id = ids.thread_id(input.thread_id)
        epoch = await thread_tokens.epoch_of(ctx.store, ctx.who, thread_id)
        scopes = _SCOPES[input.access]
        named = inputs.or_null(input.assistant_id)
        assistant_id = None if named is None else parse_run.assistant_id(named)
        token, ends = ctx.authenticator.tokens.make(
            ctx.who, thread_id, epoch, scopes, input.expires_in, assistant_id=assistant_id
        )
        return CreateThreadTokenPayload(token=token, expires_at=DateTime(ends))

    @strawberry.mutation(description="Revoke all existing tokens of a thread and close the connections that use them.")
    @names_arguments
    async def revoke_thread_tokens(
        self,
        info: Info,
        input: Annotated[inputs.RevokeThreadTokensInput, inputs.ARGUMENT],
    ) -> RevokeThreadTokensPayload:
        """Revoke the tokens of createThreadToken."""
        ctx, thread_id = info.context, ids.thread_id(input.thread_id)
        await thread_tokens.revoke(ctx.store, ctx.who, thread_id)
        ctx.authenticator.invalidate_tokens(ctx.who.reach.project_id, thread_id)
        return RevokeThreadTokensPayload(thread_id=input.thread_id)

    @strawberry.mutation(description="Add a message at the end of a thread.")
    @names_arguments
    async def create_message(
        self,
        info: Info,
        input: Annotated[inputs.CreateMessageInput, inputs.ARGUMENT],
    ) -> CreateMessagePayload:
        """POST /threads/{thread_id}/messages."""
        raw = inputs.wire_message(input)
        new = parse.new_message(raw, from_worker=True)
        _count_parts(info.context, "content", (raw,))
        thread_id = ids.thread_id(input.thread_id)
        ctx, attempt = info.context, inputs.attempt_of(input.idempotency_key)
        created = await messages.create(ctx.store, ctx.who, thread_id, new, attempt)
        info.context.note_replay(info, attempt)
        return CreateMessagePayload(message=created)

    @strawberry.mutation(description="Update the metadata of a message; its content cannot be changed.")
    @names_arguments
    async def update_message(
        self,
        info: Info,
        input: Annotated[inputs.UpdateMessageInput, inputs.ARGUMENT],
    ) -> UpdateMessagePayload:
        """POST /threads/{thread_id}/messages/{message_id}."""
        patch = parse.message_patch({"metadata": inputs.or_null(input.metadata)})
        ctx, message_id = info.context, ids.message_id(input.id)
        changed = await messages.update(ctx.store, ctx.who, None, message_id, patch)
        return UpdateMessagePayload(message=changed)

    @strawberry.mutation(description="Append text to a message in progress. Subscribers receive it immediately.")
    @names_arguments
    async def append_message_text(
        self,
        info: Info,
        input: Annotated[inputs.AppendMessageTextInput, inputs.ARGUMENT],
    ) -> UpdateMessagePayload:
        """Append text to a streamed message."""
        text, offset = parse.appended_text(input.text), parse.offset(inputs.or_null(input.offset))
        message_id = ids.message_id(input.message_id)
        ctx = info.context
        grown = await streaming.append_text(
            ctx.store, ctx.who, message_id, text, offset=offset, is_read=ctx.reads_changed
        )
        return UpdateMessagePayload(message=grown)

    @strawberry.mutation(
        description="Set the final status of a message in progress. To set the same one again changes nothing."
    )
    @names_arguments
    async def finish_message(
        self,
        info: Info,
        input: Annotated[inputs.FinishMessageInput, inputs.ARGUMENT],
    ) -> UpdateMessagePayload:
        """Set the final status of a streamed message."""
        reason = inputs.or_null(input.incomplete_reason)
        ending = parse.ending(Status(input.status.value), None if reason is None else reason.value)
        message_id = ids.message_id(input.message_id)
        finished = await streaming.finish(info.context.store, info.context.who, message_id, ending)
        return UpdateMessagePayload(message=finished)

    @strawberry.mutation(description="Delete a message permanently.")
    @names_arguments
    async def delete_message(
        self,
        info: Info,
        input: Annotated[inputs.DeleteMessageInput, inputs.ARGUMENT],
    ) -> DeleteMessagePayload:
        """DELETE /threads/{thread_id}/messages/{message_id}."""
        ctx, message_id = info.context, ids.message_id(input.id)
        thread_id = await messages.delete(ctx.store, ctx.who, None, message_id)
        return DeleteMessagePayload(deleted_message_id=input.id, thread_id=thread_id)


def _count_parts(context: Context, path: str, messages: Iterable[object]) -> None:
    """Count content parts over all fields of an operation, which may all use the same variable.

    Errors: InvalidRequest.
    """
    context.parts += sum(map(parse.count_parts, messages))
    validate.total(context.parts, path, bounds.REQUEST_PARTS)
