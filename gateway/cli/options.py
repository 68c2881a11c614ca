"""Options of commands made from the table of settings, and the help that lists them under headings.

Must not be here: commands (`commands`), types of values (`settings.values`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gateway.cli.signals import ended_as_by_ctrl_c
from gateway.settings.table import SETTINGS, Group, Setting

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.types import OptionHelpExtra


class SettingOption(click.Option):
    """The flag of one setting; None if it is not given, so that the environment or a default counts."""

    def __init__(self, flags: list[str], setting: Setting, **more: Any) -> None:
        self.setting = setting
        super().__init__(flags, type=setting.type, default=None, help=setting.description, **more)

    def get_help_extra(self, ctx: click.Context) -> OptionHelpExtra:
        """Add the variable and the default, which click does not know, to the range of a number."""
        extra = super().get_help_extra(ctx)
        extra["envvars"] = (self.setting.variable,)
        if default := self.setting.text(self.setting.default):
            extra["default"] = default
        return extra


class GroupedCommand(click.Command):
    """A command whose help lists the flags of settings under the headings of their groups, and that signals end."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a server has its own way to end."""
        if self.name == "serve":
            return super().invoke(ctx)
        with ended_as_by_ctrl_c():
            return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then each group of settings."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                heading = parameter.setting.group.value if isinstance(parameter, SettingOption) else "Options"
                sections.setdefault(heading, []).append(record)
        for heading in ("Options", *(each.value for each in Group)):
            if records := sections.get(heading):
                with formatter.section(heading):
                    formatter.write_dl(records)


def settings_options(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of some settings."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        for name in reversed(names):
            setting = SETTINGS[name]
            command = click.option(*setting.flags, name, cls=SettingOption, setting=setting)(command)
        return command

    return decorate
