"""Keys: what a secret looks like, when a key is good, and how an operator's words are read."""

from __future__ import annotations

import re

import pytest

from gateway.domain import api_key
from gateway.domain.api_key import ApiKey
from gateway.domain.principal import Scope
from gateway.errors import InvalidRequest

BOTH = frozenset({Scope.READ, Scope.WRITE})


def test_a_secret_has_the_format_of_secret_scanners() -> None:
    assert re.fullmatch(r"sk-[A-Za-z0-9]{43}", api_key.new_secret())


def test_no_two_secrets_are_the_same() -> None:
    assert len({api_key.new_secret() for _ in range(100)}) == 100


def test_only_the_hash_of_a_secret_is_stored() -> None:
    assert api_key.digest_of("sk-abc") == "1460db1b6902f8b1fc2a40d9381a24d0fd22c3bc1b2c6f999c521da73776fbe0"


@pytest.mark.parametrize(
    ("revoked_at", "expires_at", "is_active"),
    [
        (None, None, True),
        (None, 101, True),
        (None, 100, False),
        (50, None, False),
        (150, None, False),
        (50, 200, False),
    ],
)
def test_a_key_is_good_until_it_expires_or_is_revoked(
    revoked_at: int | None, expires_at: int | None, *, is_active: bool
) -> None:
    each = ApiKey("key_a", "p", "", BOTH, "abcd", 1, expires_at=expires_at, revoked_at=revoked_at)

    assert each.is_active(100) is is_active


@pytest.mark.parametrize("name", ["a", "shop", "shop-2_eu", "0", "a" * 63])
def test_a_project_name_is_accepted(name: str) -> None:
    assert api_key.project_id(name) == name


@pytest.mark.parametrize("name", ["", "Shop", "-a", "_a", "a b", "a/b", "ä", "a" * 64, "a\n"])
def test_a_project_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid 'project'"):
        api_key.project_id(name)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("30m", 1_800), ("12h", 43_200), ("90d", 7_776_000), ("999999s", 999_999)]
)
def test_a_duration_is_a_number_and_its_unit(text: str, seconds: int) -> None:
    assert api_key.duration(text, "expires") == seconds


@pytest.mark.parametrize("text", ["", "90", "d", "0d", "-1d", "1w", "1.5h", "1d ", "1000000s", "٣d"])
def test_no_duration_is(text: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid 'expires'"):
        api_key.duration(text, "expires")


@pytest.mark.parametrize(
    ("text", "scopes"),
    [("read", {Scope.READ}), ("read,write", BOTH), ("write, read", BOTH), ("read,read", {Scope.READ})],
)
def test_scopes_are_a_list(text: str, scopes: set[Scope]) -> None:
    assert api_key.new_key("p", "", text, None).scopes == scopes


@pytest.mark.parametrize("text", ["", "admin", "read,", "READ"])
def test_no_scopes_are(text: str) -> None:
    with pytest.raises(InvalidRequest, match="Supported values are: 'erase', 'read', 'runs', and 'write'"):
        api_key.new_key("p", "", text, None)
