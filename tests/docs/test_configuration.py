"""docs/configuration.md is written from the settings."""

from __future__ import annotations

from gateway.settings.table import SETTINGS
from tests.docs import configuration


def test_the_configuration_page_is_generated_from_the_settings() -> None:
    page = configuration.PAGE.read_text(encoding="utf-8")

    assert page == configuration.generated(), "renew it: python -m tests.docs.configuration"


def test_each_setting_has_one_row() -> None:
    page = configuration.PAGE.read_text(encoding="utf-8")

    assert {name: page.count(f"| `GATEWAY_{name.upper()}` |") for name in SETTINGS} == dict.fromkeys(SETTINGS, 1)
