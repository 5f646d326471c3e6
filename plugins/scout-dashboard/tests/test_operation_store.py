"""Operations in the store: folding, limits, places, files of earlier versions, damage, and what is refused or cut at intake."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from attrs import evolve
from full_file import fill_up
from sample_operations import operation
from sample_reports import report

from scout_core.errors import RejectedReport
from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import CodeLine, EndpointShare, OperationMetrics
from scout_dashboard.caps import cap
from scout_dashboard.caps.operations import MAX_OPERATIONS
from scout_dashboard.checks import validate
from scout_dashboard.corrections import MORE_REPEATS, correct
from scout_dashboard.errors import StoreFull
from scout_dashboard.ranges import Range, zoomed_range
from scout_dashboard.store import Store, files, operations
from scout_dashboard.store.operation_figures import by_operation, described, figures_of
from scout_dashboard.store.operations import id_of
from scout_dashboard.store.schema import VERSION

KILLED = """
import sys
from pathlib import Path

from attrs import evolve
from sample_operations import operation
from sample_reports import report
from scout_dashboard.store import Store

store, now = Store(Path(sys.argv[1])), float(sys.argv[2])
for number in range(100_000):
    end = now - 20_000 + number % 20_000
    own = operation(detail=f"SELECT {number % 50}", calls={f"Controller/page_{number % 70}": 3})
    made = report(end=end, number=number, traces=0, instance=f"{number // 20_000}")
    store.apply(evolve(made, operations=(own, operation(detail="SELECT all"))), now=now)
    print(number + 1, flush=True)
"""
"""Stores reports, and prints how many, until it is killed."""
DAY = 86_400
NOW = int(time.time() // DAY) * DAY + 43_200.0
"""Noon, so that an hour before it is the same day."""
HOME, CART = "Controller/shop.home", "Controller/shop.cart"
ONE, TWO = "SELECT one FROM shop WHERE id = ?", "SELECT two FROM shop"
LINE = CodeLine(file="/srv/shop/views.py", line=31, function="lines", count=4, total=0.016)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data")
    yield store
    store.close()


def put(
    store: Store, *found: OperationMetrics, end: float = NOW, now: float = NOW, app: str = "Shop", instance: str = ""
) -> bool:
    """Store a report; the store folds what is complete."""
    made = report(end=end, number=int(end), traces=0, app=app, instance=instance or app)
    return store.apply(evolve(made, operations=found), now=now)


def of(seconds: float, *, app: str | None = None, end: float = NOW + 60) -> Range:
    return zoomed_range(end - seconds, end, app=app)


def counts(store: Store, when: Range) -> dict[str, int]:
    """Return the calls of each operation, by its detail or, without one, its name."""
    found = by_operation(store.reader, when)
    texts = described(store.reader, when, found)
    return {texts[op].detail or texts[op].operation: figures.count for op, figures in found.items()}


@pytest.mark.parametrize("order", [1, -1])
def test_folded_minutes_and_late_reports_add_up(store, order):
    """Some reports come before their minutes are folded, some after."""
    ends = [NOW - 7_200 + 60 * minute for minute in range(60)]
    for number, end in enumerate(ends[::order]):
        made = operation(detail=ONE, calls={HOME: 6, CART: 2}, repeated=1, errors=1, lines=[LINE])
        put(store, made, operation(detail=TWO, seconds=0.01), end=end, now=NOW if number % 2 else end)
    store.fold(NOW)

    when = of(10_800)
    ranked = by_operation(store.reader, when)[id_of("SQL/Query", ONE)]
    whole = figures_of(store.reader, when, id_of("SQL/Query", ONE))

    assert {ONE: 480, TWO: 600} == counts(store, when)
    assert (480, 60, pytest.approx(1.92), 480) == (ranked.count, ranked.errors, ranked.total, ranked.durations.count)
    assert (480, 60, pytest.approx(1.92), 480) == (whole.count, whole.errors, whole.total, whole.durations.count)
    assert {HOME: [360, 1_440_000, 60], CART: [120, 480_000, 0]} == whole.endpoints
    assert {("/srv/shop/views.py", 31, "lines"): [240, 960_000]} == whole.lines


def test_a_report_that_comes_twice_counts_once(store):
    assert [True, False] == [put(store, operation(detail=ONE)) for _ in range(2)]

    assert {ONE: 10} == counts(store, of(3_600))


def test_days_that_are_over_are_summed_up_again_after_a_late_report(store):
    for day in range(6):
        put(store, operation(detail=ONE, calls={HOME: day + 1}), end=NOW - day * DAY)
    when = of(10 * DAY)
    before = [counts(store, when), counts(store, when)]
    put(store, operation(detail=ONE, calls={HOME: 100}), end=NOW - 3 * DAY + 1)

    assert [{ONE: 21}] * 2 == before
    assert {ONE: 121} == counts(store, when)
    assert {HOME: [121, 484_000, 0]} == figures_of(store.reader, when, id_of("SQL/Query", ONE)).endpoints


def test_a_report_with_operations_and_without_transactions_is_folded(store):
    for minute in range(10):
        end = NOW - 3_600 + 60 * minute
        made = report(end=end, number=minute, traces=0)
        store.apply(evolve(made, transactions=(), error_groups=(), operations=(operation(detail=ONE),)), now=NOW)

    assert {ONE: 100} == counts(store, of(7_200))


def test_a_statement_and_a_name_are_stored_once(tmp_path):
    store = Store(tmp_path / "data")
    long = "SELECT " + "x" * 1_900
    for minute in range(30):
        put(store, operation(detail=long, calls={"Controller/" + "n" * 400: 3}), end=NOW - 60 * minute)
    store.close()

    with closing(sqlite3.connect(files.path_of(store.directory, "metrics", files.day_of(NOW)))) as connection:
        (rows, size) = connection.execute(
            "SELECT count(*), max(length(durations) + length(endpoints) + length(lines)) FROM operation_rollup"
        ).fetchone()
        texts = connection.execute("SELECT count(*) FROM operation_text").fetchone()[0]
        places = connection.execute("SELECT count(*) FROM operation_place").fetchone()[0]

    assert (1, 1) == (texts, places)
    assert rows >= 30
    assert size < 70


def test_the_operations_of_a_day_are_bounded_by_application(store, monkeypatch):
    """Those of many processes that report different ones are counted under ``other`` of their kind."""
    monkeypatch.setattr(operations, "MOST_OPERATIONS", 3)
    for number in range(4):
        own = [operation(detail=f"SELECT {number}{part}") for part in range(2)]
        put(store, *own, operation("HTTP/GET", f"host-{number}"), instance=f"{number}")
    put(store, operation(detail="SELECT of another application"), app="Admin")

    found = counts(store, of(3_600, app="Shop"))

    assert {"SELECT 00": 10, "SELECT 01": 10, "host-0": 10, "SQL/other": 60, "HTTP/other": 30} == found
    assert {"SELECT of another application": 10} == counts(store, of(3_600, app="Admin"))


def test_the_kinds_with_an_other_are_bounded(store, monkeypatch):
    monkeypatch.setattr(operations, "MOST_OPERATIONS", 0)
    monkeypatch.setattr(operations, "MOST_KINDS", 2)
    put(store, *(operation(f"Kind{number}/Call", "") for number in range(4)))

    assert {"Kind0/other": 10, "Kind1/other": 10, "Other/other": 20} == counts(store, of(3_600))


def test_the_places_of_a_day_are_bounded(store, monkeypatch):
    monkeypatch.setattr(operations, "MOST_PLACES", 2)
    put(store, operation(detail=ONE, calls={HOME: 3, CART: 2, "Controller/third": 4}, lines=[LINE]))

    whole = figures_of(store.reader, of(3_600), id_of("SQL/Query", ONE))

    assert {HOME: [3, 12_000, 0], CART: [2, 8_000, 0], "other": [4, 16_000, 0]} == whole.endpoints
    assert {} == whole.lines


def test_a_slice_has_the_ten_names_and_the_five_lines_with_the_most_time(store):
    """Each of three processes has ten names of its own."""
    for process in range(3):
        calls = {f"Controller/page_{process}_{page}": 10 * process + page + 1 for page in range(10)}
        lines = [evolve(LINE, line=10 * process + at, total=at + process / 10) for at in range(4)]
        put(store, operation(detail=ONE, calls=calls, lines=lines), instance=f"{process}")

    whole = figures_of(store.reader, of(3_600), id_of("SQL/Query", ONE))

    assert 11 == len(whole.endpoints)
    assert whole.count == sum(figures[0] for figures in whole.endpoints.values()) == 465
    assert {f"Controller/page_2_{page}" for page in range(10)} | {"other"} == whole.endpoints.keys()
    assert [23, 13, 3, 22, 12] == [line for _, line, _ in sorted(whole.lines, key=lambda at: -whole.lines[at][1])]


def test_a_place_whose_row_is_gone_is_other_until_it_is_written_again(tmp_path):
    before = Store(tmp_path / "data")
    put(before, operation(detail=ONE, calls={HOME: 3}), end=NOW - 60)
    before.close()
    path = files.path_of(tmp_path / "data", "metrics", files.day_of(NOW))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM operation_place")
    again = Store(tmp_path / "data")
    put(again, operation(detail=ONE, calls={CART: 4}))

    without = figures_of(again.reader, of(3_600), id_of("SQL/Query", ONE))
    put(again, operation(detail=TWO, calls={HOME: 1}), end=NOW + 1)
    whole = figures_of(again.reader, of(3_600), id_of("SQL/Query", ONE))
    again.close()

    assert {"other": [3, 12_000, 0], CART: [4, 16_000, 0]} == without.endpoints
    assert {HOME: [3, 12_000, 0], CART: [4, 16_000, 0]} == whole.endpoints


def test_a_statement_that_cannot_be_read_is_written_again_with_the_next_report(tmp_path):
    before = Store(tmp_path / "data")
    put(before, operation(detail=ONE), end=NOW - 60)
    before.close()
    path = files.path_of(tmp_path / "data", "metrics", files.day_of(NOW))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE operation_text SET detail = x'ff'")
    again = Store(tmp_path / "data")
    op = id_of("SQL/Query", ONE)
    assert again.reader.examine("metrics", files.day_of(NOW), is_certain=True)
    without = again.reader.readable(lambda: described(again.reader, of(3_600), [op]))
    put(again, operation(detail=ONE))

    assert {} == without
    assert {ONE: 20} == counts(again, of(3_600))
    again.close()


def test_a_killed_writer_has_stored_each_report_with_its_operations_or_not_at_all(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", KILLED, str(tmp_path / "data"), str(NOW)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        acknowledged = 0
        while acknowledged < 60:
            acknowledged = int(process.stdout.readline())
        process.kill()
    with closing(Store(tmp_path / "data")) as store:
        stored = len(store.reader.rows("metrics", "SELECT id FROM report"))
        found = counts(store, of(DAY))
        whole = figures_of(store.reader, of(DAY), id_of("SQL/Query", "SELECT 0"))
        has_damage = any(store.reader.examine("metrics", files.day_of(NOW) - back, is_certain=True) for back in (0, 1))
        put(store, operation(detail="SELECT 0", calls={HOME: 1}))

        assert stored >= acknowledged
        assert (10 * stored, 3 * stored) == (found.pop("SELECT all"), sum(found.values()))
        assert whole.count == sum(figures[0] for figures in whole.endpoints.values())
        assert "other" not in whole.endpoints
        assert not has_damage
        assert found["SELECT 0"] + 1 == counts(store, of(DAY))["SELECT 0"]


def test_a_report_that_did_not_fit_on_the_disk_is_complete_when_it_is_sent_again(tmp_path):
    """Statements and names that were not stored are not taken for known."""
    with closing(Store(tmp_path / "data")) as store:
        put(store, operation(detail=ONE), end=NOW - 60)
        fill_up(store, "metrics", files.day_of(NOW))
        with pytest.raises(StoreFull, match="full"):
            put(store, operation(detail="SELECT " + "x" * 1_900, calls={CART: 2}, lines=[LINE]))
        put(store, operation(detail="SELECT " + "x" * 1_900, calls={CART: 2}, lines=[LINE]))

        assert {ONE: 10, "SELECT " + "x" * 1_900: 2} == counts(store, of(3_600))
        whole = figures_of(store.reader, of(3_600), id_of("SQL/Query", "SELECT " + "x" * 1_900))
        assert ({CART: [2, 8_000, 0]}, 1) == (whole.endpoints, len(whole.lines))


@pytest.mark.parametrize("version", [11, 12])
def test_a_file_of_a_version_before_is_upgraded(tmp_path, version):
    before = Store(tmp_path / "data")
    put(before, end=NOW)
    before.close()
    for kind in files.KINDS:
        path = files.path_of(tmp_path / "data", kind, files.day_of(NOW))
        if not path.exists():
            continue
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            if kind == "metrics":
                for table in ("text", "place", "rollup", "series"):
                    connection.execute(f"DROP TABLE operation_{table}")
            connection.execute(f"PRAGMA user_version = {version}")
    again = Store(tmp_path / "data")
    put(again, operation(detail=ONE), end=NOW + 60, now=NOW + 60)
    found, versions = counts(again, of(3_600, end=NOW + 120)), again.reader.rows("metrics", "PRAGMA user_version")
    again.close()

    assert ({ONE: 10}, [(VERSION,)]) == (found, versions)


def test_old_days_are_deleted_with_their_operations(store):
    put(store, operation(detail=ONE), end=NOW - 40 * DAY, now=NOW - 40 * DAY)
    for day in range(12):
        put(store, end=NOW - day * DAY)

    assert {} == counts(store, of(100 * DAY))


def test_too_many_operations_are_summed_by_kind_and_counted():
    many = [operation(detail=f"SELECT {number}", calls={HOME: number + 1}) for number in range(MAX_OPERATIONS + 20)]
    other = operation("SQL/other", "", calls={CART: 2})
    http = operation("HTTP/GET", "host", seconds=1e-5)

    capped, cut = cap(evolve(report(end=NOW, traces=0), operations=(*many, http, other)))

    whole = {(figures.operation, figures.detail): figures.count for figures in capped.operations}
    assert sum(range(1, MAX_OPERATIONS + 21)) + 12 == sum(whole.values())
    assert MAX_OPERATIONS + 2 == len(whole)
    assert (sum(range(1, 21)) + 2, 10) == (whole["SQL/other", ""], whole["HTTP/other", ""])
    assert 21 == cut["operations beyond 500"]


def test_too_many_kinds_of_operations_are_summed_up():
    many = tuple(operation(f"Kind{number}/other", "") for number in range(250))

    capped, cut = cap(evolve(report(end=NOW, traces=0), operations=many))

    assert (201, 2_500) == (len(capped.operations), sum(figures.count for figures in capped.operations))
    assert {"kinds of operations beyond 200": 50} == cut


def test_too_many_names_lines_and_characters_of_an_operation_are_cut_and_counted():
    calls = {f"Controller/page_{number}": number + 1 for number in range(15)}
    made = operation(detail="S" * 3_000, calls=calls, lines=[evolve(LINE, line=number) for number in range(9)])

    capped, cut = cap(evolve(report(end=NOW, traces=0), operations=(made,)))

    (figures,) = capped.operations
    assert (11, 15, 5, 2_000) == (
        len(figures.endpoints),
        figures.endpoints["other"].count,
        len(figures.lines),
        len(figures.detail),
    )
    assert {
        "transactions of an operation beyond 10": 5,
        "lines of an operation beyond 5": 4,
        "texts beyond 2,000 characters": 1,
    } == cut


def test_more_repeating_transactions_than_calls_are_corrected():
    made = operation(calls={HOME: 3, CART: 5}, repeated=9)

    corrected, reasons = correct(evolve(report(end=NOW, traces=0), operations=(made,)))

    assert [3, 0] == [share.repeated for share in corrected.operations[0].endpoints.values()]
    assert {MORE_REPEATS: 1} == reasons


def test_calls_without_a_duration_are_accepted():
    """A transaction counts and sums up those beyond its limit of spans."""
    made = evolve(operation(), count=40, total=3.0, endpoints={HOME: EndpointShare(count=40, total=3.0)})

    validate(evolve(report(end=NOW, traces=0), operations=(made,)), oldest=0.0, now=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"count": 10**10},
        {"total": -1.0},
        {"operation": ""},
        {"errors": 11},
        {"count": 9},
        {"total": 0.01},
        {"total": 9.0},
        {"durations": Histogram({0: 5}), "total": 1.0},
        {"endpoints": {"": EndpointShare(count=1, total=0.0)}},
        {"endpoints": {HOME: EndpointShare(count=11, total=0.0)}},
        {"endpoints": {HOME: EndpointShare(count=1, total=1.0)}},
        {"lines": (evolve(LINE, total=-1.0),)},
    ],
)
def test_impossible_operations_are_refused(changes):
    made = evolve(report(end=NOW, traces=0), operations=(evolve(operation(), **changes),))

    with pytest.raises(RejectedReport, match="operation '"):
        validate(made, oldest=0.0, now=NOW)
