"""Where a refused value stands in the arguments of a field: `extensions.param`, from the wire's name for the place.

`domain.parse` names places as the wire's body has them (`content[3].image_url.url`); GraphQL's caller wrote
`input.content.parts[3].imageUrl.url`. REST keeps the wire's names.
Must not be here: what is refused (`domain`), how an error is laid out (`errors`).
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from strawberry.utils.str_converters import to_camel_case

from gateway.errors import InvalidRequest
from gateway.graphql.schema.inputs import MessageContentInput

P = ParamSpec("P")
T = TypeVar("T")

_NAME: Final = re.compile(r"\.?([A-Za-z_]+)")
_PLACE: Final = re.compile(r"\[([0-9]+)\]")


def names_arguments(resolve: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Let a resolver's refusals name the place in its arguments; every resolver that takes arguments needs this."""

    @wraps(resolve)
    async def resolve_named(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await resolve(*args, **kwargs)
        except InvalidRequest as error:
            if error.param is not None:
                error.param = argument_path(error.param, kwargs)
            raise

    return resolve_named


def argument_path(param: str, arguments: Mapping[str, Any]) -> str:
    """Name the place in arguments that the wire calls `param`."""
    found = _NAME.match(param)
    if "input" in arguments:
        return f"input{_below(arguments['input'], param)}"
    return param if found is None else f"{to_camel_case(found[0])}{param[found.end() :]}"


def _below(value: Any, rest: str) -> str:
    """Name the place below a value; what the input does not tell apart, as the type of a tool, is the value itself."""
    if isinstance(value, MessageContentInput):  # the wire has either of the two in one place
        name = "parts" if isinstance(value.parts, list) else "text"
        return f".{name}{_below(getattr(value, name), rest)}"
    if isinstance(value, dict):  # a scalar, whose keys are no names of ours
        return rest
    if isinstance(value, list):
        found = _PLACE.match(rest)
        return "" if found is None else f"{found[0]}{_below(value[int(found[1])], rest[found.end() :])}"
    found = _NAME.match(rest)
    if found is None:
        return ""
    names = _names_of(type(value))
    name = to_camel_case(found[1])
    if name not in names:  # updateThread's `id` is the wire's `thread_id`
        name = "id"
    return f".{name}{_below(getattr(value, names[name]), rest[found.end() :])}" if name in names else ""


def _names_of(kind: type) -> Mapping[str, str]:
    """Find the fields of an input by their names in the schema; other values have none."""
    definition = getattr(kind, "__strawberry_definition__", None)
    return (
        {} if definition is None else {to_camel_case(each.python_name): each.python_name for each in definition.fields}
    )
