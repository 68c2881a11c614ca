from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import pytest

from tests.exports import a_message, a_text, a_thread, an_export, give, held, lines, run, take, take_some, told

if TYPE_CHECKING:
    from pathlib import Path

ONE = "msg_1"
TWO = "msg_2"


def test_threads_and_messages_are_moved_unchanged(database_url: str) -> None:
    annotation = {
        "type": "file_citation",
        "text": "[1]",
        "start_index": 1,
        "end_index": 4,
        "file_citation": {"file_id": "file-1", "quote": "q"},
    }
    thread = a_thread(
        created_at=5, metadata={"user": "é\n"}, tool_resources={"file_search": {"vector_store_ids": ["vs_1"]}}
    )
    message = a_message(
        created_at=7,
        role="assistant",
        run_id="run_1",
        assistant_id="asst_1",
        status="incomplete",
        incomplete_details={"reason": "max_tokens"},
        incomplete_at=8,
        completed_at=None,
        content=[a_text("a[1]", annotation), {"type": "refusal", "refusal": "no"}],
        attachments=[{"file_id": "file-1", "tools": [{"type": "file_search"}]}],
        metadata={"k": "🙂"},
    )

    take(database_url, thread, message)

    assert [orjson.loads(line) for line in give(database_url).splitlines()] == [thread, message]


@pytest.mark.parametrize("given", [b"", b"\n\r\n"], ids=["empty", "blank"])
def test_an_empty_import_succeeds(database_url: str, given: bytes) -> None:
    done = run("import", "--database-url", database_url, given=given)

    assert (done.exit_code, told(done), held(database_url)) == (0, [], [])


def test_messages_may_precede_their_thread_in_a_file(database_url: str) -> None:
    take(database_url, a_message(ONE), a_message(TWO), a_thread(metadata={"k": "v"}))

    assert held(database_url) == ["thread_a", ONE, TWO]


def test_messages_without_a_thread_line_create_their_thread(database_url: str) -> None:
    take(database_url, a_message(ONE, created_at=9), a_message(TWO, created_at=7))

    assert orjson.loads(give(database_url).splitlines()[0]) == a_thread(created_at=7)


def test_interleaved_threads_keep_each_its_order(database_url: str) -> None:
    both = [a_message(f"msg_{thread}{n}", f"thread_{thread}", created_at=n // 3) for n in range(6) for thread in "ab"]

    take(database_url, a_thread("thread_a"), *both, a_thread("thread_b"))

    each = [[f"thread_{thread}", *(f"msg_{thread}{n}" for n in range(6))] for thread in "ab"]
    assert held(database_url) == [*each[0], *each[1]]


def test_a_list_with_the_newest_first_is_reversed(database_url: str) -> None:
    take(database_url, a_thread(), *(a_message(f"msg_{n}", created_at=n // 3) for n in reversed(range(7))))

    assert held(database_url) == ["thread_a", *(f"msg_{n}" for n in range(7))]


def test_threads_of_one_second_keep_their_order(database_url: str) -> None:
    ids = [f"thread_{letter}" for letter in "zamby"]

    take(database_url, *map(a_thread, ids))

    assert held(database_url) == ids


def test_the_order_is_kept_over_several_batches(database_url: str) -> None:
    ids = [f"msg_{n}" for n in range(1201)]

    take(database_url, *map(a_message, ids))

    assert held(database_url) == ["thread_a", *ids]


def test_importing_twice_changes_nothing(database_url: str) -> None:
    objects = [a_thread(), *(a_message(f"msg_{n}", created_at=n) for n in range(3)), a_message("msg_x", "thread_x")]
    take(database_url, *objects)
    before = give(database_url)

    take(database_url, *objects)

    assert give(database_url) == before


def test_a_thread_that_occurs_twice_in_one_import_is_imported_once(database_url: str) -> None:
    take(database_url, a_thread(), a_message(ONE), a_thread(), a_message(ONE))

    assert held(database_url) == ["thread_a", ONE]


def test_of_two_different_objects_with_one_id_the_first_is_kept(database_url: str) -> None:
    first = [a_thread(metadata={"n": "1"}), a_message(ONE, metadata={"n": "1"})]
    others = [a_thread(metadata={"n": "2"}), a_message(ONE, metadata={"n": "2"})]

    take(database_url, *first, *others)
    again = run("import", "--database-url", database_url, given=lines(others))

    assert (again.exit_code, again.stderr) == (0, "Threads: 0, messages: 0, already present: 2, rejected: 0.\n")
    assert [line["metadata"] for line in map(orjson.loads, give(database_url).splitlines())] == [{"n": "1"}] * 2


def test_messages_that_were_written_since_the_last_import_are_added(database_url: str) -> None:
    take(database_url, a_thread(), a_message(ONE, created_at=1))

    take(database_url, a_thread(), a_message(ONE, created_at=1), a_message(TWO, created_at=2))

    assert held(database_url) == ["thread_a", ONE, TWO]


def test_existing_objects_stay_unchanged(database_url: str) -> None:
    take(database_url, a_thread(metadata={"n": "1"}), a_message(metadata={"n": "1"}))
    before = give(database_url)

    take(database_url, a_thread(metadata={"n": "2"}), a_message(metadata={"n": "2"}))

    assert give(database_url) == before


def test_a_message_that_would_precede_stored_ones_is_refused_and_reported(database_url: str) -> None:
    take(database_url, a_thread(), a_message(TWO, created_at=2))

    said = take_some(database_url, a_thread(), a_message(ONE, created_at=1), a_message("msg_3", created_at=3))

    reason = (
        "'thread_a' already holds newer messages, and messages can only be added after them: "
        "import all files of a thread in one run. None of the 3 lines of its thread was imported."
    )
    assert said == [f"-: line 2: {reason}"]
    assert held(database_url) == ["thread_a", TWO]


def test_a_message_id_of_another_thread_is_refused_and_reported(database_url: str) -> None:
    take(database_url, a_thread(), a_message(ONE))

    said = take_some(database_url, a_message(TWO, "thread_b"), a_message(ONE, "thread_b"))

    none = "None of the 2 lines of its thread was imported."
    assert said == [f"-: line 2: 'msg_1' is already a message of 'thread_a'. {none}"]
    assert held(database_url) == ["thread_a", ONE]


def test_a_message_id_in_two_threads_of_one_import_belongs_to_the_first(database_url: str) -> None:
    said = take_some(database_url, a_thread("thread_b"), a_message(ONE, "thread_b"), a_message(ONE, "thread_a"))

    none = "None of the 1 lines of its thread was imported."
    assert said == [f"-: line 3: 'msg_1' is already a message of 'thread_b'. {none}"]


def test_an_invalid_line_is_reported_and_the_rest_imported(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "threads.jsonl"
    good = lines([a_thread(), a_message(ONE), a_message(TWO)])
    file.write_bytes(b"done\n" + good + b"\n" + lines([a_message("msg_b", "thread_b", role="system")]))

    done = run("import", str(file), "--database-url", database_url)

    reason = "Invalid value: 'system'. Supported values are: 'user' and 'assistant'."
    assert told(done) == [
        f"{file}: line 1: Invalid JSON: unexpected character, expected a JSON value at column 1.",
        f"{file}: line 6: {reason}",
        f"thread_b: none of its 1 lines was imported, because of an error at {file}: line 6.",
    ]
    assert (done.exit_code, held(database_url)) == (1, ["thread_a", ONE, TWO])


def test_rejects_are_kept_unchanged(database_url: str, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    bad = b'{"object": "thread",  "id": "x"}'

    run("import", "--rejects", str(rejects), "--database-url", database_url, given=b"no\n" + bad + b"\r\n")

    assert rejects.read_bytes() == b"no\n" + bad + b"\n"


def test_a_valid_import_rejects_nothing(database_url: str, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"

    run("import", "--rejects", str(rejects), "--database-url", database_url, given=lines([a_thread()]))

    assert rejects.read_bytes() == b""


def test_repaired_rejects_can_be_imported(database_url: str, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    good = lines([a_thread(), a_message(ONE), a_message(TWO), a_message("msg_b", "thread_b"), a_message("msg_3")])
    spoilt = good.replace(b'"msg_b","object":"thread.message"', b'"msg_b","object":"mesage"')
    spoilt = spoilt.replace(b'"msg_3"', b'"msg_3?"')
    arguments = ("import", "--database-url", database_url)
    assert run(*arguments, "--rejects", str(rejects), given=spoilt).exit_code == 1

    mended = rejects.read_bytes().replace(b"mesage", b"thread.message").replace(b"?", b"")
    done = run(*arguments, given=mended)

    assert (done.exit_code, held(database_url)) == (0, ["thread_a", ONE, TWO, "msg_3", "thread_b", "msg_b"])


def test_rows_that_only_the_database_refuses_are_rejected(database_url: str, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    take(database_url, a_thread(), a_message(ONE))
    stolen = a_message(ONE, "thread_b")

    run("import", "--rejects", str(rejects), "--database-url", database_url, given=lines([stolen]))

    assert stolen.items() <= orjson.loads(rejects.read_bytes()).items()


def test_rejects_do_not_overwrite_an_imported_file(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "threads.jsonl"
    file.write_bytes(lines([a_thread()]))

    done = run("import", str(file), "--rejects", str(file), "--database-url", sqlite_url)

    assert (done.exit_code, file.read_bytes()) == (1, lines([a_thread()]))
    assert done.stderr == f"Error: --rejects: expected a file other than '{file}', which is imported.\n"


def test_a_missing_file_is_reported_and_the_others_are_imported(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "threads.jsonl"
    file.write_bytes(lines([a_thread()]))
    missing = tmp_path / "missing.jsonl"

    done = run("import", str(file), str(missing), "--database-url", sqlite_url)

    assert done.stderr.splitlines() == [
        f"{missing}: the file: It cannot be read: No such file or directory.",
        "Threads: 1, messages: 0, already present: 0, rejected: 1.",
    ]
    assert (done.exit_code, held(sqlite_url)) == (1, ["thread_a"])


def test_a_missing_file_alone_ends_with_a_summary(sqlite_url: str, tmp_path: Path) -> None:
    done = run("import", str(tmp_path / "missing.jsonl"), "--database-url", sqlite_url)

    assert (done.exit_code, done.stderr.splitlines()[-1]) == (
        1,
        "Threads: 0, messages: 0, already present: 0, rejected: 1.",
    )


def test_the_rejects_of_an_earlier_run_stay_until_something_is_rejected(sqlite_url: str, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    rejects.write_bytes(b"of an earlier run, and longer than what comes\n")
    arguments = ("import", "--rejects", str(rejects), "--database-url", sqlite_url)

    assert run(*arguments, given=lines([a_thread()])).exit_code == 0
    assert rejects.read_bytes() == b"of an earlier run, and longer than what comes\n"
    assert run(*arguments, given=b"[1]\n").exit_code == 1
    assert rejects.read_bytes() == b"1\n"


def test_a_folder_files_and_standard_input_are_imported_together(sqlite_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    (folder / "threads").mkdir(parents=True)
    (folder / "manifest.json").write_bytes(b"{}")
    (folder / "threads" / "thread_a.json").write_bytes(an_export(a_thread(), a_message(ONE)))
    file = tmp_path / "more.jsonl"
    file.write_bytes(lines([a_message(TWO)]))
    given = lines([a_message("msg_3")])

    done = run("import", str(folder), str(file), "-", "--database-url", sqlite_url, given=given)

    assert (done.exit_code, held(sqlite_url)) == (0, ["thread_a", ONE, TWO, "msg_3"])


def test_messages_are_imported_with_the_repaired_line_of_their_thread(database_url: str, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.jsonl"
    arguments = ("import", "--database-url", database_url)
    spoilt = lines([a_thread(metadata={"k": 1}), a_message(ONE)])
    assert run(*arguments, "--rejects", str(rejects), given=spoilt).exit_code == 1
    assert held(database_url) == []

    done = run(*arguments, given=rejects.read_bytes().replace(b'"k":1', b'"k":"1"'))

    assert (done.exit_code, held(database_url)) == (0, ["thread_a", ONE])
