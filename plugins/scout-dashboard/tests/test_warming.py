"""The pages are prepared after a start, so the first reader does not wait for it."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from sample_reports import report

from scout_dashboard import pages, warming
from scout_dashboard.collector import Collector
from scout_dashboard.queries import Queries
from scout_dashboard.store import Store, queues, rollups, slices
from scout_dashboard.tally import Tally
from scout_dashboard.views.rendering import environment

PATIENCE = 60.0


def is_warming() -> bool:
    return any(thread.name == "scout-dashboard-warming" for thread in threading.enumerate())


def templates() -> set[str]:
    """Return those that are compiled."""
    cache = environment().cache
    return set() if cache is None else {name for _, name in cache}


@pytest.fixture(autouse=True)
def cold():
    """Nothing is compiled."""
    environment.cache_clear()
    yield
    environment.cache_clear()


@pytest.mark.parametrize("has_data", [False, True])
def test_every_step_succeeds(tmp_path, has_data):
    with closing(Store(tmp_path / "data")) as store:
        if has_data:
            store.apply(report(end=time.time()), now=time.time())
        results = [step() for step in warming._steps(Queries(store, Tally()))]

    count = len(warming._PAGES) + len(warming._LONG_RANGES) * len(warming._LONG_PAGES)
    assert [200] * count == [found.status_code for found in results if hasattr(found, "status_code")]
    assert set(environment().list_templates()) == templates()


def test_figures_of_days_that_are_over_are_summed_up_before_somebody_reads_them(tmp_path, monkeypatch):
    """The long ranges of each page then read nothing but the current day, and rows that are in no sum."""
    now = time.time()
    with closing(Store(tmp_path / "data")) as store:
        for number in range(9):
            store.apply(report(end=now - number * 86_400, number=number + 1), now=now)
        queries, summed = Queries(store, Tally()), []
        for step in warming._steps(queries):
            step()
        read = slices.read_slices

        def noted(*args, **kwargs):
            summed.append(kwargs["end"] <= now // 86_400 * 86_400 and "grouped" in kwargs)
            return read(*args, **kwargs)

        for module in (queues, rollups):
            monkeypatch.setattr(module, "read_slices", noted)
        for page in warming._LONG_PAGES:
            assert 200 == page(warming._request(queries, "range=7d")).status_code

    assert summed
    assert not any(summed)


def test_all_templates_are_compiled_soon_after_a_start_and_it_does_not_count_as_a_view(tmp_path):
    with Collector.running(state_dir=tmp_path) as collector:
        collector.tally._last_view = before = time.monotonic() - 3_600
        deadline = time.monotonic() + PATIENCE
        while is_warming():
            assert time.monotonic() < deadline
            time.sleep(0.01)

        assert set(environment().list_templates()) == templates()
        assert before == collector.tally._last_view


def test_a_page_that_fails_does_not_keep_the_others_from_being_prepared(tmp_path, monkeypatch, caplog):
    calls = []
    failing = SimpleNamespace(overview=lambda _: 1 / 0)
    monkeypatch.setattr(warming, "_PAGES", (failing.overview, lambda request: calls.append(request)))
    monkeypatch.setattr(warming, "_LONG_PAGES", ())
    with caplog.at_level(logging.INFO), closing(Store(tmp_path / "data")) as store:
        with warming.warming(Queries(store, Tally())) as thread:
            thread.join(PATIENCE)

    assert 1 == len(calls)
    assert [] == caplog.messages


def test_it_ends_with_the_collector(tmp_path, monkeypatch):
    started, calls = threading.Event(), []

    def wait(request):
        started.set()
        calls.append(request)

    monkeypatch.setattr(warming, "_PAGES", (wait, *[lambda request: time.sleep(0.02)] * 1_000, pages.overview))
    with Collector.running(state_dir=tmp_path):
        assert started.wait(PATIENCE)

    assert 1 == len(calls)
    assert not is_warming()
