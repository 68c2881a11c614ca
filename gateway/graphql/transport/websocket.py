"""GraphQL over WebSocket: the socket, tasks and deadlines of a connection that speaks graphql-transport-ws.

Must not be here: what a message means in which state (`protocol`), how an operation runs (`operations`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from graphql import ExecutionResult, GraphQLError
from starlette.websockets import WebSocketDisconnect

from gateway.auth.authenticator import ANONYMOUS, bearer_of, credential_of
from gateway.domain import bounds
from gateway.errors import TooManyRequests, Unauthorized, Unavailable
from gateway.graphql.errors import format_errors, internal_error, to_response
from gateway.graphql.execution.runner import single_result
from gateway.graphql.parameters import take_parameters
from gateway.graphql.refusal import GRAPHQL_RESPONSE, Refused, status_of
from gateway.graphql.transport.protocol import (
    NOT_TEXT,
    SUBPROTOCOL,
    Acknowledge,
    Authenticate,
    Cancel,
    Close,
    CloseCode,
    Input,
    Kind,
    Refuse,
    SendPong,
    Start,
    State,
    decode,
    step,
)
from gateway.observability.record import PARENT, SCOPE, RequestRecord, current
from gateway.web.deadline import Deadlines
from gateway.web.request import Headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from starlette.types import Message, Receive, Scope, Send

    from gateway.graphql.execution.operations import Operations
    from gateway.graphql.execution.runner import Results
    from gateway.graphql.parameters import Parameters
    from gateway.graphql.transport.protocol import Action
    from gateway.observability.record import Observer, Tracer
    from gateway.web.origins import OriginPolicy

    Acknowledged = Callable[[Scope], None]  # called with the scope of a connection once it is acknowledged

log: Final = logging.getLogger(__name__)

INIT_S: Final = 10.0  # time for a client to send `connection_init`
SEND_S: Final = 30.0  # time for a client to read one message
CLOSE_S: Final = 1.0  # time for a client to take the close frame
MAX_OPERATIONS: Final = bounds.OPERATIONS.number
_KEPT: Final = ("type", "scheme", "path", "headers", SCOPE)  # of the scope of a connection, once it is acknowledged
_CREDENTIALS: Final = ("api-key", "apikey", "token")  # names in the payload beside `authorization`, in any case
_NONE: Final = frozenset[asyncio.Task[None]]()  # one for all connections, each of which would take 0.2 KB
_NO_KEY: Final = "Forbidden: API key required: send Authorization: Bearer ... in the payload of connection_init"


class Closing(Exception):
    """Ends the loop that serves a connection, with the close to send."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.reason)
        self.close = close


class GraphQLOverWebSocket:
    """The endpoint `/graphql` for WebSockets, as an ASGI app."""

    def __init__(
        self,
        operations: Operations,
        origin_policy: OriginPolicy,
        observer: Observer,
        tracer: Tracer,
        acknowledged: Acknowledged,
    ) -> None:
        self.operations = operations
        self.observer = observer
        self.tracer = tracer
        self.acknowledged = acknowledged
        self.sends = Deadlines()
        self._origin_policy = origin_policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until either side ends it."""
        socket, headers = Socket(scope, receive, send), Headers(scope["headers"])
        refused = Kind.CROSS_ORIGIN if self._origin_policy.is_cross_origin(headers) else None
        if SUBPROTOCOL not in scope.get("subprotocols", ()):
            await socket.accept()
            refused = Kind.NO_SUBPROTOCOL
        else:
            await socket.accept(subprotocol=SUBPROTOCOL)
        if refused is not None:
            await socket.close(cast("Close", step(State.CONNECTED, Input(refused), ())))
            return
        connection = Connection(self, socket, headers)
        with self.operations.hub.on_shutdown(connection.shut_down):
            try:
                await connection.serve()
            except Closing as closing:
                if closing.close.code is CloseCode.GOING_AWAY:
                    await connection.finish()
                await connection.stop()
                with suppress(TimeoutError, WebSocketDisconnect):
                    async with asyncio.timeout(CLOSE_S):
                        await socket.close(closing.close)
            except WebSocketDisconnect:
                pass
            finally:
                await connection.stop()
                await connection.finish()
                connection.deregister()


class Socket:
    """The ASGI interface of a WebSocket; an object of Starlette's takes 1 KB more for as long as it is open."""

    __slots__ = ("_receive", "_send", "is_open", "scope")

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self.is_open = False

    async def accept(self, subprotocol: str | None = None) -> None:
        """Complete the handshake."""
        await self._receive()  # `websocket.connect`
        self.is_open = True
        await self.send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})

    def receive(self) -> Awaitable[Message]:
        """Return the next message of the client, or its disconnection."""
        return self._receive()

    async def send(self, message: Message) -> None:
        """Send a message of ASGI.

        Errors: WebSocketDisconnect if the client has left.
        """
        try:
            await self._send(message)
        except OSError:
            self.is_open = False
            raise WebSocketDisconnect from None

    async def close(self, close: Close) -> None:
        """Close the connection."""
        self.is_open = False
        await self.send({"type": "websocket.close", "code": close.code, "reason": close.reason})


class Connection:
    """One client: the state of its connection, and the operations that run for it."""

    def __init__(self, endpoint: GraphQLOverWebSocket, socket: Socket, headers: Headers) -> None:
        self._endpoint = endpoint
        self._operations = endpoint.operations
        self._socket = socket
        self._headers = headers
        self._record: RequestRecord = socket.scope[SCOPE]
        self._principal = ANONYMOUS  # no operation starts before the client is authenticated
        self._registration: AbstractContextManager[None] = nullcontext()
        self._running: dict[str, asyncio.Task[None]] = {}  # operations that the client waits for
        self._mutating = _NONE  # mutations, finished even if it does not wait
        self._state = State.CONNECTED
        self._id = self._record.request_id
        self._closing: Closing | None = None
        self._receiving: asyncio.Timeout | None = None
        self._init_by = asyncio.get_running_loop().time() + INIT_S

    async def serve(self) -> None:
        """Handle messages until the client disconnects.

        Errors: Closing when the server closes the connection; WebSocketDisconnect when the client does.
        """
        while True:
            await self._perform(self._step(await self._receive()))

    def _step(self, given: Input) -> tuple[Action, ...]:
        """Apply the protocol to an input; where it closes the connection, end the loop that serves it."""
        outcome = step(self._state, given, self._running)
        if isinstance(outcome, Close):
            self._state = State.CLOSED
            self._closing = Closing(outcome)
            if self._receiving is not None and not self._receiving.expired():
                self._receiving.reschedule(asyncio.get_running_loop().time())
            return ()
        self._state = outcome.state
        return outcome.actions

    async def _perform(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            match action:
                case Authenticate(payload):
                    await self._perform(self._step(await self._authenticate(payload)))
                case Acknowledge():
                    self._endpoint.acknowledged(self._socket.scope)
                    _release(self._socket.scope)
                    await self._send({"type": "connection_ack"})
                case SendPong(payload):
                    await self._send({"type": "pong"} if payload is None else {"type": "pong", "payload": payload})
                case Start(operation_id, payload):
                    await self._start(operation_id, payload)
                case Refuse(operation_id, refused):
                    await self._send_errors(operation_id, await self._charged(refused))
                case Cancel(operation_id):
                    self._cancel(operation_id)

    async def stop(self) -> None:
        """Cancel all operations except mutations, and send no more answers."""
        stopped = [task for task in self._running.values() if task not in self._mutating]
        self._running.clear()
        for task in stopped:
            task.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)

    async def finish(self) -> None:
        """Wait for the running mutations to finish."""
        await asyncio.gather(*self._mutating, return_exceptions=True)

    def deregister(self) -> None:
        """Deregister the connection."""
        self._registration.__exit__(None, None, None)

    def shut_down(self) -> None:
        """Close the connection, since the server shuts down."""
        self._step(Input(Kind.SHUTDOWN))

    def _revoke(self) -> None:
        self._step(Input(Kind.REVOKED))

    async def _receive(self) -> Input:
        if self._closing:
            raise self._closing
        try:
            is_initialised = self._state is State.ACKNOWLEDGED
            async with asyncio.timeout_at(None if is_initialised else self._init_by) as self._receiving:
                message = await self._socket.receive()
        except TimeoutError:  # of `connection_init`, or at once by `_step`
            self._receiving = None
            self._step(Input(Kind.INIT_TIMEOUT))
            raise cast("Closing", self._closing) from None
        finally:
            self._receiving = None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        text = message.get("text")
        return NOT_TEXT if text is None else decode(text)

    async def _send(self, message: dict[str, Any]) -> None:
        """Send a message; close the connection of a client that does not read it in time."""
        if not self._socket.is_open:
            raise WebSocketDisconnect  # another operation has noticed before
        try:
            with self._endpoint.sends.begin(asyncio.get_running_loop().time() + SEND_S):
                await self._socket.send({"type": "websocket.send", "text": orjson.dumps(message).decode()})
        except TimeoutError:
            self._step(Input(Kind.CLIENT_TOO_SLOW))
            raise cast("Closing", self._closing) from None

    async def _authenticate(self, payload: Mapping[str, Any]) -> Input:
        credential = _credential_in(payload) or credential_of(self._headers)
        try:
            self._principal = await self._operations.authenticator.authenticate(credential)
        except Unauthorized as error:
            return Input(Kind.UNAUTHENTICATED, reason=f"Forbidden: {error.message}" if credential else _NO_KEY)
        except TooManyRequests as error:
            reason = f"Too many requests: none of your credentials was valid; retry after {error.retry_after_s} s"
            return Input(Kind.TOO_MANY_FAILURES, reason=reason)
        except Unavailable:
            return self._database_unavailable()
        self._registration = self._operations.authenticator.on_revocation(self._principal, self._revoke)
        self._registration.__enter__()
        self._headers.forget(but=PARENT)  # no later step reads the others
        return Input(Kind.AUTHENTICATED)

    def _cancel(self, operation_id: str) -> None:
        task = self._running.pop(operation_id, None)
        if task is not None and task not in self._mutating:
            task.cancel()

    async def _start(self, operation_id: str, payload: Mapping[str, Any]) -> None:
        try:
            parameters = take_parameters(dict(payload))
        except Refused as refused:  # an error of this operation; the message itself follows the protocol
            await self._send_errors(operation_id, await self._charged(refused))
            return
        if len(self._mutating.union(self._running.values())) >= MAX_OPERATIONS:
            message = f"Expected at most {MAX_OPERATIONS} operations at once on one connection."
            too_many = GraphQLError(message, extensions={"code": "too_many_operations"})
            await self._send_errors(operation_id, [too_many])
            return
        self._running[operation_id] = asyncio.create_task(self._run(operation_id, parameters))

    async def _charged(self, refused: Refused) -> Sequence[GraphQLError]:
        """Charge a refused operation against the rate limit, and return the errors to send."""
        try:
            await self._operations.charge(self._principal)
        except Refused as too_many:
            return too_many.errors
        return refused.errors

    async def _run(self, operation_id: str, parameters: Parameters) -> None:
        record = RequestRecord("operation", self._id, self._record.method, self._record.route, status=200)
        current.set(record)
        with self._endpoint.tracer(record, self._socket.scope):
            try:
                results = await self._begin(operation_id, parameters, record)
                del parameters  # a subscription may run for days, and no longer needs its document
                if results is not None:
                    try:
                        async for result in results:
                            await self._send_for(operation_id, "next", payload=to_response(result, self._id))
                            del result  # hold no sent result while waiting for the next
                    finally:  # `aclosing` would be one more object for each subscription
                        await results.aclose()
                    await self._send_for(operation_id, "complete")
            except (Closing, WebSocketDisconnect):
                pass  # `serve` gets the same
            except Unavailable:
                record.status = 503
                self._step(self._database_unavailable())
            except Exception:
                record.status = 500
                log.exception("%s: an operation failed", self._id)
                with suppress(Closing, WebSocketDisconnect):
                    await self._refuse(operation_id, [internal_error(self._id)])
            finally:
                if self._running.get(operation_id) is asyncio.current_task():
                    del self._running[operation_id]
                record.principal = self._record.principal
                record.end()
                self._endpoint.observer(record)

    async def _begin(self, operation_id: str, parameters: Parameters, record: RequestRecord) -> Results | None:
        """Start an operation: return its results, or None after sending an error."""
        context = self._operations.context(self._principal)
        try:
            operation = await self._operations.find(parameters, self._principal)
            if operation.is_subscription:
                results = await self._operations.runner.subscribe(operation, parameters, context)
            else:
                with self._uncancelled() if operation.is_mutation else nullcontext():
                    results = single_result((await self._operations.runner.run(operation, parameters, context)).result)
        except Refused as refused:
            record.status = status_of(refused.stage, GRAPHQL_RESPONSE, by_draft=self._operations.options.by_draft)
            await self._refuse(operation_id, refused.errors)
            return None
        if isinstance(results, ExecutionResult):
            await self._refuse(operation_id, results.errors or ())
            return None
        return results

    def _database_unavailable(self) -> Input:
        """Close the connection: an error would end the operation, but after a close clients reconnect."""
        log.warning("%s: database unavailable, subscription interrupted", self._id)
        return Input(Kind.DATABASE_UNAVAILABLE)

    async def _send_errors(self, operation_id: str, errors: Sequence[GraphQLError]) -> None:
        await self._send({"id": operation_id, "type": "error", "payload": format_errors(errors, self._id)})

    async def _refuse(self, operation_id: str, errors: Sequence[GraphQLError]) -> None:
        await self._send_for(operation_id, "error", payload=format_errors(errors, self._id))

    async def _send_for(self, operation_id: str, kind: str, **payload: Any) -> None:
        """Send a message of the current task's operation, unless it was completed or its id is used by another."""
        if self._running.get(operation_id) is asyncio.current_task():
            await self._send({"id": operation_id, "type": kind, **payload})

    @contextmanager
    def _uncancelled(self) -> Iterator[None]:
        """Finish the block even if the client disconnects or completes the operation, as over HTTP."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._mutating |= {task}
        try:
            yield
        finally:
            self._mutating -= {task}


def _release(scope: Scope) -> None:
    """Drop what is not used while a connection is open."""
    kept = {name: scope[name] for name in _KEPT if name in scope}
    scope.clear()
    scope.update(kept)


def _credential_in(payload: Mapping[str, Any]) -> str | None:
    """Find the credential in the payload of `connection_init`: browsers cannot set headers on a WebSocket."""
    given = {name.lower(): value for name, value in payload.items() if isinstance(value, str)}
    named = (given.get(name, "").strip() for name in _CREDENTIALS)
    return bearer_of(given.get("authorization", "")) or next(filter(None, named), None)
