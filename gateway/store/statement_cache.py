"""The cache of compiled statements: each is built and compiled once for each shape of its arguments.

A builder is called with bind parameters in place of values, so the text is what SQLAlchemy compiles anywhere else.
The shape is what changes the text and is not a value: which bounds there are, the order.
Must not be here: which statements there are (`statements`), connections (`connections`).
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, cast

from sqlalchemy import BigInteger, Text, bindparam

from gateway.domain.message import Message
from gateway.domain.page import PageRequest
from gateway.domain.principal import Reach
from gateway.domain.thread import Thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Dialect, Executable

    Build = Callable[..., Executable]

# Of a message or thread; all else is text.
_NUMBERS: Final = frozenset(
    {"created_at", "completed_at", "incomplete_at", "message_count", "plain_text", "activity_at"}
)
_CONTENT: Final = Message._fields.index("content_json")
_MAX_SHAPES: Final = 500  # there are some dozens


@dataclass(frozen=True, slots=True)
class Prepared:
    """The text of a statement; `order` puts the values, followed by the constants, in the order of the text."""

    text: str
    constants: tuple[Any, ...]
    order: Callable[[Sequence[Any]], Sequence[Any]]


class StatementCache:
    """The compiled statements of one kind of database."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._by_shape: dict[tuple[Any, ...], Prepared] = {}

    def prepared(self, build: Build, arguments: tuple[Any, ...]) -> tuple[Prepared, Sequence[Any]]:
        """Return the statement that a builder makes of such arguments, and the values of these in its order."""
        values: list[Any] = []
        shape = (build, *[_SHAPE_OF.get(type(each), _constant)(each, values) for each in arguments])
        found = self._by_shape.get(shape)
        if found is None:
            if len(self._by_shape) == _MAX_SHAPES:
                self._by_shape.clear()
            found = self._by_shape[shape] = _compile(self._dialect, build(*_bind_parameters(arguments)), len(values))
        values += found.constants
        return found, found.order(values)


def _shape_of_reach(reach: Reach, values: list[Any]) -> Any:
    values.append(reach.project_id)
    owner, thread_id = reach.owner, reach.thread_id
    if owner is not None:
        values.append(owner)
    if thread_id is not None:
        values.append(thread_id)
    return owner is None, thread_id is None


def _shape_of_page(page: PageRequest, values: list[Any]) -> Any:
    values.append(page.limit)
    after, before = page.after, page.before
    if after is not None:
        values.append(after)
    if before is not None:
        values.append(before)
    return page.order, page.from_end, after is None, before is None


def _shape_of_message(message: Message, values: list[Any]) -> Any:
    values += message
    values[_CONTENT - len(message)] = message.content_json.decode()  # columns hold text
    return "message"


def _shape_of_thread(thread: Thread, values: list[Any]) -> Any:
    values += thread
    return "thread"


def _shape_of_row(row: dict[str, Any], values: list[Any]) -> Any:
    values += row.values()
    return tuple(row)


def _shape_of_ids(ids: Sequence[str], values: list[Any]) -> Any:
    values += ids
    return len(ids)


def _value(value: Any, values: list[Any]) -> Any:
    values.append(value)
    return type(value)


def _constant(value: Any, _values: list[Any]) -> Any:
    return value


_SHAPE_OF: Final[dict[type, Callable[[Any, list[Any]], Any]]] = {
    Reach: _shape_of_reach,
    PageRequest: _shape_of_page,
    Message: _shape_of_message,
    Thread: _shape_of_thread,
    dict: _shape_of_row,
    list: _shape_of_ids,
    str: _value,
    int: _value,
}


def _bind_parameters(arguments: tuple[Any, ...]) -> list[Any]:
    """Replace each value by a bind parameter, in the order in which shapes collect values."""
    names = iter(range(1_000))

    def text(value: str | None) -> Any:
        return None if value is None else bindparam(_name(next(names)), type_=Text())

    def number() -> Any:
        return bindparam(_name(next(names)), type_=BigInteger())

    parameters: list[Any] = []
    for each in arguments:
        if isinstance(each, Reach):
            parameters.append(Reach(text(each.project_id), text(each.owner), text(each.thread_id)))
        elif isinstance(each, PageRequest):
            limit, after, before = number(), text(each.after), text(each.before)
            parameters.append(PageRequest(limit, each.order, after, before, each.from_end))
        elif isinstance(each, Message | Thread):
            parameters.append(type(each)(*[number() if name in _NUMBERS else text("") for name in each._fields]))
        elif isinstance(each, dict):
            parameters.append({name: bindparam(_name(next(names))) for name in each})  # of the type of its column
        elif isinstance(each, list):
            parameters.append([text(one) for one in each])
        elif type(each) is int:
            parameters.append(number())
        else:
            parameters.append(text(each) if isinstance(each, str) else each)
    return parameters


def _name(number: int) -> str:
    return f"value_{number}"


def _compile(dialect: Dialect, statement: Executable, count: int) -> Prepared:
    compiled = cast("Any", statement).compile(dialect=dialect)
    numbers = {_name(n): n for n in range(count)}
    constants = {name: value for name, value in compiled.params.items() if name not in numbers}
    numbers |= {name: count + n for n, name in enumerate(constants)}
    places = [numbers[name] for name in compiled.positiontup]
    return Prepared(str(compiled), tuple(constants.values()), _in_order(places))


def _in_order(places: list[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: [values[place] for place in places]
