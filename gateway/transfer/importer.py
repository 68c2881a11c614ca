"""Import: stage and sort all lines, then add thread by thread, and report what was rejected.

Must not be here: reading files (`sources`), writing threads (`core.transfer`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from gateway.core import run_transfer, transfer
from gateway.core.taken import Given, Taken
from gateway.domain import archive, archive_runs, bounds, ids, wire
from gateway.domain.direction import Direction, DirectionDetector
from gateway.domain.idempotency import KeyRecord
from gateway.domain.message import Message
from gateway.domain.run import ENDED, RUN_STATUS_OF, Assistant, Run, RunStep
from gateway.domain.thread import Thread
from gateway.errors import InvalidRequest
from gateway.transfer.decompress import STDIN
from gateway.transfer.reporting import report
from gateway.transfer.sources import PROGRESS, read_source

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import IO

    from gateway.core import Store
    from gateway.domain.principal import Principal
    from gateway.store.staging import Staging
    from gateway.transfer.sources import Entry, Origin

_OF_RUNS: Final = (Run, RunStep, Assistant)  # making a union for each line would take longer than the check
FLAG: Final = "--beyond-bounds"
_LIFTED: Final = archive.LIMIT_CODES | {bounds.LINE.code, bounds.LINE_VALUES.code}  # codes of the limits that it lifts
_NAMED: Final = 3  # skipped files that a message names
# Objects that are not part of a thread's messages: each is rejected on its own.
_OTHERS: Final = (
    "assistant",
    "thread.run",
    "thread.deleted",
    "file",
    "vector_store",
    "model",
    "thread.message.deleted",
)


@dataclass(slots=True)
class Rejects:
    """The rejected lines, in a file that can be corrected and imported again."""

    file: IO[bytes] | None
    order: Direction | None = None
    count: int = field(default=0, init=False)
    _is_emptied: bool = field(default=False, init=False)

    def add(self, raw: bytes) -> None:
        """Write a line unchanged."""
        self.count += 1
        if raw:
            self._write(raw)

    def add_thread(self, staging: Staging, thread_id: str) -> int:
        """Write all lines of a thread, in the default order of lists."""
        found = staging.thread(thread_id)
        lines = 0
        if found is not None:
            self.add(wire.dump(wire.thread(found)))
            lines = 1
        detector = DirectionDetector()
        for each in staging.lines_of(thread_id, newest_first=self.order is Direction.FALLING):
            lines += 1
            if isinstance(each, Message):
                detector.add(each.created_at)
                self.add(wire.dump(wire.message(each)))
            else:
                self.add(each)
        for keys in staging.keys(thread_id):
            for key in keys:
                lines += 1
                self.add(wire.dump(archive.key_record(key)))
        for batch in staging.runs.lines([thread_id]):
            for line in batch:
                lines += 1
                self.add(line.raw)
        if self.file and detector.direction not in (self.order or Direction.RISING, Direction.UNKNOWN):
            self._write(wire.dump(archive.order_record(thread_id, self.order or Direction.RISING)))
        return lines

    def _write(self, line: bytes) -> None:
        if self.file is None:
            return
        if not self._is_emptied and self.file.seekable():  # remove the lines of an earlier import
            self.file.truncate(0)
        self._is_emptied = True  # a pipe has nothing to empty
        self.file.write(line + b"\n")


@dataclass(slots=True)
class _Stager:
    """Reads sources into the staging table."""

    staging: Staging
    rejects: Rejects
    order: Direction | None
    is_bounded: bool
    only: type[object]  # the class of accepted objects
    skipped: list[str] = field(default_factory=list)
    _numbers: dict[Origin, int] = field(default_factory=dict)
    _file: int = -1
    _before: str | None = None  # the thread of the last line of this file that names one
    _spoils_next: str | None = None  # the reason to reject the next thread, after a line that names none

    def take(self, entry: Entry) -> bool:
        """Stage an entry; return whether it belongs to the Assistants API, even if it is invalid."""
        if entry.origin.file != self._file:
            self._file, self._before, self._spoils_next = entry.origin.file, None, None
            self._numbers.clear()
        if entry.is_foreign:
            self.skipped.append(entry.origin.source)
            return False
        if entry.value is PROGRESS:
            return False
        if entry.fault is not None:
            self._refuse(entry, entry.fault, entry.code, entry.thread_ids, is_alone=_is_alone(entry))
            return True
        try:
            found = archive_runs.read(entry.value)
            if self.is_bounded and isinstance(found, _OF_RUNS):
                archive_runs.check_bounds(found)
            elif self.is_bounded and isinstance(found, Message):
                archive.check_bounds(found)
        except InvalidRequest as error:
            self._refuse(entry, error.message, error.code, _threads_of(entry.value), is_alone=_is_other(entry.value))
            return True
        if not isinstance(found, self.only):
            reason = f"Expected an object of the type '{self.only.__name__.lower()}'."
            self._refuse(entry, reason, None, (), is_alone=True)
            return True
        if isinstance(found, _OF_RUNS):
            self._keep_run(entry, found)
        else:
            self._keep(entry, found)
        return True

    def _keep_run(self, entry: Entry, found: Run | RunStep | Assistant) -> None:
        thread_id = "" if isinstance(found, Assistant) else found.thread_id
        self.staging.runs.add(
            self._number(entry.origin),
            (entry.origin.source, entry.place, _raw_of(entry)),
            found.id,
            found.created_at,
            thread_id=thread_id,
            run_id=found.run_id if isinstance(found, RunStep) else "",
            is_open=isinstance(found, Run) and RUN_STATUS_OF[entry.value["status"]] not in ENDED,
        )

    def _keep(self, entry: Entry, found: Thread | Message | archive.ThreadOrder | KeyRecord) -> None:
        thread_id = found.id if isinstance(found, Thread) else found.thread_id
        if self._spoils_next is not None:
            self.staging.refuse_thread(thread_id, self._spoils_next)
            self._spoils_next = None
        self._before = thread_id
        if isinstance(found, Message):
            self.staging.add_message(self._number(entry.origin), entry.origin.source, entry.place, found)
        elif isinstance(found, KeyRecord):
            self.staging.add_key(found)
        elif not isinstance(found, Thread):
            self.staging.set_order(found.thread_id, found.direction)
        elif not self.staging.add_thread(found):  # an export was appended to the same file
            self._numbers.pop(entry.origin, None)

    def _number(self, origin: Origin) -> int:
        number = self._numbers.get(origin)
        if number is None:
            fallback = self.order or (Direction.FALLING if origin.is_page else Direction.RISING)
            number = self.staging.begin_list(origin.file, fallback, is_explicit=self.order is not None)
            self._numbers[origin] = number
        return number

    def _refuse(
        self, entry: Entry, reason: str, code: str | None, thread_ids: tuple[str, ...], *, is_alone: bool
    ) -> None:
        if code in _LIFTED:
            reason += f" To import it anyway, use {FLAG}."
        at = f"{entry.origin.source}: {entry.place}"
        report(f"{at}: {reason}")
        raw = _raw_of(entry)
        if is_alone:
            self.rejects.add(raw)
            return
        # A line without a thread belongs to one of the adjacent lines.
        owners = thread_ids or tuple(filter(None, [self._before]))
        if not thread_ids or self._spoils_next is not None:
            self._spoils_next = None if thread_ids else at
        if not owners:
            self.rejects.add(raw)
            return
        for each in owners:
            self.staging.refuse_thread(each, at)
        self._before = owners[-1]
        self.staging.add_refused(self._number(entry.origin), owners[0], raw, _second_of(entry.value))


def stage(
    sources: Sequence[str],
    staging: Staging,
    rejects: Rejects,
    advance: Callable[[int], None],
    *,
    is_bounded: bool = True,
    only: type[object] = object,
) -> list[str]:
    """Read all sources into the staging tables; return the files without any of its objects.

    A source that cannot be read is reported and counted among the rejects, and the others are read.
    """
    stager = _Stager(staging, rejects, rejects.order, is_bounded, only)
    files = itertools.count()
    for source in sources:
        is_ours = False
        passed_before = len(stager.skipped)
        for entry in read_source(source, files, is_bounded=is_bounded):
            advance(entry.size)
            is_ours = stager.take(entry) or is_ours
        passed = stager.skipped[passed_before:]
        if passed and not is_ours:
            name = "Standard input" if source == STDIN else source
            report(f"{name}: No object of the Assistants API found{_named(source, passed)}.")
            rejects.count += 1
            del stager.skipped[passed_before:]
    staging.finish()
    return stager.skipped


def _named(source: str, passed: list[str]) -> str:
    if passed == [source]:
        return ""
    others = f" and {len(passed) - _NAMED} more" if len(passed) > _NAMED else ""
    return f"; skipped {', '.join(passed[:_NAMED])}{others}"


def reject_incomplete_threads(staging: Staging, rejects: Rejects) -> None:
    """Report the threads with a rejected line, and write all their lines to the rejects."""
    for thread_id, at in staging.refused_threads():
        lines = rejects.add_thread(staging, thread_id)
        report(f"{thread_id}: none of its {lines} lines was imported, because of an error at {at}.")


async def load(
    store: Store,
    who: Principal,
    staging: Staging,
    rejects: Rejects,
    advance: Callable[[int], None],
    *,
    replace_deleted: bool = False,
) -> Taken:
    """Add what was staged to the store, in groups of threads, and a long thread by itself."""
    total = Taken()
    for group in staging.groups():
        given = list(itertools.starmap(Given, group.threads))
        taken = await transfer.import_threads(
            store, who, given, staging, is_long=group.is_long, replace_deleted=replace_deleted
        )
        for staged, reason, added in taken.refused:
            lines = rejects.add_thread(staging, staged.message.thread_id)
            none = f"None of the {lines} lines of its thread was imported."
            imported = f"New messages before it were imported: {added}." if added else none
            report(f"{staged.source}: {staged.place}: {reason} {imported}")
        for (source, place, raw), reason in taken.refused_lines:
            report(f"{source}: {place}: {reason}")
            rejects.add(raw)
        total.add(taken)
        advance(taken.messages + taken.runs + taken.steps)
    total.add(await run_transfer.import_assistants(store, who, staging))
    return total


def _raw_of(entry: Entry) -> bytes:
    if entry.raw is not None and b"\n" not in entry.raw:
        return entry.raw
    if entry.raw is not None and entry.fault is not None:
        return entry.raw.replace(b"\r", b" ").replace(b"\n", b" ")  # rejects are JSON Lines
    try:
        return wire.dump(entry.value)
    except TypeError:  # nested too deep to be serialized
        return b""


def _is_alone(entry: Entry) -> bool:
    """Check whether an invalid line cannot be part of a thread."""
    raw = entry.raw or b""
    return raw != b"" and b"{" not in raw and b'"' not in raw


def _is_other(value: Any) -> bool:
    """Check whether an object is of another type, so that no thread is incomplete without it."""
    if not isinstance(value, dict):
        return True
    kind = value.get("object")
    return isinstance(kind, str) and any(kind == each or kind.startswith(f"{each}.") for each in _OTHERS)


def _second_of(value: Any) -> int | None:
    """Return the time of a rejected object, if it is valid."""
    second = value.get("created_at") if isinstance(value, dict) else None
    return second if type(second) is int and 0 <= second <= archive.MAX_TIME else None


def _threads_of(value: Any) -> tuple[str, ...]:
    """Return the thread that a rejected object names."""
    if not isinstance(value, dict):
        return ()
    named = (value.get("thread_id"), value.get("id"))
    return tuple(each for each in named if isinstance(each, str) and ids.as_thread_id(each))[:1]
