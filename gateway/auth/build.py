"""The authenticator and its parts, made from the settings.

Must not be here: what they do (`authenticator`, `jwt`, `thread_tokens`, `rate_limits`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.auth.authenticator import Authenticator
from gateway.auth.rate_limits import RateLimiter, RateLimits
from gateway.auth.thread_tokens import ThreadTokens
from gateway.settings.values import OFF
from gateway.web.origins import default_hosts

if TYPE_CHECKING:
    from gateway.auth.api_keys import ApiKeyCache
    from gateway.auth.jwt import JwtVerifier
    from gateway.settings.table import Settings

_RATE: Final = "6000/minute"  # a hundred a second, for backends that append answers token by token
_AT_ONCE: Final = "100"
_FAILED_AUTH: Final = "60/minute"


def authenticator_of(settings: Settings, key_cache: ApiKeyCache) -> Authenticator:
    """Make the authenticator of the settings."""
    return Authenticator(
        key_cache, jwt_verifier_of(settings), thread_tokens_of(settings), RateLimiter(rate_limits_of(settings))
    )


def jwt_verifier_of(settings: Settings) -> JwtVerifier | None:
    """Make the verifier of end users' tokens, if the settings have a key for it."""
    if not settings.jwt_jwks_url and not settings.jwt_secret:
        return None
    from gateway.auth.jwt import JwtRules, JwtVerifier  # noqa: PLC0415  (with `jwt` come 60 modules of cryptography)

    return JwtVerifier(
        JwtRules(
            jwks=settings.jwt_jwks_url,
            secret=settings.jwt_secret,
            issuer=settings.jwt_issuer,
            audience=settings.jwt_audience,
            old_secret=settings.jwt_secret_old,
            require_scopes=settings.jwt_require_scopes,
        )
    )


def thread_tokens_of(settings: Settings) -> ThreadTokens | None:
    """Make the signer of thread tokens, if the settings have a secret for it."""
    if not settings.token_secret:
        return None
    return ThreadTokens(settings.token_secret, settings.token_secret_old)


def rate_limits_of(settings: Settings) -> RateLimits:
    """Read the rate limits; a server that only its own machine can reach has none by default."""
    is_own = bool(default_hosts(settings.host))
    reads, writes, concurrent = (
        None if given == OFF or (not given and is_own) else given or default
        for given, default in (
            (settings.rate_reads, _RATE),
            (settings.rate_writes, _RATE),
            (settings.rate_at_once, _AT_ONCE),
        )
    )
    failures = None if settings.rate_failed_auth == OFF else settings.rate_failed_auth or _FAILED_AUTH
    at_once = None if concurrent is None else int(concurrent)
    tokens = None if settings.rate_tokens in ("", OFF) else settings.rate_tokens
    return RateLimits(reads, writes, at_once, settings.rate_store, failures, tokens)
