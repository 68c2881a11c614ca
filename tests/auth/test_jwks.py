"""JWKS: which of their keys check a JWT, and how they are fetched."""

from __future__ import annotations

import asyncio
import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from gateway.auth import jwt as jwt_module
from gateway.auth.authenticator import Authenticator
from gateway.auth.jwt import JwtRules, JwtVerifier
from gateway.errors import Unavailable
from tests.auth.signing import SHARED, by_file, private, public, served, signed, without
from tests.following import until
from tests.ports import free_port

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def _always_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch keys for each token."""
    for name in ("REFETCH_S", "FRESH_S"):
        monkeypatch.setattr(jwt_module, name, 0)


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
async def test_a_token_is_checked_with_the_key_that_it_names(tmp_path: Path, kind: str) -> None:
    users = by_file(tmp_path, public(kind, "a"), public(kind, "b", 1))

    assert await users.verify(signed(private(kind), kind, "a")) is not None
    assert await users.verify(signed(private(kind, 1), kind, "a")) is None
    assert await users.verify(signed(private(kind), kind, "unknown")) is None


@pytest.mark.parametrize("key_ids", [(None, None), ("a", "b"), ("a", None)], ids=["no ids", "ids", "one id"])
async def test_a_token_without_key_id_is_checked_with_each_key(key_ids: tuple[str | None, str | None]) -> None:
    keys = [public("ES256", key_id, number) for number, key_id in enumerate(key_ids)]
    with served({"keys": keys}) as (url, _):
        users = JwtVerifier(JwtRules(url, "", SHARED.issuer, SHARED.audience))

        for number in range(2):
            assert await users.verify(signed(private("ES256", number), "ES256")) is not None
        assert await users.verify(signed(private("ES256", 2), "ES256")) is None


async def test_a_token_that_names_a_key_is_checked_with_each_key_of_a_set_without_ids(tmp_path: Path) -> None:
    users = by_file(tmp_path, public("ES256", None), public("ES256", None, 1))

    for number in range(2):
        assert await users.verify(signed(private("ES256", number), "ES256", "a")) is not None


@pytest.mark.parametrize("other", ["RS256", "ES256"])
async def test_two_keys_may_have_one_id(tmp_path: Path, other: str) -> None:
    users = by_file(tmp_path, public("ES256", "a"), public(other, "a", 1))

    assert await users.verify(signed(private("ES256"), "ES256", "a")) is not None
    assert await users.verify(signed(private(other, 1), other, "a")) is not None


async def test_a_token_is_checked_with_a_limited_number_of_fitting_keys(tmp_path: Path) -> None:
    others = [public("RS256", None)] * jwt_module.MAX_TRIED
    before = [public("ES256", None, 1)] * (jwt_module.MAX_TRIED - 1)
    token = signed(private("ES256"), "ES256")

    assert await by_file(tmp_path, *others, *before, public("ES256", None)).verify(token) is not None
    assert await by_file(tmp_path, *before, public("ES256", None, 1), public("ES256", None)).verify(token) is None


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_an_rsa_key_without_algorithm_verifies_each_of_rsa(tmp_path: Path, algorithm: str) -> None:
    key = public("RS256", "a")
    token = signed(private("RS256"), algorithm, "a")

    assert await by_file(tmp_path, without("alg", key)).verify(token) is not None
    assert (await by_file(tmp_path, key).verify(token) is not None) == (algorithm == "RS256")


@pytest.mark.parametrize("kind", ["ES256", "ES384", "ES512", "EdDSA"])
async def test_a_key_on_a_curve_without_algorithm_verifies_that_of_its_curve(tmp_path: Path, kind: str) -> None:
    users = by_file(tmp_path, without("alg", public("RS256", "a")), without("alg", public(kind, "a")))

    assert await users.verify(signed(private(kind), kind, "a")) is not None


@pytest.mark.parametrize("kind", ["RS256", "ES256", "EdDSA"])
async def test_a_public_key_without_algorithm_verifies_no_secret_and_no_unsigned_token(
    tmp_path: Path, kind: str
) -> None:
    key = without("alg", public(kind, None))
    users = by_file(tmp_path, key, {"kty": "oct", "k": "c3Nz" * 12})

    for secret in (key.get("n", key.get("x")), "sss" * 12):
        assert await users.verify(signed(secret, "HS256")) is None
    assert await users.verify(signed(None, "none")) is None


async def test_a_key_whose_curve_does_not_fit_its_algorithm_does_not_affect_others(tmp_path: Path) -> None:
    users = by_file(tmp_path, {**public("ES384", None), "alg": "ES256"}, public("ES256", None))

    assert await users.verify(signed(private("ES256"), "ES256")) is not None


@pytest.mark.parametrize("kind", ["RS256", "ES256", "EdDSA"])
async def test_of_a_private_key_the_public_part_verifies(tmp_path: Path, kind: str) -> None:
    shown = jwt.get_algorithm_by_name(kind).to_jwk(private(kind), as_dict=True)
    users = by_file(tmp_path, {**without("key_ops", shown), "kid": "a"})

    assert await users.verify(signed(private(kind), kind, "a")) is not None


async def test_a_public_key_is_never_used_as_a_shared_secret(tmp_path: Path) -> None:
    shown = public("RS256", "a")
    users = by_file(tmp_path, shown, {"kty": "oct", "k": "c3Nz" * 12, "kid": "oct", "alg": "HS256"})

    for secret in (shown["n"], "sss" * 12):
        assert await users.verify(signed(secret, "HS256", "a")) is None
        assert await users.verify(signed(secret, "HS256", "oct")) is None


async def test_keys_are_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt_module, "REFETCH_S", 3_600)
    with served({"keys": [public("ES256", "a")]}) as (url, asked):
        users = JwtVerifier(JwtRules(url, "", SHARED.issuer, SHARED.audience))

        for key_id in ("a", "a", "unknown", "unknown"):
            await users.verify(signed(private("ES256"), "ES256", key_id))

    assert len(asked) == 1


async def test_a_key_that_was_added_is_fetched_when_a_token_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt_module, "REFETCH_S", 0)
    body: dict[str, Any] = {"keys": [public("ES256", "a")]}
    with served(body) as (url, _):
        users = JwtVerifier(JwtRules(url, "", SHARED.issuer, SHARED.audience))
        await users.verify(signed(private("ES256"), "ES256", "a"))

        body["keys"] = [public("ES256", "b", 1)]

        assert await users.verify(signed(private("ES256", 1), "ES256", "b")) is not None
        assert await users.verify(signed(private("ES256"), "ES256", "a")) is None


@pytest.mark.usefixtures("_always_fetched")
@pytest.mark.parametrize("key_ids", [("a", "b"), (None, None)], ids=["ids", "no ids"])
async def test_while_keys_rotate_tokens_of_both_are_accepted(key_ids: tuple[str | None, str | None]) -> None:
    old, new = (public("ES256", key_id, number) for number, key_id in enumerate(key_ids))
    tokens = [signed(private("ES256", number), "ES256", key_id) for number, key_id in enumerate(key_ids)]
    body: dict[str, Any] = {}
    with served(body) as (url, _):
        users = JwtVerifier(JwtRules(url, "", SHARED.issuer, SHARED.audience))
        accepted = []
        for body["keys"] in ([old], [old, new], [new]):
            accepted.append([await users.verify(token) is not None for token in tokens])

    assert accepted == [[True, False], [True, True], [False, True]]


@pytest.mark.usefixtures("_always_fetched")
async def test_an_empty_jwks_rejects_all_tokens_after_the_next_fetch(tmp_path: Path) -> None:
    users = by_file(tmp_path, public("ES256", "a"))
    token = signed(private("ES256"), "ES256", "a")
    before = await users.verify(token)

    (tmp_path / "jwks.json").write_text('{"keys": []}')

    assert before is not None
    assert await users.verify(token) is None


@pytest.mark.parametrize("other", [5, {}, {"kty": "later"}, {"kty": "EC", "crv": "later"}, {"kty": "RSA", "n": 5}])
async def test_one_unusable_signing_key_does_not_affect_others(tmp_path: Path, other: Any) -> None:
    users = by_file(tmp_path, other, public("ES256", "a"))

    assert await users.verify(signed(private("ES256"), "ES256", "a")) is not None


@pytest.mark.parametrize("purpose", [{"use": "enc"}, {"key_ops": ["sign"]}, {"key_ops": []}, {"key_ops": "verify"}])
async def test_a_key_for_something_else_checks_no_signature(tmp_path: Path, purpose: dict[str, Any]) -> None:
    users = by_file(tmp_path, {**public("ES256", "a"), **purpose})

    assert await users.verify(signed(private("ES256"), "ES256", "a")) is None


@pytest.mark.parametrize("kid", ["../../etc/passwd", "a' OR 1=1 --", "", "\x00", "http://127.0.0.1/keys"])
async def test_a_key_id_is_only_looked_up_in_its_key_set(tmp_path: Path, kid: str) -> None:
    users = by_file(tmp_path, public("ES256", "a"))

    assert await users.verify(signed(private("ES256"), "ES256", kid)) is None


async def test_a_document_that_is_too_large_is_no_set(tmp_path: Path) -> None:
    users = by_file(tmp_path, public("ES256", "a"), {"x": "x" * jwt_module.MAX_JWKS})

    with pytest.raises(Unavailable):
        await users.verify(signed(private("ES256"), "ES256", "a"))


async def test_a_document_that_arrives_too_slowly_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt_module, "FETCH_S", 0)
    users = by_file(tmp_path, public("ES256", "a"))

    with pytest.raises(Unavailable):
        await users.verify(signed(private("ES256"), "ES256", "a"))


@pytest.mark.parametrize("body", [{}, {"keys": "x"}, []])
async def test_authentication_is_unavailable_until_the_jwks_is_read(tmp_path: Path, body: Any) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(body))
    users = JwtVerifier(JwtRules(str(file), "", SHARED.issuer, SHARED.audience))

    with pytest.raises(Unavailable):
        await users.verify(signed(private("ES256"), "ES256", "a"))


@pytest.mark.usefixtures("_always_fetched")
async def test_signing_keys_that_cannot_be_refreshed_are_trusted_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = by_file(tmp_path, public("ES256", "a"))
    token = signed(private("ES256"), "ES256", "a")
    await users.verify(token)
    (tmp_path / "jwks.json").unlink()

    believed = await users.verify(token)
    monkeypatch.setattr(jwt_module, "STALE_S", 0)

    assert believed is not None
    with pytest.raises(Unavailable):
        await users.verify(token)


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        pytest.param(b"[]", "a list of 'keys'", id="no object"),
        pytest.param(b'{"keys": {}}', "a list of 'keys'", id="keys that are no list"),
        pytest.param(b"{", "Expecting", id="no JSON"),
        pytest.param(b" " * (jwt_module.MAX_JWKS + 1), "at most", id="too large"),
        pytest.param(b"[" * 100_000, "fewer levels", id="too deep"),
    ],
)
def test_an_invalid_key_set_is_refused(tmp_path: Path, document: bytes, fault: str) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(document)

    with pytest.raises(ValueError, match=fault):
        jwt_module.fetch_keys(str(file))  # without the thread in which it runs


def test_a_set_may_hold_keys_of_kinds_that_are_not_known(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [None, {}, {"kty": "later", "kid": "b"}]}))

    assert jwt_module.fetch_keys(str(file)) == []


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (None, "the signing keys of GATEWAY_JWT_JWKS_URL cannot be read: "),
        ('{"keys": []}', "no token is accepted: the JWKS of GATEWAY_JWT_JWKS_URL has no public key"),
    ],
)
async def test_a_jwks_without_keys_is_logged_before_a_token_is_sent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, document: str | None, said: str
) -> None:
    file = tmp_path / "jwks.json"
    if document is not None:
        file.write_text(document)
    verifier = JwtVerifier(JwtRules(str(file), "", SHARED.issuer, SHARED.audience))
    tasks = Authenticator(jwt_verifier=verifier).background_tasks()

    fetching = asyncio.create_task(tasks["fetching_jwks"]())
    await until(lambda: bool(caplog.messages))

    assert [each.startswith(said) for each in caplog.messages] == [True]
    fetching.cancel()


def test_an_unreachable_key_set_is_a_system_error() -> None:
    with pytest.raises(OSError, match="refused"):
        jwt_module.fetch_keys(f"http://127.0.0.1:{free_port()}/jwks.json")


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"SSH-2.0-OpenSSH\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\n{", id="ends in a chunk"),
        pytest.param(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:x/\r\n\r\n", id="redirects to no URL"),
    ],
)
def test_an_invalid_response_with_a_key_set_is_a_system_error(response: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as others:
        fetching = others.submit(jwt_module.fetch_keys, f"http://127.0.0.1:{server.getsockname()[1]}/jwks.json")
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(response)

    with pytest.raises(OSError, match="invalid HTTP response"):
        fetching.result()
