"""The one description of tables and columns; why they lie as they do stands in the first migration.

Must not be here: statements; indexes of a part of a table (`partial_indexes`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
    }
)

# SQLite gives out row ids only for a column whose type is exactly INTEGER.
_Sequence = BigInteger().with_variant(Integer, "sqlite")

# `seq` counts threads in the order of their making and breaks ties between threads of one second. SQLite would give
# the number of a deleted thread out again, and two places in the list would be one; AUTOINCREMENT forbids it.
# `inferred` is the sum of what an import made up from messages alone (`domain.thread.Inferred`). A thread that was
# deleted and imported anew goes on from where the old one ended: `generation` is the position at which it begins, so a
# number below that is a cursor of the old one; where a thread was deleted, it is where the next would begin.
# `token_epoch` how often the thread's tokens were revoked; NULL is nothing, the first, and never.
# `last_position` and `last_created_at` are where the next message of the thread goes on. Every later change takes a
# position too (`changed_position`, `deleted_position`, a delta's own), so one number says how far a follower has come.
threads = Table(
    "threads",
    metadata,
    Column("seq", _Sequence, Identity(), primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("tool_resources", Text, nullable=False),
    Column("message_count", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("last_created_at", BigInteger, nullable=False),
    Column("changed_position", BigInteger),
    Column("owner", Text),
    Column("inferred", BigInteger),
    Column("generation", BigInteger),
    Column("token_epoch", BigInteger),
    UniqueConstraint("project_id", "id"),
    Index(None, "project_id", "created_at", "seq"),
    sqlite_autoincrement=True,
)

messages = Table(
    "messages",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("role", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("attachments", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("run_id", Text),
    Column("assistant_id", Text),
    Column("completed_at", BigInteger),
    Column("incomplete_at", BigInteger),
    Column("incomplete_reason", Text),
    Column("changed_position", BigInteger),
    PrimaryKeyConstraint("project_id", "thread_id", "position"),
    UniqueConstraint("project_id", "id"),
    ForeignKeyConstraint(["project_id", "thread_id"], ["threads.project_id", "threads.id"], ondelete="CASCADE"),
)

# The text that a message in progress has gained since its content was last written as a whole.
message_deltas = Table(
    "message_deltas",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("part_index", BigInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    PrimaryKeyConstraint("project_id", "thread_id", "position"),
    ForeignKeyConstraint(["project_id", "thread_id"], ["threads.project_id", "threads.id"], ondelete="CASCADE"),
    Index(None, "project_id", "message_id", "position"),
)

# What was deleted leaves its place, so that a cursor which names it goes on working; nothing else of it stays.
# A table of its own keeps the pages of living messages free of gaps that a reader would have to step over.
deleted_messages = Table(
    "deleted_messages",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("deleted_position", BigInteger),
    PrimaryKeyConstraint("project_id", "id"),
    ForeignKeyConstraint(["project_id", "thread_id"], ["threads.project_id", "threads.id"], ondelete="CASCADE"),
    Index(None, "project_id", "thread_id", "deleted_position"),
)

deleted_threads = Table(
    "deleted_threads",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("owner", Text),
    Column("generation", BigInteger),
    PrimaryKeyConstraint("project_id", "id"),
)

# A key is known by the SHA-256 of its secret alone; `hint` is the end of the secret, for people who look for one.
keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("project_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("last_used_at", BigInteger),
    UniqueConstraint("digest"),
)
