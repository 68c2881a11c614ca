"""Whose requests count in which bucket, at a served process that lets each bucket read a few times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.live.server import PATIENCE_S, serving
from tests.rights.serving import SECRETS, Served, user

if TYPE_CHECKING:
    from collections.abc import Iterator

READS: Final = 6


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("rates")
    url = f"sqlite:///{folder / 'threads.db'}"
    flags = ("--rate-reads", f"{READS}/day")
    with serving(url, *flags, folder=folder, given=SECRETS) as server, httpx.Client(timeout=PATIENCE_S) as http:
        yield Served(server, url, folder, http)


def reads(served: Served, credential: str, *, at_most: int = READS + 1) -> int:
    """Read until it is refused, and say how often it was let."""
    for done in range(at_most):
        if served.rest(credential, "GET", "/threads").status != 200:
            return done
    return at_most


def test_tokens_of_a_key_share_a_rate_limit_apart_from_the_keys_own(counted: Served) -> None:
    _, key = counted.new_key()
    threads = [counted.new_thread(key) for _ in range(2)]
    first, second, beside = (counted.token(key, each, "READ") for each in (*threads, threads[0]))

    assert reads(counted, first, at_most=4) == 4
    assert reads(counted, second) == READS - 4  # what all tokens of the key have is used up
    assert reads(counted, beside) == 0
    assert reads(counted, key, at_most=2) == 2


def test_tokens_of_one_thread_share_a_rate_limit(counted: Served) -> None:
    (_, key), (_, other) = counted.new_key("--project", "shop"), counted.new_key("--project", "shop")
    thread = counted.new_thread(key)

    assert reads(counted, counted.token(key, thread, "READ"), at_most=4) == 4
    assert reads(counted, counted.token(other, thread, "SEND")) == READS - 4


def test_tokens_of_an_end_user_count_as_that_user(counted: Served) -> None:
    alice = user("alice")
    token = counted.token(alice, counted.new_thread(alice), "READ")

    assert reads(counted, token, at_most=4) == 4
    assert reads(counted, alice) == READS - 4


def test_end_users_of_one_name_in_two_projects_are_different(counted: Served) -> None:
    bobs = [user("bob", project=each, scope="threads:read") for each in ("shop", "rival")]

    assert [reads(counted, each) for each in bobs] == [READS, READS]
