"""Cases in the spelling of PostGraphile, whose schema comes from the tables.

Must not be here: cases of other systems.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bench.cases import names
from bench.cases.case import Ask, graphql, mixed
from bench.cases.reads import SINGLE
from bench.corpus.messages import DEFAULT, GROWN, LISTED, LONG, ORDINARY, WRITTEN, thread_id
from bench.corpus.texts import ordinary

if TYPE_CHECKING:
    from bench.cases.case import Recipe, World

_TEXT: Final = '"text":'
_CREATED: Final = '"createdAt":'
_EDGE: Final = '"cursor":'
_FIELDS: Final = """id: rowId role createdAt metadata: notes
  content: parts { __typename type text { value annotations } }"""
_PAGE: Final = f"""query Page($project: String!, $id: String!, $limit: Int!) {{
  thread: threadByProjectIdAndRowId(projectId: $project, rowId: $id) {{
    messages: messagesByProjectIdAndThreadId(first: $limit, orderBy: POSITION_DESC) {{
      edges {{ cursor node {{ {_FIELDS} }} }}
      pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }} }}"""
_CREATE: Final = f"""mutation Create($input: BenchPeersAddMessageInput!) {{
  createMessage: benchPeersAddMessage(input: $input) {{ edge: messageEdge {{ cursor node {{ {_FIELDS} }} }} }} }}"""


_PREVIEWS: Final = """query Previews($project: String!, $first: Int!) {
  threads: allThreads(first: $first, orderBy: [CREATED_AT_DESC, SEQ_DESC], condition: { projectId: $project }) {
    nodes { id: rowId metadata
      messages: messagesByProjectIdAndThreadId(first: 1, orderBy: POSITION_DESC) { nodes { text role } } } } }"""
_NODE: Final = """query Node($project: String!, $id: String!) {
  node: messageByProjectIdAndRowId(projectId: $project, rowId: $id) { id: rowId role text createdAt } }"""


def _page(kind: str, limit: int, number: int = 0) -> Recipe:
    variables = {"project": DEFAULT, "id": thread_id(kind, number), "limit": limit}
    return lambda _: [Ask(graphql(_PAGE, variables), _EDGE, limit)]


def _create(_: World) -> list[Ask]:
    asks = []
    for number in range(WRITTEN):
        parts = json.dumps([{"type": "text", "text": {"value": ordinary(number), "annotations": []}}])
        given = {"thread": thread_id(GROWN, number), "role": "user", "content": parts, "metadata": '{"client":"web"}'}
        asks.append(Ask(graphql(_CREATE, {"input": given}), _EDGE, 1))
    return asks


def _pages(world: World) -> list[Ask]:
    return [each for number in range(LISTED) for each in _page(ORDINARY, 20, number)(world)]


def _previews(_: World) -> list[Ask]:
    return [Ask(graphql(_PREVIEWS, {"project": DEFAULT, "first": LISTED}), _TEXT, LISTED)]


def _node(_: World) -> list[Ask]:
    return [Ask(graphql(_NODE, {"project": DEFAULT, "id": each}), _CREATED, 1) for each in SINGLE]


TABLE: Final[dict[str, Recipe]] = {
    names.PAGE_20: _page(LONG, 20),
    names.PAGE_100: _page(LONG, 100),
    names.CREATE: _create,
    names.LIST: _previews,
    names.NODE: _node,
    names.MIX: lambda world: mixed(_previews(world), _pages(world), _create(world), _node(world)),
}
