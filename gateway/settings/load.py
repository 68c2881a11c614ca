"""The sources of settings: flags, the environment, a file `.env`, defaults; the only reader of the environment.

Must not be here: which settings there are (`table`), what is done with them.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from gateway.errors import InvalidSetting
from gateway.settings.table import PREFIX, SETTINGS, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE: Final = Path(".env")
_NEARLY: Final = 0.9  # similarity of two names: one letter of ten may be wrong
_COLLECTORS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Source(Enum):
    """The source of a value; its own value is how it is printed."""

    DEFAULT = "default"
    PROFILE = "profile"  # a default of GATEWAY_PROFILE=production
    FILE = ".env"
    ENVIRONMENT = "environment"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings of one process, and the source of each by its name."""

    settings: Settings
    sources: Mapping[str, Source]


def load_settings(flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings: a flag overrides the environment, which overrides `.env`; a flag of None is not given.

    Errors: InvalidSetting, naming each variable or flag whose value is wrong, and what was expected.
    """
    return load_with_sources(flags).settings


def load_with_sources(flags: Mapping[str, Any] | None = None) -> Loaded:
    """Read the settings as `load_settings` does, with the source of each.

    Errors: InvalidSetting.
    """
    given = _ours(_of_file(), Source.FILE) | _ours(os.environ, Source.ENVIRONMENT)
    given |= {name: (value, Source.FLAG) for name, value in (flags or {}).items() if value is not None}
    converted: dict[str, Any] = {}
    wrong: list[str] = []
    for name, setting in SETTINGS.items():
        if name in given:
            value, source = given[name]
            try:
                converted[name] = setting.type.convert(value, None, None)
            except click.BadParameter as error:
                wrong.append(f"{_named(name, source)}: {error.message} {setting.description}")
    if wrong:
        raise InvalidSetting("\n".join(wrong))
    profile = _of_profile() if converted.get("profile") == "production" else {}
    settings = Settings(**profile | converted)
    _refuse_incomplete(settings)
    origins = dict.fromkeys(profile, Source.PROFILE) | {name: source for name, (_, source) in given.items()}
    return Loaded(settings, {name: origins.get(name, Source.DEFAULT) for name in SETTINGS})


def read_variable(name: str) -> str | None:
    """Read an environment variable whose name is in a setting, such as the key of a model; else from `.env`."""
    value = os.environ.get(name)
    return value if value is not None else _of_file().get(name)


def misspelled() -> dict[str, str]:
    """Find variables whose names nearly match a setting, each with the name of that.

    Others may be legitimate, such as the key of a model or a setting of another version.
    """
    known = [each.variable for each in SETTINGS.values()]
    unknown = {name for name in (*os.environ, *_of_file()) if name.startswith(PREFIX) and name.upper() not in known}
    if not unknown:
        return {}
    from difflib import get_close_matches  # noqa: PLC0415  (most servers have no such variable)

    found = ((name, get_close_matches(name.upper(), known, 1, _NEARLY)) for name in sorted(unknown))
    return {name: near[0] for name, near in found if near}


def _named(name: str, source: Source) -> str:
    setting = SETTINGS[name]
    if source is Source.FLAG:
        return "".join(setting.flags) or setting.variable
    return f"{setting.variable} (in .env)" if source is Source.FILE else setting.variable


def _of_profile() -> dict[str, Any]:
    return {name: setting.production for name, setting in SETTINGS.items() if setting.production is not None}


def _of_file() -> Mapping[str, str | None]:
    if not _FILE.is_file():
        return {}
    from dotenv import dotenv_values  # noqa: PLC0415  (most servers have no such file)

    return dotenv_values(_FILE)


def _ours(given: Mapping[str, str | None], source: Source) -> dict[str, tuple[Any, Source]]:
    return {
        name.removeprefix(PREFIX).lower(): (text, source)
        for name, text in given.items()
        if name.startswith(PREFIX) and text is not None
    }


def _refuse_incomplete(settings: Settings) -> None:
    if settings.jwt_jwks_url and settings.jwt_secret:
        raise InvalidSetting("GATEWAY_JWT_JWKS_URL and GATEWAY_JWT_SECRET: expected only one of them.")
    has_key = settings.jwt_jwks_url or settings.jwt_secret
    if (settings.jwt_issuer or settings.jwt_audience) and not has_key:
        raise InvalidSetting(
            "GATEWAY_JWT_ISSUER, GATEWAY_JWT_AUDIENCE: expected GATEWAY_JWT_JWKS_URL or GATEWAY_JWT_SECRET too, which "
            "verifies tokens. Without one no token is accepted."
        )
    if has_key and not (settings.jwt_issuer and settings.jwt_audience):
        raise InvalidSetting(
            "GATEWAY_JWT_ISSUER and GATEWAY_JWT_AUDIENCE: expected both, so that tokens for others are refused."
        )
    if settings.model_key and not settings.model_url:
        raise InvalidSetting("GATEWAY_MODEL_KEY: expected GATEWAY_MODEL_URL too, the endpoint that it is sent to.")
    has_models = settings.model_url or settings.models
    if settings.model and not has_models:
        raise InvalidSetting("GATEWAY_MODEL: expected GATEWAY_MODEL_URL or GATEWAY_MODELS too.")
    if settings.demo and has_models:
        raise InvalidSetting("GATEWAY_DEMO: expected neither GATEWAY_MODEL_URL nor GATEWAY_MODELS beside it.")
    for name in ("jwt_secret", "token_secret"):
        if getattr(settings, f"{name}_old") and not getattr(settings, name):
            variable = SETTINGS[name].variable
            raise InvalidSetting(f"{variable}_OLD: expected {variable} too, the secret that replaces it.")


def wants_traces() -> bool:
    """Say whether OpenTelemetry's own variables ask for traces; its SDK reads the rest of them itself.

    Source: OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter Configuration".
    """
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    exporter = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    is_given = any(os.environ.get(name) for name in _COLLECTORS)
    return is_given and not is_off and exporter == "otlp"


def export_to_environment(settings: Settings) -> None:
    """Put the settings into the environment, from which the worker processes read them."""
    os.environ.update({SETTINGS[name].variable: str(value) for name, value in asdict(settings).items()})
