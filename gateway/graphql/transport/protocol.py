"""The rules of graphql-transport-ws as a table: what a connection does in each state with each input.

Source: graphql-ws PROTOCOL.md, "Communication" (one section per message type); RFC 6455, section 7.4 (close codes).
Must not be here: sockets, tasks, clocks, how an operation runs (`websocket`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto
from typing import TYPE_CHECKING, Any, Final, cast

from gateway.domain import bounds
from gateway.domain.read_json import NOT_JSON, read_json
from gateway.errors import InvalidRequest
from gateway.graphql.refusal import Refused, Stage, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

SUBPROTOCOL: Final = "graphql-transport-ws"
_REASON_BYTES: Final = 123  # RFC 6455, section 5.5: a control frame holds 125 bytes, of which the code takes two
_ELLIPSIS: Final = " ..."
_SHOWN_ID: Final = 30  # characters of an operation's id in a reason, of which tools show about 60
# What surrounds the payload in a message: members that are strings, such as its id and its type.
_MEMBER: Final = r'"[^"\\]*"\s*:\s*"(?:[^"\\]|\\.)*"'
_BEFORE_PAYLOAD: Final = re.compile(rf'\s*\{{\s*(?:{_MEMBER}\s*,\s*)*"payload"\s*:\s*(?=\{{)')
_AFTER_PAYLOAD: Final = re.compile(rf"(?<=\}})\s*(?:,\s*{_MEMBER}\s*)*\}}\s*\Z")
_SURROUNDING: Final = 4_096  # characters of it on either side, of which an escaped id takes up to 2,400


class CloseCode(IntEnum):
    """Close codes of RFC 6455 and of graphql-transport-ws; a message above the size limit closes with 1009 before."""

    GOING_AWAY = 1001
    TRY_AGAIN_LATER = 1013
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INIT_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY_INITS = 4429
    CLIENT_TOO_SLOW = 4499  # not in the protocol: the client resumes from its last cursor


class State(Enum):
    """The state of a connection."""

    CONNECTED = auto()  # the WebSocket is open, `connection_init` has not arrived
    AUTHENTICATING = auto()  # `connection_init` has arrived and is being checked
    ACKNOWLEDGED = auto()  # `connection_ack` was sent
    CLOSED = auto()


class Kind(Enum):
    """What can happen to a connection: a message of the client, or an event on the server."""

    CONNECTION_INIT = auto()
    PING = auto()
    PONG = auto()
    SUBSCRIBE = auto()
    COMPLETE = auto()
    INVALID_MESSAGE = auto()
    AUTHENTICATED = auto()
    UNAUTHENTICATED = auto()
    TOO_MANY_FAILURES = auto()
    INIT_TIMEOUT = auto()
    NO_SUBPROTOCOL = auto()
    CROSS_ORIGIN = auto()
    REVOKED = auto()
    CLIENT_TOO_SLOW = auto()
    DATABASE_UNAVAILABLE = auto()
    SHUTDOWN = auto()


# The other types ("connection_ack", "next", "error") are the server's; a client that sends one breaks the protocol.
CLIENT_MESSAGES: Final[Mapping[str, Kind]] = {
    "connection_init": Kind.CONNECTION_INIT,
    "ping": Kind.PING,
    "pong": Kind.PONG,
    "subscribe": Kind.SUBSCRIBE,
    "complete": Kind.COMPLETE,
}


@dataclass(frozen=True, slots=True)
class Input:
    """One thing that happened; `message` is the client's, `reason` the detail of an event that closes.

    `refused` says why an operation is not started, of a message that follows the protocol otherwise.
    """

    kind: Kind
    message: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    refused: Refused | None = None


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Check the credential in the payload of `connection_init`, then report AUTHENTICATED or another event."""

    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Send `connection_ack`."""


@dataclass(frozen=True, slots=True)
class SendPong:
    """Send `pong`, with the payload unless that is None."""

    payload: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Start:
    """Start an operation."""

    operation_id: str
    payload: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Refuse:
    """Send an error in place of starting an operation."""

    operation_id: str
    refused: Refused


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop an operation without an answer; do nothing if no operation has this id."""

    operation_id: str


Action = Authenticate | Acknowledge | SendPong | Start | Refuse | Cancel


@dataclass(frozen=True, slots=True)
class Transition:
    """The next state, and what to do."""

    state: State
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection; the next state is CLOSED."""

    code: CloseCode
    reason: str


Outcome = Transition | Close
Rule = Callable[[Input, Container[str]], Outcome]


def close(code: CloseCode, reason: str) -> Close:
    """Make a close whose reason fits into a close frame, cut between two words where it is longer."""
    if len(reason.encode()) <= _REASON_BYTES:
        return Close(code, reason)
    cut = reason.encode()[: _REASON_BYTES - len(_ELLIPSIS)].decode(errors="ignore")
    return Close(code, (cut.rpartition(" ")[0] or cut) + _ELLIPSIS)


def invalid_message(expected: str) -> Input:
    """Make the input for a message that breaks the protocol."""
    return Input(Kind.INVALID_MESSAGE, reason=f"Invalid message: {expected}")


NOT_TEXT: Final = invalid_message("expected JSON text")


def decode(text: str) -> Input:
    """Read a text frame; what breaks the protocol is INVALID_MESSAGE."""
    try:
        message = read_json(text, "message")
    except InvalidRequest as error:
        if error.code == NOT_JSON:
            return NOT_TEXT
        if (message := _without_payload(text)) and message.get("type") == "subscribe":
            refused = refusal(Stage.FORM, str(error.code), error.message)
            return Input(Kind.SUBSCRIBE, message, refused=refused)
        return Input(Kind.INVALID_MESSAGE, reason=error.message)
    if not isinstance(message, dict):
        return invalid_message("expected a JSON object")
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in CLIENT_MESSAGES:
        return invalid_message("'type' names no message of the protocol")
    return Input(CLIENT_MESSAGES[kind], message)


def _without_payload(text: str) -> dict[str, Any] | None:
    """Read a message with an empty payload, since reading its own is refused; None if the fault is elsewhere."""
    before = _BEFORE_PAYLOAD.match(text, 0, _SURROUNDING)
    after = _AFTER_PAYLOAD.search(text, max(0, len(text) - _SURROUNDING))
    if before is None or after is None:
        return None
    with suppress(InvalidRequest):
        return cast("dict[str, Any]", read_json(f"{before[0]}{{}}{after[0]}"))
    return None


def step(state: State, given: Input, active: Container[str]) -> Outcome:
    """Apply the rule of a state to an input; `active` holds the ids of the operations that run for the client."""
    return TRANSITIONS[state, given.kind](given, active)


def _stay(state: State) -> Rule:
    return lambda _given, _active: Transition(state)


def _always(closing: Close) -> Rule:
    return lambda _given, _active: closing


def _with_reason(code: CloseCode) -> Rule:
    return lambda given, _active: close(code, given.reason)


def _payload_in(given: Input) -> Mapping[str, Any] | Close | None:
    payload = given.message.get("payload")
    return payload if isinstance(payload, dict | None) else _BAD_PAYLOAD


def _connection_init(given: Input, _active: Container[str]) -> Outcome:
    payload = _payload_in(given)
    if isinstance(payload, Close):
        return payload
    return Transition(State.AUTHENTICATING, (Authenticate(payload or {}),))


def _acknowledge(_given: Input, _active: Container[str]) -> Outcome:
    return Transition(State.ACKNOWLEDGED, (Acknowledge(),))


def _ping(state: State) -> Rule:
    """Answer at once; nothing that an unauthenticated client sent is repeated to it."""

    def rule(given: Input, _active: Container[str]) -> Outcome:
        payload = _payload_in(given)
        if isinstance(payload, Close):
            return payload
        return Transition(state, (SendPong(payload if state is State.ACKNOWLEDGED else None),))

    return rule


def _pong(state: State) -> Rule:
    def rule(given: Input, _active: Container[str]) -> Outcome:
        payload = _payload_in(given)
        return payload if isinstance(payload, Close) else Transition(state)

    return rule


def _complete(state: State) -> Rule:
    def rule(given: Input, _active: Container[str]) -> Outcome:
        operation_id = given.message.get("id")
        if not isinstance(operation_id, str) or not operation_id:
            return _BAD_COMPLETE
        return Transition(state, (Cancel(operation_id),))

    return rule


def _subscribe(given: Input, active: Container[str]) -> Outcome:
    operation_id, payload = given.message.get("id"), given.message.get("payload")
    if not isinstance(operation_id, str) or not operation_id or not isinstance(payload, dict):
        return _BAD_SUBSCRIBE
    if len(operation_id) > bounds.OPERATION_ID.number:
        return _LONG_ID
    if operation_id in active:
        return close(CloseCode.SUBSCRIBER_EXISTS, f"Subscriber for {operation_id[:_SHOWN_ID]} already exists")
    action = Start(operation_id, payload) if given.refused is None else Refuse(operation_id, given.refused)
    return Transition(State.ACKNOWLEDGED, (action,))


def _invalid(expected: str) -> Close:
    return close(CloseCode.BAD_REQUEST, invalid_message(expected).reason)


_BAD_PAYLOAD: Final = _invalid("'payload' must be an object")
_BAD_COMPLETE: Final = _invalid("'complete' needs an 'id'")
_BAD_SUBSCRIBE: Final = _invalid("'subscribe' needs an 'id' and a 'payload'")
_LONG_ID: Final = _invalid(f"expected an 'id' of at most {bounds.OPERATION_ID.number} characters")
# Tools show about 60 characters of a reason, so each of these says in as many what is wrong.
_TOO_MANY_INITS: Final = close(CloseCode.TOO_MANY_INITS, "Too many initialisation requests")
_UNAUTHORIZED: Final = close(CloseCode.UNAUTHORIZED, "Unauthorized")
_INIT_TIMEOUT: Final = close(CloseCode.INIT_TIMEOUT, "Connection initialisation timeout")
CLOSED_BY_SERVER: Final[Mapping[Kind, Close]] = {
    # "4406: Subprotocol not acceptable" is the graphql-ws library's own code; PROTOCOL.md names the subprotocol alone.
    Kind.NO_SUBPROTOCOL: close(CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable"),
    # "The server can close the socket (kick the client off) at any time." 4403 is the code of graphql-ws for it.
    Kind.CROSS_ORIGIN: close(CloseCode.FORBIDDEN, "Forbidden: cross-origin request blocked"),
    Kind.REVOKED: close(CloseCode.FORBIDDEN, "Forbidden: the credential is no longer valid"),
    # Ours, RFC 6455, section 7.4.1: 1001 and 1013 are temporary, so that clients reconnect.
    Kind.CLIENT_TOO_SLOW: close(CloseCode.CLIENT_TOO_SLOW, "Client too slow: resume from the last cursor"),
    Kind.DATABASE_UNAVAILABLE: close(CloseCode.TRY_AGAIN_LATER, "Database unavailable: resume from the last cursor"),
    Kind.SHUTDOWN: close(CloseCode.GOING_AWAY, "Server shutting down: resume from the last cursor"),
}
_OPEN: Final = (State.CONNECTED, State.AUTHENTICATING, State.ACKNOWLEDGED)

TRANSITIONS: Final[Mapping[tuple[State, Kind], Rule]] = {
    # "ConnectionInit": "If the server receives more than one ConnectionInit message at any given time, the server will
    # close the socket with the event 4429: Too many initialisation requests."
    (State.CONNECTED, Kind.CONNECTION_INIT): _connection_init,
    (State.AUTHENTICATING, Kind.CONNECTION_INIT): _always(_TOO_MANY_INITS),
    (State.ACKNOWLEDGED, Kind.CONNECTION_INIT): _always(_TOO_MANY_INITS),
    # "ConnectionAck": the server's answer to a successful "ConnectionInit", sent once.
    (State.CONNECTED, Kind.AUTHENTICATED): _stay(State.CONNECTED),
    (State.AUTHENTICATING, Kind.AUTHENTICATED): _acknowledge,
    (State.ACKNOWLEDGED, Kind.AUTHENTICATED): _stay(State.ACKNOWLEDGED),
    # "ConnectionInit": without one within the server's wait time, "4408: Connection initialisation timeout".
    (State.CONNECTED, Kind.INIT_TIMEOUT): _always(_INIT_TIMEOUT),
    (State.AUTHENTICATING, Kind.INIT_TIMEOUT): _always(_INIT_TIMEOUT),
    (State.ACKNOWLEDGED, Kind.INIT_TIMEOUT): _stay(State.ACKNOWLEDGED),
    # "Subscribe": "Executing operations is allowed only after the server has acknowledged the connection through the
    # ConnectionAck message", else 4401. The id of an operation that is still active closes with 4409.
    (State.CONNECTED, Kind.SUBSCRIBE): _always(_UNAUTHORIZED),
    (State.AUTHENTICATING, Kind.SUBSCRIBE): _always(_UNAUTHORIZED),
    (State.ACKNOWLEDGED, Kind.SUBSCRIBE): _subscribe,
    # "Ping" and "Pong": either side may send them at any time, and a ping is answered with a pong.
    **{(state, Kind.PING): _ping(state) for state in _OPEN},
    **{(state, Kind.PONG): _pong(state) for state in _OPEN},
    # "Complete": "the client has stopped listening"; the server's own may cross it, so an inactive id is fine.
    **{(state, Kind.COMPLETE): _complete(state) for state in _OPEN},
    # "Invalid message": "Receiving a message of a type or format which is not specified in this document will result
    # in an immediate socket closure with the event 4400: <error-message>."
    **{(state, Kind.INVALID_MESSAGE): _with_reason(CloseCode.BAD_REQUEST) for state in _OPEN},
    **{(state, Kind.UNAUTHENTICATED): _with_reason(CloseCode.FORBIDDEN) for state in _OPEN},
    **{(state, Kind.TOO_MANY_FAILURES): _with_reason(CloseCode.TOO_MANY_INITS) for state in _OPEN},
    **{(state, kind): _always(closing) for state in _OPEN for kind, closing in CLOSED_BY_SERVER.items()},
    # A close is final, and the first one counts.
    **{(State.CLOSED, kind): _stay(State.CLOSED) for kind in Kind},
}
