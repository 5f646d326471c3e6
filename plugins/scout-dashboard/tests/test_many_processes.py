"""Health with more processes than a page shows one by one, as of a server that replaces its workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import evolve
from test_health import sent
from visitor import visitor_of

from scout_core.measuring.report import Report
from scout_dashboard.collector import Collector
from scout_dashboard.store import Store
from scout_dashboard.views.rendering import FEW_PROCESSES, MOST_APPS, MOST_PROCESSES


def of_process(
    number: int, *, now: float, app: str = "Shop", ago: float = 0.0, is_last: bool = False, **counters: object
) -> Report:
    """Return the only report of a process: ten jobs."""
    instance = f"{number:016x}"
    base = sent(1, count=10, end=now - ago, **{"finished": 10, "exported": 0, "queued": 10, **counters})
    process = evolve(base.process, app=app, instance=instance, pid=number, started=now - ago - 60)
    return evolve(base, id=f"{instance}-1", process=process, is_last=is_last, period=60.0)


@contextmanager
def collector_with(folder: Path, reports: list[Report]) -> Iterator[Collector]:
    """Run a collector whose store has these reports."""
    store = Store(folder / "state" / "data")
    for report in reports:
        store.apply(report, now=report.end)
    store.close()
    with Collector.running(state_dir=folder / "state") as collector:
        yield collector


@pytest.mark.parametrize("count", [MOST_PROCESSES + 1, 200])
def test_the_sums_are_those_of_all_processes(tmp_path: Path, count: int) -> None:
    """2,000 transactions of 200 processes were shown as 500, and as adding up."""
    now = time.time()
    with collector_with(tmp_path, [of_process(n, now=now, is_last=n > 4) for n in range(1, count + 1)]) as collector:
        health = collector.queries.health()
        page = visitor_of(collector).page("/health")
    totals = {key: health["totals"][key] for key in ("finished", "exported", "queued", "unbalanced")}

    assert {"finished": 10 * count, "exported": 10 * count, "queued": 0, "unbalanced": 0} == totals
    assert count == len(health["processes"])
    assert [("Shop", {"running": 4, "ended": count - 4})] == [
        (of_app["app"], dict(of_app["states"])) for of_app in health["by_app"]
    ]
    assert f"{count} processes: 4 running, {count - 4} ended" in page.text
    assert f"{10 * count:,} finished = {10 * count:,} exported + 0 queued + 0 dropped adds up" in page.text
    assert f"{count - MOST_PROCESSES} other process" in page.text
    panels = [element for element in page.elements if element.attributes.get("id", "").startswith("process-")]
    assert MOST_PROCESSES == len(panels)


def test_processes_that_need_attention_and_those_that_run_are_shown_first(tmp_path: Path) -> None:
    now = time.time()
    ended = [of_process(n, now=now, is_last=True) for n in range(1, 101)]
    killed = [of_process(n, now=now, ago=3_600) for n in range(101, 104)]
    lossy = of_process(104, now=now, is_last=True, queued=3, dropped={"outbox full": 7})
    running = [of_process(n, now=now, ago=30) for n in range(105, 108)]
    with collector_with(tmp_path, [*killed, *running, *ended, lossy]) as collector:
        page = visitor_of(collector).page("/health")
    shown = [element.attributes.get("id", "") for element in page.elements]
    first = [int(name.removeprefix("process-"), 16) for name in shown if name.startswith("process-")][:7]

    assert ({101, 102, 103, 104}, {105, 106, 107}) == (set(first[:4]), set(first[4:]))
    assert "107 processes: 3 running, 101 ended, 3 without a last report" in page.text


def test_applications_are_folded_apart(tmp_path: Path) -> None:
    now = time.time()
    shop = [of_process(n, now=now) for n in range(1, 8)]
    blog = [of_process(n, now=now, app="Blog", is_last=True) for n in range(8, 14)]
    with collector_with(tmp_path, [*shop, *blog]) as collector:
        page = visitor_of(collector).page("/health")
        only = visitor_of(collector).page("/health?app=Blog")
    folds = [
        element.attributes["data-id"]
        for element in page.elements
        if element.tag == "details" and "data-id" in element.attributes
    ]

    assert ["processes-Blog", "processes-Shop"] == folds
    assert "Blog: 6 ended; Shop: 7 running" in page.text
    assert "60 finished = 60 exported" in page.text
    assert "processes-" not in [element.attributes.get("data-id", "")[:10] for element in only.elements], "few: no fold"
    assert len(blog) <= FEW_PROCESSES < len(blog) + len(shop)


def test_applications_are_shown_in_parts(tmp_path: Path) -> None:
    now = time.time()
    count = MOST_APPS + 20
    reports = [of_process(n, now=now, app=f"App {n % count:03}") for n in range(2 * count)]
    with collector_with(tmp_path, reports) as collector:
        visitor = visitor_of(collector)
        health = visitor.facts("/health")
        pages = [visitor.page(f"/health?page={number}") for number in (1, 2, 3)]
        only = visitor.page("/health?app=App%20003").text
        overview = visitor.page("/")
        status = visitor.ask("/health?page=0")[0]
    shown = [
        [name.removeprefix("processes-") for it in page.elements if (name := it.attributes.get("data-id", "")).startswith("processes-")]
        for page in pages
    ]  # fmt: skip
    links = [
        [it.attributes["href"] for it in page.elements if it.attributes.get("rel") in ("prev", "next")]
        for page in pages
    ]
    menu = [it.attributes["href"] for it in overview.elements if "?app=App" in it.attributes.get("href", "")]

    assert count == len(health["by_app"])
    assert [f"App {n:03}" for n in range(count)] == [*shown[0], *shown[1]]
    assert shown[1] == shown[2]
    assert (["/health?page=2#applications"], ["/health?page=1#applications"]) == (links[0], links[1])
    assert f"1–{MOST_APPS} of {count} applications · Next" in pages[0].text
    assert f"{MOST_APPS + 1}–{count} of {count} applications · Previous" in pages[1].text
    assert "App 000: 2 running" in pages[0].text
    assert f"and {count - 10} other applications" in pages[0].text
    assert "App 003" in only
    assert "Applications" not in only
    assert len(set(menu)) <= MOST_APPS
    assert f"{count - MOST_APPS} others are on Health" in overview.text
    assert 400 == status


@pytest.mark.parametrize("differences", [(5, -5), (1, 1, -2), (-3,), (4, 0, 0)])
def test_it_adds_up_only_when_it_does_for_each_process(tmp_path: Path, differences: tuple[int, ...]) -> None:
    """Differences of two processes may cancel in the sum."""
    now = time.time()
    reports = [
        # Counters of another exporter are shown as they are.
        of_process(n, now=now, exporter="otlp", finished=20 + difference, exported=20, queued=0)
        for n, difference in enumerate((*differences, 0), start=1)
    ]
    with collector_with(tmp_path, reports) as collector:
        health = collector.queries.health()
        page = visitor_of(collector).page("/health").text
    totals = page[page.index("All processes") : page.index("Collector")]
    wrong = sum(difference != 0 for difference in differences)

    assert wrong == health["totals"]["unbalanced"]
    assert "adds up" not in totals
    off = f"off by {sum(differences)}" if sum(differences) else f"{wrong} processes do not add up"
    assert off in totals


def test_the_page_of_plugins_shows_how_many_processes_it_leaves_out(tmp_path: Path) -> None:
    now = time.time()
    with collector_with(tmp_path, [of_process(n, now=now) for n in range(1, 61)]) as collector:
        visitor = visitor_of(collector)
        plugins, page = visitor.facts("/plugins"), visitor.page("/plugins").text

    assert (60, 50) == (plugins["process_count"], len(plugins["processes"]))
    assert "10 other processes have reported in the last 24 hours." in page


def test_a_process_of_two_days_is_shown_once_with_its_latest_state(tmp_path: Path) -> None:
    now = time.time()
    early = of_process(1, now=now, ago=3_600 * 23, finished=10)
    late = evolve(of_process(1, now=now, finished=20, queued=10, exported=10), id=f"{1:016x}-2", is_last=True)
    with collector_with(tmp_path, [early, late]) as collector:
        (process,) = collector.queries.health()["processes"]

    assert ("ended", 20) == (process["state"], process["counters"]["collector"]["finished"])
