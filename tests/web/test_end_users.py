"""End users' tokens: which are taken, and what is read of them."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from gateway.domain.principal import ALL_SCOPES, Reach, Scope
from gateway.errors import Unavailable
from gateway.web import end_users
from gateway.web.end_users import EndUsers, Rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

SECRET = "s" * 32
SHARED = Rules(jwks="", secret=SECRET, issuer="https://id.example.com", audience="threads")
CLAIMS: dict[str, Any] = {"iss": SHARED.issuer, "aud": SHARED.audience, "sub": "alice", "exp": time.time() + 3_600}


def private(kind: str, number: int = 0) -> PrivateKeyTypes:
    """Give a key of a kind, the same for the same number."""
    return _private(kind, number)


@cache
def _private(kind: str, _number: int) -> PrivateKeyTypes:
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ES256" else rsa.generate_private_key(65_537, 2_048)


def public(kind: str, key_id: str | None, number: int = 0) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name(kind)
    shown = {**algorithm.to_jwk(private(kind, number).public_key(), as_dict=True), "alg": kind, "use": "sig"}
    return shown if key_id is None else {**shown, "kid": key_id}


def signed(key: Any, algorithm: str, key_id: str | None = None, **changed: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value != "missing"}
    return jwt.encode(claims, key, algorithm, headers=None if key_id is None else {"kid": key_id})


def by_file(folder: Path, *keys: dict[str, Any]) -> EndUsers:
    file = folder / "jwks.json"
    file.write_text(json.dumps({"keys": keys}))
    return EndUsers(Rules(str(file), "", SHARED.issuer, SHARED.audience))


@contextmanager
def served(body: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Serve a JSON document at a URL, and write down who asks."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/jwks", asked
    server.shutdown()
    thread.join()
    server.server_close()


async def test_the_subject_is_the_owner_of_its_threads_alone() -> None:
    who = await EndUsers(SHARED).recognise(signed(SECRET, "HS256"))

    assert who is not None
    assert (who.reach, who.scopes, who.name) == (Reach("default", owner="alice"), ALL_SCOPES, "user:alice")


async def test_the_project_is_the_claim() -> None:
    who = await EndUsers(SHARED).recognise(signed(SECRET, "HS256", project="shop"))

    assert who is not None
    assert who.reach == Reach("shop", owner="alice")


@pytest.mark.parametrize(
    ("scope", "scopes"),
    [
        ("missing", ALL_SCOPES),
        ("openid email", ALL_SCOPES),
        ("openid threads:read", {Scope.READ}),
        ("threads:write threads:read", ALL_SCOPES),
        (["threads:read"], {Scope.READ}),
    ],
)
async def test_scopes_are_the_words_that_are_ours(scope: Any, scopes: set[Scope]) -> None:
    who = await EndUsers(SHARED).recognise(signed(SECRET, "HS256", scope=scope))

    assert who is not None
    assert who.scopes == scopes


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
        pytest.param(signed(SECRET, "HS256", scope="threads:all"), id="an unknown scope"),
        pytest.param(signed(SECRET, "HS256", scope=5), id="a scope that is no text"),
        pytest.param(signed(SECRET, "HS256", scope=[5]), id="scopes that are no text"),
        pytest.param("a.b.c", id="no token"),
        pytest.param("\udcff", id="no text"),
    ],
)
async def test_nobody_is_recognised_by(token: str) -> None:
    assert await EndUsers(SHARED).recognise(token) is None


@pytest.mark.parametrize("kind", ["RS256", "ES256"])
async def test_a_token_is_checked_with_the_key_that_it_names(tmp_path: Path, kind: str) -> None:
    users = by_file(tmp_path, public(kind, "a"), public(kind, "b", 1))

    assert await users.recognise(signed(private(kind), kind, "a")) is not None
    assert await users.recognise(signed(private(kind, 1), kind, "a")) is None
    assert await users.recognise(signed(private(kind), kind, "unknown")) is None
    assert await users.recognise(signed(private(kind), kind)) is None


async def test_where_there_is_one_key_a_token_need_not_name_it(tmp_path: Path) -> None:
    users = by_file(tmp_path, public("ES256", None))

    assert await users.recognise(signed(private("ES256"), "ES256")) is not None


async def test_a_public_key_is_never_taken_for_a_shared_secret(tmp_path: Path) -> None:
    shown = public("RS256", "a")
    users = by_file(tmp_path, shown, {"kty": "oct", "k": "c3Nz" * 12, "kid": "oct", "alg": "HS256"})

    for secret in (shown["n"], "sss" * 12):
        assert await users.recognise(signed(secret, "HS256", "a")) is None
        assert await users.recognise(signed(secret, "HS256", "oct")) is None


async def test_keys_are_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end_users, "REFETCH_S", 3_600)
    with served({"keys": [public("ES256", "a")]}) as (url, asked):
        users = EndUsers(Rules(url, "", SHARED.issuer, SHARED.audience))

        for key_id in ("a", "a", "unknown", "unknown"):
            await users.recognise(signed(private("ES256"), "ES256", key_id))

    assert len(asked) == 1


async def test_a_key_that_was_added_is_fetched_when_a_token_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end_users, "REFETCH_S", 0)
    body: dict[str, Any] = {"keys": [public("ES256", "a")]}
    with served(body) as (url, _):
        users = EndUsers(Rules(url, "", SHARED.issuer, SHARED.audience))
        await users.recognise(signed(private("ES256"), "ES256", "a"))

        body["keys"] = [public("ES256", "b", 1)]

        assert await users.recognise(signed(private("ES256", 1), "ES256", "b")) is not None
        assert await users.recognise(signed(private("ES256"), "ES256", "a")) is None


@pytest.mark.parametrize("body", [{}, {"keys": []}, {"keys": "x"}, []])
async def test_where_keys_were_never_read_nobody_can_be_told_apart(tmp_path: Path, body: Any) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(body))
    users = EndUsers(Rules(str(file), "", SHARED.issuer, SHARED.audience))

    with pytest.raises(Unavailable):
        await users.recognise(signed(private("ES256"), "ES256", "a"))


async def test_keys_that_cannot_be_fetched_again_are_believed_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(end_users, "REFETCH_S", 0)
    monkeypatch.setattr(end_users, "FRESH_S", 0)
    users = by_file(tmp_path, public("ES256", "a"))
    token = signed(private("ES256"), "ES256", "a")
    await users.recognise(token)
    (tmp_path / "jwks.json").unlink()

    believed = await users.recognise(token)
    monkeypatch.setattr(end_users, "STALE_S", 0)

    assert believed is not None
    with pytest.raises(Unavailable):
        await users.recognise(token)
