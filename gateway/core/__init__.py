"""Use cases: one function is one use case, in one transaction, or in many short ones where that would be long."""

from gateway.store.store import Store

__all__ = ["Store"]  # the faces pass it to use cases; only core calls its methods
