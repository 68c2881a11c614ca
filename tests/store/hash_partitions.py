"""The tables of a PostgreSQL database in partitions by the hash of their project, as an engine would distribute them.

A key that lacks the project is refused by PostgreSQL itself here, as it is by such an engine.
"""

from __future__ import annotations

from typing import Final

import asyncpg

PARTITIONS: Final = 16
TABLES: Final = (
    "threads",
    "messages",
    "message_deltas",
    "deleted_messages",
    "deleted_threads",
    "thread_activity",
    "thread_metadata",
    "read_marks",
    "assistants",
    "runs",
    "run_steps",
)
LAYOUT: Final = "GATEWAY_TEST_LAYOUT"  # the variable that lays the databases of a run out so, if it is "hash"


async def lay_out(url: str) -> None:
    """Make each empty table anew, in partitions, with its foreign keys and the triggers of the migrations."""
    connection = await asyncpg.connect(url)
    foreign = await connection.fetch(
        "SELECT conrelid::regclass::text AS child, conname AS name, pg_get_constraintdef(oid) AS definition "
        "FROM pg_constraint WHERE contype = 'f' AND conparentid = 0"
    )
    triggers = await connection.fetch("SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal")
    for table in TABLES:
        await connection.execute(f"""
            ALTER TABLE {table} RENAME TO {table}_whole;
            CREATE TABLE {table} (LIKE {table}_whole INCLUDING ALL) PARTITION BY HASH (project_id);
        """)
        for number in range(PARTITIONS):
            await connection.execute(f"""
                CREATE TABLE {table}_{number} PARTITION OF {table}
                FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number});
            """)
        await connection.execute(f"DROP TABLE {table}_whole CASCADE")
    for each in foreign:
        await connection.execute(f"ALTER TABLE {each['child']} ADD CONSTRAINT {each['name']} {each['definition']}")
    for (definition,) in triggers:
        await connection.execute(definition)
    await connection.close()
