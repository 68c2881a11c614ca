"""End users' tokens at a served process: what they allow, when they end, which secrets have signed them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from gateway.auth import jwt as jwt_module
from gateway.auth.api_keys import ApiKeyCache
from gateway.auth.authenticator import Authenticator
from tests.live.inside import serving_inside
from tests.live.server import PATIENCE_S, run_gateway
from tests.rights.conftest import where_no_database_has_a_part
from tests.rights.serving import BOTH, OLD_JWT_SECRET, OLD_TOKEN_SECRET, SECRETS, bearer, user

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rights.serving import Served


def allowed(served: Served, token: str) -> tuple[int, int]:
    """Read and write with a token."""
    return served.rest(token, "GET", "/threads").status, served.rest(token, "POST", "/threads").status


@where_no_database_has_a_part
@pytest.mark.parametrize(
    ("claims", "statuses"),
    [
        pytest.param({"scope": "threads:read"}, (200, 403), id="scope"),
        pytest.param({"scp": ["threads:write"]}, (403, 200), id="scp"),
        pytest.param({"permissions": ["threads:read"]}, (200, 403), id="permissions"),
        pytest.param(
            {"scope": "openid", "scp": "threads:read", "permissions": ["threads:write"]}, (200, 200), id="all"
        ),
        pytest.param({"scope": "thread:read"}, (403, 403), id="a typing error"),
        pytest.param({"scope": 5}, (403, 403), id="no words"),
        pytest.param({"jti": "a"}, (403, 403), id="none, in production"),
    ],
)
def test_a_token_has_the_scopes_of_all_its_claims(
    served: Served, claims: dict[str, Any], statuses: tuple[int, int]
) -> None:
    assert allowed(served, user("alice", **claims)) == statuses


@where_no_database_has_a_part
@pytest.mark.parametrize("exp", ["9223372036854775808", "1e300", "1" + "0" * 400])
def test_a_token_may_expire_at_any_future_time(served: Served, exp: str) -> None:
    alice = user("alice", exp=exp)
    thread_id = served.new_thread(alice)

    held = served.rest(served.token(alice, thread_id, "READ"), "GET", f"/threads/{thread_id}")

    assert held.status == 200


@where_no_database_has_a_part
@pytest.mark.parametrize("exp", ["-1", "1e999", "NaN", '"99999999999"', "null", "[]"])
def test_a_token_with_a_past_or_invalid_expiry_is_refused(served: Served, exp: str) -> None:
    assert served.rest(user("alice", exp=exp), "GET", "/threads").code == "invalid_api_key"


@where_no_database_has_a_part
def test_a_token_of_the_previous_secret_is_accepted(served: Served) -> None:
    assert allowed(served, user("alice", OLD_JWT_SECRET)) == (200, 200)
    assert served.rest(user("alice", OLD_TOKEN_SECRET), "GET", "/threads").status == 401


@where_no_database_has_a_part
def test_doctor_prints_no_secret(served: Served) -> None:
    at = ("--database-url", served.database_url, "--port", str(served.server.port))
    ran = run_gateway("doctor", *at, folder=served.folder, given=SECRETS)

    assert ran.returncode == 0
    assert not [name for name, value in SECRETS.items() if len(value) == 32 and value in ran.stdout + ran.stderr]


@where_no_database_has_a_part
def test_the_log_has_no_secret(served: Served) -> None:
    served.rest(user("alice", OLD_JWT_SECRET, scope=BOTH), "GET", "/threads")

    assert not [name for name, value in SECRETS.items() if len(value) == 32 and value in served.server.stderr]


async def test_an_emptied_jwks_rejects_all_tokens(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jwt_module, "FRESH_S", 0)
    monkeypatch.setattr(jwt_module, "REFETCH_S", 0)
    private, file = ec.generate_private_key(ec.SECP256R1()), tmp_path / "jwks.json"
    public = ECAlgorithm(ECAlgorithm.SHA256).to_jwk(private.public_key(), as_dict=True)
    file.write_text(json.dumps({"keys": [{**public, "kid": "a"}]}))
    rules = jwt_module.JwtRules(str(file), "", "https://id.example.com", "threads")
    claims = {"iss": rules.issuer, "aud": rules.audience, "sub": "alice", "exp": time.time() + 600}
    token = jwt.encode(claims, private, "ES256", headers={"kid": "a"})

    async with (
        serving_inside(
            sqlite_url, lambda store: Authenticator(ApiKeyCache(store), jwt_module.JwtVerifier(rules))
        ) as inside,
        httpx.AsyncClient(base_url=inside.base_url, headers=bearer(token), timeout=PATIENCE_S) as http,
    ):
        before = (await http.get("/v1/threads")).status_code
        file.write_text('{"keys": []}')
        after = await http.get("/v1/threads")

    assert (before, after.status_code, after.json()["error"]["code"]) == (200, 401, "invalid_api_key")
