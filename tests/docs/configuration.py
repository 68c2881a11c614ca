"""The table of `docs/configuration.md`, written from the settings; `python -m tests.docs.configuration` renews it.

Must not be here: the settings' descriptions (`gateway.settings`).
"""

from __future__ import annotations

import re
from typing import Final

from gateway.settings.table import SETTINGS, Group
from tests.live.server import ROOT

PAGE: Final = ROOT / "docs" / "configuration.md"
_BEGIN, _END = "<!-- generated from the settings -->\n", "<!-- end -->\n"
_HEAD: Final = "| variable | flag | default | description |\n|---|---|---|---|\n"


def row_of(name: str) -> str:
    """Write the row of one setting."""
    setting = SETTINGS[name]
    flag = "".join(f"`{each}`" for each in setting.flags)
    default = "" if setting.default == "" else f"`{setting.text(setting.default)}`"
    description = re.sub(r"([|*<>])", r"\\\1", setting.description)
    description = re.sub(r"(?<!`)(GATEWAY_[A-Z_]+)", r"`\1`", description)
    return f"| `{setting.variable}` | {flag} | {default} | {description} |\n"


def table_of(group: Group) -> str:
    """Write the heading and the rows of one group."""
    rows = (row_of(name) for name, setting in SETTINGS.items() if setting.group is group)
    return f"### {group.value}\n\n{_HEAD}{''.join(rows)}\n"


def generated() -> str:
    """Write the page anew: what stands between its marks is made of the settings."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    return f"{before}{_BEGIN}\n{''.join(map(table_of, Group))}{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(generated(), encoding="utf-8")
