"""Exports that were damaged on their way: nothing breaks, and each thread is taken whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tests.exports import a_message, a_text, a_thread, give, lines, run

if TYPE_CHECKING:
    from collections.abc import Callable

Damage = tuple[Any, ...]

WHOLE: Final = lines(
    each
    for letter in "abc"
    for each in (
        a_thread(f"thread_{letter}", metadata={"k": "v"}),
        *(
            a_message(
                f"msg_{letter}{n}", f"thread_{letter}", created_at=n, content=[a_text(f'"thread_id":"thread_{n}"')]
            )
            for n in range(3)
        ),
    )
).splitlines()
ODD: Final[tuple[Any, ...]] = (
    None,
    "",
    "x",
    "\0",
    "thread_b",
    "msg_b0",
    "thread.run",
    "thread",
    -1,
    2**63,
    1.5,
    [],
    {},
    [[]],
    [None],
)
NAMED: Final = re.compile(rb'"(?:thread_id|id)":"(thread_\w+)"')

where = st.integers(0, 30)
damages: st.SearchStrategy[Damage] = st.one_of(
    st.tuples(st.just("drop"), where),
    st.tuples(st.just("repeat"), where, where),
    st.tuples(st.just("swap"), where, where),
    st.tuples(st.just("cut"), where, st.integers(0, 200)),
    st.tuples(st.just("join"), where),
    st.tuples(st.just("tear"), where, st.integers(0, 200)),
    st.tuples(
        st.just("write over"), where, st.integers(0, 200), st.sampled_from([b"\0", b"\xff", b'"', b"}", b"\xed\xa0"])
    ),
    st.tuples(st.just("change"), where, st.sampled_from(sorted(a_message())), st.sampled_from(ODD)),
    st.tuples(st.just("leave out"), where, st.sampled_from(sorted(a_message()))),
)


def damaged(damages: list[Damage]) -> list[bytes]:
    """Do to the lines of the export what is said, one after the other."""
    found = list(WHOLE)
    for kind, at, *more in damages:
        if found:
            found = _DONE[kind](found, at % len(found), *more)
    return found


def _change(found: list[bytes], at: int, key: str, value: Any) -> list[bytes]:
    try:
        return _replaced(found, at, orjson.dumps({**orjson.loads(found[at]), key: value}))
    except (orjson.JSONDecodeError, TypeError):  # it is damaged enough
        return found


def _leave_out(found: list[bytes], at: int, key: str) -> list[bytes]:
    try:
        kept = {name: value for name, value in orjson.loads(found[at]).items() if name != key}
    except (orjson.JSONDecodeError, AttributeError):
        return found
    return _replaced(found, at, orjson.dumps(kept))


def _replaced(found: list[bytes], at: int, line: bytes, count: int = 1) -> list[bytes]:
    return [*found[:at], line, *found[at + count :]]


_DONE: Final[dict[str, Callable[..., list[bytes]]]] = {
    "drop": lambda found, at: found[:at] + found[at + 1 :],
    "repeat": lambda found, at, to: [*found[: to % len(found)], found[at], *found[to % len(found) :]],
    "swap": lambda found, at, to: _replaced(_replaced(found, at, found[to % len(found)]), to % len(found), found[at]),
    "cut": lambda found, at, length: _replaced(found, at, found[at][:length]),
    "join": lambda found, at: _replaced(found, at, b"".join(found[at : at + 2]), 2),
    "tear": lambda found, at, length: _replaced(found, at, found[at][:length] + b"".join(found[at + 1 : at + 2]), 2),
    "write over": lambda found, at, to, byte: _replaced(found, at, found[at][:to] + byte + found[at][to + 1 :]),
    "change": _change,
    "leave out": _leave_out,
}


def expected(found: list[bytes]) -> tuple[dict[str, set[str]], set[str]]:
    """Say which messages each thread has by the lines that can be read, and which threads have one that cannot be."""
    has: dict[str, set[str]] = {}
    broken: set[str] = set()
    for line in found:
        try:
            value = json.loads(line)
        except ValueError:
            broken |= {named.decode() for named in NAMED.findall(line)}
            continue
        if isinstance(value, dict) and value.get("object") == "thread.message":
            has.setdefault(str(value.get("thread_id")), set()).add(str(value.get("id")))
    return has, broken


def messages_of(exported: bytes) -> dict[str, set[str]]:
    """Name the messages of each thread that an export gives."""
    has: dict[str, set[str]] = {}
    for value in map(orjson.loads, exported.splitlines()):
        if value["object"] == "thread":
            has[value["id"]] = set()
        elif value["object"] == "thread.message":
            has[value["thread_id"]].add(value["id"])
    return has


@given(damages=st.lists(damages, min_size=1, max_size=4))
def test_a_damaged_export_is_imported_by_whole_threads_and_completed_by_a_later_import(
    sqlite_url: str, damages: list[Damage]
) -> None:
    found = damaged(damages)
    has, broken = expected(found)
    with TemporaryDirectory() as folder:
        shutil.copy(sqlite_url.removeprefix("sqlite:///"), Path(folder) / "threads.db")  # which stays empty
        url = f"sqlite:///{Path(folder) / 'threads.db'}"

        done = run("import", "--database-url", url, given=b"".join(line + b"\n" for line in found))

        *_, summary = done.stderr.splitlines()
        assert done.exit_code == (0 if summary.endswith("rejected: 0.") else 1)
        taken = messages_of(give(url))
        assert taken == {thread_id: has.get(thread_id, set()) for thread_id in taken}
        assert not taken.keys() & broken
        whole = run("import", "--database-url", url, given=b"".join(line + b"\n" for line in WHOLE))
        assert whole.exit_code in (0, 1)
        held = messages_of(give(url))
        elsewhere = {message_id for messages in taken.values() for message_id in messages}
        for letter in "abc":
            own = {f"msg_{letter}{n}" for n in range(3)}
            if f"thread_{letter}" not in taken and not own & elsewhere:
                assert held[f"thread_{letter}"] == own
