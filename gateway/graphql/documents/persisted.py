"""The document of a request: its text, a trusted document by ID, or a persisted one by hash.

Source: Apollo's Automatic Persisted Queries, version 1; GraphQL over HTTP, appendix "Persisted Documents".
Must not be here: parsing documents (`cache`), loading trusted ones (`trusted`).
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import excerpt
from gateway.graphql.documents.lru import LruCache
from gateway.graphql.documents.trusted import TrustMode, sha256
from gateway.graphql.documents.weights import MIB
from gateway.graphql.refusal import Stage, refusal

if TYPE_CHECKING:
    from gateway.graphql.documents.trusted import TrustedDocuments
    from gateway.graphql.parameters import Parameters
    from gateway.graphql.refusal import Refused

log: Final = logging.getLogger(__name__)

KEPT: Final = 4 * MIB  # for the texts of persisted documents; some thousand of them
_ENTRY: Final = 400  # bytes beside the text
LOGGED: Final = 1_000  # documents whose warnings are not repeated
_EXTENSION: Final = "extensions.persistedQuery"
_HASH: Final = f"{_EXTENSION}.sha256Hash"
_STRINGS: Final = re.compile(
    r'"""(?:[^"\\]|\\"""|\\|""?(?!"))*(?:""")?|"(?:[^"\\\n]|\\.)*"?'
)  # may contain personal data


class Persisted:
    """Documents that clients can refer to by ID or hash."""

    def __init__(self, trusted: TrustedDocuments) -> None:
        self._trusted = trusted
        self._sent: LruCache[str] = LruCache(KEPT)
        self._logged: LruCache[bool] = LruCache(LOGGED)

    def text_of(self, parameters: Parameters) -> str:
        """Return the document text of a request.

        Errors: Refused.
        """
        sent_hash = _hash_of(parameters.extensions.get("persistedQuery"))
        if parameters.document_id is not None:
            return self._by_id(parameters.document_id)
        if parameters.query is None:
            return self._by_hash(sent_hash)
        if sent_hash is not None and sent_hash != sha256(parameters.query):
            message = f"Invalid '{_HASH}': expected the SHA-256 hash of 'query'."
            raise refusal(Stage.PARAMETERS, "persisted_query_hash_mismatch", message, param=_HASH)
        self._check_trust(parameters.query)
        return parameters.query

    def keep(self, parameters: Parameters) -> None:
        """Persist the text of a valid document that was sent with its hash."""
        if parameters.query is not None and "persistedQuery" in parameters.extensions:
            text = parameters.query
            self._sent.put(sha256(text), text, _ENTRY + sys.getsizeof(text))

    def _by_id(self, document_id: str) -> str:
        text = self._trusted.by_id.get(document_id)
        if text is None:
            message = f"Invalid 'documentId': no document with id '{excerpt(document_id)}'."
            raise refusal(Stage.VALIDATION, "document_not_found", message, param="documentId")
        return text

    def _by_hash(self, sent_hash: str | None) -> str:
        if sent_hash is None:
            message = "Invalid 'query': expected a string with a GraphQL document, or a 'documentId'."
            raise refusal(Stage.PARAMETERS, "bad_request", message, param="query")
        text = self._trusted.by_id.get(sent_hash) or self._sent.get(sent_hash)
        if text is not None:
            return text
        if self._trusted.mode is TrustMode.ONLY:
            raise _not_trusted(_HASH)
        # Clients recognize these two names, and send the text with the hash.
        raise refusal(Stage.VALIDATION, "PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound", param=_HASH)

    def _check_trust(self, text: str) -> None:
        if self._trusted.mode is TrustMode.OFF or self._trusted.holds(text):
            return
        if self._trusted.mode is TrustMode.ONLY:
            raise _not_trusted("query")
        text_hash = sha256(text)
        if self._logged.get(text_hash) is None:
            self._logged.put(text_hash, True, 1)
            text_excerpt = " ".join(_STRINGS.sub('""', text)[:500].split())
            log.warning("document sha256:%s is not trusted: %s", text_hash, text_excerpt)


def _hash_of(extension: Any) -> str | None:
    """Parse Apollo's extension; null is the same as omitted."""
    if extension is None:
        return None
    if not isinstance(extension, dict) or extension.get("version") != 1:
        message = "PersistedQueryNotSupported"  # the message that clients recognize
        raise refusal(Stage.PARAMETERS, "PERSISTED_QUERY_NOT_SUPPORTED", message, param=_EXTENSION)
    sent_hash = extension.get("sha256Hash")
    if not isinstance(sent_hash, str):
        raise refusal(Stage.PARAMETERS, "bad_request", f"Invalid '{_HASH}': expected a string.", param=_HASH)
    return sent_hash.lower()


def _not_trusted(param: str) -> Refused:
    message = f"Invalid '{param}': expected a trusted document."
    return refusal(Stage.VALIDATION, "document_not_trusted", message, param=param)
