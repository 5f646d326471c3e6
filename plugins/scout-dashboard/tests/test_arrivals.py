"""Gaps between the reports of a process, and processes that end without a last one."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from attrs import evolve
from known_shop import send
from sample_reports import report
from visitor import visitor_of

from scout_core.measuring.report import Report
from scout_core.sending.protocol import HealthAnswer, read_answer
from scout_dashboard.collector import Collector
from scout_dashboard.queries import Queries
from scout_dashboard.store import Store, files
from scout_dashboard.store.files import DAY
from scout_dashboard.tally import Tally

PATIENCE = 30.0
APP = """
import os, signal, sys
import scout_core

agent = scout_core.start(name="worker", report_period=1)
with scout_core.transaction("Job/tidy"):
    pass
print("ready", flush=True)
sys.stdin.readline()
"""


def sent(number: int, *, end: float, is_last: bool | None = False, period: float | None = 60.0) -> Report:
    return evolve(report(end=end, number=number, traces=0), is_last=is_last, period=period)


@pytest.fixture
def store(tmp_path: Path):
    store = Store(tmp_path / "data")
    yield store
    store.close()


def reports_of(store: Store) -> dict | None:
    (process,) = Queries(store, Tally()).health()["processes"]
    return process["reports"]


def apply(store: Store, *numbers: int, ago: float = 0.0, last: int | None = None, now: float | None = None) -> None:
    now = time.time() if now is None else now
    for number in numbers:
        made = sent(number, end=now - ago - (100 - number) / 100, is_last=number == last)
        store.apply(made, now=now)


def test_no_report_is_missing_while_all_arrive(store: Store) -> None:
    apply(store, 1, 2, 3)

    assert {
        "received": 3, "first": 1, "last": 3, "missing": 0, "has_ended": False, "is_silent": False
    } == reports_of(store)  # fmt: skip


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ((1, 3), 1),
        ((1, 2, 7), 4),
        ((3, 1), 1),
        ((1, 3, 2), 0),
        ((5, 4, 3), 0),
        ((1, 1, 1, 2, 2), 0),
        ((1, 3, 3, 3), 1),
        ((4, 2, 2, 4, 3), 0),
        ((8,), 0),
    ],
    ids=str,
)
def test_missing_reports_are_counted_and_not_those_that_are_late_or_come_twice(
    store: Store, numbers: tuple[int, ...], missing: int
) -> None:
    apply(store, *numbers)

    facts = reports_of(store)

    assert (missing, len({*numbers})) == (facts["missing"], facts["received"])


@pytest.mark.parametrize("seed", range(5))
def test_the_number_of_missing_reports_is_exact_in_any_order_and_over_days(store: Store, seed: int) -> None:
    dice = random.Random(seed)
    now = time.time()
    arrived = sorted(dice.sample(range(1, 61), 40))
    made = [sent(number, end=now - (60 - number) * DAY / 20) for number in arrived] * 2
    dice.shuffle(made)
    for incoming in made:
        store.apply(incoming, now=now)
    facts = reports_of(store)

    assert arrived[-1] - arrived[0] + 1 - 40 == facts["missing"]
    assert (40, arrived[0], arrived[-1]) == (facts["received"], facts["first"], facts["last"])


def test_a_process_that_sent_its_last_report_has_ended(store: Store) -> None:
    apply(store, 1, 2, 3, last=3, ago=3_600)
    facts = reports_of(store)

    assert (True, False) == (facts["has_ended"], facts["is_silent"])


def test_a_report_that_is_later_than_the_last_one_does_not_revive_the_process(store: Store) -> None:
    apply(store, 1, 3, 2, last=3, ago=3_600)
    facts = reports_of(store)

    assert (True, False, 0) == (facts["has_ended"], facts["is_silent"], facts["missing"])


@pytest.mark.parametrize(
    ("period", "ago", "is_silent"),
    [
        (60.0, 170, False), (60.0, 190, True), (5.0, 170, False), (5.0, 190, True), (600.0, 1_700, False),
        (600.0, 1_900, True), (None, 190, True),
    ],
)  # fmt: skip
def test_a_process_without_a_last_report_is_silent_after_three_periods(
    store: Store, period: float | None, ago: float, is_silent: bool
) -> None:
    """A process that planned to report soon may wait a minute, because nobody views the dashboard any more."""
    now = time.time()
    store.apply(sent(1, end=now - ago, period=period), now=now)
    facts = reports_of(store)
    (process,) = Queries(store, Tally()).plugins()["processes"]

    assert (is_silent, False) == (facts["is_silent"], facts["has_ended"])
    assert process["is_running"] is not is_silent


@pytest.mark.parametrize(
    ("numbers", "has_ended"),
    [((1, 2), True), ((2, 1), True), ((1, 2, 3), False), ((3, 2), False), ((1, 3, 2), False), ((2, 2), True)],
    ids=str,
)
def test_a_process_has_ended_only_with_the_highest_number(
    store: Store, numbers: tuple[int, ...], has_ended: bool
) -> None:
    """Report 2 is marked as the last one, as ``flush()`` does although the process may go on; then it vanishes."""
    apply(store, *numbers, ago=9_000, last=2)
    facts = reports_of(store)

    assert (has_ended, not has_ended) == (facts["has_ended"], facts["is_silent"])


def test_nothing_is_claimed_about_an_agent_that_does_not_mark_its_last_report(store: Store) -> None:
    now = time.time()
    store.apply(sent(1, end=now - 9_000, is_last=None, period=None), now=now)
    facts = reports_of(store)

    assert (None, False) == (facts["has_ended"], facts["is_silent"])


@pytest.mark.parametrize("number", ["", "x", "-1", "1.5", "٣", "9" * 16, "1 "])
def test_an_id_of_another_kind_of_sender_is_not_numbered(store: Store, number: str) -> None:
    now = time.time()
    made = sent(1, end=now)
    store.apply(evolve(made, id=f"{made.process.instance}-{number}"), now=now)

    assert None is reports_of(store)


def test_a_file_of_an_earlier_version_is_upgraded(tmp_path: Path) -> None:
    now = time.time()
    first = Store(tmp_path / "data")
    first.apply(sent(1, end=now - 1), now=now)
    first.close()
    path = files.path_of(tmp_path / "data", "metrics", files.day_of(now - 1))
    with sqlite3.connect(path) as connection:
        for column in ("received", "first_number", "last_number", "is_last"):
            connection.execute(f"ALTER TABLE process DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    second = Store(tmp_path / "data")
    before = reports_of(second)
    for number in (5, 7):
        second.apply(sent(number, end=now - 1 + number / 100), now=now)
    after = reports_of(second)
    second.close()

    assert None is before
    assert (5, 7, 2, 1) == tuple(after[key] for key in ("first", "last", "received", "missing"))


def test_a_gap_and_a_silent_process_are_shown(collector: Collector) -> None:
    now = time.time()
    for number in (1, 4):
        send(collector, sent(number, end=now - 1_000 + number))
    visitor = visitor_of(collector)
    page = visitor.page("/health").text
    answer = read_answer(visitor.facts("/health"), HealthAnswer)

    assert "2 reports missing of the numbers 1 to 4" in page
    assert "no last report The process was killed, hangs, or cannot reach this collector." in page
    assert (2, True) == (answer.processes[0].reports.missing, answer.processes[0].reports.is_silent)


def run(collector: Collector, end_with: signal.Signals | None) -> dict:
    """Run a process until its first report has arrived, end it, and return the state of its reports."""
    environment = {**os.environ, "SCOUT_STATE_DIR": str(collector.state_dir)}
    command = [sys.executable, "-c", APP]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert "ready\n" == process.stdout.readline()
        deadline = time.monotonic() + PATIENCE
        while not collector.queries.health()["collector"]["reports"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if end_with is None:
            process.stdin.close()
        else:
            process.send_signal(end_with)
        process.wait(PATIENCE)
    (facts,) = collector.queries.health()["processes"]
    return facts["reports"]


def test_a_process_that_ends_by_itself_marks_its_last_report(collector: Collector) -> None:
    facts = run(collector, None)

    assert (True, 0) == (facts["has_ended"], facts["missing"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_has_not_ended(collector: Collector, number: signal.Signals) -> None:
    """As by ``Pool.terminate``, or by a server that raises SIGTERM again: Python runs no exit handlers."""
    assert False is run(collector, number)["has_ended"]
