"""The argument path of an invalid value, for `extensions.param`, derived from its path in the REST body.

`domain.parse` uses the paths of the REST body (`content[3].image_url.url`); the path in GraphQL arguments is
`input.content.parts[3].imageUrl.url`.
Must not be here: validation (`domain`), the format of errors (`errors`).
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

from strawberry.utils.str_converters import to_camel_case

from gateway.errors import InvalidRequest
from gateway.graphql.schema.inputs import MessageContentInput, ThreadFilter

P = ParamSpec("P")
T = TypeVar("T")

_NAME: Final = re.compile(r"\.?([A-Za-z_]+)")
_PLACE: Final = re.compile(r"\[([0-9]+)\]")


def names_arguments(resolve: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Convert the paths in a resolver's errors to its arguments; every resolver with arguments needs this."""

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
    """Convert a path of the REST body to a path in arguments."""
    found = _NAME.match(param)
    if "input" in arguments:
        return f"input{_below(arguments['input'], param)}"
    if "filter" in arguments and param in _names_of(ThreadFilter).values():
        return f"filter.{to_camel_case(param)}"
    return param if found is None else f"{to_camel_case(found[0])}{param[found.end() :]}"


def _below(value: Any, rest: str) -> str:
    """Convert the rest of a path below a value; parts that the input does not have are dropped."""
    if isinstance(value, MessageContentInput):  # in REST both have the same path
        name = "parts" if isinstance(value.parts, list) else "text"
        return f".{name}{_below(getattr(value, name), rest)}"
    if isinstance(value, dict):  # a scalar, whose keys are the client's
        return rest
    if isinstance(value, list):
        found = _PLACE.match(rest)
        return "" if found is None else f"{found[0]}{_below(value[int(found[1])], rest[found.end() :])}"
    found = _NAME.match(rest)
    if found is None:
        return ""
    names = _names_of(type(value))
    name = to_camel_case(found[1])
    if name not in names:  # `id` of updateThread is `thread_id` in REST
        name = "id"
    return f".{name}{_below(getattr(value, names[name]), rest[found.end() :])}" if name in names else ""


def _names_of(kind: type) -> Mapping[str, str]:
    """Return the fields of an input by their names in the schema; other values have none."""
    definition = getattr(kind, "__strawberry_definition__", None)
    fields = () if definition is None else definition.fields
    return {each.graphql_name or to_camel_case(each.python_name): each.python_name for each in fields}
