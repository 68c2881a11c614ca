"""SQL functions whose names differ between the two databases.

Must not be here: all other differences between them (`engines`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from sqlalchemy import BigInteger, ColumnElement, Integer, LargeBinary, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine


class _Function(FunctionElement[Any]):
    """A function of SQL, called with its arguments."""

    inherit_cache = True
    spellings: ClassVar[dict[str, str]]


@compiles(_Function)
def _compile(element: _Function, compiler: SQLCompiler, **options: Any) -> str:
    arguments = [compiler.process(each, **options) for each in element.clauses]
    return element.spellings[compiler.dialect.name].format(", ".join(arguments), *arguments)


def _function(result: TypeEngine[Any] | None, *, sqlite: str, postgresql: str) -> type[_Function]:
    """Define a function by its SQL on each database: `{0}` is all its arguments, `{1}` and `{2}` are single ones."""
    spellings = {"sqlite": sqlite, "postgresql": postgresql}
    return type("_Function", (_Function,), {"spellings": spellings} | ({} if result is None else {"type": result}))


# A text as its stored bytes, which drivers need not decode.
utf8: Final = _function(LargeBinary(), sqlite="CAST({0} AS BLOB)", postgresql="convert_to({0}, 'UTF8')")

# A template with `%s` for each of some columns, none of which may be null.
filled: Final = _function(Text(), sqlite="printf({0})", postgresql="format({0})")

# A text as JSON, or the JSON null. json_quote(NULL) returns the same, in more than twice the time.
text_as_json: Final = _function(
    Text(),
    sqlite="CASE WHEN {0} IS NULL THEN 'null' ELSE json_quote({0}) END",
    postgresql="coalesce(CAST(to_json({0}) AS TEXT), 'null')",
)

# A number as JSON, or the JSON null.
number_as_json: Final = _function(
    Text(), sqlite="ifnull({0}, 'null')", postgresql="coalesce(CAST({0} AS TEXT), 'null')"
)

# Some columns as one text, an array of JSON.
json_row: Final = _function(Text(), sqlite="json_array({0})", postgresql="CAST(json_build_array({0}) AS TEXT)")

# Whether a column is one of many texts, given as one value: an array of JSON, so that all have one statement. It has
# no type: of a boolean SQLAlchemy would ask `= 1` on SQLite, which then finds nothing by index.
among: Final = _function(
    None,
    sqlite="{1} IN (SELECT value FROM json_each({2}))",
    postgresql="{1} = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST({2} AS JSONB))))",
)

# Whether a column is one of many numbers, given as one value, as for `among`.
among_numbers: Final = _function(
    None,
    sqlite="{1} IN (SELECT value FROM json_each({2}))",
    postgresql="{1} = ANY (ARRAY(SELECT CAST(jsonb_array_elements_text(CAST({2} AS JSONB)) AS BIGINT)))",
)

# Whether a column is one of the numbers that another statement selects, which is run once.
among_selected: Final = _function(None, sqlite="{1} IN {2}", postgresql="{1} = ANY (ARRAY{2})")

# What a statement sees of changes by their numbers, as text (`domain.snapshot`).
snapshot: Final = _function(
    Text(),
    sqlite="(SELECT printf('%d:%d:', number + 1, number + 1) FROM change_counter)",
    postgresql="CAST(pg_current_snapshot() AS TEXT)",
)

# The number that no change has had yet; in a database that was copied here, changes have higher ones too.
next_change: Final = _function(
    BigInteger(),
    sqlite="(SELECT number + 1 FROM change_counter)",
    postgresql="CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)",
)

# The number of a change that the statement makes; on SQLite it was counted when its thread was written.
change_number: Final = _function(
    BigInteger(),
    sqlite="(SELECT number FROM change_counter)",
    postgresql="CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
)

# The elements of an array of JSON as rows, each in the column `value`.
json_values: Final = _function(None, sqlite="json_each({0})", postgresql="jsonb_array_elements(CAST({0} AS JSONB))")

# The text that an element of an array of JSON is.
value_as_text: Final = _function(Text(), sqlite="{1}", postgresql="({1} #>> '{{}}')")

# Three columns of all rows as one text, an array of JSON with one array for each: in any order, the same in all. Where
# there are no rows, these are empty, or null.
json_columns: Final = _function(
    Text(),
    sqlite="json_array(json_group_array({1}), json_group_array({2}), json_group_array({3}))",
    postgresql="CAST(json_build_array(json_agg({1}), json_agg({2}), json_agg({3})) AS TEXT)",
)

# A column of all rows as one text, an array of JSON in any order.
json_column: Final = _function(Text(), sqlite="json_group_array({0})", postgresql="CAST(json_agg({0}) AS TEXT)")

# The text at a literal index of an array of JSON.
json_text_at: Final = _function(Text(), sqlite="json_extract({1}, '$[{2}]')", postgresql="({1} ->> {2})")

# A column by which SQLite must not look up rows: it then finds them by a column of another table, in that order.
looked_up: Final = _function(Text(), sqlite="+{0}", postgresql="{0}")
# A text by which neither database must look up rows: it finds them by other columns, and compares this one.
compared_alone: Final = _function(Text(), sqlite="+{0}", postgresql="({0} || '')")

# The length of a text in UTF-8 bytes; PostgreSQL knows it without reading a text that is stored out of line.
octets: Final = _function(Integer(), sqlite="length(CAST({0} AS BLOB))", postgresql="octet_length({0})")

# A text that is another one after PostgreSQL was restored into another cluster, or was promoted. The name of a log
# file begins with the timeline; a standby has none of its own.
history: Final = _function(
    Text(),
    sqlite="''",
    postgresql=(
        "(SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()) || ' ' || CASE "
        "WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END"
    ),
)

# The time by the database's clock, in milliseconds since 1970.
now_ms: Final = _function(
    BigInteger(),
    sqlite="CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    postgresql="CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
)


def as_text(value: str | ColumnElement[str]) -> ColumnElement[str]:
    """Return a text as an argument of a function: itself, where it is already one of the statement's parameters."""
    return value if isinstance(value, ColumnElement) else literal(value, Text())
