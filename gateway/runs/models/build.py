"""The models of the settings as a worker uses them: endpoints by model names, or the demo.

Must not be here: how the settings are read (`settings.models`), how a model is called.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.runs.models.demo import DemoModels
from gateway.runs.models.interface import Resolved
from gateway.settings.models import load_models

if TYPE_CHECKING:
    from gateway.runs.models.interface import Models
    from gateway.settings.models import Endpoint, MappedAssistant, ModelSettings
    from gateway.settings.table import Settings


def models_of(settings: Settings) -> Models | None:
    """Make the models of the settings; None where runs are not answered.

    Errors: InvalidSetting.
    """
    if settings.demo:
        return DemoModels()
    found = load_models(settings)
    return None if found is None else EndpointModels(found)


class EndpointModels:
    """Models behind endpoints; names of the same endpoint share its limits."""

    def __init__(self, settings: ModelSettings) -> None:
        from gateway.runs.models.endpoint import EndpointModel  # noqa: PLC0415  (aiohttp is an extra)

        given = (*settings.endpoints.values(), settings.fallback)
        self._settings = settings
        self._models = {where: EndpointModel(where) for where in {_without_name(each) for each in given if each}}

    def resolve(self, name: str | None) -> Resolved | None:
        """Find a model, as `Models.resolve` does."""
        wanted = name or self._settings.default
        endpoint = self._settings.endpoints.get(wanted or "", self._settings.fallback)
        if wanted is None or endpoint is None:
            return None
        return Resolved(self._models[_without_name(endpoint)], endpoint.model or wanted)

    def assistant(self, assistant_id: str) -> MappedAssistant | None:
        """Find a mapped assistant, as `Models.assistant` does."""
        mapped = self._settings.assistants
        return mapped.get(assistant_id, mapped.get("*"))

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(each.close() for each in self._models.values()))


def _without_name(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, model=None)
