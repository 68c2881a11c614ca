"""SQL functions whose names differ between the two databases.

Must not be here: all other differences between them (`engines`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import BigInteger, ColumnElement, Integer, LargeBinary, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler


class _PerDatabase(FunctionElement[Any]):
    """A function with its SQL on each database: `{0}` is all its arguments, `{1}` and `{2}` are single ones."""

    spellings: ClassVar[dict[str, str]]


@compiles(_PerDatabase)
def _compile(element: _PerDatabase, compiler: SQLCompiler, **options: Any) -> str:
    arguments = [compiler.process(each, **options) for each in element.clauses]
    return element.spellings[compiler.dialect.name].format(", ".join(arguments), *arguments)


class utf8(_PerDatabase):  # noqa: N801  (it is used like SQLAlchemy's own functions)
    """A text as its stored bytes, which drivers need not decode."""

    type = LargeBinary()
    inherit_cache = True
    spellings: ClassVar = {"sqlite": "CAST({0} AS BLOB)", "postgresql": "convert_to({0}, 'UTF8')"}


class filled(_PerDatabase):  # noqa: N801  (as above)
    """A template with `%s` for each of some columns, none of which may be null."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {"sqlite": "printf({0})", "postgresql": "format({0})"}


class text_as_json(_PerDatabase):  # noqa: N801  (as above)
    """A text as JSON, or the JSON null."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {
        # json_quote(NULL) returns the same, in more than twice the time.
        "sqlite": "CASE WHEN {0} IS NULL THEN 'null' ELSE json_quote({0}) END",
        "postgresql": "coalesce(CAST(to_json({0}) AS TEXT), 'null')",
    }


class number_as_json(_PerDatabase):  # noqa: N801  (as above)
    """A number as JSON, or the JSON null."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {"sqlite": "ifnull({0}, 'null')", "postgresql": "coalesce(CAST({0} AS TEXT), 'null')"}


class json_row(_PerDatabase):  # noqa: N801  (as above)
    """Some columns as one text, an array of JSON."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {"sqlite": "json_array({0})", "postgresql": "CAST(json_build_array({0}) AS TEXT)"}


class among(_PerDatabase):  # noqa: N801  (as above)
    """Whether a column is one of many texts, given as one value: an array of JSON, so that all have one statement.

    It has no type: of a boolean SQLAlchemy would ask `= 1` on SQLite, which then finds nothing by index.
    """

    inherit_cache = True
    spellings: ClassVar = {
        "sqlite": "{1} IN (SELECT value FROM json_each({2}))",
        "postgresql": "{1} = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST({2} AS JSONB))))",
    }


class among_numbers(_PerDatabase):  # noqa: N801  (as above)
    """Whether a column is one of many numbers, given as one value, as for `among`."""

    inherit_cache = True
    spellings: ClassVar = {
        "sqlite": "{1} IN (SELECT value FROM json_each({2}))",
        "postgresql": "{1} = ANY (ARRAY(SELECT CAST(jsonb_array_elements_text(CAST({2} AS JSONB)) AS BIGINT)))",
    }


class snapshot(_PerDatabase):  # noqa: N801  (as above)
    """What a statement sees of changes by their numbers, as text (`domain.snapshot`)."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {
        "sqlite": "(SELECT printf('%d:%d:', number + 1, number + 1) FROM change_counter)",
        "postgresql": "CAST(pg_current_snapshot() AS TEXT)",
    }


class next_change(_PerDatabase):  # noqa: N801  (as above)
    """The number that no change has had yet; in a database that was copied here, changes have higher ones too."""

    type = BigInteger()
    inherit_cache = True
    spellings: ClassVar = {
        "sqlite": "(SELECT number + 1 FROM change_counter)",
        "postgresql": "CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS TEXT) AS BIGINT)",
    }


class change_number(_PerDatabase):  # noqa: N801  (as above)
    """The number of a change that the statement makes; on SQLite it was counted when its thread was written."""

    type = BigInteger()
    inherit_cache = True
    spellings: ClassVar = {
        "sqlite": "(SELECT number FROM change_counter)",
        "postgresql": "CAST(CAST(pg_current_xact_id() AS TEXT) AS BIGINT)",
    }


class json_values(_PerDatabase):  # noqa: N801  (as above)
    """The elements of an array of JSON as rows, each in the column `value`."""

    inherit_cache = True
    spellings: ClassVar = {"sqlite": "json_each({0})", "postgresql": "jsonb_array_elements(CAST({0} AS JSONB))"}


class value_as_text(_PerDatabase):  # noqa: N801  (as above)
    """The text that an element of an array of JSON is."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {"sqlite": "{1}", "postgresql": "({1} #>> '{{}}')"}


class json_rows(_PerDatabase):  # noqa: N801  (as above)
    """Some columns of all rows as one text, an array of arrays of JSON in any order."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {
        "sqlite": "json_group_array(json_array({0}))",
        "postgresql": "CAST(json_agg(json_build_array({0})) AS TEXT)",
    }


class json_text_at(_PerDatabase):  # noqa: N801  (as above)
    """The text at a literal index of an array of JSON."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {"sqlite": "json_extract({1}, '$[{2}]')", "postgresql": "({1} ->> {2})"}


class looked_up(_PerDatabase):  # noqa: N801  (as above)
    """A column by which SQLite must not look for rows: it then finds them by another table's, in the order of that."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {"sqlite": "+{0}", "postgresql": "{0}"}


class octets(_PerDatabase):  # noqa: N801  (as above)
    """The length of a text in UTF-8 bytes; PostgreSQL knows it without reading a text that is stored out of line."""

    type = Integer()
    inherit_cache = True
    spellings: ClassVar = {"sqlite": "length(CAST({0} AS BLOB))", "postgresql": "octet_length({0})"}


class new_message_id(_PerDatabase):  # noqa: N801  (as above)
    """A random id of a message; PostgreSQL's UUIDs are of the quality of `domain.ids` too."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {
        "sqlite": "'msg_' || lower(hex(randomblob(12)))",
        "postgresql": "'msg_' || substr(replace(CAST(gen_random_uuid() AS TEXT), '-', ''), 1, 24)",
    }


class history(_PerDatabase):  # noqa: N801  (as above)
    """A text that is another one after PostgreSQL was restored into another cluster, or was promoted."""

    type = Text()
    inherit_cache = True
    spellings: ClassVar = {
        "sqlite": "''",
        # The name of a log file begins with the timeline; a standby has none of its own.
        "postgresql": "(SELECT CAST(system_identifier AS TEXT) FROM pg_control_system()) || ' ' || CASE "
        "WHEN pg_is_in_recovery() THEN '' ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END",
    }


class now_ms(_PerDatabase):  # noqa: N801  (as above)
    """The time by the database's clock, in milliseconds since 1970."""

    type = BigInteger()
    inherit_cache = True
    spellings: ClassVar = {
        "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
        "postgresql": "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)",
    }


def as_text(value: str | ColumnElement[str]) -> ColumnElement[str]:
    """Return a text as an argument of a function: itself, where it is already one of the statement's parameters."""
    return value if isinstance(value, ColumnElement) else literal(value, Text())
