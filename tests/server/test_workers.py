"""The supervisor of several server processes, with processes that do less than a server."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from gateway.server import workers
from gateway.server.app_state import COLLECT_METRICS
from gateway.server.workers import Worker, Workers, answer
from tests.following import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

CONFIG = uvicorn.Config("none", workers=2, log_config=None, timeout_graceful_shutdown=30)
Sockets = Sequence[socket.socket]


def silent(_config: object, _sockets: Sockets, pipe: Connection) -> None:
    """Never answer, as a process that is still starting."""
    pipe.poll(None)
    threading.Event().wait()


def serve(_config: object, _sockets: Sockets, pipe: Connection) -> None:
    """Answer as a server does that has started."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    answer_until_killed(pipe)


def answer_until_killed(pipe: Connection) -> None:
    supervisor: Any = multiprocessing.parent_process()
    answer(pipe, supervisor.sentinel, _started(lambda: [os.getpid()]))


def fail(_config: object, _sockets: Sockets, _pipe: Connection) -> None:
    """End as a server does that cannot start."""
    sys.exit(STARTUP_FAILURE)


def stay(_config: object, _sockets: Sockets, pipe: Connection) -> None:
    """Answer, and ignore that it is to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    answer_until_killed(pipe)


def _started(collect: Callable[[], object]) -> Any:
    return SimpleNamespace(started=True, lifespan=SimpleNamespace(state={COLLECT_METRICS: collect}))


@pytest.fixture(autouse=True)
def _fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_spawn", multiprocessing.get_context("fork"))


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def until(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)  # processes tell nobody what they do


def end(worker: Worker) -> None:
    worker.process.kill()
    worker.close()


def test_a_worker_that_has_not_answered_yet_may_take_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "HUNG_S", 0.0)
    worker = Worker(silent, CONFIG, [])

    looks = [worker.look(time.monotonic() + n * 1_000) for n in range(10)]

    assert looks == [False] * 10
    assert worker.collect(time.monotonic() + 0.01) is None
    assert not worker.is_serving
    end(worker)


def test_a_worker_hangs_that_has_answered_and_does_so_no_more() -> None:
    worker = Worker(serve, CONFIG, [])
    until(lambda: worker.look(time.monotonic()) or worker.is_serving)

    assert worker.collect(time.monotonic() + PATIENCE_S) == [worker.process.pid]
    os.kill(worker.process.pid or 0, signal.SIGSTOP)
    worker.look(time.monotonic())  # it takes an answer that came before, and asks again
    now = time.monotonic()
    looks = [worker.look(now + later) for later in (0, 1, workers.HUNG_S * 2)]

    assert looks == [False, False, True]
    assert worker.collect(time.monotonic() + 0.01) is None
    end(worker)


def test_a_late_answer_is_not_taken_for_the_next_one() -> None:
    counted: list[int] = []
    worker = Worker(serve, CONFIG, [])
    until(lambda: worker.look(time.monotonic()) or worker.is_serving)
    os.kill(worker.process.pid or 0, signal.SIGSTOP)
    assert worker.collect(time.monotonic()) is None
    os.kill(worker.process.pid or 0, signal.SIGCONT)

    for _ in range(3):
        counted += worker.collect(time.monotonic() + PATIENCE_S) or []

    assert counted == [worker.process.pid] * 3
    end(worker)


def test_metrics_that_cannot_be_collected_do_not_make_a_worker_hang(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *given: signals.append(given))
    ours, theirs = multiprocessing.Pipe()
    alive, gone = os.pipe()
    answering = threading.Thread(target=answer, args=(theirs, alive, _started(lambda: 1 // 0)))
    answering.start()
    ours.send(1)

    assert ours.recv() == (1, True, [])
    os.close(gone)
    answering.join()
    os.close(alive)
    assert "metrics could not be collected" in caplog.text
    assert signals == [(os.getpid(), signal.SIGTERM)]


def test_workers_that_cannot_start_end_the_server_with_an_error(listener: socket.socket) -> None:
    with pytest.raises(SystemExit, match="1"):
        Workers(CONFIG, listener, fail).run()


def _supervised(
    listener: socket.socket, run: Any, meanwhile: Callable[[Workers, Sequence[int]], object]
) -> tuple[Workers, set[int]]:
    """Run a supervisor until it has had a look at something, and give the processes that there were."""
    supervisor = Workers(CONFIG, listener, run)
    pids: set[int] = set()

    def look() -> None:
        try:
            until(lambda: all(supervisor.collect().values()))
            now = [metrics[0] for metrics in supervisor.collect().values() if metrics]
            pids.update(now)
            meanwhile(supervisor, now)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    looking = threading.Thread(target=look)
    looking.start()
    supervisor.run()
    looking.join()
    return supervisor, pids


def test_a_worker_that_ends_is_replaced(listener: socket.socket) -> None:
    def kill(supervisor: Workers, pids: Sequence[int]) -> None:
        os.kill(pids[0], signal.SIGKILL)
        until(lambda: supervisor.restarts()["0"] and all(supervisor.collect().values()))

    supervisor, _ = _supervised(listener, serve, kill)

    assert supervisor.restarts() == {"0": 1, "1": 0}
    assert listener.fileno() == -1


def test_a_worker_that_hangs_is_replaced(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "TICK_S", 0.01)
    monkeypatch.setattr(workers, "ANSWER_S", 0.1)

    def freeze(supervisor: Workers, pids: Sequence[int]) -> None:
        until(lambda: supervisor._has_served)  # noqa: SLF001
        os.kill(pids[1], signal.SIGSTOP)
        monkeypatch.setattr(workers, "HUNG_S", 1.0)
        until(lambda: supervisor.restarts()["1"] and all(supervisor.collect().values()))

    supervisor, _ = _supervised(listener, serve, freeze)

    assert supervisor.restarts()["1"] >= 1


def test_workers_that_do_not_end_are_killed(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CONFIG, "timeout_graceful_shutdown", 0)
    monkeypatch.setattr(workers, "STOP_S", 0.1)

    _, pids = _supervised(listener, stay, lambda _workers, _pids: None)

    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_second_signal_kills_workers(listener: socket.socket) -> None:
    def stop_twice(_supervisor: Workers, _pids: Sequence[int]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        until(lambda: listener.fileno() == -1)

    started = time.monotonic()
    _supervised(listener, stay, stop_twice)

    assert time.monotonic() - started < 30  # the first gives them that


def test_a_worker_that_fails_after_another_has_served_is_tried_again_later(listener: socket.socket) -> None:
    supervisor = Workers(CONFIG, listener, fail)
    supervisor._has_served = True  # noqa: SLF001
    place = supervisor._places[0]  # noqa: SLF001
    waits = []
    for _ in range(6):
        place.next_start = 0.0
        supervisor._tend(place)  # noqa: SLF001
        assert place.worker
        place.worker.process.join()
        now = time.monotonic()
        supervisor._tend(place)  # noqa: SLF001
        waits.append(round(place.next_start - now, 1))

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]
    assert not supervisor._has_failed  # noqa: SLF001
