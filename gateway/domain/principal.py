"""The principal of a request: which threads it can reach, and its scopes.

Must not be here: authentication (`auth`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final, NamedTuple

from gateway.errors import Forbidden


class Scope(StrEnum):
    """What a principal may do.

    SEND is the part of WRITE that a thread token can have alone; ERASE, which deletes all of an end user, is for keys.
    """

    READ = "read"
    WRITE = "write"
    SEND = "send"
    ERASE = "erase"
    RUNS = "runs"


# Until Python 3.12, to find a member in its class takes 900 instructions; what each request needs is found once.
READ: Final = Scope.READ
WRITE: Final = Scope.WRITE
SEND: Final = Scope.SEND
ALL_SCOPES: Final = frozenset({Scope.READ, Scope.WRITE, Scope.RUNS})
KEY_SCOPES: Final = ALL_SCOPES | {Scope.ERASE}


@dataclass(frozen=True, slots=True)
class Reach:
    """Which threads are accessible: all of a project, those of one owner, or a single one.

    Every statement begins with one; what it does not reach does not exist for the caller. No caller reaches threads
    that are not whole yet: only the code that fills or removes them does.
    """

    project_id: str
    owner: str | None = None
    thread_id: str | None = None
    with_unfinished: bool = False

    def and_unfinished(self) -> Reach:
        """Return the same with threads that are not whole."""
        return Reach(self.project_id, self.owner, self.thread_id, with_unfinished=True)


def owner_digest(project_id: str, owner: str) -> str:
    """Return what is kept of an erased owner: only someone who knows the name can recognise it."""
    return sha256(f"{project_id}\0{owner}".encode()).hexdigest()


class TokenEpoch(NamedTuple):
    """The generation of a thread and the number of revocations of its tokens; a token is valid for one such pair."""

    generation: int = 0
    revocations: int = 0


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated caller of a request.

    `name` is for logs, never a secret; `identity` owns its idempotency keys, and stays when an API key is rotated or a
    token renewed; `key_id` is the key whose revocation also revokes the caller, and `epoch` the epoch that its thread
    must have. `counted_in` names the rate limit buckets of its requests, if they are not its own. A token for one
    thread may start runs of the assistant `assistant_id`.
    Units: `expires_at` is Unix seconds, UTC.
    """

    reach: Reach
    scopes: frozenset[Scope] = ALL_SCOPES
    name: str = "open"
    key_id: str | None = None
    expires_at: float | None = None
    counted_in: tuple[str, ...] = ()
    epoch: TokenEpoch | None = None
    identity: str = "open"
    assistant_id: str | None = None

    @property
    def buckets(self) -> tuple[str, ...]:
        """Name the rate limit buckets of its requests; projects never share one."""
        return tuple([f"{self.reach.project_id}/{each}" for each in self.counted_in or (self.name,)])

    @property
    def payer(self) -> str:
        """Name the payer of its runs' tokens: its key, also for a token that the key has created."""
        return f"{self.reach.project_id}/{self.name if self.key_id is None else self.key_id}"

    def require(self, *needed: Scope) -> None:
        """Check that the principal has a scope.

        A change returns the whole object, with what was there before; so it also needs permission to read.
        Errors: Forbidden.
        """
        if self.scopes.issuperset(needed):
            return
        missing = ", ".join(scope.value for scope in needed if scope not in self.scopes)
        message = f"You have insufficient permissions for this operation. Missing scopes: {missing}."
        raise Forbidden(message, code="missing_scope")

    @property
    def has_project(self) -> bool:
        """Whether it is limited to no end user and no thread."""
        return self.reach.owner is None and self.reach.thread_id is None

    def require_project(self) -> None:
        """Reject a principal that is limited to an end user or a thread, whatever its scopes.

        Errors: Forbidden.
        """
        if not self.has_project:
            raise Forbidden("Only an API key of the project can do this.", code="missing_scope")

    def require_run(self, assistant_id: str, *, is_plain: bool) -> None:
        """Check that the principal may create a run: by the scope, or the one that its token names.

        Errors: Forbidden.
        """
        if self.assistant_id is None or Scope.RUNS in self.scopes:
            self.require(Scope.RUNS)
        elif assistant_id != self.assistant_id or not is_plain:
            message = "This token starts only runs of the assistant that it names, without other settings."
            raise Forbidden(message, code="missing_scope")

    def require_many_threads(self) -> None:
        """Reject the principal of a thread token, which can neither create or delete threads nor manage tokens.

        Errors: Forbidden.
        """
        if self.reach.thread_id is not None:
            message = "A token for one thread can neither make nor delete threads, nor make or revoke tokens."
            raise Forbidden(message, code="missing_scope")
