"""Short ways to speak with the two faces in tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class GraphQL:
    """A GraphQL client on an HTTP client."""

    http: httpx.AsyncClient

    async def __call__(self, query: str, **variables: Any) -> Any:
        """Run an operation that must succeed, and give its data."""
        answer = await self.answer(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def answer(self, query: str, **variables: Any) -> Any:
        """Run an operation, and give all that came back."""
        response = await self.http.post("http://gateway/graphql", json={"query": query, "variables": variables})
        return response.json()

    async def refusal(self, query: str, **variables: Any) -> Any:
        """Run an operation that must be refused, and give its one error."""
        [error] = (await self.answer(query, **variables))["errors"]
        return error
