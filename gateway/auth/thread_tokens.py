"""Signed tokens that let whoever holds one into a single thread, for a short time.

A backend hands one to a browser; nothing of it is kept here, so it costs no look-up but that of what it falls with.
Must not be here: who may make one for which thread (`core`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import jwt

from gateway.domain import ids
from gateway.domain.principal import Principal, Reach, Scope, TokenEpoch
from gateway.errors import InvalidRequest
from gateway.observability import audit
from gateway.observability.audit import Event

if TYPE_CHECKING:
    from gateway.domain.ids import ThreadId

PREFIX: Final = "tt-"
SHORTEST_SECRET: Final = 32  # bytes; RFC 7518, 3.2: a key at least as long as the hash
LONGEST_S: Final = 24 * 3_600
_ALGORITHM: Final = "HS256"
_REQUIRED: Final = ["exp", "aud", "project", "thread", "scopes", "by"]
_OURS: Final = "gateway:thread"  # nobody else's token is one of these, whoever shares the secret


class ThreadTokens:
    """Makes the tokens of one secret, which all begin with `prefix`; reads those of the secret before it too."""

    prefix: Final = PREFIX

    def __init__(self, secret: str, old_secret: str = "") -> None:
        self._secret = secret
        self._good_secrets = [each for each in (secret, old_secret) if each]

    def make(
        self, who: Principal, thread_id: ThreadId, epoch: TokenEpoch, scopes: frozenset[Scope], expires_in_s: int
    ) -> tuple[str, int]:
        """Make a token for a thread that the caller has found, and say when it ends.

        Errors: Forbidden where it would let in further than its maker; InvalidRequest.
        """
        who.require_many_threads()
        who.require(*sorted(Scope.WRITE if scope is Scope.SEND else scope for scope in scopes))
        if not 1 <= expires_in_s <= LONGEST_S:
            message = f"Invalid 'expiresIn': {expires_in_s}. Expected 1 to {LONGEST_S} seconds."
            raise InvalidRequest(message, param="expiresIn", code="invalid_value")
        ends = int(time.time()) + expires_in_s
        if who.expires_at is not None:
            ends = min(ends, int(who.expires_at))
        claims: dict[str, Any] = {
            "aud": _OURS,
            "exp": ends,
            "project": who.reach.project_id,
            "thread": thread_id,
            "scopes": sorted(scopes),
            "by": who.name,
            "key": who.key_id,
            "generation": epoch.generation,
            "revocations": epoch.revocations,
        }
        token = PREFIX + jwt.encode(claims, self._secret, _ALGORITHM)
        project_id, access = who.reach.project_id, ",".join(claims["scopes"])
        audit.note(
            Event.TOKEN_CREATED, principal=who.name, project=project_id, target=thread_id, access=access, ends=ends
        )
        return token, ends

    def read(self, token: str) -> Principal | None:
        """Find out who comes with a token; None where it is not ours, altered, or over."""
        claims = self._claims(token.removeprefix(PREFIX))
        if claims is None:
            return None
        try:
            scopes = frozenset(map(Scope, claims["scopes"]))
        except (ValueError, TypeError):  # a later version may know more of them
            return None
        # What our secret has signed has the form that `make` gave it; in the version before without an epoch.
        by, key_id, thread_id = claims["by"], claims.get("key"), claims["thread"]
        return Principal(
            reach=Reach(claims["project"], thread_id=ids.ThreadId(thread_id)),
            scopes=scopes,
            name=f"{by}/{thread_id}",
            key_id=key_id,
            expires_at=claims["exp"],
            # An end user asks no more often by making tokens; and a browser cannot use up what its backend has.
            counted_in=(by,) if key_id is None else (f"thread:{thread_id}", f"tokens:{key_id}"),
            epoch=TokenEpoch(claims.get("generation", 0), claims.get("revocations", 0)),
        )

    def _claims(self, token: str) -> dict[str, Any] | None:
        for secret in self._good_secrets:
            try:
                return jwt.decode(
                    token, secret, algorithms=[_ALGORITHM], audience=_OURS, options={"require": _REQUIRED}
                )
            except jwt.InvalidSignatureError:
                continue
            except (jwt.InvalidTokenError, ValueError):
                return None
        return None
