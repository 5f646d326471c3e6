"""Lists of traces and errors over several days are those of one sorted list, though older days are read only as far as needed."""

from __future__ import annotations

import random
import sqlite3
import time

import pytest
from attrs import evolve
from sample_reports import report

from scout_dashboard.ranges import zoomed_range
from scout_dashboard.store import Store, errors, files
from scout_dashboard.store.errors import list_errors
from scout_dashboard.store.tables import VERSION
from scout_dashboard.store.traces import ORDERS, count_traces, list_traces

DAY = 86_400
END = float(int(time.time()) // DAY * DAY - 300)
WHEN = zoomed_range(END - 4 * DAY, END + 600)
HOURS = zoomed_range(END - 3 * 3_600, END + 600)


@pytest.fixture(scope="module")
def sent():
    """Reports of three days; some of their traces started long before, also on the day before, and many at the same moment."""
    dice, found = random.Random(3), []
    for number in range(60):
        end = END - number * 4_000
        base = report(end=end, number=number + 1, traces=6)
        traces = tuple(
            evolve(
                trace, start=end - dice.choice([0.5, 30.0, 60.0, 5_000.0, 80_000.0]), score=float(dice.randint(1, 4)),
                queue_time=dice.choice([None, 0.1, 1 / 3]),
                error=trace.error and evolve(trace.error, group=dice.choice(["", "", trace.error.group])),
            )
            for trace in base.traces
        )  # fmt: skip
        found.append(evolve(base, traces=traces))
    return found


@pytest.fixture(scope="module")
def store(sent, tmp_path_factory):
    opened = Store(tmp_path_factory.mktemp("traces") / "data")
    for incoming in sent:
        opened.apply(incoming, now=END)
    yield opened
    opened.close()


def kept(sent, when):
    return [trace for incoming in sent if when.start <= incoming.end // 60 * 60 < when.end for trace in incoming.traces]


@pytest.mark.parametrize("limit", [1, 7, 100, 5_000])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", [None, "Controller/shop.home"])
@pytest.mark.parametrize("when", [WHEN, HOURS], ids=["days", "hours"])
def test_the_first_traces_of_every_order_are_those_of_the_whole_list(store, sent, order, limit, name, when):
    def of_order(traces):
        return [tuple(getattr(trace, column) for column in ORDERS[order]) for trace in traces]

    expected = [trace for trace in kept(sent, when) if name in (None, trace.name)]
    found = list_traces(store.reader, when, order=order, limit=limit, name=name)

    assert sorted(of_order(expected), reverse=True)[:limit] == of_order(found)
    assert {
        trace.id: (trace.start, trace.duration, trace.queue_time, trace.score, trace.policies) for trace in expected
    }.items() >= {row.id: (row.start, row.duration, row.queue_time, row.score, row.policies) for row in found}.items()
    assert len(expected) == count_traces(store.reader, when, name=name)


@pytest.mark.parametrize("when", [WHEN, HOURS], ids=["days", "hours"])
def test_errors_without_a_group_are_listed_newest_first(store, sent, when):
    expected = [(trace.start, trace.id) for trace in kept(sent, when) for error in trace.errors if not error.group]
    found = [(row.start, row.trace) for row in list_errors(store.reader, when)]

    assert sorted(expected) == sorted(found)
    assert sorted((start for start, _ in expected), reverse=True) == [start for start, _ in found]


@pytest.fixture(scope="module")
def failing(sent, tmp_path_factory):
    """A store of four days in which every trace has an error without a group. Some started after later ones: a clock was ahead."""
    dice = random.Random(4)
    failed = next(trace for incoming in sent for trace in incoming.traces if trace.error)
    error = evolve(failed.error, group="")
    opened = Store(tmp_path_factory.mktemp("failing") / "data")
    for number in range(40):
        end = END - number * 8_000
        starts = [end - dice.choice([0.5, 30.0, 30.0, 80_000.0, -90_000.0]) for _ in range(3)]
        traces = tuple(
            evolve(failed, id=f"{number:08x}{index:08x}", start=start, error=error)
            for index, start in enumerate(starts)
        )
        opened.apply(evolve(sent[0], id=f"00c0ffee00c0ffee-{number}", start=end - 60, end=end, traces=traces), now=END)
    yield opened
    opened.close()


@pytest.mark.parametrize("most", [1, 2, 5, 17, 50])
@pytest.mark.parametrize("when", [WHEN, zoomed_range(END - 18_000, END + 600)], ids=["days", "hours"])
def test_errors_beyond_the_limit_are_the_oldest_whichever_file_has_them(failing, when, most, monkeypatch):
    everything = list_errors(failing.reader, when)
    monkeypatch.setattr(errors, "MOST_ROWS", most)

    assert len(everything) > (most if when is WHEN else 2)
    assert [row.start for row in everything[:most]] == [row.start for row in list_errors(failing.reader, when)]


def test_a_file_of_an_earlier_version_gets_the_indexes(tmp_path, sent):
    store = Store(tmp_path / "data")
    store.apply(sent[0], now=END)
    path = files.path_of(store.directory, "traces", files.day_of(sent[0].end))
    store.close()
    with sqlite3.connect(path) as connection:
        connection.executescript(
            "DROP INDEX error_grp; ALTER TABLE error DROP COLUMN grp; DROP INDEX trace_start; DROP INDEX trace_minute; CREATE INDEX trace_minute ON trace (minute); PRAGMA user_version = 8"
        )
    connection.close()

    again = Store(tmp_path / "data")
    listed = list_traces(again.reader, WHEN, order="newest", limit=99)
    names = "SELECT name, sql FROM sqlite_master WHERE name IN ('trace_minute', 'trace_start') ORDER BY name"
    indexes = {name: sql.strip() for name, sql in again.reader.rows("traces", names)}
    (version,) = again.reader.rows("traces", "PRAGMA user_version")
    again.close()

    assert len(sent[0].traces) == len(listed)
    assert (VERSION,) == version
    assert {
        "trace_minute": "CREATE INDEX trace_minute ON trace (minute, app)",
        "trace_start": "CREATE INDEX trace_start ON trace (start)",
    } == indexes
