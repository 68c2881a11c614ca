"""The table of `docs/configuration.md`, written from the settings; `python -m tests.docs.configuration` renews it.

Must not be here: the settings' descriptions (`gateway.settings`).
"""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.settings.load import PREFIX, SECRETS, SETTINGS
from tests.live.server import ROOT

PAGE: Final = ROOT / "docs" / "configuration.md"
_BEGIN, _END = "<!-- generated from the settings -->\n", "<!-- end -->\n"
_HEAD: Final = "| variable | flag | default | description |\n|---|---|---|---|\n"


def row_of(name: str) -> str:
    """Write the row of one setting."""
    setting = SETTINGS[name]
    flag = "" if name in SECRETS else f"`--{name.replace('_', '-')}`"
    default = "" if setting.default == "" else f"`{_text(setting.default)}`"
    description = re.sub(r"([|*<>])", r"\\\1", setting.description)
    description = re.sub(r"(?<!`)(GATEWAY_[A-Z_]+)", r"`\1`", description)
    return f"| `{PREFIX}{name.upper()}` | {flag} | {default} | {description} |\n"


def _text(default: Any) -> str:
    return str(default).lower() if isinstance(default, bool) else str(default)


def generated() -> str:
    """Write the page anew: what stands between its marks is made of the settings."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    return f"{before}{_BEGIN}\n{_HEAD}{''.join(map(row_of, SETTINGS))}\n{_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(generated(), encoding="utf-8")
