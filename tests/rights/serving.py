"""A served process with all kinds of credentials, in the profile for production, and how each kind is come by."""

from __future__ import annotations

import base64
import hmac
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tests.live.server import run_gateway

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from tests.live.server import Server

JWT_SECRET, OLD_JWT_SECRET, TOKEN_SECRET, OLD_TOKEN_SECRET = ((each * 32) for each in "jktu")
SECRETS: Final = {
    "GATEWAY_JWT_SECRET": JWT_SECRET,
    "GATEWAY_JWT_SECRET_OLD": OLD_JWT_SECRET,
    "GATEWAY_JWT_ISSUER": "https://id.example.com",
    "GATEWAY_JWT_AUDIENCE": "threads",
    "GATEWAY_TOKEN_SECRET": TOKEN_SECRET,
    "GATEWAY_TOKEN_SECRET_OLD": OLD_TOKEN_SECRET,
    "GATEWAY_PROFILE": "production",
}
BOTH: Final = "threads:read threads:write"


def signed(claims: str, secret: str = JWT_SECRET) -> str:
    """Sign claims that are written by hand, so that they may be what no library writes."""
    parts = [base64.urlsafe_b64encode(each.encode()).rstrip(b"=") for each in ('{"alg":"HS256","typ":"JWT"}', claims)]
    signature = hmac.digest(secret.encode(), b".".join(parts), "sha256")
    return b".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=")]).decode()


def user(name: str, secret: str = JWT_SECRET, exp: str | None = None, **claims: Any) -> str:
    """Sign an end user's token, with both scopes if nothing is said of them."""
    given = claims or {"scope": BOTH}
    known = {"iss": SECRETS["GATEWAY_JWT_ISSUER"], "aud": "threads", "sub": name, **given}
    return signed(f'{json.dumps(known)[:-1]}, "exp": {exp or int(time.time()) + 3_600}}}', secret)


def bearer(credential: str | None) -> dict[str, str]:
    return {} if credential is None else {"authorization": f"Bearer {credential}"}


@dataclass(frozen=True)
class Told:
    """What a caller was answered."""

    status: int
    body: Any
    request_id: str

    @property
    def code(self) -> str | None:
        """The code of the error, whichever face has told it; none where there is none."""
        if "errors" in self.body:
            code: str = self.body["errors"][0]["extensions"]["code"]
            return code
        return self.body.get("error", {}).get("code") if isinstance(self.body, dict) else None


@dataclass(frozen=True)
class Served:
    """A server and its database."""

    server: Server
    database_url: str
    folder: Path
    http: httpx.Client

    def rest(self, credential: str | None, method: str, path: str, body: Any = None) -> Told:
        url = f"{self.server.base_url}/v1{path}"
        answer = self.http.request(method, url, json=body, headers=bearer(credential))
        return Told(answer.status_code, answer.json(), answer.headers["x-request-id"])

    def graphql(self, credential: str | None, query: str, **variables: Any) -> Told:
        url, body = f"{self.server.base_url}/graphql", {"query": query, "variables": variables}
        answer = self.http.post(url, json=body, headers=bearer(credential))
        return Told(answer.status_code, answer.json(), answer.headers["x-request-id"])

    def keys(self, *arguments: str) -> tuple[str, str]:
        """Run a command on keys, and give what it has told and its output."""
        ran = run_gateway("keys", *arguments, "--database-url", self.database_url, folder=self.folder)
        assert ran.returncode == 0, ran.stderr
        return ran.stderr, ran.stdout.removesuffix("\n")

    def new_key(self, *arguments: str) -> tuple[str, str]:
        """Make a key, and give its id and its secret."""
        told, secret = self.keys("create", *arguments)
        return told.partition(":")[0], secret

    def new_thread(self, credential: str, **given: Any) -> str:
        """Make a thread with one message."""
        body = {"messages": [{"role": "user", "content": "hi"}], **given}
        thread_id: str = self.rest(credential, "POST", "/threads", body).body["id"]
        return thread_id

    def token(self, credential: str, thread_id: str, access: str) -> str:
        """Make a token for a thread."""
        told = self.graphql(credential, MINT, threadId=thread_id, access=access)
        token: str = told.body["data"]["createThreadToken"]["token"]
        return token


MINT: Final = """
mutation($threadId: ID!, $access: ThreadAccess!) {
  createThreadToken(input: {threadId: $threadId, access: $access, expiresIn: 600}) { token expiresAt }
}"""
