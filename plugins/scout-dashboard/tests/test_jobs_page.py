"""The page of jobs: figures by job and queue, and whether the workers keep up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import queue_shop
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from known_shop import metrics
from queue_shop import EXPORT, MAIL, THUMBNAILS, TIDY, jobs
from sample_reports import queue_metrics, report
from visitor import Visitor, visitor_of

from scout_core.measuring.histogram import Histogram
from scout_dashboard.collector import Collector
from scout_dashboard.formatting import duration, percent, rate
from scout_dashboard.queries import Queries
from scout_dashboard.queries.rank_test import CLEAR, rank_z
from scout_dashboard.ranges import named_range
from scout_dashboard.store import Store
from scout_dashboard.tally import Tally

if TYPE_CHECKING:
    from browser import Opened

pytest_plugins = ("browser",)  # its fixtures; not imported here, as pytest must rewrite its asserts first

NOW = float(int(time.time()) // 86_400 * 86_400 + 43_200 + 30)  # half a minute after noon
HOUR = named_range("1h", now=NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def press(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, str]]:
    """Two hours of jobs in several queues, which no test changes, and the query for the second hour, which does not move on."""
    with Collector.running(state_dir=tmp_path_factory.mktemp("press")) as collector:
        end = queue_shop.fill(collector) + 60
        yield collector, f"from={end - 3_600}&to={end}"


def put(store: Store, *transactions: Any, ago: float = 0.0) -> None:
    """Store a report of a minute that ended some minutes ago."""
    base = evolve(report(end=NOW - 60 * ago, traces=0), id=f"00c0ffee00c0ffee-{int(ago * 1_000) + 1}")
    assert store.apply(evolve(base, transactions=transactions), now=NOW)


def facts(store: Store) -> dict[str, Any]:
    return Queries(store, Tally()).jobs(HOUR)


def states(store: Store) -> dict[str | None, str]:
    return {row["queue"]: row["state"] for row in facts(store)["queues"]}


def mails(*waits: float, count: int | None = None, queue: str = "mail") -> Any:
    """Return mails that waited so many seconds each."""
    return jobs(MAIL, 0.5, {queue: queue_metrics([0.5] * (len(waits) if count is None else count), list(waits))})


def test_each_job_and_queue_has_its_figures(store):
    put(
        store,
        jobs(MAIL, 0.5, {
            "mail": queue_metrics([0.5] * 8, [1.0] * 4, errors=1, retries=0.25), "bulk": queue_metrics([0.5] * 2, [60.0] * 2),
        }),
        jobs(EXPORT, 20.0, {"exports": queue_metrics([20.0], [])}),
    )  # fmt: skip
    rows = facts(store)["rows"]
    chosen = (
        "name",
        "queue",
        "count",
        "errors",
        "retries",
        "outcomes",
        "wait_known",
        "wait_ms",
        "mean_ms",
        "share",
        "busy",
    )

    assert [
        (EXPORT, "exports", 1, 0, 0, {"success": 1}, 0, None, 20_000.0, 0.8, 0.333),
        (MAIL, "mail", 8, 1, 2, {"success": 5, "retry": 2, "failure": 1}, 4, 1_000.0, 500.0, 0.16, 0.067),
        (MAIL, "bulk", 2, 0, 0, {"success": 2}, 2, 60_000.0, 500.0, 0.04, 0.017),
    ] == [tuple(row[key] for key in chosen) for row in rows]
    assert (0.25, 0.125, 8.0) == tuple(rows[1][key] for key in ("retry_rate", "error_rate", "throughput_per_minute"))
    assert (None, None) == (rows[0]["wait_p50_ms"], rows[0]["wait_p95_ms"])


def test_jobs_of_which_only_the_name_is_known_have_no_queue(store):
    """The agent only counts them while it is overloaded."""
    mail = mails(1.0, 1.0)
    put(store, evolve(metrics(MAIL, 5, 0.5, errors=2), queues=mail.queues), metrics(TIDY, 2, 0.25))
    chosen = ("name", "queue", "count", "errors", "wait_known", "outcome_known", "mean_ms")

    assert [
        (MAIL, None, 3, 2, 0, 0, 500.0),
        (MAIL, "mail", 2, 0, 2, 2, 500.0),
        (TIDY, None, 2, 0, 0, 0, 250.0),
    ] == [tuple(row[key] for key in chosen) for row in facts(store)["rows"]]
    assert {"mail": 2, None: 5} == {row["queue"]: row["count"] for row in facts(store)["queues"]}


def test_jobs_that_name_no_queue_are_counted_with_them(store):
    without = jobs(MAIL, 0.5, {"": queue_metrics([0.5] * 2, [3.0] * 2)})
    put(store, evolve(metrics(MAIL, 3, 0.5), queues=without.queues))
    (row,) = facts(store)["rows"]

    assert (None, 3, 2, 3_000.0) == (row["queue"], row["count"], row["wait_known"], row["wait_ms"])
    assert row["p50_ms"] == pytest.approx(500, rel=0.01)


@pytest.mark.parametrize(
    ("before", "now", "state"),
    [
        ([1.0] * 40, [1.05] * 40, "steady"),
        ([1.0] * 40, [0.5] * 40, "steady"),
        ([1.0] * 40, [1.5] * 40, "behind"),
        ([0.01] * 40, [0.05] * 40, "steady"),
        ([0.01] * 40, [0.2] * 40, "behind"),
        ([1.0] * 40, [1.0] * 38 + [400.0] * 2, "steady"),
        ([1.0] * 19, [9.0] * 90, "uncompared"),
        ([1.0] * 90, [9.0] * 19, "uncompared"),
        ([], [9.0] * 90, "uncompared"),
    ],
)
def test_a_queue_is_compared_with_the_period_before(store, before, now, state):
    put(store, mails(*before), ago=60.5)
    put(store, mails(*now), ago=0.5)

    assert {"mail": state} == states(store)
    (row,) = facts(store)["queues"]
    is_compared = state != "uncompared"
    assert ("before" if is_compared else None) == row["against"]
    assert row["then_ms"] == (pytest.approx(1_000 * sum(before) / len(before)) if before else None)


def test_a_queue_that_waited_longer_but_no_longer_does_has_caught_up(store):
    put(store, mails(*[1.0] * 60), ago=70)
    put(store, mails(*[30.0] * 60), ago=50)
    put(store, mails(*[1.0] * 30), ago=1)

    assert {"mail": "recovered"} == states(store)
    assert "yes" == facts(store)["keeping_up"]["state"]


@pytest.mark.parametrize(("later", "state"), [(9.0, "behind"), (1.0, "steady")])
def test_without_a_period_before_the_halves_of_this_one_are_compared(store, later, state):
    for ago in (40, 30):
        put(store, mails(*[1.0] * 20), ago=ago)
    for ago in (10, 1):
        put(store, mails(*[later] * 20), ago=ago)
    (row,) = facts(store)["queues"]

    assert (state, "earlier", 1_000.0, 1_000 * later) == (row["state"], row["against"], row["then_ms"], row["now_ms"])


@pytest.mark.parametrize(("ended_before", "state", "answer"), [(20, "stopped", "unknown"), (19, "idle", "yes")])
def test_a_queue_in_which_nothing_ended_is_shown(store, ended_before, state, answer):
    put(store, mails(*[1.0] * ended_before, queue="late"), mails(*[1.0] * 30), ago=70)
    put(store, mails(*[1.0] * 30), ago=1)
    found = facts(store)
    row = next(row for row in found["queues"] if row["queue"] == "late")

    assert {"late": state, "mail": "steady"} == states(store)
    assert (0, ended_before, None, None) == (row["count"], row["count_before"], row["wait_ms"], row["error_rate"])
    assert answer == found["keeping_up"]["state"]


def test_the_worst_queue_comes_first_and_decides(store):
    put(store, *(mails(*[1.0] * 30, queue=queue) for queue in ("behind", "far", "steady", "stopped")), ago=70)
    put(
        store,
        mails(*[9.0] * 30, queue="behind"),
        mails(*[99.0] * 30, queue="far"),
        mails(*[1.0] * 30, queue="steady"),
        mails(*[5.0] * 3, queue="few"),
        mails(count=3, queue="unknown"),
        ago=1,
    )
    found = facts(store)

    assert ["far", "behind", "stopped", "few", "steady", "unknown"] == [row["queue"] for row in found["queues"]]
    assert {
        "state": "no",
        "queues": {"behind": 2, "stopped": 1, "recovered": 0, "steady": 1, "uncompared": 1, "unknown": 1, "idle": 0},
        "count": 96,
        "wait_known": 93,
    } == found["keeping_up"]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([], [mails(count=3)], "Not known. Of no job it is known when it was put into its queue."),
        ([], [mails(1.0, 1.0, count=3)], "Not known yet. There are too few jobs"),
        ([], [mails(1.0, 1.0, count=3)], "The waiting time of 1 of 3 jobs is not known."),
        ([mails(*[1.0] * 30)], [mails(*[1.0] * 30)], "Yes. No jobs wait clearly longer than before. The longest wait is 1.00 s, in mail."),
        ([mails(*[1.0] * 30)], [mails(*[4.0] * 30)], "No. Jobs in mail wait 4.00 s, but waited 1.00 s in the period before"),
        ([mails(*[1.0] * 30)], [metrics(TIDY, 1, 0.1)], "Not known. No job in mail has ended, but 30 did in the period before."),
        ([mails(*[1.0] * 30, queue="")], [mails(*[4.0] * 30, queue="")], "No. Jobs without a queue wait 4.00 s"),
        ([mails(1.0)], [], "Not known. No job has ended."),
        (
            [mails(*[1.0] * 30, queue=queue) for queue in "abc"],
            [mails(*[4.0] * 30, queue=queue) for queue in "abc"],
            "2 more queues fall behind, too.",
        ),
    ],
)  # fmt: skip
def test_the_answer_is_in_words(collector: Collector, before, now, expected):
    """The page is read by the clock, so the reports are of a few minutes ago."""
    end = time.time()
    for number, (ago, transactions) in enumerate(((70, before), (1, now)), start=1):
        if transactions:
            base = report(end=end - 60 * ago, number=number, traces=0)
            queue_shop.send(collector, evolve(base, transactions=tuple(transactions)))
    page = visitor_of(collector).page("/jobs")

    assert [] == page.problems
    assert expected in page.text


def test_the_lists_show_the_figures_of_their_json(press: tuple[Collector, str]) -> None:
    collector, hour = press
    visitor = visitor_of(collector)
    page, found = visitor.page(f"/jobs?{hour}"), visitor.facts(f"/jobs?{hour}")

    assert [
        ("bulk", "behind"),
        ("nightly", "stopped"),
        ("mail", "steady"),
        (None, "unknown"),
        ("exports", "unknown"),
    ] == [(row["queue"], row["state"]) for row in found["queues"]]
    assert {(EXPORT, "exports"), (THUMBNAILS, "bulk"), (THUMBNAILS, "mail"), (MAIL, "mail"), (TIDY, None)} == {
        (row["name"], row["queue"]) for row in found["rows"]
    }
    mail = next(row for row in found["rows"] if row["name"] == MAIL)
    values = [
        percent(mail["share"]), duration(mail["wait_ms"]), duration(mail["wait_p95_ms"]), rate(mail["throughput_per_minute"]),
        duration(mail["mean_ms"]), duration(mail["p95_ms"]), percent(mail["retry_rate"]), percent(mail["error_rate"]),
    ]  # fmt: skip
    assert f"mail.send mail mail {' '.join(map(str, values))}" in page.text
    assert "exports waiting time not known not known not known" in page.text
    assert "nothing has run, " in page.text


def test_a_job_shows_its_queues_and_outcomes(press: tuple[Collector, str]) -> None:
    collector, hour = press
    visitor = visitor_of(collector)
    page, found = (read(f"/endpoint?name={quote(MAIL)}&{hour}") for read in (visitor.page, visitor.facts))
    (row,) = found["queues"]

    assert ("mail", found["totals"]["count"]) == (row["queue"], row["count"])
    assert 0 < row["outcomes"]["failure"] < row["outcomes"]["retry"] < row["outcomes"]["success"]
    assert f"success {row['outcomes']['success']:,}, retry {row['outcomes']['retry']}, failure" in page.text


def test_an_endpoint_has_no_queues(collector: Collector) -> None:
    queue_shop.send(collector, report(end=time.time(), traces=0))
    visitor: Visitor = visitor_of(collector)

    assert [] == visitor.facts("/endpoint?name=Controller%2Fshop.home")["queues"]
    assert "Queues" not in visitor.page("/endpoint?name=Controller%2Fshop.home").text


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(lambda values: len(values) > 1),
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
)
def test_the_rank_test_is_that_of_all_pairs(before, after):
    then, now = (Histogram({value: values.count(value) for value in values}) for values in (before, after))
    wins = sum((new > old) + (new == old) / 2 for new in after for old in before)
    ranked = [*before, *after]
    size = len(ranked)
    ties = sum(ranked.count(value) ** 3 - ranked.count(value) for value in set(ranked))
    variance = len(before) * len(after) / 12 * (size + 1 - ties / (size * (size - 1)))
    expected = (wins - len(before) * len(after) / 2) / variance**0.5 if variance > 1e-9 else 0.0

    assert expected == pytest.approx(rank_z(then, now))
    assert expected == pytest.approx(-rank_z(now, then))


def test_the_rank_test_of_nothing_is_zero():
    assert (0.0, 0.0) == (rank_z(Histogram(), Histogram({1: 5})), rank_z(Histogram({1: 5}), Histogram()))
    assert rank_z(Histogram({1: 30}), Histogram({2: 30})) > CLEAR


def test_the_page_in_a_browser(press: tuple[Collector, str], opened: Opened) -> None:
    collector, hour = press
    page = opened(collector).open(f"/jobs?{hour}")
    rows = page.locator("#list tbody tr")

    assert "No." in (page.text_content("#answer") or "")
    assert "bulk" in (page.text_content("#queues tbody tr:first-child") or "")
    assert (2, 5) == (page.locator(".u-over").count(), rows.count())
    page.fill("[data-filter]", "bulk")
    assert ["images.thumbnails"] == rows.locator("visible=true").locator("a").all_text_contents()

    box = page.locator("#chart-waits .u-over").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.wait_for_selector("#chart-waits .tip:visible")
    tip = page.text_content("#chart-waits .tip") or ""
    assert all(name in tip for name in ("Wait, p95", "Wait, mean", "Run time, mean"))
    page.fill("[data-filter]", "")
    rows.first.locator("a").click()
    page.wait_for_selector("#kinds")
    assert "reports.export" in (page.text_content("h1") or "")
    assert page.locator("#queues tbody tr").count() == 1
