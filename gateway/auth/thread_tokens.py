"""Thread tokens: signed, short-lived tokens with access to a single thread.

A backend gives one to a browser. Tokens are not stored; only their API key and epoch are looked up.
Must not be here: who may create one for which thread (`core`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from gateway.auth import signed_claims
from gateway.domain import ids
from gateway.domain.principal import Principal, Reach, Scope, TokenEpoch
from gateway.errors import InvalidRequest
from gateway.observability import audit
from gateway.observability.audit import Event

if TYPE_CHECKING:
    from gateway.domain.ids import ThreadId

PREFIX: Final = "tt-"
LONGEST_S: Final = 24 * 3_600
_REQUIRED: Final = ("exp", "project", "thread", "scopes", "by")
_OURS: Final = "gateway:thread"  # the audience, so that no other JWT signed with the same secret is accepted


def _end(who: Principal, expires_in_s: int) -> int:
    """Return the expiry of a token: no later than that of its creator's credential."""
    ends = int(time.time()) + expires_in_s
    return ends if who.expires_at is None else min(ends, int(who.expires_at))


def _standing(who: Principal, thread_id: ThreadId, epoch: TokenEpoch) -> dict[str, Any]:
    """Return the claims of all tokens for a thread that a principal creates."""
    return {
        "aud": _OURS,
        "project": who.reach.project_id,
        "thread": thread_id,
        "by": who.name,
        "maker": who.identity,
        "key": who.key_id,
        "generation": epoch.generation,
        "revocations": epoch.revocations,
    }


class ThreadTokens:
    """Creates tokens with one secret, and verifies those of the old secret too; all start with PREFIX."""

    def __init__(self, secret: str, old_secret: str = "") -> None:
        self._secret = secret
        self._good_secrets = [each for each in (secret, old_secret) if each]

    def make(
        self,
        who: Principal,
        thread_id: ThreadId,
        epoch: TokenEpoch,
        scopes: frozenset[Scope],
        expires_in_s: int,
        *,
        assistant_id: str | None = None,
    ) -> tuple[str, int]:
        """Create a token for a thread of the caller; return it and its expiry.

        It may start runs of an assistant, if that is given.

        Errors: Forbidden if it would grant more than the caller has; InvalidRequest.
        """
        who.require_many_threads()
        who.require(*sorted(Scope.WRITE if scope is Scope.SEND else scope for scope in scopes))
        if assistant_id is not None:
            who.require(Scope.RUNS)
        if not 1 <= expires_in_s <= LONGEST_S:
            message = f"Invalid 'expiresIn': {expires_in_s}. Expected 1 to {LONGEST_S} seconds."
            raise InvalidRequest(message, param="expiresIn", code="invalid_value")
        ends = _end(who, expires_in_s)
        claims = {
            **_standing(who, thread_id, epoch),
            "exp": ends,
            "scopes": sorted(scopes),
            **({} if assistant_id is None else {"assistant": assistant_id}),
        }
        token = PREFIX + signed_claims.sign(claims, self._secret)
        more: dict[str, Any] = {"access": ",".join(claims["scopes"]), "ends": ends}
        audit.note(Event.TOKEN_CREATED, principal=who.name, project=who.reach.project_id, target=thread_id, **more)
        return token, ends

    def read(self, token: str) -> Principal | None:
        """Return the principal of a token; None if it is invalid or expired."""
        claims = self._claims(token.removeprefix(PREFIX))
        if claims is None:
            return None
        try:
            scopes = frozenset(map(Scope, claims["scopes"]))
        except (ValueError, TypeError):  # a later version may have more scopes
            return None
        # Our signature proves that `make` created it; previous versions set no epoch and no maker.
        by, key_id, thread_id = claims["by"], claims.get("key"), claims["thread"]
        return Principal(
            reach=Reach(claims["project"], thread_id=ids.ThreadId(thread_id)),
            scopes=scopes,
            name=f"{by}/{thread_id}",
            key_id=key_id,
            expires_at=claims["exp"],
            # Tokens do not raise an end user's limits, and a browser cannot exhaust those of its backend.
            counted_in=(by,) if key_id is None else (f"thread:{thread_id}", f"tokens:{key_id}"),
            epoch=TokenEpoch(claims.get("generation", 0), claims.get("revocations", 0)),
            assistant_id=claims.get("assistant"),
            identity=f"token:{claims.get('maker', by)}/{thread_id}",
        )

    def _claims(self, token: str) -> dict[str, Any] | None:
        claims = signed_claims.verified(token, self._good_secrets)
        if claims is None or claims.get("aud") != _OURS or any(claims.get(each) is None for each in _REQUIRED):
            return None
        ends = claims["exp"]
        return claims if isinstance(ends, int | float) and ends > time.time() else None
