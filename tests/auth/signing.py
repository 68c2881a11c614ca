"""Signing keys, the JWTs that they sign, and JWKS that are read from a file or served."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.auth.jwt import JwtRules, JwtVerifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

SECRET = "s" * 32
SHARED = JwtRules(jwks="", secret=SECRET, issuer="https://id.example.com", audience="threads")
CLAIMS: dict[str, Any] = {"iss": SHARED.issuer, "aud": SHARED.audience, "sub": "alice", "exp": time.time() + 3_600}


def private(kind: str, number: int = 0) -> PrivateKeyTypes:
    """Give a key of a kind, the same for the same number."""
    return _private(kind, number)


@cache
def _private(kind: str, _number: int) -> PrivateKeyTypes:
    curves: dict[str, ec.EllipticCurve] = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    return ed25519.Ed25519PrivateKey.generate() if kind == "EdDSA" else rsa.generate_private_key(65_537, 2_048)


def public(kind: str, key_id: str | None, number: int = 0) -> dict[str, Any]:
    algorithm = jwt.get_algorithm_by_name(kind)
    shown = {**algorithm.to_jwk(private(kind, number).public_key(), as_dict=True), "alg": kind, "use": "sig"}
    return shown if key_id is None else {**shown, "kid": key_id}


def signed(key: Any, algorithm: str, key_id: str | None = None, **changed: Any) -> str:
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value != "missing"}
    return jwt.encode(claims, key, algorithm, headers=None if key_id is None else {"kid": key_id})


def by_file(folder: Path, *keys: dict[str, Any]) -> JwtVerifier:
    file = folder / "jwks.json"
    file.write_text(json.dumps({"keys": keys}))
    return JwtVerifier(JwtRules(str(file), "", SHARED.issuer, SHARED.audience))


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


def without(name: str, jwk: dict[str, Any]) -> dict[str, Any]:
    return {each: value for each, value in jwk.items() if each != name}
