"""Several server processes that share a port, and the process that supervises them: it starts, replaces and stops them.

Over a pipe to each worker the supervisor asks whether it runs, and for its metrics. A worker ends when the supervisor
is gone.
Must not be here: what a server is made of (`serve`), which metrics there are.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final

from uvicorn.config import STARTUP_FAILURE

from gateway.server.app_state import COLLECT_METRICS
from gateway.server.ending import Server

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from multiprocessing.connection import Connection

    import uvicorn

    # The number of the question, whether the worker has started to serve, and its metrics.
    Answer = tuple[int, bool, list[Any]]
    Run = Callable[[uvicorn.Config, Sequence[socket.socket], Connection], None]

log: Final = logging.getLogger(__name__)

TICK_S: Final = 1.0
HUNG_S: Final = 30.0  # a worker that has stopped answering for so long is replaced
ANSWER_S: Final = 2.0  # time for all workers to return their metrics; Prometheus waits 10 s
FIRST_WAIT_S: Final = 0.5  # delay before replacing a worker that ended before it served; doubled each time
LONGEST_WAIT_S: Final = 10.0
STOP_S: Final = 1.5  # time to end after GATEWAY_SHUTDOWN_S, which requests get
_SHORTEST_WAIT_S: Final = 0.05
_PING: Final = 0  # the number of the question whether a worker runs
_ENDS: Final = (signal.SIGINT, signal.SIGTERM)
_spawn: Final = multiprocessing.get_context("spawn")


class Worker:
    """One server process, as its supervisor sees it."""

    def __init__(self, run: Run, config: uvicorn.Config, sockets: Sequence[socket.socket]) -> None:
        self._pipe, theirs = _spawn.Pipe()
        self.process = _spawn.Process(target=run, args=(config, sockets, theirs))
        self.process.start()
        theirs.close()
        self.is_serving = False
        self._asking = threading.Lock()
        self._questions = 0
        self._pinged_at: float | None = None  # if it has not answered since
        self._has_answered = False

    def look(self, now: float) -> bool:
        """Ask whether the worker runs, without waiting, and return whether it hangs.

        One that has never answered is still starting, for as long as that may take.
        """
        if not self._asking.acquire(blocking=False):
            return False
        try:
            while self._pipe.poll():
                self._receive()
            if self._pinged_at is None:
                self._pinged_at = now
                self._pipe.send(_PING)
        except (OSError, EOFError):
            return False  # it has ended, or is about to
        finally:
            self._asking.release()
        return self._has_answered and now - self._pinged_at > HUNG_S

    def collect(self, until: float) -> list[Any] | None:
        """Ask what the worker has counted; None if it does not answer by then."""
        if not self._asking.acquire(timeout=max(0.0, until - time.monotonic())):
            return None
        try:
            self._questions += 1
            self._pipe.send(self._questions)
            while self._pipe.poll(max(0.0, until - time.monotonic())):
                number, _, metrics = self._receive()
                if number == self._questions:
                    return metrics
        except (OSError, EOFError):
            pass  # as above
        finally:
            self._asking.release()
        return None

    def close(self) -> None:
        """Release what belongs to a process that has ended."""
        self.process.join()
        self._pipe.close()

    def _receive(self) -> Answer:
        told: Answer = self._pipe.recv()
        self._has_answered, self.is_serving = True, told[1]
        if told[0] == _PING:
            self._pinged_at = None
        return told


def run_worker(config: uvicorn.Config, sockets: Sequence[socket.socket], pipe: Connection) -> None:
    """Serve in a process of its own, until SIGINT or SIGTERM, or until the supervisor is gone."""
    signal.set_wakeup_fd(-1)
    for each in _ENDS:
        signal.signal(each, signal.SIG_DFL)  # until the server sets its own
    config.configure_logging()
    server = Server(config)
    supervisor: Any = multiprocessing.parent_process()
    threading.Thread(target=answer, args=(pipe, supervisor.sentinel, server), daemon=True).start()
    with suppress(KeyboardInterrupt):  # raised again after the server has finished what ran
        server.run(list(sockets))


def answer(pipe: Connection, supervisor: int, server: uvicorn.Server) -> None:
    """Answer the supervisor, whose end makes `supervisor` readable; then end this process too, as a user would."""
    with suppress(OSError, EOFError):
        while supervisor not in wait([pipe, supervisor]):
            number: int = pipe.recv()
            pipe.send((number, server.started, _collect(server) if number != _PING else []))
    log.warning("the supervising process is gone: this one ends too")
    os.kill(os.getpid(), signal.SIGTERM)


def _collect(server: uvicorn.Server) -> list[Any]:
    try:
        collect = server.lifespan.state.get(COLLECT_METRICS) if server.started else None
        return collect() if collect else []
    except Exception:
        log.exception("metrics could not be collected")
        return []


class _Place:
    """The place of one worker, and the history of its processes."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self.starts = 0
        self.failures = 0  # since one has served
        self.next_start = 0.0


class Workers:
    """The supervisor of all workers."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        run: Run = run_worker,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._config = config
        self._listener = listener
        self._on_stop = on_stop
        self._run = run
        self._places = [_Place() for _ in range(config.workers)]
        self._signals = 0
        self._has_served = False
        self._has_failed = False

    def run(self) -> None:
        """Supervise until SIGINT or SIGTERM; exit with an error if no worker could start."""
        with self._woken_by_signals() as woken:
            while not self._signals and not self._has_failed:
                for place in self._places:
                    self._tend(place)
                sentinels = [place.worker.process.sentinel for place in self._places if place.worker]
                wait([woken, *sentinels], TICK_S)
            self._stop(woken)
        if self._has_failed:
            sys.exit(1)

    def collect(self) -> Mapping[str, list[Any] | None]:
        """Return what each worker has counted, by its number; None for one that does not answer."""
        until = time.monotonic() + ANSWER_S
        workers = {str(number): place.worker for number, place in enumerate(self._places)}
        return {number: worker.collect(until) if worker else None for number, worker in workers.items()}

    def restarts(self) -> Mapping[str, int]:
        """Return how often each worker was replaced, by its number."""
        return {str(number): max(0, place.starts - 1) for number, place in enumerate(self._places)}

    def _tend(self, place: _Place) -> None:
        """Supervise one worker: replace it when it has ended or hangs."""
        now, worker = time.monotonic(), place.worker
        if worker is not None:
            if worker.look(now):
                log.error("worker %d does not answer for %.0f s: it is replaced", worker.process.pid, HUNG_S)
                worker.process.kill()
                worker.process.join()
            self._has_served |= worker.is_serving
            if worker.process.exitcode is not None:
                self._bury(place, worker, now)
        if place.worker is None and now >= place.next_start and not self._has_failed:
            place.worker = Worker(self._run, self._config, [self._listener])
            place.starts += 1

    def _bury(self, place: _Place, worker: Worker, now: float) -> None:
        log.error("worker %d ended by itself with exit code %d", worker.process.pid, worker.process.exitcode)
        worker.close()
        place.worker = None
        place.failures = 0 if worker.is_serving else place.failures + 1
        if place.failures:
            place.next_start = now + min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (place.failures - 1))
        # It would fail each time; but where one has served, the cause may be temporary.
        self._has_failed |= worker.process.exitcode == STARTUP_FAILURE and not self._has_served

    def _stop(self, woken: int) -> None:
        """End all workers: those that take too long, and all at a second signal, are killed."""
        self._on_stop()
        self._listener.close()  # else clients would connect and get no answer
        running = [place.worker for place in self._places if place.worker]
        for each in running:
            each.process.terminate()
        until = time.monotonic() + (self._config.timeout_graceful_shutdown or 0) + STOP_S
        while alive := [each.process.sentinel for each in running if each.process.exitcode is None]:
            wait([woken, *alive], max(_SHORTEST_WAIT_S, until - time.monotonic()))
            with suppress(BlockingIOError):
                os.read(woken, 1)
            if time.monotonic() >= until or self._signals > 1:
                log.error("%d workers do not end: they are killed", len(alive))
                for each in running:
                    each.process.kill()
        for each in running:
            each.close()

    @contextmanager
    def _woken_by_signals(self) -> Iterator[int]:
        """Count signals, and make a file readable with each."""

        def count(_number: int, _frame: Any) -> None:
            self._signals += 1

        woken, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = {each: signal.signal(each, count) for each in _ENDS}
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(-1)
            for each, handler in before.items():
                signal.signal(each, handler)
            os.close(woken)
            os.close(waking)
