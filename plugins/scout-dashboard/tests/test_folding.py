"""Minutes are folded into coarser slices once they are over: pages are the same before, between and after, also with late reports."""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter

import pytest
from full_file import fill_up
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_reports import many_endpoints, report

from scout_core.measuring.histogram import Histogram
from scout_dashboard.errors import StoreFull
from scout_dashboard.ranges import zoomed_range
from scout_dashboard.store import Store, files
from scout_dashboard.store.levels import FOLD, LEVELS, folds, slices_of, stored_cover
from scout_dashboard.store.packing import merged_histogram
from scout_dashboard.store.queues import by_job, by_queue, waits_by_step
from scout_dashboard.store.rollups import by_name, by_step, durations_of
from scout_dashboard.store.tables import VERSION
from scout_dashboard.store.writing import Incoming

DAY = 86_400
MIDNIGHT = int(time.time()) // DAY * DAY - DAY  # of yesterday
RANGES = [
    zoomed_range(MIDNIGHT - DAY, MIDNIGHT + DAY),
    zoomed_range(MIDNIGHT - 7 * DAY, MIDNIGHT + 2 * DAY),
    zoomed_range(MIDNIGHT - 3_600, MIDNIGHT + 7_200),
    zoomed_range(MIDNIGHT + 600, MIDNIGHT + 1_500),
]


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def figures(store):
    """Everything that pages read of all ranges, and what the reports add up to."""
    return [
        (
            {name: (found.count, found.errors, round(found.total, 6), merged_histogram(found.durations))
             for web in (True, False) for name, found in by_name(store.reader, when, web=web).items()},
            {start: (sums.count, sums.errors, sums.queued, round(sums.total, 6), sums.durations, counts(sums))
             for start, sums in by_step(store.reader, when, web=True).items()},
            {key: (found.count, round(found.queue_time, 6), found.waits, found.outcomes)
             for key, found in by_job(store.reader, when).items()},
            {queue: (found.count, round(found.queue_time, 6), found.durations)
             for queue, found in by_queue(store.reader, when).items()},
            {step: (found.count, round(found.total, 6), found.p95) for step, found in waits_by_step(store.reader, when).items()},
        )
        for when in RANGES
    ]  # fmt: skip


def counts(sums):
    return {kind: (of_kind.count, round(of_kind.total, 6)) for kind, of_kind in sums.kinds.items()}


def expected(sent):
    """The same, from the reports."""
    found = []
    for when in RANGES:
        inside = [incoming for incoming in sent if when.start <= incoming.end // 60 * 60 < when.end]
        names: dict[str, Histogram] = {}
        errors: Counter[str] = Counter()
        for incoming in inside:
            for metrics in incoming.transactions:
                names.setdefault(metrics.name, Histogram()).merge(metrics.durations)
                errors[metrics.name] += metrics.errors
        found.append({name: (histogram.count, errors[name], histogram) for name, histogram in names.items()})
    return found


def of_names(found):
    return [
        {name: (count, errors, histogram) for name, (count, errors, _, histogram) in names.items()}
        for names, *_ in found
    ]


def sent_over_midnight(count=60):
    return [
        report(end=MIDNIGHT - 1_800 + number * 97.0, number=number + 1, traces=0, instance=f"{number % 3:016x}")
        for number in range(count)
    ]


@pytest.mark.parametrize("seed", range(6))
def test_figures_are_exact_whenever_minutes_are_folded(tmp_path, seed):
    """Reports come in any order, some long after their minutes are folded; the collector restarts now and then."""
    dice = random.Random(seed)
    sent = sent_over_midnight()
    order = sorted(sent, key=lambda incoming: incoming.end + dice.random() * dice.choice([0, 300, 4_000]))
    store = Store(tmp_path / "data")
    applied = []
    while order:
        count = dice.randint(1, 5)
        batch, order = order[:count], order[count:]
        now = max(incoming.end for incoming in batch)
        assert [True] * len(batch) == store.apply_all([Incoming(report=incoming) for incoming in batch], now=now)
        applied += batch
        if dice.random() < 0.5:
            store.fold(now + dice.choice([0, 700, 90_000]))
        if dice.random() < 0.1:
            store.close()
            store = Store(tmp_path / "data")
        if dice.random() < 0.1:
            assert expected(applied) == of_names(figures(store))
    before = figures(store)
    while not store.fold(MIDNIGHT + 3 * DAY):
        pass
    after = figures(store)
    store.close()

    assert expected(sent) == of_names(before)
    assert before == after


def test_a_folded_day_is_read_from_one_slice_for_each_name(store):
    for incoming in sent_over_midnight():
        store.apply(incoming, now=incoming.end)
    while not store.fold(MIDNIGHT + 3 * DAY):
        pass
    rows = store.reader.rows(
        "metrics",
        "SELECT level, count(*), sum(count) FROM rollup JOIN series ON series.id = series WHERE is_total GROUP BY level",
    )
    by_level = {level: [row for row in rows if row[0] == level] for level in LEVELS}

    assert [2, 2] == [count for _, count, _ in by_level[DAY]]  # web transactions and jobs, on two days
    assert 1 == len({tuple(total for *_, total in of_level) for of_level in by_level.values()})
    assert {MIDNIGHT // DAY - 1: MIDNIGHT, MIDNIGHT // DAY: MIDNIGHT + DAY} == store.reader.folded()


def test_a_minute_is_written_once_while_it_is_not_folded(store):
    incoming = report(end=MIDNIGHT + 3_000, traces=0)
    store.apply(incoming, now=incoming.end)

    assert [(60,)] == store.reader.rows("metrics", "SELECT DISTINCT level FROM rollup")
    assert {MIDNIGHT // DAY: MIDNIGHT + 3_000 // FOLD * FOLD - FOLD} == store.reader.folded()


def test_the_durations_of_some_names_are_those_of_the_ranking(store):
    for incoming in sent_over_midnight():
        store.apply(incoming, now=incoming.end)
    when, names = RANGES[0], ["Controller/shop.home", "Controller/shop.cart", "Controller/none"]
    ranked = by_name(store.reader, when, web=True)

    assert {name: merged_histogram(ranked[name].durations) for name in names[:2]} | {
        names[2]: Histogram()
    } == durations_of(store.reader, when, names, web=True)
    assert {name: (found.count, found.total) for name, found in ranked.items()} == {
        name: (found.count, found.total)
        for name, found in by_name(store.reader, when, web=True, durations=False).items()
    }


def test_a_file_of_an_earlier_version_has_all_slices_and_takes_more(tmp_path):
    sent = sent_over_midnight()
    store = Store(tmp_path / "data")
    for incoming in sent[:40]:
        store.apply(incoming, now=incoming.end)
    while not store.fold(MIDNIGHT + 3 * DAY):
        pass
    store.close()
    for day in files.days(tmp_path / "data", "metrics"):
        with sqlite3.connect(files.path_of(tmp_path / "data", "metrics", day)) as connection:
            connection.executescript("DROP TABLE fold; PRAGMA user_version = 7")
        connection.close()

    again = Store(tmp_path / "data")
    before = figures(again)
    for incoming in sent[40:]:
        again.apply(incoming, now=incoming.end)
    after = figures(again)
    versions = again.reader.rows("metrics", "PRAGMA user_version")
    again.close()

    assert expected(sent[:40]) == of_names(before)
    assert expected(sent) == of_names(after)
    assert [(VERSION,), (VERSION,)] == versions


def test_reports_of_one_transaction_are_counted_once_each(store):
    sent = sent_over_midnight(12)
    once = [Incoming(report=incoming) for incoming in (*sent, *sent[:3])]

    assert [True] * 12 + [False] * 3 == store.apply_all(once, now=MIDNIGHT + 3_600)
    assert [False] * 15 == store.apply_all(once, now=MIDNIGHT + 3_600)
    assert expected(sent) == of_names(figures(store))


def test_figures_in_memory_are_forgotten_when_they_could_not_be_stored(store):
    """The second report of a minute is added to what the first one left in memory; when it fails, that is read again."""
    menu = many_endpoints(60)
    sent = [
        report(end=MIDNIGHT + 60.0 + number, number=number + 1, traces=0, menu=menu[: 20 * (number + 1)])
        for number in range(3)
    ]
    store.apply(sent[0], now=MIDNIGHT + 60)
    for _ in range(2):
        fill_up(store, "metrics", files.day_of(MIDNIGHT))
        with pytest.raises(StoreFull, match="full"):
            store.apply_all([Incoming(report=incoming) for incoming in sent[1:]], now=MIDNIGHT + 60)
    between = figures(store)
    store.apply_all([Incoming(report=incoming) for incoming in sent[1:]], now=MIDNIGHT + 60)

    assert expected(sent[:1]) == of_names(between)
    assert expected(sent) == of_names(figures(store))


def test_a_fold_that_fails_is_done_later(store):
    sent = sent_over_midnight(20)
    for incoming in sent:
        store.apply_all([Incoming(report=incoming)], now=incoming.end)
    fill_up(store, "metrics", files.day_of(MIDNIGHT - 1))
    with pytest.raises(StoreFull, match="full"):
        store.fold(MIDNIGHT + DAY)
    between = figures(store)
    while not store.fold(MIDNIGHT + 3 * DAY):
        pass

    assert expected(sent) == of_names(between)
    assert between == figures(store)


@settings(deadline=None)
@given(st.integers(0, 3 * 1_440), st.integers(1, 3 * 1_440), st.integers(0, 6 * 288), st.sampled_from(LEVELS))
def test_a_range_is_covered_by_slices_that_are_folded_and_by_minutes(start, minutes, folded, coarsest):
    start, end, until = start * 60, (start + minutes) * 60, folded * FOLD
    pieces = stored_cover(start, end, until=until, coarsest=coarsest)
    edges = [start, *(edge for _, first, last in pieces for edge in (first, last)), end]

    assert edges[0::2] == edges[1::2]
    assert all(last <= until or level == 60 for level, _, last in pieces)
    assert all(first % level == 0 == last % level and level <= coarsest for level, first, last in pieces)


@settings(deadline=None)
@given(st.integers(0, 1_439), st.integers(0, 288))
def test_every_slice_is_folded_once_or_takes_late_figures(minute, folded):
    """A minute reaches each slice that contains it either when it is folded, or when its figures come later."""
    late = slices_of(minute * 60, until=folded * FOLD)
    later = [(level, start) for step in range(folded, 288) for level, _, start in folds(step * FOLD)]
    containing = [(level, minute * 60 // level * level) for level in LEVELS]

    assert sorted(containing) == sorted([*late, *(found for found in later if found in containing)])
