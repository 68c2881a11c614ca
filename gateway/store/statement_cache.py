"""The cache of compiled statements: each is built and compiled once for each shape of its arguments.

A builder is called with bind parameters in place of values, so the text is the usual one of SQLAlchemy. The shape is
everything but values that changes the text: which bounds there are, the order.
Must not be here: which statements there are (`statements`), connections (`connections`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import BigInteger, Text, bindparam

from gateway.domain.message import Message
from gateway.domain.page import PageRequest
from gateway.domain.principal import Reach
from gateway.domain.thread import Thread
from gateway.domain.thread_list import Beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Dialect, Executable

    Build = Callable[..., Executable]

# Of a message or thread; all other fields are text.
_NUMBERS: Final = frozenset(
    {"created_at", "completed_at", "incomplete_at", "message_count", "plain_text", "activity_at"}
)
_CONTENT: Final = Message._fields.index("content_json")
_REQUIRED: Final = Message._fields.index("run_id")  # fields before it are never None
_MAX_SHAPES: Final = 500  # there are some dozens, and one for each number of ids in a read


@dataclass(frozen=True, slots=True)
class Prepared:
    """The text of a statement; `order` puts the values, followed by the constants, in the order of the text."""

    text: str
    constants: tuple[Any, ...]
    order: Callable[[Sequence[Any]], Sequence[Any]]


class StatementCache:
    """The compiled statements of one kind of database."""

    def __init__(self, dialect: Dialect, adapt: Callable[[Executable], Executable] | None = None) -> None:
        self._dialect = dialect
        self._adapt = adapt or (lambda statement: statement)  # to the driver
        self._by_shape: dict[tuple[Any, ...], Prepared] = {}

    def prepared(self, build: Build, arguments: tuple[Any, ...]) -> tuple[Prepared, Sequence[Any]]:
        """Return the statement of a builder for arguments of this shape, and their values in its order."""
        values: list[Any] = []
        parts: list[Any] = [build]
        for each in arguments:
            kind = each.__class__
            if kind is str or kind is int:  # most are
                values.append(each)
                parts.append(kind)
            else:
                parts.append(_SHAPE_OF.get(kind, _constant)(each, values))
        shape = tuple(parts)
        found = self._by_shape.get(shape)
        if found is None:
            if len(self._by_shape) == _MAX_SHAPES:
                self._by_shape.clear()
            built = self._adapt(build(*_bind_parameters(arguments)))
            found = self._by_shape[shape] = _compile(self._dialect, built, len(values))
        values += found.constants
        return found, found.order(values)


def _shape_of_reach(reach: Reach, values: list[Any]) -> Any:
    values.append(reach.project_id)
    owner, thread_id = reach.owner, reach.thread_id
    if owner is not None:
        values.append(owner)
    if thread_id is not None:
        values.append(thread_id)
    return owner is None, thread_id is None, reach.with_unfinished


def _shape_of_page(page: PageRequest, values: list[Any]) -> Any:
    values.append(page.limit)
    after, before = page.after, page.before
    if after is not None:
        values.append(after)
    if before is not None:
        values.append(before)
    return page.order, page.from_end, after is None, before is None


def _shape_of_message(message: Message, values: list[Any]) -> Any:
    """Omit what is None: SQLite's driver takes longer for a None than for everything else about a parameter."""
    begin = len(values)
    values += message[:_REQUIRED]
    values[begin + _CONTENT] = message.content_json.decode()  # columns hold text
    kinds = []
    for each in message[_REQUIRED:]:
        kinds.append(each.__class__)
        if each is not None:
            values.append(each)
    return tuple(kinds)


def _shape_of_thread(thread: Thread, values: list[Any]) -> Any:
    values += [each for each in thread if each is not None]
    return tuple(map(type, thread))


def _shape_of_row(row: dict[str, Any], values: list[Any]) -> Any:
    values += row.values()
    return tuple(row)


def _shape_of_beside(beside: Beside, values: list[Any]) -> Any:
    read, reader, most, also = beside
    if reader is not None:
        values.append(reader)
    values.append(most)
    return also, reader is None, None if read is None else (read.page.order, read.page.from_end, read.fields)


def _shape_of_ids(ids: Sequence[str], values: list[Any]) -> Any:
    values += ids
    return len(ids)


def _constant(value: Any, _values: list[Any]) -> Any:
    return value


_SHAPE_OF: Final[dict[type, Callable[[Any, list[Any]], Any]]] = {
    Reach: _shape_of_reach,
    PageRequest: _shape_of_page,
    Beside: _shape_of_beside,
    Message: _shape_of_message,
    Thread: _shape_of_thread,
    dict: _shape_of_row,
    list: _shape_of_ids,
}


def _bind_parameters(arguments: tuple[Any, ...]) -> list[Any]:
    """Replace each value by a bind parameter, in the order in which the shapes collect values."""
    names = map(_name, count())
    return [_BIND_OF.get(type(each), _same)(each, names) for each in arguments]


def _text(value: str | None, names: Iterator[str]) -> Any:
    return None if value is None else bindparam(next(names), type_=Text())


def _number(_value: Any, names: Iterator[str]) -> Any:
    return bindparam(next(names), type_=BigInteger())


def _same(value: Any, _names: Iterator[str]) -> Any:
    return value


def _bind_reach(reach: Reach, names: Iterator[str]) -> Any:
    project_id, owner, thread_id = (_text(each, names) for each in (reach.project_id, reach.owner, reach.thread_id))
    return Reach(project_id, owner, thread_id, with_unfinished=reach.with_unfinished)


def _bind_page(page: PageRequest, names: Iterator[str]) -> Any:
    limit = _number(page.limit, names)
    return PageRequest(limit, page.order, _text(page.after, names), _text(page.before, names), page.from_end)


def _bind_fields(row: Any, names: Iterator[str]) -> Any:
    own = zip(row._fields, row, strict=True)
    return row._make(
        [(_number if value is not None and name in _NUMBERS else _text)(value, names) for name, value in own]
    )


_BIND_OF: Final[dict[type, Callable[[Any, Iterator[str]], Any]]] = {
    Reach: _bind_reach,
    PageRequest: _bind_page,
    Beside: lambda beside, names: beside._replace(reader=_text(beside.reader, names), most=_number(0, names)),
    Message: _bind_fields,
    Thread: _bind_fields,
    dict: lambda row, names: {column: bindparam(next(names)) for column in row},  # of the type of its column
    list: lambda ids, names: [_text(each, names) for each in ids],
    str: _text,
    int: _number,
}


def _name(number: int) -> str:
    return f"value_{number}"


def _compile(dialect: Dialect, statement: Executable, given: int) -> Prepared:
    compiled = cast("Any", statement).compile(dialect=dialect)
    numbers = {_name(n): n for n in range(given)}
    constants = {name: value for name, value in compiled.params.items() if name not in numbers}
    numbers |= {name: given + n for n, name in enumerate(constants)}
    places = [numbers[name] for name in compiled.positiontup]
    return Prepared(str(compiled), tuple(constants.values()), _in_order(places))


def _in_order(places: list[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: [values[place] for place in places]
