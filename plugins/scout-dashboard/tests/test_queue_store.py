"""The figures of jobs by queue in the store: nothing is lost or counted twice, at any resolution, and older files go on."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from sample_reports import queue_metrics, report, reports

from scout_core.errors import RejectedReport
from scout_core.measuring.report import Report
from scout_dashboard.checks import validate
from scout_dashboard.queries import jobs
from scout_dashboard.ranges import Range, zoomed_range
from scout_dashboard.store import Store, files
from scout_dashboard.store.queue_sums import QueueSums, queue_sums_of, queue_sums_of_row
from scout_dashboard.store.queues import Queued, by_job, by_queue, waits_by_step
from scout_dashboard.store.rollups import by_name
from scout_dashboard.store.schema import VERSION
from scout_dashboard.store.slices import parts_of

MIDNIGHT = float(int(time.time()) // 86_400 * 86_400)
MAIL = "Job/mail.send"
DAY = zoomed_range(MIDNIGHT - 86_400, MIDNIGHT + 86_400)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def expected(sent: list[Report]) -> dict[tuple[str, str], QueueSums]:
    sums: dict[tuple[str, str], QueueSums] = {}
    for incoming in sent:
        for metrics in incoming.transactions:
            for queue, figures in metrics.queues.items():
                sums.setdefault((metrics.name, queue), QueueSums()).add(queue_sums_of(figures))
    return sums


def facts(figures: QueueSums | Queued) -> tuple:
    return (
        figures.count, figures.errors, pytest.approx(figures.total), pytest.approx(figures.queue_time), figures.outcomes,
        figures.durations, figures.waits,
    )  # fmt: skip


def test_each_job_and_queue_adds_up_over_midnight(store):
    sent = list(reports(until=MIDNIGHT + 3_700, minutes=200))
    for incoming in sent:
        store.apply(incoming, now=incoming.end)
    found = by_job(store.reader, DAY)

    assert {key: facts(sums) for key, sums in expected(sent).items()} == {
        key: facts(figures) for key, figures in found.items()
    }
    assert {(MAIL, "mail"), (MAIL, "bulk"), ("Job/stock.reindex", "slow")} == set(found)
    assert set(by_job(store.reader, DAY, name=MAIL)) == {(MAIL, "mail"), (MAIL, "bulk")}


def test_each_queue_and_the_waits_of_all_steps_add_up_to_the_jobs(store):
    for incoming in reports(until=MIDNIGHT + 3_700, minutes=200):
        store.apply(incoming, now=incoming.end)
    when = zoomed_range(MIDNIGHT - 7_200, MIDNIGHT + 3_600)
    of_queues, steps = by_queue(store.reader, when), waits_by_step(store.reader, when)
    of_jobs: dict[str, Queued] = {}
    for (_, queue), figures in by_job(store.reader, when).items():
        of_jobs.setdefault(queue, Queued()).add(figures)

    assert {queue: facts(figures) for queue, figures in of_jobs.items()} == {
        queue: facts(figures) for queue, figures in of_queues.items()
    }
    assert set(steps) <= set(when.points)
    assert (sum(figures.waits.count for figures in of_jobs.values()), True) == (
        sum(waits.count for waits in steps.values()),
        all(waits.count and waits.p95 is not None for waits in steps.values()),
    )
    assert pytest.approx(sum(figures.queue_time for figures in of_jobs.values())) == sum(
        waits.total for waits in steps.values()
    )
    assert sum(ranked.count for ranked in by_name(store.reader, when, web=False).values()) == sum(
        figures.count for figures in of_jobs.values()
    )


def test_figures_of_complete_days_are_read_again_when_they_have_changed(store):
    """By a late report, and in a file that was opened again; reading them, or showing the page, changes nothing."""
    day, when = 86_400, zoomed_range(MIDNIGHT - 9 * 86_400, MIDNIGHT + 3_600)
    sent = [report(end=MIDNIGHT - days * day + 60 * days, number=days) for days in range(1, 9)]
    sent.append(report(end=MIDNIGHT + 60, number=9))

    def found() -> tuple[dict, dict]:
        jobs.jobs(store.reader, when)
        by_jobs = {key: facts(figures) for key, figures in by_job(store.reader, when).items()}
        return by_jobs, {queue: facts(figures) for queue, figures in by_queue(store.reader, when).items()}

    def of_queues() -> dict:
        sums: dict[str, QueueSums] = {}
        for (_, queue), figures in expected(sent).items():
            sums.setdefault(queue, QueueSums()).add(figures)
        return {queue: facts(figures) for queue, figures in sums.items()}

    for incoming in sent:
        store.apply(incoming, now=MIDNIGHT + 60)
    for late in (20, 21):
        for _ in range(2):
            assert ({key: facts(sums) for key, sums in expected(sent).items()}, of_queues()) == found()
        sent.append(report(end=MIDNIGHT - 5 * day + 60 * late, number=late))
        store.apply(sent[-1], now=MIDNIGHT + 60)
        if late == 21:
            store.reader.close()
    assert ({key: facts(sums) for key, sums in expected(sent).items()}, of_queues()) == found()


@pytest.mark.parametrize("late", [0.5, 1.5, 3.5], ids=["today", "yesterday", "earlier"])
def test_a_report_of_any_day_is_in_the_next_page(store, late):
    """Parts of the range that are over are read once; the day before is one of its own, and so is the beginning of the range."""
    now = MIDNIGHT + 43_200
    when = evolve(zoomed_range(now - 3.75 * 86_400, now), now=now)
    sent = [report(end=now - days * 86_400 - 600, number=days + 1) for days in range(4)]
    for incoming in sent:
        store.apply(incoming, now=now)

    def found() -> tuple[dict, dict, int]:
        waits = waits_by_step(store.reader, when).values()
        by_jobs = {key: facts(figures) for key, figures in by_job(store.reader, when).items()}
        return by_jobs, by_queue(store.reader, when).keys(), sum(of_step.count for of_step in waits)

    def of_reports() -> tuple[dict, dict, int]:
        sums = expected(sent)
        queues = {queue: None for _, queue in sums}.keys()
        return {key: facts(of) for key, of in sums.items()}, queues, sum(of.waits.count for of in sums.values())

    for _ in range(2):
        assert of_reports() == found()
    sent.append(report(end=now - late * 86_400, number=20))
    store.apply(sent[-1], now=now)

    assert of_reports() == found()


def test_the_cache_is_bounded_by_its_figures_and_keeps_what_was_used_last(store, monkeypatch):
    monkeypatch.setattr("scout_dashboard.store.reader._MAX_FIGURES", 25)
    read: list[str] = []

    def get(key: str, count: int = 10) -> None:
        def make() -> list[int]:
            read.append(key)
            return [0] * count

        store.reader.cached(key, make, start=MIDNIGHT, end=MIDNIGHT + 60)

    for key in ("a", "b", "a", "c", "a", "b"):
        get(key)
    assert ["a", "b", "c", "b"] == read
    get("large", 100)
    get("large", 100)
    get("a")

    assert ["large", "a"] == read[4:]


@pytest.mark.parametrize(
    ("start", "end", "parts"),
    [
        (0.25, 3.5, [(0.25, 1, True), (1, 2, True), (2, 3, True), (3, 3.5, False)]),
        (0, 3.5, [(0, 2, True), (2, 3, True), (3, 3.5, False)]),
        (2.25, 3.5, [(2.25, 3, True), (3, 3.5, False)]),
        (3.25, 3.5, [(3.25, 3.5, False)]),
        (0.25, 1.5, [(0.25, 1, True), (1, 1.5, True)]),
        (1.25, 1.5, [(1.25, 1.5, True)]),
    ],
)
def test_a_range_is_split_into_days_that_are_over_and_the_rest(start, end, parts):
    day = 86_400
    when = Range(start=int(start * day), end=int(end * day), step=60, label="", key=None, now=3.5 * day)

    assert [(first * day, last * day, is_over) for first, last, is_over in parts] == [*parts_of(when)]


def test_figures_that_were_read_and_then_added_to_are_those_of_both(store):
    for incoming in reports(until=MIDNIGHT + 3_700, minutes=200):
        store.apply(incoming, now=incoming.end)
    first, second = (by_job(store.reader, DAY)[MAIL, queue] for queue in ("mail", "bulk"))
    before = first.durations.count, first.waits.count
    assert first.durations is first.durations, "added up once"
    first.add(second)

    assert (before[0] + second.durations.count, before[1] + second.waits.count) == (
        first.durations.count,
        first.waits.count,
    )


def test_applications_are_kept_apart(store):
    for app in ("Shop", "Blog"):
        store.apply(report(end=MIDNIGHT + 60, app=app, instance=app), now=MIDNIGHT + 60)
    counts = {
        app: sum(figures.count for figures in by_job(store.reader, evolve(DAY, app=app)).values())
        for app in ("Shop", "Blog", None)
    }

    assert 0 < counts["Shop"] < counts[None] == counts["Shop"] + counts["Blog"]


def test_queues_of_web_requests_are_not_stored(store):
    base = report(end=MIDNIGHT + 60)
    (home,) = (metrics for metrics in base.transactions if metrics.name == "Controller/shop.home")
    store.apply(
        evolve(base, transactions=(evolve(home, queues={"mail": queue_metrics([1.0], [])}),)), now=MIDNIGHT + 60
    )

    assert ({}, {}, {}) == (by_job(store.reader, DAY), by_queue(store.reader, DAY), waits_by_step(store.reader, DAY))


def test_a_row_restores_what_was_packed():
    (sums,) = (sums for key, sums in expected([report(end=MIDNIGHT)]).items() if key == (MAIL, "bulk"))

    assert sums == queue_sums_of_row(sums.as_row())


def test_a_file_of_an_earlier_version_is_upgraded_and_its_jobs_stay(tmp_path):
    store = Store(tmp_path / "data")
    store.apply(report(end=MIDNIGHT + 60, number=1), now=MIDNIGHT + 60)
    while not store.fold(MIDNIGHT + 2 * 86_400):  # earlier versions wrote all slices with each report
        pass
    path = files.path_of(store.directory, "metrics", files.day_of(MIDNIGHT))
    store.close()
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "DROP TABLE queue_rollup; DROP TABLE job_queue; DROP TABLE fold; PRAGMA user_version = 6"
        )
    connection.close()

    again = Store(tmp_path / "data")
    before = by_job(again.reader, DAY)
    again.apply(report(end=MIDNIGHT + 120, number=2), now=MIDNIGHT + 120)
    after = by_job(again.reader, DAY)
    (version,) = again.reader.rows("metrics", "PRAGMA user_version", start=MIDNIGHT, end=MIDNIGHT + 1)
    counts = by_name(again.reader, DAY, web=False)
    again.close()

    assert ((VERSION,), {}) == (version, before)
    assert 0 < sum(figures.count for (name, _), figures in after.items() if name == MAIL) < counts[MAIL].count


WRONG = {
    "2 counted, but 1 durations": {"count": 2},
    "1 jobs, but more waits": {"waits": queue_metrics([], [1.0, 2.0]).waits},
    "1 jobs, but more waits or outcomes": {"outcomes": {"success": 1, "retry": 1}},
    "a time is negative": {"queue_time": -1.0},
    "a time is negative or above": {"total": 1e10},
    "a count is above": {"errors": 10**9 + 1},
}


@pytest.mark.parametrize("problem", WRONG)
def test_impossible_figures_of_a_queue_are_refused(problem):
    with pytest.raises(RejectedReport, match=problem):
        refuse({"mail": evolve(queue_metrics([1.0], [1.0]), **WRONG[problem])})


@pytest.mark.parametrize(
    ("queues", "problem"),
    [
        ({str(number): queue_metrics([1.0], []) for number in range(99)}, "transactions, but more in its queues"),
    ],
)
def test_impossible_queues_are_refused(queues, problem):
    with pytest.raises(RejectedReport, match=problem):
        refuse(queues)


def refuse(queues: dict) -> None:
    base = report(end=MIDNIGHT)
    (mail,) = (metrics for metrics in base.transactions if metrics.name == MAIL)
    validate(evolve(base, transactions=(evolve(mail, queues=queues),)), oldest=0.0, now=MIDNIGHT)
