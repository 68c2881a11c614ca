"""The GraphQL face: the same threads and messages for frontends."""
