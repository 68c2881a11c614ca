"""How lines of the log look, and what is never in them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from gateway.observability.log import WithoutPaths, formatter, request_log
from gateway.observability.record import RequestRecord, Trace, span

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def failed(error: BaseException, cause: BaseException | None = None) -> logging.LogRecord:
    try:
        raise error from cause
    except type(error):
        return logging.LogRecord("gateway.web", logging.ERROR, "", 0, "%s: failed", ("req_1",), sys.exc_info())


def written(record: logging.LogRecord) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(formatter().format(record))
    return line


def ended(**given: Any) -> RequestRecord:
    return RequestRecord("request", "req_1", "GET", **({"status": 200} | given))


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """Give what takes the standard error for a terminal from here on; it says what was written to it."""

    def be_terminal() -> str:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        return capsys.readouterr().err

    return be_terminal


def test_a_message_is_an_object_with_its_time_and_level() -> None:
    line = written(logging.LogRecord("gateway.web", logging.WARNING, "", 0, "%s: away", ("req_1",), None))

    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "req_1: away", "logger": "gateway.web", "level": "warning"}


WARNED = """
import warnings
from logging.config import dictConfig
from gateway.app import create_app_from_environment
from gateway.observability.log import log_config

dictConfig(log_config())
app = create_app_from_environment()
warnings.warn("a coroutine was never awaited", RuntimeWarning)
"""


def test_a_warning_of_python_is_a_line_of_the_log_of_a_server(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "always::RuntimeWarning", "-c", WARNED], cwd=tmp_path, capture_output=True, check=True
    )

    [line] = map(json.loads, done.stderr.splitlines())
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "RuntimeWarning: a coroutine was never awaited" in line["event"]


def test_a_failure_is_logged_with_its_traceback_and_causes() -> None:
    told = written(failed(RuntimeError("the second"), ValueError("the first")))["exception"]

    assert "RuntimeError: the second" in told
    assert "ValueError: the first" in told
    assert f'File "{__file__}"' in told


def test_only_the_first_line_of_an_error_is_logged() -> None:
    told = written(failed(RuntimeError("violates a constraint\nDETAIL:  Failing row contains (secret)."))).popitem()[1]

    assert told.endswith("RuntimeError: violates a constraint")


def test_circular_causes_are_logged() -> None:
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one

    assert (
        "two"
        in written(logging.LogRecord("g", logging.ERROR, "", 0, "failed", (), (type(one), one, None)))["exception"]
    )


def test_a_line_of_uvicorn_that_repeats_a_query_string_is_left_out() -> None:
    line = logging.LogRecord(
        "uvicorn.error", logging.INFO, "", 0, '%s - "WebSocket %s" [accepted]', ("", "/?a=b"), None
    )

    assert not WithoutPaths().filter(line)


def test_a_terminal_gets_plain_lines_instead_of_json(terminal: Callable[[], str]) -> None:
    terminal()

    told = formatter().format(failed(RuntimeError("the reason")))

    assert "req_1: failed" in told
    assert "RuntimeError: the reason" in told
    assert not told.startswith("{")


def test_a_request_is_logged_in_one_line_with_its_fields(capsys: pytest.CaptureFixture[str]) -> None:
    record = ended(route="/graphql", principal="key_1", statements=2, bytes_out=10, seconds=0.00251)
    record.name_operation("query", "Newest")

    request_log()(record)

    line = json.loads(capsys.readouterr().err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "request",
        "level": "info",
        "id": "req_1",
        "principal": "key_1",
        "method": "GET",
        "route": "/graphql",
        "operation": "query Newest",
        "status": 200,
        "ms": 2.5,
        "statements": 2,
        "bytes": 10,
    }


def test_a_traced_request_is_logged_with_its_trace_id(capsys: pytest.CaptureFixture[str]) -> None:
    request_log()(ended(trace=Trace("0af7651916cd43dd8448eb211c80319c", span)))

    assert json.loads(capsys.readouterr().err)["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_a_request_at_a_terminal_is_one_line_too(terminal: Callable[[], str]) -> None:
    terminal()

    request_log()(ended(route="/v1/threads"))

    told = terminal()
    assert "/v1/threads" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(("status", "lines"), [(200, 0), (503, 1)])
def test_a_probe_is_logged_only_if_it_fails(capsys: pytest.CaptureFixture[str], status: int, lines: int) -> None:
    request_log()(ended(route="/readyz", status=status))

    assert capsys.readouterr().err.count("\n") == lines


def test_the_name_of_an_operation_is_truncated_to_a_hundred_letters() -> None:
    record = ended()

    record.name_operation("query", "N" * 10_000)

    assert len(record.operation_name) == 100
