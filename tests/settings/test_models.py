"""The models of the settings: one by variables, several by a file, and what is wrong with either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gateway.errors import InvalidSetting
from gateway.settings.load import load_settings
from gateway.settings.models import Endpoint, MappedAssistant, load_models
from gateway.settings.table import SETTINGS
from tests.live.server import run_here

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.settings.models import ModelSettings

URL = "https://models.example/v1"
TWO = """
[models.large]
url = "https://a.example/v1/"
key_variable = "LARGE_KEY"
model = "large-2026"
max_completion_tokens = 4096
timeout_s = 60
silence_s = 0.5
max_concurrent = 8

[models.small]
url = "http://127.0.0.1:11434/v1"

[assistants.asst_tutor]
name = "Tutor"
model = "small"
instructions = "Explain."

[assistants."*"]
"""


@pytest.fixture(autouse=True)
def _bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin without any setting, in a folder without a file .env."""
    monkeypatch.chdir(tmp_path)
    for name in SETTINGS:
        monkeypatch.delenv(f"GATEWAY_{name.upper()}", raising=False)
    monkeypatch.setenv("LARGE_KEY", "sk-large")


def models_of(**flags: Any) -> ModelSettings:
    models = load_models(load_settings(flags))
    assert models is not None
    return models


def of_text(toml: str, **flags: Any) -> ModelSettings:
    with open("models.toml", "w", encoding="utf-8") as file:  # noqa: PTH123  (in the folder of the test)
        file.write(toml)
    return models_of(models="models.toml", **flags)


def refusal(toml: str = "", **flags: Any) -> str:
    with pytest.raises(InvalidSetting) as refused:
        of_text(toml, **flags) if toml else models_of(**flags)
    return refused.value.message


def test_without_an_endpoint_there_are_no_models() -> None:
    assert load_models(load_settings()) is None


def test_one_endpoint_takes_any_name() -> None:
    models = models_of(model_url=f"{URL}/", model_key="sk-1", model="gpt")

    assert models.fallback == Endpoint(URL, "sk-1")
    assert (models.endpoints, models.default, models.assistants) == ({}, "gpt", {})


def test_a_file_names_models_limits_and_assistants() -> None:
    models = of_text(TWO, model="large")

    assert models.endpoints == {
        "large": Endpoint("https://a.example/v1", "sk-large", "large-2026", 4096, 60, 0.5, 8),
        "small": Endpoint("http://127.0.0.1:11434/v1"),
    }
    assert models.assistants == {"asst_tutor": MappedAssistant("Tutor", "small", "Explain."), "*": MappedAssistant()}
    assert (models.fallback, models.default) == (None, "large")


def test_a_file_with_one_model_takes_any_name_too() -> None:
    models = of_text(f'[models.only]\nurl = "{URL}"\nmodel = "there"')

    assert models.fallback == Endpoint(URL)
    assert models.default == "only"


def test_the_endpoint_of_the_variables_takes_the_names_that_a_file_does_not_have() -> None:
    models = of_text(TWO, model_url=URL, model="gpt")

    assert models.fallback == Endpoint(URL)
    assert set(models.endpoints) == {"large", "small"}


def test_a_key_of_a_file_may_be_in_the_file_of_variables(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OTHER_KEY=sk-other\n")

    models = of_text(f'[models.m]\nurl = "{URL}"\nkey_variable = "OTHER_KEY"')

    assert models.endpoints["m"].key == "sk-other"


@pytest.mark.parametrize(
    ("toml", "wanted"),
    [
        ("[models", "models.toml: "),
        ("[other]", "unknown table 'other'; known are models and assistants"),
        ("models = 1", "expected 'models' to be a table"),
        ("[models]\nm = 1", "models: expected 'm' to be a table"),
        ('[assistants."*"]', "expected a table [models.NAME], or GATEWAY_MODEL_URL too"),
        ("[models.m]", "models.m: expected a url"),
        ('[models.m]\nurl = "ftp://a"', "models.m.url: expected a URL such as"),
        ('[models.m]\nurl = "https://a/v1/chat/completions"', "without /chat/completions"),
        ('[models.m]\nurl = "https://a"\nkey = "sk-1"', "unknown field 'key'"),
        ('[models.m]\nurl = "https://a"\nkey_variable = "NOT_SET"', "the environment variable NOT_SET is not set"),
        ('[models.m]\nurl = "https://a"\nkey_variable = ""', "models.m.key_variable: expected a text"),
        ('[models.m]\nurl = "https://a"\ntimeout_s = nan', "timeout_s: expected a number above 0 and at most 3600"),
        ('[models.m]\nurl = "https://a"\nmax_concurrent = 1.5', "max_concurrent: expected a whole number above 0"),
        ('[models.m]\nurl = "https://a"\n[assistants."*"]\ntools = []', "assistants.\"*\": unknown field 'tools'"),
        (TWO, 'assistants."*": expected a model, or GATEWAY_MODEL'),
    ],
)
def test_a_fault_of_the_file_is_refused_with_its_place(toml: str, wanted: str) -> None:
    message = refusal(toml)

    assert message.startswith("GATEWAY_MODELS: ")
    assert wanted in message


def test_names_of_models_have_to_be_known_where_there_are_several() -> None:
    assert refusal(TWO, model="huge") == "GATEWAY_MODEL: no model is named 'huge'; known are large, small."
    assert "assistants.\"a\".model: no model is named 'b'" in refusal(
        f'{TWO}\n[assistants.a]\nmodel = "b"', model="small"
    )


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [
        ({"model_key": "sk-1"}, "GATEWAY_MODEL_KEY: expected GATEWAY_MODEL_URL too"),
        ({"model": "gpt"}, "GATEWAY_MODEL: expected GATEWAY_MODEL_URL or GATEWAY_MODELS too"),
        ({"model_url": URL, "demo": True}, "GATEWAY_DEMO: expected neither"),
        ({"model_url": "models.example"}, "--model-url: expected a URL such as"),
        ({"model_url": "https://user:pass@models.example"}, "without user name"),
        ({"model_url": URL, "model_key": "sk 1"}, "GATEWAY_MODEL_KEY: expected ASCII characters without white space"),
        ({"models": "missing.toml"}, "--models: expected the path of an existing file"),
    ],
)
def test_a_fault_of_the_variables_is_refused(flags: dict[str, Any], wanted: str) -> None:
    message = refusal(**flags)

    assert wanted in message
    assert "pass" not in message.replace("password", "")
    assert "sk 1" not in message


def test_no_value_is_printed_with_its_key() -> None:
    models = of_text(TWO, model_url=f"{URL}?code=hidden", model_key="sk-hidden", model="gpt")

    assert "sk-" not in repr(models)
    assert "hidden" not in repr(models)


def test_a_fault_of_the_file_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "models.toml").write_text("[models.m]")

    ran = run_here("serve", "--models", "models.toml", folder=tmp_path)

    assert ran.returncode == 1
    assert ran.stderr == "Error: GATEWAY_MODELS: models.m: expected a url.\n"
