"""New owners and names show as they are; those that are kept from before are as good as ever."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from tests.live.server import run_gateway
from tests.rights.conftest import where_no_database_has_a_part
from tests.rights.serving import user

if TYPE_CHECKING:
    from tests.rights.serving import Served

pytestmark = where_no_database_has_a_part

_ODD: Final = {
    "a C1 control": "mia\x85",
    "an override": "\u202eaim",
    "an isolate": "\u2066mia\u2069",
    "a mark": "mia\u200f",
    "an Arabic mark": "\u061cmia",
}
_each_odd: Final = pytest.mark.parametrize("name", _ODD.values(), ids=list(_ODD))
_MAKE: Final = "mutation($owner: String) { createThread(input: {owner: $owner}) { thread { owner } } }"


@pytest.mark.parametrize("name", [*_ODD.values(), "mia\x00", "mia\x1b[31m", "mia\n", "\x7f"])
def test_no_new_thread_belongs_to_such_a_name(served: Served, name: str) -> None:
    _, key = served.new_key("--project", "names")

    by_rest = served.rest(key, "POST", "/threads", {"owner": name})
    by_graphql = served.graphql(key, _MAKE, owner=name)

    assert (by_rest.status, by_rest.body["error"]["param"]) == (400, "owner")
    assert by_graphql.body["errors"][0]["extensions"]["param"] == "input.owner"
    assert (by_graphql.code, by_graphql.status) == ("invalid_value", 200)


@pytest.mark.parametrize("name", ["Zoë", "مريم", "e\u0301", "👩\u200d💻", "a b"])
def test_names_of_people_are_accepted_as_owners(served: Served, name: str) -> None:
    _, key = served.new_key("--project", "names")

    assert served.graphql(key, _MAKE, owner=name).body == {"data": {"createThread": {"thread": {"owner": name}}}}


@_each_odd
def test_an_end_user_with_a_name_of_older_rules_keeps_its_threads(served: Served, name: str) -> None:
    thread_id = f"thread_of{''.join(f'{ord(each):x}' for each in name)}"
    file = served.folder / f"{thread_id}.jsonl"
    kept = {"id": thread_id, "object": "thread", "created_at": 1, "metadata": {}, "tool_resources": {}, "owner": name}
    file.write_text(json.dumps(kept) + "\n")
    ran = run_gateway("import", str(file), "--database-url", served.database_url, folder=served.folder)
    assert ran.returncode == 0, ran.stderr
    token = user(name)

    listed = served.rest(token, "GET", "/threads")
    said = served.rest(token, "POST", f"/threads/{thread_id}/messages", {"role": "user", "content": "hi"})
    made = served.rest(token, "POST", "/threads")

    assert [each["id"] for each in listed.body["data"]] == [thread_id]
    assert said.status == 200
    assert (made.status, made.body["error"]["param"]) == (400, "owner")


@pytest.mark.parametrize("name", [*_ODD.values(), "a\x1b]0;b", "a\nb"])
def test_a_new_key_cannot_have_a_name_with_control_characters(served: Served, name: str) -> None:
    ran = run_gateway("keys", "create", "--name", name, "--database-url", served.database_url, folder=served.folder)

    assert ran.returncode != 0
    assert "Invalid 'name'. Expected no control characters" in ran.stderr
