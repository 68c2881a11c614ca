"""GraphQL over WebSocket, by graphql-transport-ws and no other protocol.

Source: graphql-ws PROTOCOL.md (messages, close codes).
Must not be here: how an operation runs (`operations`).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, contextmanager, nullcontext, suppress
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, cast

import orjson
from graphql import ExecutionResult, GraphQLError, OperationType
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from gateway.auth.authenticator import ANONYMOUS, bearer_of, credential_of
from gateway.domain import bounds
from gateway.domain.read_json import NOT_JSON, read_json
from gateway.errors import InvalidRequest, TooManyRequests, Unauthorized, Unavailable
from gateway.graphql.errors import INTERNAL, format_errors, to_response
from gateway.graphql.parameters import take_parameters
from gateway.graphql.refusal import GRAPHQL_RESPONSE, Refused, status_of
from gateway.graphql.transport.sse import just
from gateway.observability.record import PARENT, SCOPE, RequestRecord, current, no_tracer
from gateway.web.request import Headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from starlette.types import Receive, Scope, Send

    from gateway.graphql.execution.operations import Operations
    from gateway.graphql.execution.runner import Results
    from gateway.graphql.parameters import Parameters
    from gateway.observability.record import Observer, Tracer
    from gateway.web.origins import OriginPolicy

    Acknowledged = Callable[[Scope], None]  # hears of a connection whose hello was good

log: Final = logging.getLogger(__name__)

PROTOCOL: Final = "graphql-transport-ws"
INIT_S: Final = 10.0  # how long a client may take to say hello
SEND_S: Final = 30.0  # how long a client may take to read one message; then it is cut off and resumes by cursor
CLOSE_S: Final = 1.0  # how long a client may take to read why it is cut off
MAX_OPERATIONS: Final = bounds.OPERATIONS.number
_CREDENTIALS: Final = ("api-key", "apikey", "token")  # beside `authorization`, in letters of any size
# Of a reason, which tools show cut, the first 60 characters say what is wrong.
_NO_KEY: Final = "Forbidden: an API key is needed: give Authorization: Bearer ... in the payload of connection_init"
_SHOWN: Final = 30  # characters of an operation's id
_NOT_TEXT: Final = "Invalid message: expected JSON text"
_MORE: Final = " ..."
_REASON_BYTES: Final = 123  # RFC 6455, 5.5: a control frame holds 125 bytes, and the code takes two


class CloseCode(IntEnum):
    """Why a connection is closed, in RFC 6455's numbers and the protocol's."""

    GOING_AWAY = 1001
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY_INITS = 4429
    TOO_SLOW = 4499  # ours: go on from the last cursor


class Closing(Exception):
    """The connection is to be closed, with a code and a reason."""

    def __init__(self, code: CloseCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = _fitting(reason)


class GraphQLOverWebSocket:
    """The endpoint `/graphql` for WebSockets, as an ASGI app."""

    def __init__(
        self,
        operations: Operations,
        origin_policy: OriginPolicy,
        observer: Observer,
        tracer: Tracer = no_tracer,
        acknowledged: Acknowledged = lambda _scope: None,
    ) -> None:
        self._operations = operations
        self._acknowledged = acknowledged
        self._origin_policy = origin_policy
        self._observer = observer
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until either side ends it."""
        socket, headers = WebSocket(scope, receive, send), Headers(scope["headers"])
        if PROTOCOL not in scope.get("subprotocols", ()):
            await socket.accept()
            await socket.close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
            return
        await socket.accept(subprotocol=PROTOCOL)
        if self._origin_policy.is_cross_origin(headers):
            await socket.close(CloseCode.FORBIDDEN, "Forbidden: the page that asks is of another origin")
            return
        connection = Connection(
            socket, headers, self._operations, self._observer, self._tracer, acknowledged=self._acknowledged
        )
        with self._operations.hub.on_shutdown(connection.go_away):
            try:
                await connection.serve()
            except Closing as closing:
                if closing.code is CloseCode.GOING_AWAY:
                    await connection.finish()
                await connection.stop()
                with suppress(TimeoutError, WebSocketDisconnect):
                    async with asyncio.timeout(CLOSE_S):
                        await socket.close(closing.code, closing.reason)
            except WebSocketDisconnect:
                pass
            finally:
                await connection.stop()
                await connection.finish()
                connection.leave()


class Connection:
    """One client: whether it has said hello, and the operations that run for it."""

    def __init__(
        self,
        socket: WebSocket,
        headers: Headers,
        operations: Operations,
        observer: Observer,
        tracer: Tracer,
        *,
        acknowledged: Acknowledged,
    ) -> None:
        self._socket = socket
        self._acknowledged = acknowledged
        self._headers = headers
        self._operations = operations
        self._observer = observer
        self._tracer = tracer
        self._record: RequestRecord = socket.scope[SCOPE]
        self._who = ANONYMOUS  # until it has said hello, nothing is done for it
        self._stay: AbstractContextManager[None] = nullcontext()
        self._running: dict[str, asyncio.Task[None]] = {}  # operations whose client waits
        self._mutating: frozenset[asyncio.Task[None]] = frozenset()  # those that are finished even if it does not
        self._is_acknowledged = False
        self._id = self._record.request_id
        self._closing: Closing | None = None
        self._listening: asyncio.Timeout | None = None
        self._init_by = asyncio.get_running_loop().time() + INIT_S

    async def serve(self) -> None:
        """Take messages until the client goes, or a reason to close comes up."""
        while True:
            await self._take(await self._receive())  # none is held while the next is waited for

    async def _take(self, message: dict[str, Any]) -> None:
        handlers = {
            "connection_init": self._init,
            "ping": self._ping,
            "pong": self._pong,
            "subscribe": self._subscribe,
            "complete": self._complete,
        }
        handler = handlers.get(str(message.get("type")))
        if handler is None:
            raise Closing(CloseCode.BAD_REQUEST, "Invalid message: 'type' names no message of the protocol")
        await handler(message)

    async def stop(self) -> None:
        """Stop all operations but mutations, and answer none any more."""
        stopped = [task for task in self._running.values() if task not in self._mutating]
        self._running.clear()
        for task in stopped:
            task.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)

    async def finish(self) -> None:
        """Wait for the mutations that have begun, which are answered unless they were stopped being answered."""
        await asyncio.gather(*self._mutating, return_exceptions=True)

    def leave(self) -> None:
        """Be looked at no more."""
        self._stay.__exit__(None, None, None)

    def go_away(self) -> None:
        """Send the client away, since the server stops."""
        self._close(CloseCode.GOING_AWAY, "The server stops: go on from the last cursor")

    def _be_gone(self) -> None:
        self._close(CloseCode.FORBIDDEN, "Forbidden: what you came with is no longer good")

    async def _receive(self) -> dict[str, Any]:
        if self._closing:
            raise self._closing
        try:
            async with asyncio.timeout_at(None if self._is_acknowledged else self._init_by) as self._listening:
                text = await self._socket.receive_text()
            message = read_json(text, "message")
        except TimeoutError:  # of the hello, or at once by `_close`
            raise self._closing or Closing(CloseCode.INIT_TIMEOUT, "Connection initialisation timeout") from None
        except KeyError:
            raise Closing(CloseCode.BAD_REQUEST, _NOT_TEXT) from None
        except InvalidRequest as error:
            reason = _NOT_TEXT if error.code == NOT_JSON else error.message
            raise Closing(CloseCode.BAD_REQUEST, reason) from None
        finally:
            self._listening = None
        if not isinstance(message, dict):
            raise Closing(CloseCode.BAD_REQUEST, "Invalid message: expected a JSON object")
        return message

    async def _send(self, message: dict[str, Any]) -> None:
        """Send a message; a client that does not read for long is cut off, so that nothing piles up for it."""
        if self._socket.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect  # another operation has found out before
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send_text(orjson.dumps(message).decode())
        except TimeoutError:
            raise self._close(CloseCode.TOO_SLOW, "Too slow: go on from the last cursor") from None

    def _close(self, code: CloseCode, reason: str) -> Closing:
        closing = Closing(code, reason)
        if self._closing is None:
            self._closing = closing
            if self._listening is not None and not self._listening.expired():
                self._listening.reschedule(asyncio.get_running_loop().time())
        return closing

    async def _init(self, message: dict[str, Any]) -> None:
        if self._is_acknowledged:
            raise Closing(CloseCode.TOO_MANY_INITS, "Too many initialisation requests")
        payload = message.get("payload")
        if not isinstance(payload, dict | None):
            raise Closing(CloseCode.BAD_REQUEST, "Invalid message: 'payload' must be an object")
        credential = _credential_in(payload or {}) or credential_of(self._headers)
        try:
            self._who = await self._operations.authenticator.authenticate(credential)
        except Unauthorized as error:
            reason = f"Forbidden: {error.message}" if credential else _NO_KEY
            raise Closing(CloseCode.FORBIDDEN, reason) from None
        except TooManyRequests as error:
            reason = f"Too many requests: none of your credentials was valid; retry after {error.retry_after_s} s"
            raise Closing(CloseCode.TOO_MANY_INITS, reason) from None
        except Unavailable:
            raise self._lost() from None
        self._stay = self._operations.authenticator.on_revocation(self._who, self._be_gone)
        self._stay.__enter__()
        self._headers.forget(but=PARENT)  # the hello was the last to need the others
        self._is_acknowledged = True
        self._acknowledged(self._socket.scope)
        await self._send({"type": "connection_ack"})

    async def _ping(self, message: dict[str, Any]) -> None:
        # Given back only as the object that the protocol allows, and nothing to who has not said hello.
        payload = message.get("payload")
        if not isinstance(payload, dict | None):
            raise Closing(CloseCode.BAD_REQUEST, "Invalid message: 'payload' must be an object")
        is_given_back = self._is_acknowledged and payload is not None
        await self._send({"type": "pong", **({"payload": payload} if is_given_back else {})})

    async def _pong(self, message: dict[str, Any]) -> None:
        """Take note that the client is there, which arriving has done."""
        if not isinstance(message.get("payload"), dict | None):
            raise Closing(CloseCode.BAD_REQUEST, "Invalid message: 'payload' must be an object")

    async def _complete(self, message: dict[str, Any]) -> None:
        operation_id = message.get("id")
        if not isinstance(operation_id, str) or not operation_id:
            raise Closing(CloseCode.BAD_REQUEST, "Invalid message: 'complete' needs an 'id'")
        task = self._running.pop(operation_id, None)
        if task is not None and task not in self._mutating:
            task.cancel()

    async def _subscribe(self, message: dict[str, Any]) -> None:
        if not self._is_acknowledged:
            raise Closing(CloseCode.UNAUTHORIZED, "Unauthorized")
        operation_id, payload = message.get("id"), message.get("payload")
        if not isinstance(operation_id, str) or not operation_id or not isinstance(payload, dict):
            raise Closing(CloseCode.BAD_REQUEST, "Invalid message: 'subscribe' needs an 'id' and a 'payload'")
        if len(operation_id) > bounds.OPERATION_ID.number:
            most = bounds.OPERATION_ID.number
            raise Closing(CloseCode.BAD_REQUEST, f"Invalid message: expected an 'id' of at most {most} characters")
        if operation_id in self._running:
            raise Closing(CloseCode.SUBSCRIBER_EXISTS, f"Subscriber for {operation_id[:_SHOWN]} already exists")
        try:
            parameters = take_parameters(payload)
        except Refused as refused:  # a fault of this operation; the message itself is as the protocol has it
            await self._send_errors(operation_id, await self._charged(refused))
            return
        if len(self._mutating.union(self._running.values())) >= MAX_OPERATIONS:
            told = f"Expected at most {MAX_OPERATIONS} operations at once on one connection."
            full = GraphQLError(told, extensions={"code": "too_many_operations"})
            await self._send_errors(operation_id, [full])
            return
        task = asyncio.create_task(self._run(operation_id, parameters))
        self._running[operation_id] = task

    async def _charged(self, refused: Refused) -> Sequence[GraphQLError]:
        """Count an operation that is refused before it is looked at as any other, and say why it is refused."""
        try:
            await self._operations.charge(self._who)
        except Refused as too_many:
            return too_many.errors
        return refused.errors

    async def _run(self, operation_id: str, parameters: Parameters) -> None:
        record = RequestRecord("operation", self._id, self._record.method, self._record.route, status=200)
        current.set(record)
        with self._tracer(record, self._socket.scope):
            try:
                results = await self._begun(operation_id, parameters, record)
                del parameters  # what is followed may be so for days, and needs its document no more
                if results is not None:
                    await self._follow(operation_id, results)
            except (Closing, WebSocketDisconnect) as ended:  # `serve` hears of it too
                if isinstance(ended, Closing) and ended.code is CloseCode.TRY_AGAIN_LATER:
                    record.status = 503
            except Exception:
                record.status = 500
                log.exception("%s: an operation failed", self._id)
                with suppress(Closing, WebSocketDisconnect):
                    await self._refuse(operation_id, [_fault(self._id)])
            finally:
                if self._running.get(operation_id) is asyncio.current_task():
                    del self._running[operation_id]
                record.principal = self._record.principal
                record.end()
                self._observer(record)

    async def _begun(self, operation_id: str, parameters: Parameters, record: RequestRecord) -> Results | None:
        """Begin an operation: its results as they come, or nothing once it was refused."""
        context = self._operations.context(self._who)
        try:
            operation = await self._operations.find(parameters, self._who)
            if operation.kind is OperationType.SUBSCRIPTION:
                results = await self._operations.subscribe(operation, parameters, context)
            else:
                with self._unbroken() if operation.kind is OperationType.MUTATION else nullcontext():
                    results = just((await self._operations.run(operation, parameters, context)).result)
        except Unavailable:
            raise self._lost() from None
        except Refused as refused:
            record.status = status_of(refused.stage, GRAPHQL_RESPONSE, by_draft=self._operations.options.by_draft)
            await self._refuse(operation_id, refused.errors)
            return None
        if isinstance(results, ExecutionResult):
            await self._refuse(operation_id, results.errors or ())
            return None
        return results

    async def _follow(self, operation_id: str, results: Results) -> None:
        try:
            async with aclosing(results):
                async for result in results:
                    await self._tell(operation_id, "next", payload=to_response(result, self._id))
                    del result  # nothing that was told is held while the next is waited for
        except Unavailable:
            raise self._lost() from None
        await self._tell(operation_id, "complete")

    def _lost(self) -> Closing:
        """Close since the database is away: an error would end the operation for good, but a client comes back."""
        log.warning("%s: the database is away from a follower", self._id)
        return self._close(CloseCode.TRY_AGAIN_LATER, "The database is away: go on from the last cursor")

    async def _send_errors(self, operation_id: str, errors: Sequence[GraphQLError]) -> None:
        await self._send({"id": operation_id, "type": "error", "payload": format_errors(errors, self._id)})

    async def _refuse(self, operation_id: str, errors: Sequence[GraphQLError]) -> None:
        await self._tell(operation_id, "error", payload=format_errors(errors, self._id))

    async def _tell(self, operation_id: str, kind: str, **payload: Any) -> None:
        """Send a message of the operation that runs here, unless nobody waits for it, or for another by its id."""
        if self._running.get(operation_id) is asyncio.current_task():
            await self._send({"id": operation_id, "type": kind, **payload})

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        """Finish what runs in the block, as over HTTP, though its client leaves or wants no answer any more."""
        task = cast("asyncio.Task[None]", asyncio.current_task())
        self._mutating |= {task}
        try:
            yield
        finally:
            self._mutating -= {task}


def _fitting(reason: str) -> str:
    """Cut a reason between two words, where it is longer than a close frame holds."""
    if len(reason.encode()) <= _REASON_BYTES:
        return reason
    cut = reason.encode()[: _REASON_BYTES - len(_MORE)].decode(errors="ignore")
    return (cut.rpartition(" ")[0] or cut) + _MORE


def _credential_in(payload: dict[str, Any]) -> str | None:
    """Find what `connection_init` brings, since browsers can give a WebSocket no headers."""
    given = {name.lower(): value for name, value in payload.items() if isinstance(value, str)}
    named = (given.get(name, "").strip() for name in _CREDENTIALS)
    return bearer_of(given.get("authorization", "")) or next(filter(None, named), None)


def _fault(request_id: str) -> GraphQLError:
    message = f"The server had an error while processing your request ({request_id})."
    return GraphQLError(message, extensions=INTERNAL)
