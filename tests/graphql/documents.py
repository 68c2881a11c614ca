"""Documents as the server finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.graphql.documents.cache import Document, Documents, SharedDocument


def document_of(documents: Documents, text: str) -> Document | SharedDocument:
    """Return the document of a text, from the cache or parsed; both may refuse it."""
    return documents.cached(text) or documents.load(text)
