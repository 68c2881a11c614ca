"""`gateway config`: print the settings in effect, and the source of each.

Must not be here: how secrets are masked (`settings.masking`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import orjson

from gateway.settings.masking import mask
from gateway.settings.table import SETTINGS, Group

if TYPE_CHECKING:
    from gateway.settings.load import Loaded


def show_config(loaded: Loaded) -> None:
    """Print each setting with its value and source, under the heading of its group."""
    rows = {name: mask(setting, getattr(loaded.settings, name)) for name, setting in SETTINGS.items()}
    name_width = max(len(setting.variable) for setting in SETTINGS.values())
    source_width = max(len(source.value) for source in loaded.sources.values())
    for group in Group:
        click.echo(f"# {group.value}")
        for name, setting in SETTINGS.items():
            if setting.group is group:
                source = loaded.sources[name].value
                click.echo(f"{setting.variable:<{name_width}}  {source:<{source_width}}  {rows[name]}".rstrip())


def show_config_as_json(loaded: Loaded) -> None:
    """Print the same as one JSON object: from each variable to its value and source; a secret's value is masked."""
    shown = {
        setting.variable: {
            "value": mask(setting, value) if setting.secret else value,
            "source": loaded.sources[name].value,
        }
        for name, setting in SETTINGS.items()
        for value in [getattr(loaded.settings, name)]
    }
    click.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2))
