"""graphql-transport-ws as a table: every state with every input, without a socket."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain import bounds
from gateway.graphql.transport.protocol import (
    CLIENT_MESSAGES,
    CLOSED_BY_SERVER,
    NOT_TEXT,
    TRANSITIONS,
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
    Transition,
    close,
    decode,
    step,
)
from tests.live.server import ROOT

if TYPE_CHECKING:
    from gateway.graphql.transport.protocol import Outcome

SHOWN: Final = 60  # characters of a reason that every tool shows
OPEN: Final = (State.CONNECTED, State.AUTHENTICATING, State.ACKNOWLEDGED)
PAIRS: Final = list(product(State, Kind))
# A well-formed input of each kind.
INPUTS: Final = {
    **{kind: Input(kind) for kind in Kind},
    Kind.SUBSCRIBE: Input(Kind.SUBSCRIBE, {"id": "1", "payload": {"query": "{ __typename }"}}),
    Kind.COMPLETE: Input(Kind.COMPLETE, {"id": "1"}),
}
# What a well-formed input does in each state: the code of a close, or the next state and its actions.
STAYS: Final = {state: Transition(state) for state in State}
PONGS: Final = {state: Transition(state, (SendPong(None),)) for state in OPEN}
CANCELS: Final = {state: Transition(state, (Cancel("1"),)) for state in OPEN}
EXPECTED: Final[dict[Kind, tuple[Transition | int, Transition | int, Transition | int]]] = {
    # kind: (CONNECTED, AUTHENTICATING, ACKNOWLEDGED); CLOSED ignores everything
    Kind.CONNECTION_INIT: (Transition(State.AUTHENTICATING, (Authenticate({}),)), 4429, 4429),
    Kind.PING: (PONGS[State.CONNECTED], PONGS[State.AUTHENTICATING], PONGS[State.ACKNOWLEDGED]),
    Kind.PONG: (STAYS[State.CONNECTED], STAYS[State.AUTHENTICATING], STAYS[State.ACKNOWLEDGED]),
    Kind.SUBSCRIBE: (4401, 4401, Transition(State.ACKNOWLEDGED, (Start("1", {"query": "{ __typename }"}),))),
    Kind.COMPLETE: (CANCELS[State.CONNECTED], CANCELS[State.AUTHENTICATING], CANCELS[State.ACKNOWLEDGED]),
    Kind.INVALID_MESSAGE: (4400, 4400, 4400),
    Kind.AUTHENTICATED: (
        STAYS[State.CONNECTED],
        Transition(State.ACKNOWLEDGED, (Acknowledge(),)),
        STAYS[State.ACKNOWLEDGED],
    ),
    Kind.UNAUTHENTICATED: (4403, 4403, 4403),
    Kind.TOO_MANY_FAILURES: (4429, 4429, 4429),
    Kind.INIT_TIMEOUT: (4408, 4408, STAYS[State.ACKNOWLEDGED]),
    Kind.NO_SUBPROTOCOL: (4406, 4406, 4406),
    Kind.CROSS_ORIGIN: (4403, 4403, 4403),
    Kind.REVOKED: (4403, 4403, 4403),
    Kind.CLIENT_TOO_SLOW: (4499, 4499, 4499),
    Kind.DATABASE_UNAVAILABLE: (1013, 1013, 1013),
    Kind.SHUTDOWN: (1001, 1001, 1001),
}
# Frames that break the protocol, by the state from which they do.
BAD_FRAMES: Final[dict[str, str]] = {
    "no JSON": "hello",
    "half of JSON": '{"type": "connection_init"',
    "no object": "[]",
    "no type": "{}",
    "an unknown type": '{"type": "start"}',
    "a type that is an object": '{"type": {}}',
    "a type that is null": '{"type": null}',
    "a message of the server": '{"type": "next", "id": "1", "payload": {}}',
    "the name of an event on the server": '{"type": "authenticated"}',
    "a connection_init with a string as payload": '{"type": "connection_init", "payload": "token"}',
    "a ping with a number as payload": '{"type": "ping", "payload": 1}',
    "a pong with a number as payload": '{"type": "pong", "payload": 1}',
    "a complete without an id": '{"type": "complete"}',
    "a complete with a number as id": '{"type": "complete", "id": 1}',
    "a complete with an empty id": '{"type": "complete", "id": ""}',
    "a deeply nested ping": '{"type": "ping", "payload": ' + '{"a":' * 400 + "1" + "}" * 401,
    "deeply nested arrays": "[" * 5000,
    "half a surrogate in a ping": '{"type": "ping", "payload": {"a": "\\ud800"}}',
    "half a surrogate in an id": '{"type": "subscribe", "id": "\\ud800", "payload": {}}',
    "half a surrogate where there is no payload": '{"type": "subscribe", "id": "1", "payload": "\\ud800"}',
    "half a surrogate in no JSON": '{"type": "subscribe", "id": "1", "payload": {"a": "\\ud800"}',
    "half a surrogate in no object": '["\\ud800"]',
    "half a surrogate beside a payload": '{"type": "subscribe", "id": "1", "payload": {}, "extensions": ["\\ud800"]}',
    "half a surrogate in a complete": '{"type": "complete", "id": "1", "payload": {"a": "\\ud800"}}',
    "NaN in a payload": '{"type": "subscribe", "id": "1", "payload": {"variables": {"a": NaN}}}',
    "NUL in a string of a payload": '{"type": "subscribe", "id": "1", "payload": {"variables": {"a": "\0"}}}',
}
# Values in variables, each with the code of its refusal over HTTP.
REFUSED_VALUES: Final[dict[str, tuple[str, str]]] = {
    "half of a surrogate pair": ('"\\ud83d"', "lone_surrogate"),
    "a number that is infinite": ("1e400", "number_too_large"),
    "too many levels": ("[" * 200 + "]" * 200, "too_deep"),
    "too many values": ("[" + "{}," * 60_000 + "1]", "too_many_values"),
    "too much memory": ('"\U0001f600' + "x" * 2_400_000 + '"', "string_above_max_length"),
}
# Orders in which clients write the members of a message.
FRAMES: Final[dict[str, str]] = {
    "payload last": r'{"type":"subscribe","id":"}\u00e9\",","payload":{"query":"{ a }","variables":{"a":VALUE}}}',
    "payload first": r'{"payload":{"variables":{"a":VALUE,"id":"2"}},"id":"}\u00e9\",","type":"subscribe"}',
    "payload between, with white space": """
        { "type" : "subscribe" , "payload" : { "variables" : { "a" : VALUE } } , "id" : "}\\u00e9\\"," }
    """,
}
BAD_SUBSCRIBES: Final[dict[str, dict[str, Any]]] = {
    "no id": {"payload": {"query": "{ __typename }"}},
    "an empty id": {"id": "", "payload": {"query": "{ __typename }"}},
    "an id that is a number": {"id": 1, "payload": {"query": "{ __typename }"}},
    "an id above the limit": {"id": "1" * (bounds.OPERATION_ID.number + 1), "payload": {}},
    "no payload": {"id": "1"},
    "a payload that is a string": {"id": "1", "payload": "{ __typename }"},
}


def code_of(outcome: Outcome) -> int:
    assert isinstance(outcome, Close), outcome
    return outcome.code


def state_after(outcome: Outcome) -> State:
    return State.CLOSED if isinstance(outcome, Close) else outcome.state


def test_table_covers_every_state_with_every_input() -> None:
    assert set(TRANSITIONS) == set(PAIRS)


@pytest.mark.parametrize(("state", "kind"), PAIRS, ids=lambda each: each.name)
def test_input_has_its_outcome_in_each_state(state: State, kind: Kind) -> None:
    expected = STAYS[state] if state is State.CLOSED else EXPECTED[kind][OPEN.index(state)]

    outcome = step(state, INPUTS[kind], ())

    assert (code_of(outcome) if isinstance(expected, int) else outcome) == expected


def test_every_close_code_has_a_row_in_the_table() -> None:
    in_table = {each for row in EXPECTED.values() for each in row if isinstance(each, int)}

    assert in_table | {CloseCode.SUBSCRIBER_EXISTS} == set(CloseCode)


def test_every_close_code_is_documented() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()

    assert [int(code) for code in CloseCode if f"\n| {code:d} | " not in page] == []


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=list(BAD_FRAMES))
def test_frame_that_breaks_the_protocol_closes_with_4400(frame: str) -> None:
    outcome = step(State.CONNECTED, decode(frame), ())

    assert code_of(outcome) == 4400


@pytest.mark.parametrize(("value", "code"), REFUSED_VALUES.values(), ids=list(REFUSED_VALUES))
@pytest.mark.parametrize("frame", FRAMES.values(), ids=list(FRAMES))
def test_value_that_json_allows_and_limits_refuse_ends_one_operation_as_over_http(
    frame: str, value: str, code: str
) -> None:
    operation_id, sent = '}\u00e9",', frame.replace("VALUE", value)

    outcome = step(State.ACKNOWLEDGED, decode(sent), ())

    assert isinstance(outcome, Transition)
    [refuse] = outcome.actions
    assert isinstance(refuse, Refuse)
    [error] = refuse.refused.errors
    assert (refuse.operation_id, (error.extensions or {})["code"]) == (operation_id, code)
    assert code_of(step(State.ACKNOWLEDGED, decode(sent), {operation_id})) == CloseCode.SUBSCRIBER_EXISTS


def test_binary_frame_closes_with_4400() -> None:
    assert code_of(step(State.CONNECTED, NOT_TEXT, ())) == 4400


@pytest.mark.parametrize("message", BAD_SUBSCRIBES.values(), ids=list(BAD_SUBSCRIBES))
def test_malformed_subscribe_closes_with_4400(message: dict[str, Any]) -> None:
    assert code_of(step(State.ACKNOWLEDGED, decode(json.dumps({"type": "subscribe", **message})), ())) == 4400


@pytest.mark.parametrize("message", BAD_SUBSCRIBES.values(), ids=list(BAD_SUBSCRIBES))
def test_malformed_subscribe_before_the_acknowledgement_closes_with_4401(message: dict[str, Any]) -> None:
    assert code_of(step(State.CONNECTED, decode(json.dumps({"type": "subscribe", **message})), ())) == 4401


def test_malformed_second_connection_init_closes_with_4429() -> None:
    again = decode('{"type": "connection_init", "payload": "token"}')

    assert code_of(step(State.ACKNOWLEDGED, again, ())) == 4429


@pytest.mark.parametrize(
    ("operation_id", "reason"),
    [
        pytest.param("1", "Subscriber for 1 already exists", id="short"),
        pytest.param(
            "\u00e9" * 200, "Subscriber for " + "\u00e9" * 30 + " already exists", id="cut to thirty characters"
        ),
    ],
)
def test_active_operation_id_closes_with_4409(operation_id: str, reason: str) -> None:
    subscribe = Input(Kind.SUBSCRIBE, {"id": operation_id, "payload": {}})

    assert step(State.ACKNOWLEDGED, subscribe, {operation_id}) == Close(CloseCode.SUBSCRIBER_EXISTS, reason)


@pytest.mark.parametrize(
    ("state", "repeated"),
    [(State.CONNECTED, None), (State.AUTHENTICATING, None), (State.ACKNOWLEDGED, {"a": [1, None]})],
)
def test_pong_repeats_the_payload_only_to_an_acknowledged_client(state: State, repeated: dict[str, Any] | None) -> None:
    ping = decode('{"type": "ping", "payload": {"a": [1, null]}}')

    assert step(state, ping, ()) == Transition(state, (SendPong(repeated),))


def test_connection_init_passes_its_payload_to_authentication() -> None:
    outcome = step(State.CONNECTED, decode('{"type": "connection_init", "payload": {"token": "x"}}'), ())

    assert outcome == Transition(State.AUTHENTICATING, (Authenticate({"token": "x"}),))


@pytest.mark.parametrize("closing", CLOSED_BY_SERVER.values(), ids=[kind.name for kind in CLOSED_BY_SERVER])
def test_reason_of_a_close_fits_into_the_display_of_tools(closing: Close) -> None:
    assert len(closing.reason) <= SHOWN


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        pytest.param("a" * 123, "a" * 123, id="exactly as long as a frame holds"),
        pytest.param("ab " * 50, "ab " * 38 + "ab ...", id="cut between two words"),
        pytest.param("\u00e9" * 500, "\u00e9" * 59 + " ...", id="one word with more bytes than characters"),
    ],
)
def test_reason_is_truncated_to_the_size_of_a_close_frame(reason: str, sent: str) -> None:
    cut = close(CloseCode.BAD_REQUEST, reason).reason

    assert cut == sent
    assert len(cut.encode()) <= 123


_values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just({}) | st.just("1")
)
_messages: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["type", "id", "payload", "other"]), _values
) | st.builds(
    lambda kind, rest: {**rest, "type": kind},
    st.sampled_from(sorted(CLIENT_MESSAGES)),
    st.dictionaries(st.sampled_from(["id", "payload"]), _values),
)
_inputs = st.builds(lambda message: decode(json.dumps(message)), _messages) | st.builds(
    Input, st.sampled_from(sorted(set(Kind) - set(CLIENT_MESSAGES.values()), key=lambda kind: kind.name))
)


@given(st.lists(_inputs | st.builds(decode, st.text()), max_size=12))
def test_any_sequence_of_inputs_ends_in_a_legal_state_or_a_close(sequence: list[Input]) -> None:
    state, active, closes = State.CONNECTED, set[str](), 0
    for each in sequence:
        outcome = step(state, each, active)
        if isinstance(outcome, Transition):
            started = [action.operation_id for action in outcome.actions if isinstance(action, Start)]
            assert not started or state is State.ACKNOWLEDGED
            active.update(started)
        else:
            closes += 1
        if state is State.CLOSED:
            assert outcome == Transition(State.CLOSED)
        state = state_after(outcome)

    assert closes == (1 if state is State.CLOSED else 0)
