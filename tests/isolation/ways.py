"""The table: every way to name an object, on each face.

Places in it: `{thread}`, `{message}`, `{growing}` (in progress), `{run}` and `{step}` are what is named; `{own_thread}`
and its like are the caller's own, beside which it is named.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from gateway.domain.principal import ALL_SCOPES, Scope
from gateway.rest.routes import PREFIXES
from tests.isolation.world import READ, RUN, WRITE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PLACE: Final = re.compile(r"\{(own_)?(thread|message|growing|run|step)\}")


class Face(Enum):
    REST = "REST"
    HTTP = "GraphQL over HTTP"
    SSE = "server-sent events"
    WEBSOCKET = "WebSocket"


@dataclass(frozen=True)
class Way:
    """One way to name an object.

    `refusal` is how it says that there is none, in the words of `asking.said`. `covers` are the arguments of the
    schema that it goes through, as schema coordinates; what a REST way covers stands in its method, path and query.
    """

    face: Face
    refusal: str
    scopes: frozenset[Scope] = READ
    method: str = "POST"
    path: str = "/graphql"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    covers: tuple[str, ...] = ()
    for_many_threads: bool = False  # so it is refused to who has a token for one

    @property
    def sends(self) -> bool:
        """Whether it adds what a user says, as a token that sends may."""
        return "CreateMessageInput.threadId" in self.covers or (
            self.method == "POST" and self.path.endswith("/messages")
        )

    @property
    def name(self) -> str:
        return " ".join([self.face.value, *(self.covers or (self.method, self.path)), *self.query, *self.headers])

    @property
    def route(self) -> str:
        """The path as the application's routes have it."""
        return PLACE.sub(lambda place: f"{{{place[2]}_id}}", self.path)

    @property
    def named(self) -> set[str]:
        """What of the path and the query names something that is not the caller's own."""
        places = {place[2] + "_id" for place in PLACE.finditer(self.path) if not place[1]}
        return places | {
            key for key, value in self.query.items() if value.startswith("{") and not value.startswith("{own_")
        }


def _rest(method: str, path: str, refusal: str = "404", body: Any = None, **query: str) -> Way:
    scopes = ALL_SCOPES if body == _NOTE else READ if method == "GET" else WRITE
    is_one_of_many = method == "DELETE" and path == "/threads/{thread}"
    return Way(Face.REST, refusal, scopes, method, path, query, {}, body, for_many_threads=is_one_of_many)


_THREAD: Final = "/threads/{thread}"
_IN_THREAD: Final = "/threads/{thread}/messages"
_IN_OWN: Final = "/threads/{own_thread}/messages"
_MESSAGE: Final = {"role": "user", "content": "hi"}
_NOTE: Final = {"metadata": {"a": "b"}}
_CURSOR: Final = "400 invalid_value"


def _fork(path: str, body: Any) -> Way:
    return replace(_rest("POST", f"{path}/fork", body=body), scopes=ALL_SCOPES, for_many_threads=True)


_PLAIN: Final = (
    _rest("GET", _THREAD),
    _rest("GET", _THREAD, **{"expand[]": "last_message"}),
    _rest("POST", _THREAD, body=_NOTE),
    _rest("DELETE", _THREAD),
    _fork(_THREAD, {}),
    _rest("GET", _IN_THREAD),
    _rest("POST", _IN_THREAD, body=_MESSAGE),
    _rest("GET", _IN_THREAD + "/{message}"),
    _rest("POST", _IN_THREAD + "/{message}", body=_NOTE),
    _rest("DELETE", _IN_THREAD + "/{message}"),
)
_MIXED: Final = tuple(
    _rest(method, path, body=body)
    for path in (_IN_OWN + "/{message}", _IN_THREAD + "/{own_message}")
    for method, body in (("GET", None), ("POST", _NOTE), ("DELETE", None))
)
_FORKS: Final = (_fork("/threads/{own_thread}", {"up_to": "{message}"}),)
_LISTS: Final = (
    _rest("GET", "/threads", _CURSOR, after="{thread}"),
    _rest("GET", "/threads", _CURSOR, before="{thread}"),
    _rest("GET", "/threads", _CURSOR, after="{own_thread}", before="{thread}"),
    _rest("GET", _IN_OWN, _CURSOR, after="{message}"),
    _rest("GET", _IN_OWN, _CURSOR, before="{message}"),
    _rest("GET", _IN_OWN, _CURSOR, before="{own_message}", after="{message}"),
    _rest("GET", _IN_OWN, "empty", run_id="{run}"),
    _rest("GET", _IN_OWN, _CURSOR, run_id="{run}", after="{message}"),
    _rest("GET", _IN_THREAD, after="{own_message}"),
    _rest("GET", _IN_THREAD, run_id="{run}", after="{message}"),
)


_RUNS: Final = "/threads/{thread}/runs"
_RUN: Final = _RUNS + "/{run}"
_OUTPUTS: Final = [{"tool_call_id": "call_a", "output": "ok"}]


def _of_run(way: Way) -> Way:
    return replace(way, scopes=RUN)


_OF_RUNS: Final = (
    _rest("GET", _RUNS),
    _of_run(_rest("POST", _RUNS, body={"assistant_id": "asst_any"})),
    _rest("GET", _RUN),
    _of_run(_rest("POST", _RUN, body=_NOTE)),
    _of_run(_rest("POST", _RUN + "/cancel")),
    _of_run(_rest("POST", _RUN + "/submit_tool_outputs", body={"tool_outputs": _OUTPUTS})),
    _rest("GET", _RUN + "/steps"),
    _rest("GET", _RUN + "/steps/{step}"),
)
_MIXED_RUNS: Final = (
    *(
        replace(way, path=way.path.replace(named, f"{{own_{named[1:]}"))
        for named in ("{thread}", "{run}")
        for way in _OF_RUNS
        if "{run}" in way.path
    ),
    _rest("GET", "/threads/{own_thread}/runs/{own_run}/steps/{step}"),
)
_LISTS_OF_RUNS: Final = (
    *(_rest("GET", "/threads/{own_thread}/runs", _CURSOR, **{side: "{run}"}) for side in ("after", "before")),
    *(
        _rest("GET", "/threads/{own_thread}/runs/{own_run}/steps", _CURSOR, **{side: "{step}"})
        for side in ("after", "before")
    ),
)


def _with_prefix(way: Way, prefix: str) -> Way:
    return replace(way, path=prefix + way.path)


def _without_body(way: Way) -> Way:
    """Ask for the headers alone, which tell nothing but the status."""
    return replace(way, method="HEAD", refusal=way.refusal.split()[0])


REST: Final = (
    *(_with_prefix(way, prefix) for prefix in PREFIXES for way in (*_PLAIN, *_OF_RUNS)),
    *(
        _with_prefix(way, prefix)
        for prefix in PREFIXES[:1]
        for way in (*_MIXED, *_MIXED_RUNS, *_FORKS, *_LISTS, *_LISTS_OF_RUNS)
    ),
    *(
        _with_prefix(_without_body(way), PREFIXES[0])
        for way in (*_PLAIN, *_OF_RUNS, *_MIXED, *_MIXED_RUNS, *_LISTS, *_LISTS_OF_RUNS)
        if way.method == "GET" and way.refusal != "empty"
    ),
)


_ON_FORKS: Final = ("ForkThreadInput.threadId", "ForkThreadInput.upTo")
_ON_TOKENS: Final = ("CreateThreadTokenInput.threadId", "RevokeThreadTokensInput.threadId")


def _asking(
    face: Face, refusal: str, document: str, *covers: str, scopes: frozenset[Scope] = READ, **variables: Any
) -> Way:
    body = {"query": document, "variables": variables}
    is_one_of_many = bool({"DeleteThreadInput.id", *_ON_FORKS, *_ON_TOKENS} & set(covers))
    return Way(face, refusal, scopes, body=body, covers=covers, for_many_threads=is_one_of_many)


def _query(refusal: str, document: str, *covers: str, **variables: Any) -> Way:
    return _asking(Face.HTTP, refusal, document, *covers, **variables)


def _cursors(document: str, covers: str, **variables: Any) -> Iterator[Way]:
    """Name an object as a cursor of a list, on either side, which takes the place of `%s`."""
    for side in ("after", "before"):
        yield _query("invalid_value", document % side, covers % side, **variables)


_PAGE: Final = "{ edges { cursor } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }"
_COUNTED: Final = _PAGE.replace("pageInfo", "totalCount pageInfo")

QUERIES: Final = (
    *(
        _query("null", "query($id: ID!) { node(id: $id) { __typename id } }", "Query.node(id:)", id=place)
        for place in ("{thread}", "{message}", "{growing}", "{run}")
    ),
    _query("null", "query($id: ID!) { run(id: $id) { id } }", "Query.run(id:)", id="{run}"),
    *_cursors(
        f"query($id: ID!, $at: String) {{ thread(id: $id) {{ runs(%s: $at) {_PAGE} }} }}",
        "Thread.runs(%s:)",
        id="{own_thread}",
        at="{run}",
    ),
    _query(
        "null",
        "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }",
        "Query.nodes(ids:)",
        ids=["{message}", "{thread}", "{growing}", "{run}"],
    ),
    _query("null", "query($id: ID!) { thread(id: $id) { id } }", "Query.thread(id:)", id="{thread}"),
    _query("null", f"query($id: ID!) {{ thread(id: $id) {{ messages {_PAGE} }} }}", "Query.thread(id:)", id="{thread}"),
    *_cursors(f"query($at: String) {{ threads(%s: $at, last: 2) {_PAGE} }}", "Query.threads(%s:)", at="{thread}"),
    *_cursors(
        f"query($at: String) {{ threads(orderBy: ACTIVITY, %s: $at, last: 2) {_PAGE} }}",
        "Query.threads(%s:)",
        at="at_5_{thread}",
    ),
    *_cursors(
        f"query($id: ID!, $at: String) {{ thread(id: $id) {{ messages(%s: $at) {_COUNTED} }} }}",
        "Thread.messages(%s:)",
        id="{own_thread}",
        at="{message}",
    ),
    _query(
        "empty",
        f"query($id: ID!, $run: ID) {{ thread(id: $id) {{ messages(runId: $run) {_COUNTED} }} }}",
        "Thread.messages(runId:)",
        id="{own_thread}",
        run="{run}",
    ),
    _query(
        "invalid_value",
        "query($id: ID!, $run: ID, $at: String) { thread(id: $id) { messages(runId: $run, after: $at) "
        f"{_COUNTED} }} }}",
        "Thread.messages(runId:)",
        "Thread.messages(after:)",
        id="{own_thread}",
        run="{run}",
        at="{message}",
    ),
)


def _mutation(field: str, kind: str, key: str, shown: str, **input_: Any) -> Way:
    document = f"mutation($input: {kind}!) {{ {field}(input: $input) {{ {shown} }} }}"
    place = "{" + ("growing" if field in _ON_GROWING else "message" if "Message" in field else "thread") + "}"
    place = "{thread}" if key == "threadId" else place
    scopes = ALL_SCOPES if kind.startswith(("Update", "Fork")) or field in _ON_GROWING else WRITE
    return _asking(Face.HTTP, "not_found", document, f"{kind}.{key}", scopes=scopes, input={key: place, **input_})


def _run_mutation(field: str, key: str, **input_: Any) -> Way:
    kind = f"{field[0].upper()}{field[1:]}Input"
    document = f"mutation($input: {kind}!) {{ {field}(input: $input) {{ run {{ id }} }} }}"
    named = {key: "{run}" if key == "runId" else "{thread}"}
    return _asking(Face.HTTP, "not_found", document, f"{kind}.{key}", scopes=RUN, input={**named, **input_})


_ON_GROWING: Final = ("appendMessageText", "finishMessage")
_SAID: Final = {"role": "USER", "content": {"text": "hi"}}

MUTATIONS: Final = (
    _mutation("updateThread", "UpdateThreadInput", "id", "thread { id }", metadata={"a": "b"}),
    _mutation("deleteThread", "DeleteThreadInput", "id", "deletedThreadId"),
    _mutation("forkThread", "ForkThreadInput", "threadId", "thread { id }"),
    _asking(
        Face.HTTP,
        "not_found",
        "mutation($input: ForkThreadInput!) { forkThread(input: $input) { thread { id } } }",
        "ForkThreadInput.upTo",
        scopes=ALL_SCOPES,
        input={"threadId": "{own_thread}", "upTo": "{message}"},
    ),
    _mutation("createMessage", "CreateMessageInput", "threadId", "message { id }", **_SAID),
    _mutation("updateMessage", "UpdateMessageInput", "id", "message { id }", metadata={"a": "b"}),
    _mutation("appendMessageText", "AppendMessageTextInput", "messageId", "message { id }", text="x"),
    _mutation("finishMessage", "FinishMessageInput", "messageId", "message { id }", status="COMPLETED"),
    _mutation("deleteMessage", "DeleteMessageInput", "id", "deletedMessageId"),
    _run_mutation("createRun", "threadId", assistantId="asst_any"),
    _run_mutation("cancelRun", "runId"),
    _run_mutation("submitToolOutputs", "runId", outputs=[{"toolCallId": "call_a", "output": "ok"}]),
)
# It reads the thread first, so it asks for the scope to read; and who has a token for one thread makes no others.
TOKEN: Final = _asking(
    Face.HTTP,
    "not_found",
    "mutation($input: CreateThreadTokenInput!) { createThreadToken(input: $input) { expiresAt } }",
    "CreateThreadTokenInput.threadId",
    input={"threadId": "{thread}", "access": "READ"},
)
REVOKE: Final = _mutation("revokeThreadTokens", "RevokeThreadTokensInput", "threadId", "threadId")

_SHOWN: Final = {"messageAdded": "cursor node { id text }", "threadEvents": "__typename cursor"}
_FOLLOWING: Final[
    tuple[tuple[str, str, dict[str, Any]], ...]
] = (  # a thread that is another's, and in one's own thread a cursor that is
    ("not_found", "threadId", {"id": "{thread}", "after": "{message}"}),
    ("not_found", "threadId", {"id": "{thread}", "after": "0"}),
    ("invalid_value", "after", {"id": "{own_thread}", "after": "{message}"}),
)
FOLLOWING: Final = tuple(
    _asking(
        face,
        refusal,
        f"subscription($id: ID!, $after: String) {{ {field}(threadId: $id, after: $after) {{ {shown} }} }}",
        f"Subscription.{field}({argument}:)",
        **variables,
    )
    for face in (Face.SSE, Face.WEBSOCKET)
    for field, shown in _SHOWN.items()
    for refusal, argument, variables in _FOLLOWING
)
RESUMING: Final = tuple(
    Way(
        Face.SSE,
        refusal,
        headers={"last-event-id": "{message}"},
        body={
            "query": f"subscription($id: ID!) {{ {field}(threadId: $id) {{ {shown} }} }}",
            "variables": {"id": place},
        },
        covers=(f"Subscription.{field}({argument}:)",),
    )
    for field, shown in _SHOWN.items()
    for refusal, argument, place in (("not_found", "threadId", "{thread}"), ("invalid_value", "after", "{own_thread}"))
)

WAYS: Final = (*REST, *QUERIES, *MUTATIONS, TOKEN, REVOKE, *FOLLOWING, *RESUMING)

# Those that name nothing, and are asked by who has no right to.
NAMELESS: Final = (
    *(_with_prefix(_rest("POST", "/threads", body={}), prefix) for prefix in PREFIXES),
    *(_with_prefix(_rest("GET", "/threads"), prefix) for prefix in PREFIXES),
    *(
        replace(
            _with_prefix(_rest("POST", "/threads/runs", body={"assistant_id": "asst_any"}), prefix),
            scopes=frozenset({Scope.WRITE, Scope.RUNS}),
        )
        for prefix in PREFIXES
    ),
    _query("", "{ threads { nodes { id } } }", "Query.threads"),
    _asking(
        Face.HTTP,
        "",
        "mutation { createThread(input: {}) { thread { id } } }",
        "Mutation.createThread",
        scopes=WRITE,
    ),
    # A cursor of the list of threads names no object: whose threads come after it is in test_followers.py.
    *(
        _asking(
            face, "", 'subscription { threadListEvents(after: "0") { __typename } }', "Subscription.threadListEvents"
        )
        for face in (Face.SSE, Face.WEBSOCKET)
    ),
    replace(
        _asking(Face.SSE, "", "subscription { threadListEvents { __typename } }", "Subscription.threadListEvents"),
        headers={"last-event-id": "0"},
    ),
    *(
        _asking(
            Face.HTTP,
            "",
            f'mutation {{ {field}(input: {{{named}, reader: "a"}}) {{ thread {{ id }} }} }}',
            f"Mutation.{field}",
        )
        for field, named in (
            ("markRead", 'threadId: "thread_a"'),
            ("markUnread", 'threadId: "thread_a", from: "msg_a"'),
        )
    ),
    _asking(
        Face.HTTP,
        "",
        'mutation { eraseUser(input: {owner: "alice"}) { threads } }',
        "Mutation.eraseUser",
        scopes=frozenset({Scope.ERASE}),
    ),
)


def filled(template: Any, places: Mapping[str, str]) -> Any:
    """Write ids into the places of a path, a query, headers or a body."""
    written = PLACE.sub(lambda place: places[place[0][1:-1]], json.dumps(template))
    return json.loads(written)
