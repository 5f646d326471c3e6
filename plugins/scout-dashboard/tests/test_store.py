from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from struct import pack

import pytest
from attrs import evolve
from full_file import fill_up
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_reports import process, report, reports

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import Report
from scout_dashboard.errors import StoreError, StoreFull
from scout_dashboard.locks import Holder
from scout_dashboard.ranges import zoomed_range
from scout_dashboard.store import Store, files
from scout_dashboard.store.levels import LEVELS, cover, level_for
from scout_dashboard.store.packing import merged_histogram, pack_histogram
from scout_dashboard.store.rollups import by_name, by_step
from scout_dashboard.store.sums import Sums, sums_of, sums_of_row
from scout_dashboard.store.traces import find_trace, list_traces

MIDNIGHT = float(int(time.time()) // 86_400 * 86_400)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def total(store: Store, start: float, end: float, *, name: str | None = None, web: bool = True) -> Sums:
    whole = Sums()
    for sums in by_step(store.reader, zoomed_range(start, end), web=web, name=name).values():
        whole.add(sums)
    return whole


def expected(sent: list[Report], name: str) -> Sums:
    whole = Sums()
    for incoming in sent:
        for metrics in incoming.transactions:
            if metrics.name == name:
                whole.add(sums_of(metrics))
    return whole


def same(first: Sums, second: Sums) -> bool:
    exact = [first.count, first.errors, first.queued, first.durations] == [
        second.count,
        second.errors,
        second.queued,
        second.durations,
    ]
    kinds = {kind: (sums.count, sums.errors) for kind, sums in first.kinds.items()}
    return (
        exact
        and kinds == {kind: (sums.count, sums.errors) for kind, sums in second.kinds.items()}
        and first.total == pytest.approx(second.total)
        and first.queue_time == pytest.approx(second.queue_time)
        and all(sums.exclusive == pytest.approx(second.kinds[kind].exclusive) for kind, sums in first.kinds.items())
    )


def test_reported_metrics_are_read_back_exactly(store):
    sent = list(reports(until=MIDNIGHT + 7_000, minutes=300))
    for incoming in sent:
        assert store.apply(incoming, now=MIDNIGHT + 7_000)

    read = total(store, MIDNIGHT - 86_400, MIDNIGHT + 86_400, name="Controller/shop.checkout")

    assert same(expected(sent, "Controller/shop.checkout"), read)
    assert (
        sum(metrics.count for report in sent for metrics in report.transactions if metrics.name.startswith("Job/"))
        == total(store, MIDNIGHT - 86_400, MIDNIGHT + 86_400, web=False).count
    )


def test_every_level_holds_the_same_sums(store):
    for incoming in reports(until=MIDNIGHT + 3_600, minutes=120):
        store.apply(incoming, now=MIDNIGHT + 3_600)
    fold_all(store, now=MIDNIGHT + 2 * 86_400)

    rows = store.reader.rows(
        "metrics", "SELECT level, sum(count), sum(errors), total(total) FROM rollup GROUP BY level ORDER BY level"
    )
    levels = [level for level, *_ in rows]
    figures = {(day, count, errors, round(seconds, 3)) for day, (_, count, errors, seconds) in enumerate_days(rows)}

    assert [*LEVELS, *LEVELS] == levels
    assert len(figures) == 2


def fold_all(store, *, now):
    while not store.fold(now):
        pass


def enumerate_days(rows):
    return [(index // len(LEVELS), row) for index, row in enumerate(rows)]


@pytest.mark.parametrize("step", [60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400])
def test_a_step_is_read_from_slices_that_divide_it(step):
    assert 0 == step % level_for(step)


@settings(deadline=None)
@given(st.integers(0, 40 * 1_440), st.integers(1, 40 * 1_440))
def test_slices_cover_a_range_without_gap_or_overlap(start, minutes):
    start, end = start * 60, (start + minutes) * 60
    slices = cover(start, end)
    edges = [start, *(edge for _, first, last in slices for edge in (first, last)), end]

    assert edges[0::2] == edges[1::2]
    assert all(first % level == 0 and last % level == 0 and first < last for level, first, last in slices)
    assert 60 >= sum((last - first) // level for level, first, last in slices if level < 86_400)


@settings(deadline=None)
@given(st.dictionaries(st.integers(-5_000, 5_000), st.integers(1, 2**62), max_size=300))
def test_a_histogram_survives_packing(buckets):
    assert Histogram(dict(buckets)) == merged_histogram([pack_histogram(Histogram(dict(buckets)))])


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.integers(-800, 600), st.integers(1, 70_000), max_size=30), max_size=6))
def test_packed_histograms_add_up(several):
    whole = Histogram()
    for buckets in several:
        whole.merge(Histogram(dict(buckets)))

    assert whole == merged_histogram([pack_histogram(Histogram(dict(buckets))) for buckets in several])


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.integers(-800, -700), st.integers(1, 255), min_size=20, max_size=99), max_size=9))
def test_dense_histograms_add_up_without_overflow_into_the_next_count(several):
    whole, packed = Histogram(), []
    for buckets in several:
        for _ in range(40):
            whole.merge(Histogram(dict(buckets)))
            packed.append(pack_histogram(Histogram(dict(buckets))))

    assert whole == merged_histogram(packed)


@pytest.mark.parametrize("most", [255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**62])
def test_counts_of_every_width_reach_their_largest(most):
    buckets = dict.fromkeys(range(-5, 60), most)
    whole = Histogram(dict.fromkeys(buckets, 300 * most))

    assert whole == merged_histogram([pack_histogram(Histogram(dict(buckets)))] * 300)


def test_a_histogram_packed_by_an_earlier_version_is_read():
    earlier = b"H" + pack("<3h3H", -7, 0, 400, 1, 300, 2)

    assert Histogram({-7: 1, 0: 300, 400: 2}) == merged_histogram([earlier])
    assert Histogram({-7: 3, 0: 301, 1: 1, 2: 1, 3: 1, 400: 2}) == merged_histogram(
        [earlier, pack_histogram(Histogram({-7: 2})), pack_histogram(Histogram({0: 1, 1: 1, 2: 1, 3: 1}))]
    )


def test_sums_survive_a_row_of_the_store():
    sums = expected([report(end=MIDNIGHT)], "Controller/shop.home")

    assert sums == sums_of_row(sums.as_row())


def test_a_duplicate_report_is_counted_once(tmp_path):
    once = report(end=MIDNIGHT + 90)
    for _ in range(2):  # also after a restart of the collector
        store = Store(tmp_path / "data")
        fresh = [store.apply(once, now=MIDNIGHT + 90) for _ in range(2)]
        counted = total(store, MIDNIGHT, MIDNIGHT + 3_600)
        kept = list_traces(store.reader, zoomed_range(MIDNIGHT, MIDNIGHT + 3_600), order="newest", limit=99)
        store.close()

    assert [False, False] == fresh
    assert (
        sum(metrics.count for metrics in once.transactions if metrics.name.startswith("Controller/")) == counted.count
    )
    assert len(once.traces) == len(kept)


def test_a_period_that_crosses_midnight_belongs_to_the_minute_of_its_end(store):
    crossing = evolve(report(end=MIDNIGHT + 30), start=MIDNIGHT - 30)
    at_midnight = report(end=MIDNIGHT, number=2)
    for incoming in (crossing, at_midnight):
        store.apply(incoming, now=MIDNIGHT + 60)

    steps = by_step(store.reader, zoomed_range(MIDNIGHT - 1_800, MIDNIGHT + 1_800), web=True)

    assert [MIDNIGHT] == list(steps)
    assert [files.day_of(MIDNIGHT)] == files.days(store.directory, "metrics")
    assert 0 == total(store, MIDNIGHT - 3_600, MIDNIGHT).count


def test_a_range_over_two_days_reads_both_files(store):
    sent = [report(end=MIDNIGHT - 90, number=1), report(end=MIDNIGHT + 90, number=2)]
    for incoming in sent:
        store.apply(incoming, now=MIDNIGHT + 90)

    ranked = by_name(store.reader, zoomed_range(MIDNIGHT - 3_600, MIDNIGHT + 3_600), web=True)

    assert expected(sent, "Controller/shop.home").count == ranked["Controller/shop.home"].count
    assert 2 == len(files.days(store.directory, "metrics")) == len(files.days(store.directory, "traces"))


def test_cached_sums_of_complete_days_are_invalidated_by_a_write(store):
    """A late report, a report after the file was reopened, and an expired day."""
    day = 86_400

    def count() -> int:
        when = zoomed_range(MIDNIGHT - 9 * day, MIDNIGHT)
        return sum(ranked.count for ranked in by_name(store.reader, when, web=True).values())

    def apply(number: int, days: int) -> int:
        sent = report(end=MIDNIGHT - days * day + 60 * number, number=number)
        store.apply(sent, now=MIDNIGHT)
        return sum(metrics.count for metrics in sent.transactions if metrics.name.startswith("Controller/"))

    first = sum(apply(number, number) for number in range(1, 9))
    counted = [count(), count()]
    late = apply(20, 5)
    counted.append(count())
    store.reader.close()
    later = apply(21, 5)
    counted.append(count())
    store.reader.forget("metrics", files.day_of(MIDNIGHT - 5 * day))

    assert [first, first, first + late, first + late + later] == counted
    assert 0 < count() < first


def test_a_late_report_does_not_overwrite_newer_facts_of_a_process(store):
    older, newer = report(end=MIDNIGHT + 60, number=1), report(end=MIDNIGHT + 120, number=2)
    newer = evolve(newer, process=evolve(newer.process, revision="newer"))
    for incoming in (newer, older):
        store.apply(incoming, now=MIDNIGHT + 120)

    assert [(MIDNIGHT + 120, 1)] == store.reader.rows("metrics", "SELECT seen, facts LIKE '%\"newer\"%' FROM process")


def test_a_trace_is_read_back_exactly(store):
    sent = report(end=MIDNIGHT + 60)
    store.apply(sent, now=MIDNIGHT + 60)

    found = [find_trace(store.reader, trace.id) for trace in sent.traces]

    assert list(sent.traces) == [trace for _, trace in found]
    assert find_trace(store.reader, "0" * 16) is None


def test_kinds_beyond_the_limit_are_summed_as_other(store):
    base = report(end=MIDNIGHT + 60)
    metrics = base.transactions[0]
    kind = metrics.kinds["SQL"]
    many = evolve(metrics, kinds={f"Kind{n}": kind for n in range(200)})
    store.apply(evolve(base, transactions=(many,)), now=MIDNIGHT + 60)

    read = total(store, MIDNIGHT, MIDNIGHT + 3_600)

    assert 65 == len(read.kinds)
    assert kind.count * 200 == sum(sums.count for sums in read.kinds.values())


def test_expired_days_are_deleted_even_while_they_are_read(tmp_path):
    store = Store(tmp_path / "data", retention_days=3, trace_retention_days=1)
    today = files.day_of(MIDNIGHT)
    for age in range(4):
        store.apply(report(end=MIDNIGHT - age * 86_400 + 60, number=age + 1), now=MIDNIGHT - age * 86_400 + 60)
    everything = zoomed_range(MIDNIGHT - 10 * 86_400, MIDNIGHT + 3 * 86_400)
    before = len(by_step(store.reader, everything, web=True))  # now the reader has opened all files

    store.tidy(MIDNIGHT + 86_400)
    after = len(by_step(store.reader, everything, web=True))
    days = {kind: files.days(store.directory, kind) for kind in files.KINDS}
    store.close()

    assert (4, 3) == (before, after)
    assert {"metrics": [today - 2, today - 1, today], "traces": [today]} == days
    assert [] == [name for name in os.listdir(tmp_path / "data") if name.endswith(("-wal", "-shm"))]


def test_only_metrics_of_a_report_older_than_the_trace_retention_are_stored(store):
    old = report(end=MIDNIGHT - 20 * 86_400 + 60)
    store.apply(old, now=MIDNIGHT)

    assert [] == files.days(store.directory, "traces")
    assert [files.day_of(MIDNIGHT) - 20] == files.days(store.directory, "metrics")


def test_a_directory_has_a_single_store_at_a_time(tmp_path):
    store = Store(tmp_path / "data")
    store.lock.describe(Holder(pid=os.getpid(), since=int(time.time()), url="http://127.0.0.1:7600"))
    with pytest.raises(
        StoreError, match=rf"in use by the collector with pid {os.getpid()} at http://127.0.0.1:7600, started"
    ):
        Store(tmp_path / "data")
    store.close()

    Store(tmp_path / "data").close()


def test_files_are_private(store):
    store.apply(report(end=MIDNIGHT), now=MIDNIGHT)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in store.directory.iterdir()}

    assert 0o700 == stat.S_IMODE(store.directory.stat().st_mode)
    assert {0o600} == set(modes.values()), modes


def test_a_directory_that_others_can_write_to_is_refused(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    with pytest.raises(StoreError, match="cannot use .*data: others can write to it; run: chmod 700 "):
        Store(tmp_path / "data")


def test_a_directory_of_another_user_is_refused(tmp_path, monkeypatch):
    Store(tmp_path / "data").close()
    other_user = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other_user)

    with pytest.raises(StoreError, match="it belongs to another user; choose another with --data-dir"):
        Store(tmp_path / "data")


def test_a_link_to_a_private_directory_is_used_and_one_to_a_shared_directory_is_refused(tmp_path):
    """The data may be on another disk."""
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    Store(tmp_path / "data").close()
    (tmp_path / "disk").chmod(0o770)

    with pytest.raises(StoreError, match="others can write to it"):
        Store(tmp_path / "data")


def test_a_link_is_followed_once(tmp_path):
    """Who changes it later does not change where the data goes."""
    for name in ("disk", "other"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "data").symlink_to("disk")
    store = Store(tmp_path / "data")
    (tmp_path / "data").unlink()
    (tmp_path / "data").symlink_to("other")
    store.apply(report(end=MIDNIGHT), now=MIDNIGHT)
    store.close()

    assert tmp_path / "disk" == store.directory
    assert [] == os.listdir(tmp_path / "other")


@pytest.mark.skipif(os.geteuid() != 0, reason="not on this account: only root can give a link away")
def test_a_link_of_another_user_is_refused(tmp_path):
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "data").symlink_to("disk")
    os.chown(tmp_path / "data", 12345, 12345, follow_symlinks=False)

    with pytest.raises(StoreError, match="it belongs to another user; choose another with --data-dir"):
        Store(tmp_path / "data")
    assert [] == os.listdir(tmp_path / "disk")


def test_a_file_where_the_directory_should_be_is_refused(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match="cannot use .*data: .*choose another with --data-dir"):
        Store(tmp_path / "data")


def test_an_empty_file_is_used(tmp_path):
    Store(tmp_path / "data").close()
    files.path_of(tmp_path / "data", "metrics", files.day_of(MIDNIGHT)).touch(0o600)
    store = Store(tmp_path / "data")
    nothing = total(store, MIDNIGHT, MIDNIGHT + 3_600).count
    store.apply(report(end=MIDNIGHT + 60), now=MIDNIGHT + 60)
    something = total(store, MIDNIGHT, MIDNIGHT + 3_600).count
    store.close()

    assert 0 == nothing < something


def test_a_failed_report_leaves_nothing_and_can_be_retried(store):
    first, second = report(end=MIDNIGHT + 60, number=1), report(end=MIDNIGHT + 120, number=2)
    store.apply(first, now=MIDNIGHT + 120)
    before = total(store, MIDNIGHT, MIDNIGHT + 3_600)
    fill_up(store, "metrics", files.day_of(MIDNIGHT))
    with pytest.raises(StoreFull, match="full"):
        store.apply(second, now=MIDNIGHT + 120)
    between = total(store, MIDNIGHT, MIDNIGHT + 3_600)
    is_new = store.apply(second, now=MIDNIGHT + 120)
    kept = list_traces(store.reader, zoomed_range(MIDNIGHT, MIDNIGHT + 3_600), order="newest", limit=99)

    assert before == between
    assert is_new
    assert same(
        expected([first, second], "Controller/shop.home"),
        total(store, MIDNIGHT, MIDNIGHT + 3_600, name="Controller/shop.home"),
    )
    assert len(first.traces) + len(second.traces) == len(kept)


def test_an_application_that_uses_a_reserved_looking_name_gets_its_own_row(store):
    base = report(end=MIDNIGHT + 60)
    nameless = evolve(base.transactions[0], name="")
    store.apply(evolve(base, transactions=(nameless, base.transactions[1])), now=MIDNIGHT + 60)

    assert {"": nameless.count} == {
        name: ranked.count
        for name, ranked in by_name(store.reader, zoomed_range(MIDNIGHT, MIDNIGHT + 3_600), web=False).items()
    }
    assert base.transactions[1].count == total(store, MIDNIGHT, MIDNIGHT + 3_600).count


def test_applications_are_kept_apart(store):
    shop, blog = report(end=MIDNIGHT + 60), report(end=MIDNIGHT + 60, app="Blog", instance="b" * 16)
    for incoming in (shop, blog):
        store.apply(incoming, now=MIDNIGHT + 60)
    when = zoomed_range(MIDNIGHT, MIDNIGHT + 3_600)

    counts = {
        app: sum(ranked.count for ranked in by_name(store.reader, evolve(when, app=app), web=True).values())
        for app in ("Shop", "Blog", None)
    }

    assert process("Blog", started=0).app in {app.name for app in store.reader.apps()}
    assert counts[None] == counts["Shop"] + counts["Blog"]
    assert counts["Shop"] != counts["Blog"]
