"""JWTs of end users: which are accepted, and what is read from their claims."""

from __future__ import annotations

import base64
import hmac
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from gateway.auth.jwt import LATEST, LEEWAY_S, JwtRules, JwtVerifier
from gateway.domain.principal import ALL_SCOPES, Reach, Scope
from tests.auth.signing import CLAIMS, SECRET, SHARED, private, signed


async def test_the_subject_of_a_jwt_is_the_owner_of_its_threads() -> None:
    who = await JwtVerifier(SHARED).verify(signed(SECRET, "HS256"))

    assert who is not None
    assert (who.reach, who.scopes, who.name) == (Reach("default", owner="alice"), ALL_SCOPES, "user:alice")


async def test_the_project_is_the_claim() -> None:
    who = await JwtVerifier(SHARED).verify(signed(SECRET, "HS256", project="shop"))

    assert who is not None
    assert who.reach == Reach("shop", owner="alice")


READ, WRITE, NOTHING = frozenset({Scope.READ}), frozenset({Scope.WRITE}), frozenset[Scope]()


async def scopes_of(rules: JwtRules, **claims: Any) -> frozenset[Scope]:
    who = await JwtVerifier(rules).verify(signed(SECRET, "HS256", **claims))
    assert who is not None
    return who.scopes


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        pytest.param({"scope": "openid threads:read"}, READ, id="a text of words"),
        pytest.param({"scope": ["threads:read"]}, READ, id="a list of words"),
        pytest.param({"scp": "threads:write"}, WRITE, id="scp as a text"),
        pytest.param({"scp": ["openid", "threads:write"]}, WRITE, id="scp as a list"),
        pytest.param({"permissions": ["threads:read", "threads:write"]}, READ | WRITE, id="permissions"),
        pytest.param({"scope": "threads:read", "permissions": ["threads:write"]}, READ | WRITE, id="two united"),
        pytest.param({"scope": "a", "scp": "b", "permissions": ["threads:read"]}, READ, id="three united"),
        pytest.param({"scope": "threads:read threads:admin"}, READ, id="a word that is none beside one"),
        pytest.param({"scope": ["threads:read", 5, None, ["threads:write"]]}, READ, id="what is no word beside one"),
    ],
)
@pytest.mark.parametrize("is_strict", [True, False])
async def test_a_jwt_has_the_known_scopes_of_all_its_claims(
    claims: dict[str, Any], scopes: frozenset[Scope], *, is_strict: bool
) -> None:
    assert await scopes_of(replace(SHARED, require_scopes=is_strict), **claims) == scopes


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"scope": "thread:read"}, id="a typing error"),
        pytest.param({"scope": "threads:send"}, id="a word for tokens of one thread"),
        pytest.param({"scope": "Threads:Read"}, id="in capitals"),
        pytest.param({"scope": "openid email"}, id="words of others"),
        pytest.param({"scope": ""}, id="no word"),
        pytest.param({"scp": []}, id="an empty list"),
        pytest.param({"permissions": None}, id="null"),
        pytest.param({"scope": 5}, id="a number"),
        pytest.param({"permissions": {"threads:read": True}}, id="an object"),
        pytest.param({"permissions": ["threads:read threads:write"]}, id="several words in one of a list"),
    ],
)
async def test_a_scope_claim_without_known_scopes_allows_nothing(claims: dict[str, Any]) -> None:
    assert await scopes_of(SHARED, **claims) == NOTHING


@pytest.mark.parametrize(("is_strict", "scopes"), [(True, NOTHING), (False, ALL_SCOPES)])
async def test_the_scopes_of_a_jwt_without_any_are_a_setting(*, is_strict: bool, scopes: frozenset[Scope]) -> None:
    assert await scopes_of(replace(SHARED, require_scopes=is_strict)) == scopes


def written(claims: str, header: str = '{"alg":"HS256","typ":"JWT"}') -> str:
    """Sign a token whose claims are written by hand, since no library would write them."""
    parts = [base64.urlsafe_b64encode(each.encode()).rstrip(b"=") for each in (header, claims)]
    signature = hmac.digest(SECRET.encode(), b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def ending(exp: str) -> str:
    known = json.dumps({name: value for name, value in CLAIMS.items() if name != "exp"})
    return written(f'{known[:-1]}, "exp": {exp}}}')


@pytest.mark.parametrize("exp", ["9223372036854775808", "1e300", "1" + "0" * 400, "253402300800", "253402300798.125"])
async def test_a_token_may_expire_at_any_future_time(exp: str) -> None:
    who = await JwtVerifier(SHARED).verify(ending(exp))

    assert who is not None
    assert time.time() < (who.expires_at or 0) <= LATEST + LEEWAY_S


@pytest.mark.parametrize(
    "exp",
    ["-1", "-1e300", "0", "1e999", "-1e999", "NaN", '"99999999999"', "true", "null", "[]", "{}", "1" + "0" * 5_000],
)
async def test_a_jwt_with_a_past_or_invalid_expiry_is_not_verified(exp: str) -> None:
    assert await JwtVerifier(SHARED).verify(ending(exp)) is None


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed("o" * 32, "HS256"), id="another secret"),
        pytest.param(signed(None, "none"), id="no signature"),
        pytest.param(signed(private("RS256"), "RS256"), id="a public key's algorithm"),
        pytest.param(signed(SECRET, "HS256", iss="https://evil.example.com"), id="another issuer"),
        pytest.param(signed(SECRET, "HS256", iss="missing"), id="no issuer"),
        pytest.param(signed(SECRET, "HS256", aud="billing"), id="another audience"),
        pytest.param(signed(SECRET, "HS256", aud="missing"), id="no audience"),
        pytest.param(signed(SECRET, "HS256", exp=time.time() - 60), id="over"),
        pytest.param(signed(SECRET, "HS256", exp="missing"), id="without an end"),
        pytest.param(signed(SECRET, "HS256", nbf=time.time() + 3_600), id="not yet"),
        pytest.param(signed(SECRET, "HS256", sub="missing"), id="nobody"),
        pytest.param(signed(SECRET, "HS256", sub=""), id="an empty name"),
        pytest.param(signed(SECRET, "HS256", sub="a\nb"), id="a name with a control character"),
        pytest.param(signed(SECRET, "HS256", sub="a" * 256), id="a name too long"),
        pytest.param(signed(SECRET, "HS256", project="../x"), id="no project"),
        pytest.param(signed(SECRET, "HS256", project=5), id="a project that is no text"),
        pytest.param(signed(SECRET, "HS256", sub=None), id="a name that is null"),
        pytest.param(signed(SECRET, "HS256", sub="\ud800"), id="a name that is half a character"),
        pytest.param(written("[" * 5_000), id="claims nested too deep"),
        pytest.param(written(json.dumps(CLAIMS), "[" * 5_000), id="a header nested too deep"),
        pytest.param(written(json.dumps(CLAIMS), '{"alg": ["HS256"]}'), id="algorithms in a list"),
        pytest.param(written(json.dumps(CLAIMS), '{"alg": "HS256", "kid": ["a"]}'), id="key ids in a list"),
        pytest.param(written(json.dumps(CLAIMS), '{"alg": "HS256", "crit": ["x"]}'), id="what must be understood"),
        pytest.param("a.b.c", id="no token"),
        pytest.param("\udcff", id="no text"),
    ],
)
async def test_a_jwt_is_not_verified_if(token: str) -> None:
    assert await JwtVerifier(SHARED).verify(token) is None


async def test_tokens_of_the_previous_secret_are_accepted() -> None:
    old, new = "o" * 32, "n" * 32
    users = JwtVerifier(replace(SHARED, secret=new, old_secret=old))

    taken = [await users.verify(signed(each, "HS256")) is not None for each in (new, old, SECRET)]

    assert taken == [True, True, False]
    assert not {old, new} & set(repr(users.__dict__["_rules"]).split("'"))
