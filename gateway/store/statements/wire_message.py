"""A message as the API's JSON object, written by the database: so a page needs no step in Python for each message.

It has the keys of `domain.wire.message`, in that order; a test compares the two.
Must not be here: which messages are selected (`messages`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Text, func, literal_column

from gateway.store.schema import tables
from gateway.store.statements.functions import filled, number_as_json, text_as_json, utf8

# The template of printf or format: ids, enums and numbers are filled in as they are, all else has to be JSON.
_TEMPLATE: Final = (
    '{"id":"%s","object":"thread.message","created_at":%s,"assistant_id":%s,"thread_id":"%s","run_id":%s,'
    '"status":"%s","incomplete_details":%s,"incomplete_at":%s,"completed_at":%s,"role":"%s",'
    '"content":%s,"attachments":%s,"metadata":%s}'
)
_REASON: Final = func.coalesce(
    literal_column("""'{"reason":"'""", Text())
    + tables.messages.c.incomplete_reason
    + literal_column("""'"}'""", Text()),
    literal_column("'null'", Text()),
)
_OBJECT: Final = filled(
    literal_column(f"'{_TEMPLATE}'"),
    tables.messages.c.id,
    tables.messages.c.created_at,
    text_as_json(tables.messages.c.assistant_id),
    tables.messages.c.thread_id,
    text_as_json(tables.messages.c.run_id),
    tables.messages.c.status,
    _REASON,
    number_as_json(tables.messages.c.incomplete_at),
    number_as_json(tables.messages.c.completed_at),
    tables.messages.c.role,
    tables.messages.c.content,
    tables.messages.c.attachments,
    tables.messages.c.metadata,
)
WIRE_MESSAGE: Final = utf8(_OBJECT).label("wire")  # of a message in progress without its deltas
