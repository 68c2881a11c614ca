"""Threads and messages in one store, with a REST face and a GraphQL face."""
