"""Thread tokens: what they grant, and what they never do."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from gateway.auth.thread_tokens import LONGEST_S, PREFIX, ThreadTokens
from gateway.domain.ids import ThreadId
from gateway.domain.principal import ALL_SCOPES, Principal, Reach, Scope, TokenEpoch
from gateway.errors import Forbidden, InvalidRequest

SECRET, OTHER_SECRET = "s" * 32, "o" * 32
THREAD = ThreadId("thread_a")
SHOP = Principal(Reach("shop"), name="key_a", key_id="key_a")
TOKENS = ThreadTokens(SECRET)


def test_a_thread_token_reaches_one_thread_in_its_creators_project() -> None:
    token, ends = TOKENS.make(SHOP, THREAD, TokenEpoch(), frozenset({Scope.READ}), 60)

    who = TOKENS.read(token)

    assert who == Principal(
        Reach("shop", thread_id="thread_a"),
        frozenset({Scope.READ}),
        "key_a/thread_a",
        "key_a",
        float(ends),
        ("thread:thread_a", "tokens:key_a"),
        TokenEpoch(),
        "token:open/thread_a",
    )
    assert ends <= time.time() + 60


def buckets_of(maker: Principal) -> tuple[str, ...]:
    who = TOKENS.read(TOKENS.make(maker, THREAD, TokenEpoch(), ALL_SCOPES, 60)[0])
    assert who is not None
    return who.buckets


def test_a_token_is_rate_limited_by_thread_and_by_the_tokens_of_its_key() -> None:
    assert buckets_of(SHOP) == ("shop/thread:thread_a", "shop/tokens:key_a")
    assert not {*buckets_of(SHOP)} & {*SHOP.buckets}


def test_a_token_created_by_an_end_user_is_rate_limited_as_that_user() -> None:
    alice = Principal(Reach("shop", owner="alice"), name="user:alice")

    assert buckets_of(alice) == alice.buckets == ("shop/user:alice",)


def test_a_token_grants_no_more_than_its_creator_has() -> None:
    reader = Principal(Reach("shop"), frozenset({Scope.READ}))

    with pytest.raises(Forbidden):
        TOKENS.make(reader, THREAD, TokenEpoch(), ALL_SCOPES, 60)


def test_a_token_expires_no_later_than_its_creators_credential() -> None:
    soon = int(time.time()) + 5

    _, ends = TOKENS.make(Principal(Reach("shop"), expires_at=soon), THREAD, TokenEpoch(), ALL_SCOPES, 3_600)

    assert ends == soon


def test_a_token_makes_no_tokens() -> None:
    with pytest.raises(Forbidden):
        TOKENS.make(Principal(Reach("shop", thread_id="thread_a")), THREAD, TokenEpoch(), ALL_SCOPES, 60)


@pytest.mark.parametrize("seconds", [0, -1, LONGEST_S + 1])
def test_a_token_is_valid_for_a_second_to_a_day(seconds: int) -> None:
    with pytest.raises(InvalidRequest, match="expiresIn"):
        TOKENS.make(SHOP, THREAD, TokenEpoch(), ALL_SCOPES, seconds)


CLAIMS: dict[str, Any] = {
    "aud": "gateway:thread",
    "exp": time.time() + 3_600,
    "project": "shop",
    "thread": "thread_a",
    "scopes": ["read"],
    "by": "key_a",
    "key": None,
}


NEEDED = ("project", "thread", "scopes", "by")


def signed(secret: str, algorithm: str, **changed: Any) -> str:
    claims = {key: value for key, value in {**CLAIMS, **changed}.items() if value != "missing"}
    return PREFIX + jwt.encode(claims, secret, algorithm)


def test_a_token_signed_with_the_secret_is_verified() -> None:
    assert TOKENS.read(signed(SECRET, "HS256")) is not None


def test_a_token_is_a_jwt_as_the_library_writes_and_reads_it() -> None:
    token, ends = TOKENS.make(SHOP, THREAD, TokenEpoch(), ALL_SCOPES, 60)

    claims = jwt.decode(token.removeprefix(PREFIX), SECRET, ["HS256"], audience="gateway:thread")

    assert claims["exp"] == ends
    assert PREFIX + jwt.encode(claims, SECRET, "HS256") == token


def test_a_token_of_which_any_character_was_changed_is_not_read() -> None:
    token = signed(SECRET, "HS256", exp=int(time.time()) + 60)
    changed = [
        token[:place] + other + token[place + 1 :]
        for place in range(len(PREFIX), len(token))
        for other in ("A", "_", ".", "=", "\n", "\u00e9", "\ud800")
        if token[place] != other
    ]

    assert TOKENS.read(token) is not None
    assert [each for each in changed if TOKENS.read(each) is not None] == []


def test_the_previous_secret_verifies_tokens_and_signs_none() -> None:
    rotated, unknown = ThreadTokens(SECRET, OTHER_SECRET), ThreadTokens("n" * 32, OTHER_SECRET)

    made, _ = rotated.make(SHOP, THREAD, TokenEpoch(), ALL_SCOPES, 60)

    assert rotated.read(signed(OTHER_SECRET, "HS256")) is not None
    assert rotated.read(made) is not None
    assert unknown.read(made) is None


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(signed(OTHER_SECRET, "HS256"), id="another secret"),
        pytest.param(signed("", "none"), id="no signature"),
        pytest.param(signed(SECRET * 2, "HS512"), id="another algorithm"),
        pytest.param(signed(SECRET, "HS256", exp=time.time() - 1), id="over"),
        pytest.param(signed(SECRET, "HS256", exp="missing"), id="without an end"),
        pytest.param(signed(SECRET, "HS256", aud="account"), id="for somebody else"),
        pytest.param(signed(SECRET, "HS256", aud="missing"), id="for nobody"),
        pytest.param(signed(SECRET, "HS256", exp="9999999999"), id="an end that is no number"),
        pytest.param(signed(SECRET, "HS256")[:-2], id="cut off"),
        pytest.param(signed(SECRET, "HS256") + "=", id="padded"),
        pytest.param(signed(SECRET, "HS256") + ".", id="of four parts"),
        *(pytest.param(signed(SECRET, "HS256", **{each: "missing"}), id=f"no {each}") for each in NEEDED),
        pytest.param(signed(SECRET, "HS256", scopes=["read", "later"]), id="a scope of a later version"),
        pytest.param(signed(SECRET, "HS256", scopes=5), id="scopes that are none"),
        pytest.param(PREFIX + "a.b.c", id="no token"),
        pytest.param(PREFIX, id="nothing"),
    ],
)
def test_no_other_token_is_read(token: str) -> None:
    assert TOKENS.read(token) is None
