"""The models of the settings: their endpoints, limits and keys, and assistants that are mapped to one of them.

Must not be here: how a model is called (`runs.models`), the variables themselves (`table`).
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.errors import InvalidSetting
from gateway.settings.load import read_variable
from gateway.settings.values import check_model_key, check_model_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.settings.table import Settings

_FILE: Final = "GATEWAY_MODELS"
_LONGEST_S: Final = 3600.0
_MOST_TOKENS: Final = 10_000_000
_MOST_CALLS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a model answers: the URL before `/chat/completions`, its key, and limits of each call.

    `model` is the name of the model there; None passes on the requested name.
    """

    url: str = field(repr=False)  # parameters may be secret
    key: str = field(default="", repr=False)
    model: str | None = None
    max_completion_tokens: int | None = None
    timeout_s: float = 600.0
    silence_s: float = 120.0  # without a byte; a reasoning model may take long before the first one
    max_concurrent: int = 100


@dataclass(frozen=True, slots=True)
class MappedAssistant:
    """An assistant that the settings name, for programs whose assistants were made elsewhere."""

    name: str | None = None
    model: str | None = None  # the name that a run would give; None is the default
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """The models by the names that runs use, and mapped assistants by their ids.

    `fallback` answers for names that are not in `endpoints`; `default` is the model of runs that name none.
    """

    endpoints: Mapping[str, Endpoint]
    fallback: Endpoint | None
    default: str | None
    assistants: Mapping[str, MappedAssistant]


def load_models(settings: Settings) -> ModelSettings | None:
    """Read the models of the settings; None where no endpoint is set.

    Errors: InvalidSetting.
    """
    if not (settings.model_url or settings.models):
        return None
    endpoints, assistants = _of_file(settings.models) if settings.models else ({}, {})
    fallback = Endpoint(settings.model_url, settings.model_key) if settings.model_url else None
    default = settings.model or None
    if fallback is None and len(endpoints) == 1:  # with one endpoint, any name is passed on
        [(name, only)] = endpoints.items()
        fallback, default = replace(only, model=None), default or name
    models = ModelSettings(endpoints, fallback, default, assistants)
    _refuse_unknown_names(models)
    return models


def _refuse_unknown_names(models: ModelSettings) -> None:
    if not models.endpoints and models.fallback is None:
        raise InvalidSetting(f"{_FILE}: expected a table [models.NAME], or GATEWAY_MODEL_URL too.")
    given = {"GATEWAY_MODEL": models.default}
    for assistant_id, assistant in models.assistants.items():
        where = f'{_FILE}: assistants."{assistant_id}"'
        if assistant.model is None and models.default is None:
            raise InvalidSetting(f"{where}: expected a model, or GATEWAY_MODEL.")
        given[f"{where}.model"] = assistant.model
    for where, name in given.items():
        if name is not None and name not in models.endpoints and models.fallback is None:
            raise InvalidSetting(f"{where}: no model is named {name!r}; known are {', '.join(models.endpoints)}.")


def _of_file(path: str) -> tuple[dict[str, Endpoint], dict[str, MappedAssistant]]:
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting(f"{_FILE}: {path}: {error.strerror}.") from None
    except ValueError as error:  # of TOML, or of UTF-8
        raise InvalidSetting(f"{_FILE}: {path}: {error}.") from None
    tables = _tables(document, ("models", "assistants"), _FILE)
    models, assistants = _tables(tables.get("models", {}), None, f"{_FILE}: models"), tables.get("assistants", {})
    return (
        {name: _endpoint(f"{_FILE}: models.{name}", table) for name, table in models.items()},
        {
            name: MappedAssistant(**_fields(f'{_FILE}: assistants."{name}"', table, _OF_ASSISTANT))
            for name, table in _tables(assistants, None, f"{_FILE}: assistants").items()
        },
    )


def _tables(given: Mapping[str, Any], known: tuple[str, ...] | None, where: str) -> dict[str, dict[str, Any]]:
    for name, table in given.items():
        if known is not None and name not in known:
            raise InvalidSetting(f"{where}: unknown table {name!r}; known are {' and '.join(known)}.")
        if not isinstance(table, dict):
            raise InvalidSetting(f"{where}: expected {name!r} to be a table.")
    return dict(given)


def _endpoint(where: str, table: Mapping[str, Any]) -> Endpoint:
    given = _fields(where, table, _OF_MODEL)
    variable = given.pop("key_variable", None)
    if "url" not in given:
        raise InvalidSetting(f"{where}: expected a url.")
    if variable is None:
        return Endpoint(**given)
    key = read_variable(variable)
    if not key:
        raise InvalidSetting(f"{where}.key_variable: the environment variable {variable} is not set.")
    try:
        return Endpoint(**given, key=check_model_key(key))
    except ValueError as error:
        raise InvalidSetting(f"{where}: {variable}: {error}.") from None


def _fields(where: str, table: Mapping[str, Any], known: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """Read the fields of a table; each has a function that raises a ValueError with what it expects."""
    for name in table:
        if name not in known:
            hint = " Put the key into an environment variable, and its name into key_variable." if name == "key" else ""
            raise InvalidSetting(f"{where}: unknown field {name!r}; known are {', '.join(known)}.{hint}")
    read = {}
    for name, value in table.items():
        try:
            read[name] = known[name](value)
        except ValueError as error:
            raise InvalidSetting(f"{where}.{name}: {error}.") from None
    return read


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected a text")
    return value


def _number(most: float, *, is_whole: bool) -> Callable[[Any], Any]:
    kinds, wanted = ((int,), "a whole number") if is_whole else ((int, float), "a number")

    def read(value: Any) -> Any:
        if type(value) not in kinds or not 0 < value <= most:  # refuses NaN too
            raise ValueError(f"expected {wanted} above 0 and at most {most:.0f}")
        return value

    return read


_OF_MODEL: Final[Mapping[str, Callable[[Any], Any]]] = {
    "url": lambda value: check_model_url(_text(value)),
    "key_variable": _text,
    "model": _text,
    "max_completion_tokens": _number(_MOST_TOKENS, is_whole=True),
    "timeout_s": _number(_LONGEST_S, is_whole=False),
    "silence_s": _number(_LONGEST_S, is_whole=False),
    "max_concurrent": _number(_MOST_CALLS, is_whole=True),
}
_OF_ASSISTANT: Final = {each.name: _text for each in fields(MappedAssistant)}
