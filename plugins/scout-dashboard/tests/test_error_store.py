"""Groups of errors in the store: figures by name and step, folding, limits, what is new, and files of earlier versions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from known_shop import ERROR
from sample_reports import error_group, report
from test_errors import trace

from scout_core.errors import RejectedReport
from scout_core.measuring.report import ErrorExample, ErrorGroupMetrics
from scout_dashboard.caps import cap
from scout_dashboard.caps.errors import MAX_GROUPS
from scout_dashboard.checks import validate
from scout_dashboard.corrections import shift
from scout_dashboard.errors import NotFound
from scout_dashboard.queries.apdex import Thresholds
from scout_dashboard.queries.endpoints import detail as endpoint_detail
from scout_dashboard.queries.error_groups import detail, errors
from scout_dashboard.ranges import Range, zoomed_range
from scout_dashboard.store import Store, error_groups, files
from scout_dashboard.store.schema import VERSION

DAY = 86_400
NOW = int(time.time() // DAY) * DAY + 43_200.0
"""Noon, so that an hour before it is the same day."""
KEY = "a1b2c3d4e5f6"
CART, MAIL = "Controller/shop.cart", "Job/mail.send"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data")
    yield store
    store.close()


def put(
    store: Store, *groups: ErrorGroupMetrics, end: float = NOW, now: float = NOW, app: str = "Shop", traces=()
) -> bool:
    """Store a report; the store folds what is complete."""
    number = int(end)
    made = evolve(report(end=end, number=number, traces=0, app=app, instance=app), error_groups=groups, traces=traces)
    return store.apply(made, now=now)


def of(seconds: float, *, app: str | None = None, end: float = NOW + 60) -> Range:
    return zoomed_range(end - seconds, end, app=app)


def test_errors_are_summed_over_reports_by_group_and_name(store):
    for minute in range(3):
        end = NOW - 60 * minute
        put(
            store,
            error_group(KEY, 5, handled=2, end=end, names=(CART, MAIL)),
            error_group("other", 1, end=end),
            end=end,
        )

    facts = errors(store.reader, of(3_600))

    assert [(KEY, 15, 6), ("other", 3, 0)] == [(row["group"], row["count"], row["handled"]) for row in facts["rows"]]
    first = facts["rows"][0]
    assert [(CART, 12), (MAIL, 3)] == [(at["name"], at["count"]) for at in first["endpoints"]]
    assert (NOW - 170, NOW - 5) == (first["first"], first["last"])
    assert ("shop.stock.Unavailable", "ConnectionError", "shop.stock:fetch") == (
        first["exception"], first["cause"], first["where"],
    )  # fmt: skip
    assert (18, 6) == (facts["count"], facts["handled"])


def test_a_report_that_comes_twice_counts_once(store):
    assert [True, False] == [put(store, error_group(end=NOW)) for _ in range(2)]

    assert [5] == [row["count"] for row in errors(store.reader, of(3_600))["rows"]]


@pytest.mark.parametrize("order", [1, -1])
def test_folded_minutes_and_late_reports_add_up(store, order):
    """Some reports come before their minutes are folded, some after."""
    ends = [NOW - 7_200 + 60 * minute for minute in range(60)]
    for number, end in enumerate(ends[::order]):
        put(store, error_group(KEY, 2, handled=1, end=end, names=(CART, MAIL)), end=end, now=NOW if number % 2 else end)
    store.fold(NOW)

    facts = detail(store.reader, of(10_800), group=KEY)

    assert (120, 60, [60, 60]) == (facts["count"], facts["handled"], [at["count"] for at in facts["endpoints"]])
    assert (60, 60) == tuple(sum(number or 0 for number in facts["series"][kind]) for kind in ("handled", "unhandled"))


def test_a_report_with_errors_and_without_transactions_is_folded(store):
    for minute in range(10):
        end = NOW - 3_600 + 60 * minute
        made = report(end=end, number=minute, traces=0)
        store.apply(evolve(made, transactions=(), error_groups=(error_group(end=end),)), now=NOW)

    assert 50 == detail(store.reader, of(7_200), group=KEY)["count"]


def test_the_chart_has_no_value_where_nothing_was_reported(store):
    put(store, error_group(KEY, 4, handled=1, end=NOW), end=NOW)

    series = detail(store.reader, of(600), group=KEY)["series"]

    assert [None] * 8 == series["unhandled"][:8]
    assert (3, 1) == tuple(max(number or 0 for number in series[kind]) for kind in ("unhandled", "handled"))


def test_a_group_is_new_when_it_was_not_seen_before_the_range_though_there_were_reports(store):
    put(store, error_group("old", end=NOW - 3 * DAY), end=NOW - 3 * DAY)
    put(store, error_group("old", end=NOW), error_group("fresh", end=NOW), error_group("other", end=NOW))

    assert {"old": False, "fresh": True, "other": None} == {
        row["group"]: row["is_new"] for row in errors(store.reader, of(3_600))["rows"]
    }
    assert {None} == {row["is_new"] for row in errors(store.reader, of(5 * DAY))["rows"]}
    assert 1 == errors(store.reader, of(3_600))["new"]


def test_the_applications_are_merged_or_apart(store):
    put(store, error_group(end=NOW), app="Shop")
    put(store, error_group(KEY, 2, end=NOW), error_group("mine", end=NOW), app="Admin")

    assert [(KEY, 7), ("mine", 5)] == [(row["group"], row["count"]) for row in errors(store.reader, of(3_600))["rows"]]
    assert [(KEY, 5)] == [(row["group"], row["count"]) for row in errors(store.reader, of(3_600, app="Shop"))["rows"]]
    with pytest.raises(NotFound):
        detail(store.reader, of(3_600, app="Shop"), group="mine")


def test_a_group_without_errors_in_the_range_is_still_described(store):
    put(store, error_group(end=NOW - 2 * DAY), end=NOW - 2 * DAY)
    put(store, end=NOW)

    facts = detail(store.reader, of(3_600), group=KEY)

    assert (0, "shop.stock.Unavailable", NOW - 2 * DAY - 5) == (facts["count"], facts["exception"], facts["last"])
    assert [] == errors(store.reader, of(3_600))["rows"]


def test_the_latest_message_trace_and_example_are_shown(store):
    example = ErrorExample(name=CART, time=NOW - 300, error=ERROR, tags={"plan": "gold"}, trace=f"{1:016x}")
    put(store, evolve(error_group(end=NOW - 300, message="first", trace=f"{1:016x}"), example=example), end=NOW - 300)
    put(store, error_group(end=NOW, message="second"))
    put(store, error_group(end=NOW - 60, message="late"), end=NOW - 60)

    facts = detail(store.reader, of(3_600), group=KEY)

    assert ("second", f"{1:016x}") == (facts["message"], facts["trace"])
    assert ({"plan": "gold"}, None) == (facts["example"]["tags"], facts["example"]["trace"])
    assert ERROR.exception == facts["example"]["error"]["exception"]


def test_an_example_leads_to_its_trace_if_that_was_kept(store):
    kept = trace(1, evolve(ERROR, group=KEY))
    example = ErrorExample(name=CART, time=NOW, error=ERROR, tags={}, trace=kept.id)
    put(store, evolve(error_group(end=NOW), example=example), traces=(evolve(kept, start=NOW - 10),))

    facts = detail(store.reader, of(3_600), group=KEY)

    assert (kept.id, [kept.id]) == (facts["example"]["trace"], [row["id"] for row in facts["traces"]])


def test_the_groups_of_an_endpoint_are_counted_for_it_only(store):
    put(store, error_group(KEY, 5, end=NOW, names=(CART, MAIL)), error_group("mail", 3, end=NOW, names=(MAIL,)))

    facts = endpoint_detail(store.reader, of(3_600), Thresholds(), name=MAIL, sort="newest")

    assert [("mail", 3), (KEY, 1)] == [(row["group"], row["count"]) for row in facts["errors"]]


def test_groups_of_a_day_are_bounded(store, monkeypatch):
    monkeypatch.setattr(error_groups, "MOST_GROUPS", 5)
    for number in range(4):
        put(store, *(error_group(f"{number}-{it}", 1, end=NOW - number) for it in range(3)), end=NOW - number)

    rows = {row["group"]: row["count"] for row in errors(store.reader, of(3_600))["rows"]}

    assert (6, 7) == (len(rows), rows["other"])


def test_times_outside_of_the_period_are_not_stored(store):
    put(store, evolve(error_group(end=NOW), first=0.0, last=9e9))

    (row,) = errors(store.reader, of(3_600))["rows"]
    assert (NOW - 60, NOW) == (row["first"], row["last"])


def test_old_days_are_deleted_with_their_errors(store):
    put(store, error_group(end=NOW - 40 * DAY), end=NOW - 40 * DAY, now=NOW - 40 * DAY)
    for day in range(12):
        put(store, end=NOW - day * DAY)

    assert [] == errors(store.reader, of(100 * DAY))["rows"]


def test_a_file_of_the_version_before_is_upgraded(tmp_path):
    before = Store(tmp_path / "data")
    put(before, error_group(end=NOW), traces=(evolve(trace(1, ERROR), start=NOW - 10),))
    before.close()
    for kind in files.KINDS:
        connection = sqlite3.connect(files.path_of(tmp_path / "data", kind, files.day_of(NOW)))
        if kind == "traces":
            connection.executescript("DROP INDEX error_grp; ALTER TABLE error DROP COLUMN grp")
        else:
            connection.executescript("DROP TABLE error_rollup; DROP TABLE error_series; DROP TABLE error_group")
        connection.execute("PRAGMA user_version = 9")
        connection.commit()
        connection.close()
    again = Store(tmp_path / "data")
    put(again, error_group(KEY, 2, end=NOW + 60), end=NOW + 60, now=NOW + 60)
    facts = errors(again.reader, of(3_600, end=NOW + 120))
    versions = [again.reader.rows(kind, "PRAGMA user_version") for kind in files.KINDS]
    again.close()

    assert ([(KEY, 2)], 1) == ([(row["group"], row["count"]) for row in facts["rows"]], facts["in_traces"]["total"])
    assert [[(VERSION,)]] * 2 == versions


def test_too_many_groups_and_names_are_summed_up_and_counted():
    groups = tuple(error_group(f"{number}", number + 400, end=NOW) for number in range(MAX_GROUPS + 20))
    long = evolve(groups[-1], endpoints={f"{number}": 1 for number in range(300)}, title="t" * 30_000)

    capped, cut = cap(evolve(report(end=NOW, traces=0), error_groups=(*groups[:-1], long)))

    assert sum(group.count for group in groups) == sum(group.count for group in capped.error_groups)
    assert MAX_GROUPS + 1 == len(capped.error_groups)
    found = next(group for group in capped.error_groups if group.group == long.group)
    assert (20_000, 201, 300) == (len(found.title), len(found.endpoints), sum(found.endpoints.values()))
    assert {"groups of errors beyond 500", "transactions of a group of errors beyond 200"} <= cut.keys()


@pytest.mark.parametrize(
    "changes", [{"count": 10**10}, {"group": ""}, {"endpoints": {"": 1}}, {"endpoints": {"a": 6}}, {"handled": 6}]
)
def test_impossible_groups_are_rejected(changes):
    made = evolve(report(end=NOW, traces=0), error_groups=(evolve(error_group(end=NOW), **changes),))

    with pytest.raises(RejectedReport, match="errors '"):
        validate(made, oldest=0.0, now=NOW)


def test_times_of_a_clock_that_is_wrong_are_shifted():
    example = ErrorExample(name=CART, time=NOW, error=ERROR, tags={}, trace="")
    made = evolve(report(end=NOW, traces=0), error_groups=(evolve(error_group(end=NOW), example=example),))

    shifted, _ = shift(made, 3_600.0)

    (group,) = shifted.error_groups
    assert (NOW - 3_650, NOW - 3_605, NOW - 3_600) == (group.first, group.last, group.example.time)
