"""The audit log of a served process and of commands: what is in it, and what never is."""

from __future__ import annotations

import json
import stat
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.live.server import PATIENCE_S, run_gateway, serving
from tests.rights.conftest import where_no_database_has_a_part
from tests.rights.serving import SECRETS, user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.rights.serving import Served

pytestmark = where_no_database_has_a_part

REVOKE: Final = "mutation($id: ID!) { revokeThreadTokens(input: {threadId: $id}) { threadId } }"
DELETE: Final = {
    "thread": "mutation($id: ID!) { deleteThread(input: {id: $id}) { deletedThreadId } }",
    "message": "mutation($id: ID!) { deleteMessage(input: {id: $id}) { deletedMessageId } }",
}
WHOLE: Final = {"event", "principal", "project", "object", "id", "logger", "level", "timestamp"}


def lines(text: str) -> list[dict[str, Any]]:
    """Take the lines of the audit log out of all that was written."""
    return [json.loads(line) for line in text.splitlines() if '"logger":"gateway.audit"' in line]


def told_of(served: Served, target: str, event: str) -> dict[str, Any]:
    """Find the one line on an object; it is written before the answer, and read a moment later."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = [each for each in lines(served.server.stderr) if (each["object"], each["event"]) == (target, event)]
        if found:
            [line] = found
            return line
        assert time.monotonic() < end, f"no {event} of {target}"


def test_deletions_by_both_faces_are_audited(served: Served) -> None:
    alice, (key_id, key) = user("alice", scope="threads:read threads:write"), served.new_key()
    made = [served.new_thread(alice) for _ in range(2)]
    messages = [served.rest(key, "GET", f"/threads/{each}/messages").body["data"][0]["id"] for each in made]

    done = {
        messages[0]: served.rest(key, "DELETE", f"/threads/{made[0]}/messages/{messages[0]}"),
        messages[1]: served.graphql(alice, DELETE["message"], id=messages[1]),
        made[0]: served.rest(key, "DELETE", f"/threads/{made[0]}"),
        made[1]: served.graphql(alice, DELETE["thread"], id=made[1]),
    }

    for target, who in zip(done, [key_id, "user:alice"] * 2, strict=True):
        kind = "message" if target.startswith("msg_") else "thread"
        line = told_of(served, target, f"{kind}.deleted")
        assert (line["principal"], line["project"], line["id"]) == (who, "default", done[target].request_id)
        assert set(line) == WHOLE | ({"thread"} if kind == "message" else set())


def test_created_and_revoked_tokens_are_audited(served: Served) -> None:
    alice = user("alice")
    thread = served.new_thread(alice)
    token = served.token(alice, thread, "SEND")

    revoked = served.graphql(alice, REVOKE, id=thread)

    made = told_of(served, thread, "token.created")
    assert (made["principal"], made["access"], set(made)) == ("user:alice", "read,send", WHOLE | {"access", "ends"})
    assert told_of(served, thread, "tokens.revoked")["id"] == revoked.request_id
    assert token not in served.server.stderr


def test_refused_changes_are_not_audited(served: Served) -> None:
    alice = user("alice")
    thread = served.new_thread(alice)
    reader, bob = user("alice", scope="threads:read"), user("bob")

    refused = [
        *(served.rest(each, "DELETE", f"/threads/{thread}").status for each in (reader, bob)),
        *(served.graphql(each, REVOKE, id=thread).code for each in (reader, bob)),
    ]
    served.rest(alice, "DELETE", f"/threads/{thread}")

    told_of(served, thread, "thread.deleted")  # what was written before it has been read too
    assert refused == [403, 404, "missing_scope", "not_found"]
    assert [each["event"] for each in lines(served.server.stderr) if each["object"] == thread] == ["thread.deleted"]


def test_the_audit_log_has_no_message_content(served: Served) -> None:
    alice = user("alice")
    hush = "a text of somebody's"
    thread = served.new_thread(alice, metadata={"note": hush}, messages=[{"role": "user", "content": hush}])

    served.rest(alice, "DELETE", f"/threads/{thread}")

    told_of(served, thread, "thread.deleted")
    assert hush not in served.server.stderr
    assert not [name for name, value in SECRETS.items() if len(value) == 32 and value in served.server.stderr]


@pytest.fixture
def quiet(served: Served, new_sqlite_url: Callable[[], str]) -> Iterator[Served]:
    """Serve once more, where nobody has failed yet."""
    flags = ("--trusted-proxies", "127.0.0.1")
    with serving(new_sqlite_url(), *flags, folder=served.folder, given=SECRETS) as server:
        yield replace(served, server=server)


def test_failed_authentication_is_audited_by_address(quiet: Served) -> None:
    url, wrong = f"{quiet.server.base_url}/v1/threads", {"authorization": "Bearer sk-wrong-wrong-wrong"}
    sent = ["203.0.113.5"] * 5 + [f"2001:db8:0:1::{n}" for n in range(5)] + ["2001:db8:0:2::1"]
    with httpx.Client(timeout=PATIENCE_S) as http:
        statuses = {http.get(url, headers={**wrong, "x-forwarded-for": each}).status_code for each in sent}

    quiet.server.stop()

    told = [each for each in lines(quiet.server.stderr) if each["event"] == "authentication.failed"]
    assert statuses <= {401, 429}
    assert [each["object"] for each in told] == ["203.0.113.5", "2001:db8:0:1::/64", "2001:db8:0:2::/64"]
    assert {(each["principal"], each["reason"], each["failures"]) for each in told} == {("-", "not accepted", 1)}
    assert "sk-wrong-wrong-wrong" not in quiet.server.stderr


def test_keys_commands_are_audited_after_their_output(served: Served) -> None:
    made, secret = served.keys("create", "--name", "a name")
    key_id = made.partition(":")[0]
    rotated, other = served.keys("rotate", key_id, "--grace", "1h")
    revoked, _ = served.keys("revoke", rotated.partition(":")[0])

    told = [lines(each) for each in (made, rotated, revoked)]

    assert [len(each) for each in told] == [1, 1, 1]
    assert [(each["event"], each["object"]) for [each] in told] == [
        ("key.created", key_id),
        ("key.rotated", key_id),
        ("key.revoked", rotated.partition(":")[0]),
    ]
    assert told[1][0]["replaced_by"] == rotated.partition(":")[0]
    assert {(each["principal"], each["id"]) for [each] in told} == {("operator", "-")}
    assert secret not in made
    assert other not in rotated


def test_server_and_commands_share_a_file_readable_only_by_its_owner(
    served: Served, new_sqlite_url: Callable[[], str], tmp_path: Path
) -> None:
    url = new_sqlite_url()
    file, moved = tmp_path / "audit.log", tmp_path / "audit.log.1"
    given = {**SECRETS, "GATEWAY_AUDIT_LOG": str(file)}
    with serving(url, folder=served.folder, given=given) as server:
        other, alice = replace(served, server=server), user("alice")
        made = run_gateway("keys", "create", "--database-url", url, folder=served.folder, given=given).stderr
        first, second = [other.new_thread(alice) for _ in range(2)]
        other.rest(alice, "DELETE", f"/threads/{first}")
        file.rename(moved)
        other.rest(alice, "DELETE", f"/threads/{second}")

    written = [[(each["event"], each["object"]) for each in lines(each.read_text())] for each in (moved, file)]
    assert written == [
        [("key.created", made.partition(":")[0]), ("thread.deleted", first)],
        [("thread.deleted", second)],
    ]
    assert {stat.S_IMODE(each.stat().st_mode) for each in (moved, file)} == {0o600}
    assert lines(made + server.stderr) == []
