from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

    from tests.faces import GraphQL


async def test_a_message_made_over_rest_is_read_over_graphql(
    rest: httpx.AsyncClient, graphql: GraphQL, thread_id: str
) -> None:
    made = (await rest.post(f"/threads/{thread_id}/messages", json={"role": "user", "content": "hi"})).json()

    data = await graphql("query($id: ID!) { node(id: $id) { ... on Message { text } } }", id=made["id"])

    assert data == {"node": {"text": "hi"}}
