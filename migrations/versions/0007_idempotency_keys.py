"""The idempotency key under which a thread or message was created, and the first of the API keys that were rotated.

The key stands on what it made, and on the place that a deleted one leaves: so there is nothing to sweep. Each table has
a partial unique index; `gateway.store.schema.online` builds PostgreSQL's beside running servers.
Expand, then contract: every column is nullable, and NULL is a row that was created without a key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TABLES = ("threads", "messages", "deleted_threads", "deleted_messages")
_COLUMNS = ("idempotency_scope", "idempotency_key", "idempotency_fingerprint")
_IS_KEYED = sa.text("idempotency_key IS NOT NULL")


def upgrade() -> None:
    """Add the columns, and on SQLite the indexes."""
    op.add_column("keys", sa.Column("origin_id", sa.Text()))
    for table in _TABLES:
        for name in _COLUMNS:
            op.add_column(table, sa.Column(name, sa.Text()))
        if op.get_bind().dialect.name == "sqlite":
            _index_on_sqlite(table)


def _index_on_sqlite(table: str) -> None:
    columns = ["project_id", *_COLUMNS[:2]]
    op.create_index(f"uq_{table}_idempotency_key", table, columns, unique=True, sqlite_where=_IS_KEYED)


def downgrade() -> None:
    """Drop the columns with their indexes; a retry of what was created before creates it again."""
    for table in _TABLES:
        op.drop_index(f"uq_{table}_idempotency_key", table, if_exists=True)
        for name in _COLUMNS:
            op.drop_column(table, name)
    op.drop_column("keys", "origin_id")
