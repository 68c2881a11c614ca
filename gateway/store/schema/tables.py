"""The one definition of tables and columns; the first migration explains their design.

Must not be here: statements; indexes of a part of a table (`partial_indexes`).
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    case,
    func,
    literal_column,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
    }
)

# SQLite assigns row ids only to a column whose type is exactly INTEGER.
_Sequence = BigInteger().with_variant(Integer, "sqlite")


def _idempotency_columns() -> list[Column[str]]:
    """Make the columns of the key under which a row was created (`domain.idempotency.IdempotencyKey`), if any.

    Deleted rows leave theirs with their place. Each table has a partial unique index of them (`partial_indexes`).
    """
    return [Column(f"idempotency_{name}", Text) for name in ("scope", "key", "fingerprint")]


# `seq` numbers threads in the order of their creation and breaks ties between threads of one second. SQLite would reuse
# the number of a deleted thread, and two places in the list would be equal; AUTOINCREMENT prevents it. On PostgreSQL
# the key is the project and `seq` (`online`): there every key but that of `keys` begins with the project. `inferred` is
# the sum of what an import inferred from messages alone (`domain.thread.Inferred`). A thread that was deleted and
# imported again continues the positions of the old one: `generation` is the position at which it begins, so a lower
# number is a cursor of the old one; of a deleted thread, it is where the next one would begin. `token_epoch` counts the
# revocations of the thread's tokens; NULL means none inferred, the first and no revocation. `forked_thread_id` is the
# thread that this one is a copy of, up to a message, or whole. `filling` is when the last messages were added to a
# thread that is not whole yet, in milliseconds (`store.filling`). `activity_at` is when a message was last created or
# finished (ACTIVITY_AT). `last_position` and `last_created_at` are the end of the thread, after which its next message
# is added. Every later change takes a position too (`changed_position`, `deleted_position`, a delta's own), so one
# number is a follower's progress. `active_run` is the run that answers now: while there is one, messages are added by
# it alone. `change_number` is that of the last change that the list of threads has to show, here and in the next
# tables, and `create_number` that of the creation; the database sets them itself (0009).
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
    Column("active_run", Text),
    *_idempotency_columns(),
    Column("change_number", BigInteger),
    Column("create_number", BigInteger),
    Column("activity_at", BigInteger),
    Column("forked_thread_id", Text),
    Column("forked_message_id", Text),
    Column("filling", BigInteger),
    UniqueConstraint("project_id", "id"),
    Index(None, "project_id", "created_at", "seq"),
    sqlite_autoincrement=True,
)

# In milliseconds; a thread whose row has none, as of a version without the column, was active at its last time.
ACTIVITY_AT: Final = func.coalesce(
    threads.c.activity_at,
    case((threads.c.last_created_at > literal_column("0"), threads.c.last_created_at), else_=threads.c.created_at)
    * literal_column("1000"),
)

# The order of threads by activity, and their metadata by pair. Triggers of the database keep both (migrations 0010,
# 0015, 0017 and 0018), for writers of the previous version too: nothing else writes them. `activity_at` is ACTIVITY_AT,
# or -1 in a row of a pair that few threads have: it is in no order. On PostgreSQL `has_ordered_pair` says whether a
# thread may have a pair that is, NULL that this is unknown. `value` is cut after 513 characters, so a longer one equals
# no filter.
thread_activity = Table(
    "thread_activity",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("activity_at", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("owner", Text),
    Column("has_ordered_pair", Boolean),
    PrimaryKeyConstraint("project_id", "activity_at", "seq"),
    sqlite_with_rowid=False,
)
thread_metadata = Table(
    "thread_metadata",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("activity_at", BigInteger, nullable=False),
    PrimaryKeyConstraint("project_id", "seq", "key"),
    Index("ix_thread_metadata_created", "project_id", "key", "value", "created_at", "seq"),
    Index("ix_thread_metadata_active", "project_id", "key", "value", "activity_at", "seq"),
    sqlite_with_rowid=False,
)

# `plain_text` is 1 where the content is exactly one text without annotations; the length of that text's JSON string,
# where other parts follow it; else 0. It says nothing of the deltas of a message in progress. NULL is unknown, as in a
# row of a version without this column; `gateway migrate` fills it with 1 or 0 where the message is no longer in
# progress. `author` is the reader who wrote the message; NULL is unknown, as of an API key, which writes for many.
# Copies have none.
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
    Column("plain_text", SmallInteger),
    *_idempotency_columns(),
    Column("change_number", BigInteger),
    Column("finish_number", BigInteger),
    Column("author", Text),
    PrimaryKeyConstraint("project_id", "thread_id", "position"),
    UniqueConstraint("project_id", "id"),
    ForeignKeyConstraint(["project_id", "thread_id"], ["threads.project_id", "threads.id"], ondelete="CASCADE"),
)

# The text that was appended to a message in progress since its content was last written as a whole. `next_start` is
# where the next text of the part begins, and `characters` are all of the message so far; NULL in a delta of an older
# version.
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
    Column("next_start", BigInteger),
    Column("characters", BigInteger),
    PrimaryKeyConstraint("project_id", "thread_id", "position"),
    ForeignKeyConstraint(["project_id", "thread_id"], ["threads.project_id", "threads.id"], ondelete="CASCADE"),
    Index(None, "project_id", "message_id", "position"),
)

# The place of a deleted message is kept, so that a cursor which names it stays valid; nothing else is kept of it.
# A table of its own keeps the pages of living messages free of gaps that a scan would have to skip.
deleted_messages = Table(
    "deleted_messages",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("deleted_position", BigInteger),
    *_idempotency_columns(),
    Column("change_number", BigInteger),
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
    *_idempotency_columns(),
    Column("change_number", BigInteger),
    Column("erased_owner", Text),
    PrimaryKeyConstraint("project_id", "id"),
)

# End users who were erased, each by a digest (`domain.principal.owner_digest`), as in `deleted_threads.erased_owner`.
erased_owners = Table(
    "erased_owners",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("change_number", BigInteger),
    PrimaryKeyConstraint("project_id", "owner"),
    Index(None, "project_id", "change_number"),
)

# Of a key's secret only the SHA-256 is stored; `hint` is the end of the secret, by which people identify a key.
# `origin_id` is the first of the keys that were rotated, one after the other; NULL in that one itself.
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
    Column("origin_id", Text),
    UniqueConstraint("digest"),
)

# An epoch is one history of all threads; the last one counts. It has no key: see its migration.
epochs = Table(
    "epochs",
    metadata,
    Column("number", BigInteger, nullable=False),
    Column("epoch", Text, nullable=False),
)

# `fields` is the JSON of all but the id and the time. `number` orders those of one second.
assistants = Table(
    "assistants",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("fields", Text, nullable=False),
    *_idempotency_columns(),
    PrimaryKeyConstraint("project_id", "id"),
    Index(None, "project_id", "number", "id"),
)

# `settings` is the JSON of what does not change. A run that has not ended is due at a time of the database's clock, in
# milliseconds: at once where it waits for a worker, when the lease of its worker (`leased_by`) ends, or when it
# expires.
runs = Table(
    "runs",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("assistant_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("cancelled_at", BigInteger),
    Column("failed_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("required_action", Text),
    Column("last_error", Text),
    Column("incomplete", Text),
    Column("usage", Text),
    Column("metadata", Text, nullable=False),
    Column("settings", Text, nullable=False),
    Column("changed_position", BigInteger),
    Column("created_by", Text),
    Column("due_at", BigInteger),
    Column("leased_by", Text),
    *_idempotency_columns(),
    PrimaryKeyConstraint("project_id", "thread_id", "position"),
    UniqueConstraint("project_id", "id"),
    ForeignKeyConstraint(["project_id", "thread_id"], ["threads.project_id", "threads.id"], ondelete="CASCADE"),
    Index(None, "project_id", "thread_id", "changed_position"),
)

run_steps = Table(
    "run_steps",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("id", Text, nullable=False),
    Column("assistant_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("cancelled_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("expired_at", BigInteger),
    Column("failed_at", BigInteger),
    Column("last_error", Text),
    Column("details", Text, nullable=False),
    Column("usage", Text),
    PrimaryKeyConstraint("project_id", "thread_id", "run_id", "position"),
    UniqueConstraint("project_id", "id"),
    ForeignKeyConstraint(["project_id", "thread_id"], ["threads.project_id", "threads.id"], ondelete="CASCADE"),
    Index(None, "project_id", "run_id", "position"),
)

# How far a reader has read a thread: up to a position. `reader` says whose it is (`core.read_marks`), so names that API
# keys give their readers never meet end users.
read_marks = Table(
    "read_marks",
    metadata,
    Column("project_id", Text, nullable=False),
    Column("thread_id", Text, nullable=False),
    Column("reader", Text, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("change_number", BigInteger),
    PrimaryKeyConstraint("project_id", "thread_id", "reader"),
    ForeignKeyConstraint(["project_id", "thread_id"], ["threads.project_id", "threads.id"], ondelete="CASCADE"),
    Index(None, "project_id", "reader", "change_number"),
    Index(None, "project_id", "change_number"),
)

# SQLite's counter of changes, in one row; PostgreSQL has one of its own.
change_counter = Table("change_counter", metadata, Column("number", BigInteger, nullable=False))
