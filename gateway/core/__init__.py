"""Use cases: one function is one use case and one transaction."""

from gateway.store.store import Store

__all__ = ["Store"]  # the faces pass it to use cases; only core calls its methods
