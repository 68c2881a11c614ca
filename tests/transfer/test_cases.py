"""Histories as people have them: what is taken, in which order, and what can be mended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from gateway.core import threads
from tests.exports import a_message, a_thread, give, held, lines, run, told
from tests.transfer.test_import_beside_others import WHO, A, on

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

Objects = list[dict[str, Any]]
A_SECOND = 1_700_000_000


def m(number: int, **fields: Any) -> dict[str, Any]:
    """Make a message of which two have one second."""
    return a_message(f"msg_{number}", **{"created_at": A_SECOND + number // 2, **fields})


@pytest.fixture
def importing(database_url: str, tmp_path: Path) -> Any:
    """Import files of lines, each a list of objects or bytes, in one run."""

    def done(*files: Objects | bytes, flags: tuple[str, ...] = ()) -> Result:
        names = []
        for number, content in enumerate(files):
            name = tmp_path / f"{number}.jsonl"
            name.write_bytes(content if isinstance(content, bytes) else lines(content))
            names.append(str(name))
        return run("import", *names, "--rejects", str(tmp_path / "rejects"), *flags, "--database-url", database_url)

    return done


def test_a_threads_own_line_replaces_inferred_fields(importing: Any, database_url: str) -> None:
    """Case A."""
    own = a_thread(
        metadata={"customer": "42"}, tool_resources={"code_interpreter": {"file_ids": ["file-1"]}}, owner="x"
    )
    assert importing([m(2), m(11)]).exit_code == 0

    assert importing([own]).exit_code == 0
    importing([{**own, "metadata": {}, "owner": "y"}])  # only what was inferred gives way

    assert orjson.loads(give(database_url).splitlines()[0]) == own


def test_a_thread_that_an_export_did_not_find_is_filled_by_a_later_line(importing: Any, database_url: str) -> None:
    export = {"export_schema": "assistants-thread-export/v1", "thread": None, "messages": [m(2)]}
    assert importing([export]).exit_code == 0

    assert importing([a_thread(metadata={"k": "v"})]).exit_code == 0

    assert orjson.loads(give(database_url).splitlines()[0]) == a_thread(metadata={"k": "v"})


@pytest.mark.parametrize("mended", ["the file", "the rejects"])
def test_a_thread_with_an_invalid_line_is_refused_whole_and_imported_once_repaired(
    importing: Any, database_url: str, tmp_path: Path, mended: str
) -> None:
    """Case B; also lines of other files, and of other threads."""
    files: list[Objects] = [[a_thread(), m(1), m(2, content=None), m(3)], [a_message("msg_b", "thread_b"), m(4)]]
    assert importing(*files).exit_code == 1
    assert held(database_url) == ["thread_b", "msg_b"]
    rejected = (tmp_path / "rejects").read_bytes()
    assert [orjson.loads(line)["id"] for line in rejected.splitlines()] == [
        "thread_a",
        "msg_1",
        "msg_2",
        "msg_3",
        "msg_4",
    ]

    whole = lines(files[0] + files[1]) if mended == "the file" else rejected
    done = importing(whole.replace(b'"content":null', b'"content":[]'))

    assert (done.exit_code, told(done)) == (0, [])
    assert held(database_url)[2:] == ["thread_a", "msg_1", "msg_2", "msg_3", "msg_4"]


@pytest.mark.one_on_postgres
@pytest.mark.parametrize("order", [(), ("--order", "asc"), ("--order", "desc")])
@pytest.mark.parametrize("bad", [(7,), (4,), (1,), (5, 4), (4, 5), (9, 8, 1)], ids=str)
def test_a_file_of_only_refused_lines_is_imported_once_it_is_repaired(
    importing: Any, database_url: str, tmp_path: Path, bad: tuple[int, ...], order: tuple[str, ...]
) -> None:
    of = [m(n, created_at=A_SECOND + n) for n in range(10)]
    good = [each for n, each in enumerate(of) if n and n not in bad]
    assert importing([a_thread(), *good], [{**of[n], "content": None} for n in bad], flags=order).exit_code == 1
    rejected = (tmp_path / "rejects").read_bytes()

    assert importing(rejected.replace(b'"content":null', b'"content":[]'), flags=order).exit_code == 0

    assert held(database_url)[1:] == [f"msg_{n}" for n in range(1, 10)]


def test_a_deleted_thread_is_restored_with_its_flag(importing: Any, database_url: str) -> None:
    importing([a_thread(), m(1)])
    delete(database_url)
    assert importing([a_thread(), m(1), m(2)]).exit_code == 0
    assert held(database_url) == []

    done = importing([a_thread(), m(1), m(2)], flags=("--replace-deleted",))

    assert (done.exit_code, held(database_url)) == (0, ["thread_a", "msg_1", "msg_2"])


def delete(database_url: str) -> None:
    """Delete the thread as a client does."""
    on(database_url, lambda store: threads.delete(store, WHO, A))


def test_older_pages_in_a_later_import_are_refused_with_advice(importing: Any, database_url: str) -> None:
    """Case C."""
    importing([a_thread(), *map(m, (9, 8, 7, 6))])

    done = importing([*map(m, (7, 6, 5, 4))])

    assert "import all files of a thread in one run" in told(done)[0]
    assert (done.exit_code, held(database_url)) == (1, ["thread_a", "msg_6", "msg_7", "msg_8", "msg_9"])
    assert importing([a_thread(), *map(m, (9, 8, 7, 6))]).exit_code == 0


NEW, OLD = [*map(m, (9, 8, 7, 6))], [*map(m, (5, 4, 3, 2))]
ONE_SECOND = [m(n, created_at=A_SECOND) for n in (4, 3, 2)]


@pytest.mark.parametrize(
    ("files", "flags", "numbers"),
    [
        pytest.param([[a_thread(), *NEW, a_thread(), *NEW, *OLD]], (), "23456789", id="D: run again into the file"),
        pytest.param([[*OLD[::-1]], NEW], (), "23456789", id="E: one way, then the other"),
        pytest.param([NEW, OLD], (), "23456789", id="C: both pages in one run"),
        pytest.param([OLD, NEW], (), "23456789", id="the same, the other way"),
        pytest.param(
            [[*map(m, (5, 6, 7, 8))], [{"object": "list", "data": [*map(m, (6, 5, 4, 3))]}], [*map(m, (1, 2, 3))]],
            (),
            "12345678",
            id="a list tells its direction by messages that others hold too",
        ),
        pytest.param([ONE_SECOND], (), "432", id="M: all of one second"),
        pytest.param([ONE_SECOND], ("--order", "desc"), "234", id="M: where its order is said"),
        pytest.param([[{"object": "list", "data": ONE_SECOND}]], (), "234", id="a page of the API of one second"),
        pytest.param(
            [[m(1, created_at=5), m(2, created_at=4), m(3, created_at=6)]], (), "123", id="N: a clock that went back"
        ),
    ],
)
@pytest.mark.one_on_postgres
def test_messages_are_exported_in_the_order_of_the_conversation(
    importing: Any, database_url: str, files: list[Objects], flags: tuple[str, ...], numbers: str
) -> None:
    done = importing(*files, flags=flags)

    assert (done.exit_code, held(database_url)[1:]) == (0, [f"msg_{n}" for n in numbers])
    assert importing(give(database_url)).exit_code == 0  # it changes nothing


def test_a_folder_of_another_program_is_reported(sqlite_url: str, tmp_path: Path) -> None:
    """Case I."""
    (tmp_path / "conversations-000.json").write_bytes(b'[{"title":"t","mapping":{}}]')
    (tmp_path / "user.json").write_bytes(b"{}")

    done = run("import", str(tmp_path), "--database-url", sqlite_url)

    assert done.exit_code == 1
    assert told(done)[0].startswith(f"{tmp_path}: No object of the Assistants API found")


@pytest.mark.parametrize("name", ["rest.zip", "a/rest.TAR.GZ", "rest.jsonl.zst", "rest.tgz"])
def test_archives_in_a_folder_are_reported(sqlite_url: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "all.jsonl").write_bytes(lines([a_thread(), m(1)]))
    (tmp_path / name).write_bytes(b"PK\x03\x04")

    done = run("import", str(tmp_path), "--database-url", sqlite_url)

    assert (done.exit_code, held(sqlite_url)) == (0, ["thread_a", "msg_1"])
    assert f"contains no object of the Assistants API: {tmp_path / name}." in done.stderr


def test_control_characters_are_printed_as_escapes(sqlite_url: str) -> None:
    done = run("import", "--database-url", sqlite_url, given=lines([m(1, role="\x1b]0;you\x07\x9b\u202e")]))

    assert r"\x1b]0;you\x07\x9b\u202e" in told(done)[0]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", done.stderr)


def test_a_deleted_thread_is_imported_only_with_the_named_flag(importing: Any, database_url: str) -> None:
    large = [a_thread(), m(1, attachments=[{"file_id": "file-1", "tools": []}] * 5_001)]

    done = importing(large)

    assert (done.exit_code, held(database_url)) == (1, [])
    assert told(done)[0].endswith("To import it anyway, use --beyond-bounds.")
    assert importing(large, flags=("--beyond-bounds",)).exit_code == 0
    assert held(database_url) == ["thread_a", "msg_1"]


@pytest.mark.parametrize("bad", [b'{"object":"thread.message","id":"ms', b'{"object":"thread.message"}'])
def test_an_unreadable_line_refuses_the_threads_beside_it(importing: Any, database_url: str, bad: bytes) -> None:
    each_thread = [lines([a_thread(f"thread_{each}"), a_message(f"msg_{each}", f"thread_{each}")]) for each in "abc"]

    done = importing(each_thread[0] + bad + b"\n" + each_thread[1] + each_thread[2])

    assert (done.exit_code, held(database_url)) == (1, ["thread_c", "msg_c"])
    assert importing(b"".join(each_thread)).exit_code == 0


def test_two_lines_that_became_one_are_missing_from_both_of_their_threads(
    importing: Any, database_url: str, tmp_path: Path
) -> None:
    first, second, third = (
        lines([a_thread(f"thread_{each}"), a_message(f"msg_{each}", f"thread_{each}")]) for each in "abc"
    )

    done = importing(first[:-2] + second + third)

    assert (done.exit_code, held(database_url)) == (1, ["thread_c", "msg_c"])
    kept = (tmp_path / "rejects").read_bytes()
    assert [kept.count(b'"id":"msg_%b"' % each) for each in (b"a", b"b")] == [1, 1]
    assert importing(first + second).exit_code == 0
    assert held(database_url)[2:] == ["thread_a", "msg_a", "thread_b", "msg_b"]


def test_an_object_of_an_unknown_type_is_refused_and_others_are_imported(importing: Any, database_url: str) -> None:
    done = importing([a_thread(), {"object": "thread.run", "id": "run_1", "thread_id": "thread_a"}, m(1)])

    assert (done.exit_code, held(database_url)) == (1, ["thread_a", "msg_1"])
