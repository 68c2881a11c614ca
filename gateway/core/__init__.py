"""What can be done: one function is one use case and one transaction."""

from gateway.store.store import Store

__all__ = ["Store"]  # the faces hold one and hand it in; only core looks inside
