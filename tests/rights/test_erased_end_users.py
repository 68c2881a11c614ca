"""After an erasure no column of any table names the end user, whichever face its rows were made through."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

import pytest
from sqlalchemy import Text, select, text

from gateway.core import forgetting
from gateway.domain.idempotency import is_scope_of
from gateway.store.engines.open import open_engines
from gateway.store.schema.tables import metadata
from tests.exports import run
from tests.rights.serving import user

if TYPE_CHECKING:
    from tests.rights.serving import Served

# Names that are others' to a pattern, a prefix or a token's separator.
ERASED, STEPPED, OTHERS = "a_ce/é", "o'b % 1", ("abce/é", "a_ce/é/x", "a_ce", "A_CE/É")
NAMING: Final = {"threads", "thread_activity", "messages", "deleted_messages", "deleted_threads", "runs", "read_marks"}
CREATE: Final = """mutation($key: String) {
  createThread(input: {messages: [{role: USER, content: {text: "hi"}}], idempotencyKey: $key}) { thread { id } } }"""
SAY: Final = """mutation($threadId: ID!, $key: String) {
  createMessage(input: {threadId: $threadId, role: USER, content: {text: "hi"}, idempotencyKey: $key}) {
    message { id } } }"""
FORK: Final = """mutation($threadId: ID!, $key: String) {
  forkThread(input: {threadId: $threadId, idempotencyKey: $key}) { thread { id } } }"""
READ: Final = """mutation($threadId: ID!, $reader: String) {
  markRead(input: {threadId: $threadId, reader: $reader}) { thread { id } } }"""
ERASE: Final = "mutation($owner: String!) { eraseUser(input: {owner: $owner}) { threads messages } }"
RUN: Final = """INSERT INTO runs (project_id, thread_id, position, id, created_at, assistant_id, status, expires_at,
    metadata, settings, created_by, idempotency_scope, idempotency_key, idempotency_fingerprint)
    VALUES ('default', :thread, 900, :id, 1, 'asst_a', 'completed', 2, '{}', '{}', :by, :scope, :id, 'f')"""


def change(url: str, statement: str, **values: Any) -> None:
    """Change the database of a served process by hand."""

    async def done() -> None:
        engines = open_engines(url)
        async with engines.writer.begin() as connection:
            await connection.execute(text(statement), values)
        await engines.dispose()

    asyncio.run(done())


async def texts(url: str) -> dict[str, list[Any]]:
    """Return all texts of all tables."""
    engines, found = open_engines(url), {}
    async with engines.reader.connect() as connection:
        for name, table in metadata.tables.items():
            columns = [each for each in table.c if isinstance(each.type, Text)]
            rows: Any = await connection.execute(select(*columns)) if columns else []
            found[name] = [value for row in rows for value in row if value is not None]
    await engines.dispose()
    return found


def named(url: str, name: str) -> set[str]:
    """Return the tables with a text that ends in a name, or in that and a thread, as of a token."""
    is_named = re.compile(rf"(.*[ :/])?{re.escape(name)}(/thread_\w+)?", re.DOTALL).fullmatch
    return {table for table, found in asyncio.run(texts(url)).items() if any(map(is_named, found))}


def use(served: Served, url: str, secret: str, owner: str, number: int) -> None:
    """Let an end user do all that leaves its name, and give half of its threads to others."""
    own, of_key = user(owner), f"{number}"
    made = served.graphql(own, CREATE, key=of_key).body["data"]["createThread"]["thread"]["id"]
    threads = [made, served.new_thread(own)]
    for n, thread_id in enumerate(threads):
        said = served.graphql(own, SAY, threadId=thread_id, key=f"{number}{n}").body["data"]["createMessage"]
        token = served.token(own, thread_id, "READ_WRITE")
        assert served.graphql(token, SAY, threadId=thread_id, key=f"{number}{n}").status == 200
        assert (
            served.rest(token, "POST", f"/threads/{thread_id}/messages", {"role": "user", "content": "a"}).status == 200
        )
        assert served.graphql(own, READ, threadId=thread_id).status == 200
        assert served.graphql(own, FORK, threadId=thread_id, key=f"{number}{n}").body["data"]["forkThread"]
        deleted = served.rest(own, "DELETE", f"/threads/{thread_id}/messages/{said['message']['id']}")
        assert deleted.status == 200
        for by, scope in ((f"user:{owner}", f"run user:{owner}"), (f"user:{owner}/{thread_id}", None)):
            given = {"thread": thread_id, "id": f"run_{number}{n}{len(by)}", "by": f"default/{by}"}
            change(url, RUN.replace(":thread, 900", f":thread, {900 + len(by)}"), **given, scope=scope)
    gone = served.new_thread(own)
    assert served.rest(own, "DELETE", f"/threads/{gone}").status == 200
    for reader in (owner, "somebody"):
        unowned = served.new_thread(secret)
        assert served.graphql(secret, READ, threadId=unowned, reader=reader).body["data"]
    created = served.graphql(own, CREATE, key=f"{number} alone").body["data"]["createThread"]["thread"]["id"]
    started = served.new_thread(own)  # where it neither writes nor reads
    change(url, RUN, thread=started, id=f"run_{number}", by=f"default/user:{owner}", scope=None)
    for thread_id in (threads[0], created, started):
        change(url, "UPDATE threads SET owner = NULL WHERE id = :id", id=thread_id)


@pytest.fixture(scope="module")
def used(served: Served) -> tuple[str, str]:
    """Return the database after all of them have used the server, and the secret of a key that may erase."""
    _, secret = served.new_key("--scopes", "read,write,erase")
    for number, owner in enumerate((ERASED, STEPPED, *OTHERS)):
        use(served, served.database_url, secret, owner, number)
    return served.database_url, secret


def test_no_column_of_any_table_names_an_erased_end_user(served: Served, used: tuple[str, str]) -> None:
    url, secret = used
    before = {each: named(url, each) for each in OTHERS}
    assert named(url, ERASED) == NAMING

    erased = served.graphql(secret, ERASE, owner=ERASED).body["data"]["eraseUser"]

    assert erased["threads"] == 3
    assert named(url, ERASED) == set()
    assert {each: named(url, each) for each in OTHERS} == before


def test_an_erasure_in_the_smallest_steps_leaves_no_name_either(
    used: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_KEYS", 1), ("_MARKS", 1), ("_HOLD_S", 0)):
        monkeypatch.setattr(forgetting, name, value)
    url, _ = used
    assert named(url, STEPPED) == NAMING

    assert run("erase", "--owner", STEPPED, "--database-url", url).exit_code == 0

    assert named(url, STEPPED) == set()
    assert {each: named(url, each) for each in OTHERS} == dict.fromkeys(OTHERS, NAMING)


@pytest.mark.parametrize(
    ("scope", "is_own"),
    [
        ("thread user:a", True),
        ("message token:user:a/thread_b", True),
        ("thread user:a/b", False),
        ("message token:user:a/b/thread_b", False),
        ("thread key:a", False),
        ("message token:key_a/thread_b", False),
    ],
)
def test_the_scope_of_a_key_is_of_its_end_user_alone(scope: str, *, is_own: bool) -> None:
    assert is_scope_of(scope, "a") is is_own
