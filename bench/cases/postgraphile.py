"""Cases in the spelling of PostGraphile, whose schema comes from the tables.

Must not be here: cases of other systems.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from bench.cases import names
from bench.cases.case import Ask, graphql
from bench.corpus.messages import DEFAULT, GROWN, LONG, WRITTEN, thread_id
from bench.corpus.texts import ordinary

if TYPE_CHECKING:
    from bench.cases.case import Recipe, World

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


TABLE: Final[dict[str, Recipe]] = {
    names.PAGE_20: _page(LONG, 20),
    names.PAGE_100: _page(LONG, 100),
    names.CREATE: _create,
}
