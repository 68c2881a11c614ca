"""Functions that statements use and that the two databases call by different names.

Must not be here: all other differences between them (`dialect`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, LargeBinary, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import SQLCompiler


class utf8(FunctionElement[bytes]):  # noqa: N801  (it stands in statements like SQLAlchemy's own functions)
    """A text as the bytes that it is kept as, which drivers then need not decode."""

    type = LargeBinary()
    inherit_cache = True


@compiles(utf8, "sqlite")
def _utf8_of_sqlite(element: utf8, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS BLOB)"


@compiles(utf8, "postgresql")
def _utf8_of_postgres(element: utf8, compiler: SQLCompiler, **options: Any) -> str:
    return f"convert_to({compiler.process(element.clauses, **options)}, 'UTF8')"


class filled(FunctionElement[str]):  # noqa: N801  (as above)
    """A text with `%s` for each of some columns, which none of them may lack."""

    type = Text()
    inherit_cache = True


@compiles(filled, "sqlite")
def _filled_of_sqlite(element: filled, compiler: SQLCompiler, **options: Any) -> str:
    return f"printf({compiler.process(element.clauses, **options)})"


@compiles(filled, "postgresql")
def _filled_of_postgres(element: filled, compiler: SQLCompiler, **options: Any) -> str:
    return f"format({compiler.process(element.clauses, **options)})"


class as_json(FunctionElement[str]):  # noqa: N801  (as above)
    """A text or number as JSON, also where there is none."""

    type = Text()
    inherit_cache = True


@compiles(as_json, "sqlite")
def _as_json_of_sqlite(element: as_json, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"ifnull({column}, 'null')" if _is_number(element) else f"json_quote({column})"


@compiles(as_json, "postgresql")
def _as_json_of_postgres(element: as_json, compiler: SQLCompiler, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"coalesce(CAST({column if _is_number(element) else f'to_json({column})'} AS TEXT), 'null')"


def _is_number(element: as_json) -> bool:
    [column] = element.clauses
    return isinstance(column.type, Integer)


class json_row(FunctionElement[str]):  # noqa: N801  (as above)
    """Some columns as one text, an array of JSON."""

    type = Text()
    inherit_cache = True


@compiles(json_row, "sqlite")
def _json_row_of_sqlite(element: json_row, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array({compiler.process(element.clauses, **options)})"


@compiles(json_row, "postgresql")
def _json_row_of_postgres(element: json_row, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(json_build_array({compiler.process(element.clauses, **options)}) AS TEXT)"


class among(FunctionElement[bool]):  # noqa: N801  (as above)
    """Whether a column is one of many texts, given as one value: an array of JSON, so that all have one statement.

    It has no type: of a boolean SQLAlchemy would ask `= 1` on SQLite, which then finds nothing by index.
    """

    inherit_cache = True


@compiles(among, "sqlite")
def _among_of_sqlite(element: among, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({texts}))"  # noqa: S608  (a column, and a place for a value)


@compiles(among, "postgresql")
def _among_of_postgres(element: among, compiler: SQLCompiler, **options: Any) -> str:
    column, texts = (compiler.process(each, **options) for each in element.clauses)
    return f"{column} = ANY (ARRAY(SELECT jsonb_array_elements_text(CAST({texts} AS JSONB))))"
