"""The audit log by its parts: its events are those that the documentation has, and it stays within bounds."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gateway.auth import failures
from gateway.auth.failures import FailureLog, network_of
from gateway.observability import audit
from gateway.observability.audit import Event
from gateway.observability.log import audited
from gateway.observability.record import RequestRecord, current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DOCUMENTED = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")


def test_the_documentation_has_exactly_the_audit_events() -> None:
    table = DOCUMENTED.partition("## Audit log")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `([a-z.]+)` \|", table, re.MULTILINE) == [each.value for each in Event]


def test_each_audit_event_has_a_caller() -> None:
    source = "".join(each.read_text(encoding="utf-8") for each in (Path(__file__).parents[2] / "gateway").rglob("*.py"))

    assert [each.name for each in Event if f"Event.{each.name}" not in source] == []


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    caplog.set_level(logging.INFO, audit.LOGGER)
    return lambda: [json.loads(each) for each in caplog.messages]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [0.0]
    monkeypatch.setattr("gateway.auth.failures.time.monotonic", lambda: now[0])
    yield now
    current.set(None)


def fail(counter: FailureLog, address: str, *, has_credential: bool = True) -> None:
    current.set(RequestRecord("request", "req_a", "GET", address=address))
    counter.record(has_credential=has_credential)


def test_an_address_has_a_line_a_minute_with_how_often_it_has_failed(
    told: Callable[[], list[dict[str, Any]]], clock: list[float]
) -> None:
    counter = FailureLog()

    for now in (0, 1, 2, 59, 60):
        clock[0] = now
        fail(counter, "203.0.113.5")

    assert [(each["object"], each["failures"], each["id"]) for each in told()] == [
        ("203.0.113.5", 1, "req_a"),
        ("203.0.113.5", 4, "req_a"),
    ]


def test_all_addresses_together_have_so_many_lines_and_the_rest_is_counted(
    told: Callable[[], list[dict[str, Any]]], clock: list[float]
) -> None:
    counter = FailureLog()

    for number in range(failures.LINES + 7):
        fail(counter, f"10.0.{number // 250}.{number % 250}")
    clock[0] = failures.EACH_S
    fail(counter, "203.0.113.5", has_credential=False)

    assert len(told()) == failures.LINES + 1
    assert (told()[-1]["elsewhere"], told()[-1]["reason"]) == (7, "none was sent")


def test_a_bounded_number_of_addresses_is_known(monkeypatch: pytest.MonkeyPatch, clock: list[float]) -> None:
    monkeypatch.setattr(failures, "MOST", 3)
    counter = FailureLog()

    for number in range(10):
        fail(counter, f"10.0.0.{number}")

    assert (len(counter._seen), clock) == (3, [0.0])  # noqa: SLF001


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("fe80::1%eth0", "fe80::/64"),
        ("-", "-"),
        ("testclient", "testclient"),
    ],
)
def test_an_address_is_logged_as_its_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_command_flushes_its_log_at_its_end_and_restores_the_logger(tmp_path: Path) -> None:
    file, handlers = tmp_path / "audit.log", list(audit.log.handlers)
    with audited(str(file)):
        audit.note(Event.KEY_REVOKED, principal="operator", project="shop", target="key_a")
        before = file.exists()
    audit.note(Event.KEY_REVOKED, principal="operator", project="shop", target="key_b")

    assert (before, [json.loads(each)["object"] for each in file.read_text().splitlines()]) == (False, ["key_a"])
    assert audit.log.handlers == handlers
