"""Clocks that are wrong: that of the collector deletes nothing, and that of an application is corrected."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from attrs import frozen
from sample_reports import report
from visitor import visitor_of

from scout_core.measuring.report import Report
from scout_core.sending import wire
from scout_core.sending.intake import SENT_HEADER
from scout_dashboard import intake
from scout_dashboard.clocks import UNKNOWN, Clocks
from scout_dashboard.collector import Collector
from scout_dashboard.ranges import named_range
from scout_dashboard.store import Store, files
from scout_dashboard.store.files import Kind
from scout_dashboard.store.retention import expiry_day

DAY = 86_400
TODAY = 20_000
MONTH = [*range(TODAY - 30, TODAY + 1)]


@pytest.mark.parametrize(
    ("stored", "clock", "expected"),
    [
        ([], TODAY, TODAY),
        (MONTH, TODAY, TODAY),
        (MONTH, TODAY + 1, TODAY + 1),
        (MONTH, TODAY + 2, TODAY + 1),
        (MONTH, TODAY + 60, TODAY + 1),
        (MONTH, TODAY + 20_000, TODAY + 1),
        ([*MONTH, TODAY + 60], TODAY + 60, TODAY + 1),  # its application has the same clock
        ([*MONTH, *range(TODAY + 60, TODAY + 66)], TODAY + 65, TODAY + 1),
        ([*MONTH, *range(TODAY + 60, TODAY + 67)], TODAY + 66, TODAY + 66),
        ([*MONTH, TODAY + 4], TODAY + 4, TODAY + 4),  # a long weekend
        ([*MONTH, TODAY + 60], TODAY, TODAY),  # the clock is right again
        ([*range(TODAY - 300, TODAY, 30)], TODAY - 30, TODAY - 209),  # used once a month
        (MONTH, TODAY - 2, TODAY - 2),  # behind
    ],
)
def test_data_expires_at_most_one_day_after_the_latest_that_can_be_believed(stored, clock, expected):
    assert expected == expiry_day(stored, clock)


@pytest.mark.parametrize("ahead", [32, 60, 3_650])
def test_a_collector_whose_clock_is_ahead_deletes_nothing_and_shows_it(tmp_path, caplog, ahead):
    now = time.time()
    with closing(Store(tmp_path / "state" / "data", retention_days=3, trace_retention_days=2)) as store:
        for ago in range(3, -1, -1):
            store.apply(report(end=now - ago * DAY, number=9 - ago), now=now - ago * DAY)
        before = [files.days(store.directory, kind) for kind in files.KINDS]
        store.tidy(now + ahead * DAY)
        store.apply(report(end=now + ahead * DAY, number=20), now=now + ahead * DAY)
        after = [files.days(store.directory, kind)[:-1] for kind in files.KINDS]
        doubtful = store.doubtful

    gone = [[day for day in old if day not in new] for old, new in zip(before, after, strict=True)]
    assert [[files.day_of(now) - 3], [files.day_of(now) - 2]] == gone, "the day that expires with the next one"
    assert doubtful == sum(map(len, after))
    assert "past their retention by the clock of this machine" in caplog.text


def test_health_shows_days_that_are_kept_because_of_the_clock(tmp_path):
    """The files are a year old: the clock of this machine may have been set a year ahead."""
    past = time.time() - 365 * DAY
    with closing(Store(tmp_path / "state" / "data", retention_days=3_650, trace_retention_days=3_650)) as store:
        for ago in range(3):
            store.apply(report(end=past - ago * DAY, number=9 - ago), now=past)
    with Collector.running(state_dir=tmp_path / "state") as collector:
        visitor = visitor_of(collector)
        facts, page = visitor.facts("/health"), visitor.page("/health").text

    assert 6 == facts["doubtful"]
    assert "The clock may be wrong 6 files are past the retention" in page


def rename_to(directory: Path, kind: Kind, day: int, *, of: int) -> str:
    """Give the file of a day the name that it has when the clock was wrong, and return that."""
    old, new = files.path_of(directory, kind, of), files.path_of(directory, kind, day)
    old.rename(new)
    return new.name


@pytest.mark.parametrize(("ahead", "is_shown"), [(0, False), (2, True), (400, True)])
def test_health_shows_files_of_days_to_come(tmp_path, ahead, is_shown, caplog):
    """A clock was ahead when they were written: no range that ends now has their data, and they do not expire."""
    now = time.time()
    day = files.day_of(now)
    with closing(Store(tmp_path / "state" / "data")) as store:
        store.apply(report(end=now), now=now)
        directory = store.directory
    names = [rename_to(directory, kind, day + ahead, of=day) for kind in files.KINDS]
    with closing(sqlite3.connect(directory / names[0])) as connection:
        connection.execute("UPDATE process SET seen = seen + ?", (ahead * DAY,))
        connection.commit()
    with Collector.running(state_dir=tmp_path / "state") as collector:
        visitor = visitor_of(collector)
        facts, page = visitor.facts("/health"), visitor.page("/health").text

    assert (names if is_shown else []) == [file["name"] for file in facts["ahead"]]
    assert ("Files of days to come 2 files" in page) == is_shown
    assert all((name in page) == is_shown for name in names)
    assert is_shown == ("check the clock, and move these files away or delete them" in page)
    assert is_shown == ("days to come" in caplog.text)
    assert (0 if is_shown else 1) == len(facts["processes"]), "a process of a day to come is not running"


def test_the_file_of_tomorrow_is_not_shown_just_before_midnight(tmp_path):
    """A clock that is a minute ahead is not corrected."""
    midnight = (time.time() // DAY + 1) * DAY
    with closing(Store(tmp_path / "data")) as store:
        store.apply(report(end=midnight + 30), now=midnight - 20)

        assert [] == store.ahead(midnight - 20)
        assert 2 == len(store.ahead(midnight - 2 * 3_600))


def post(collector: Collector, sent: Report, clock: str | None) -> int:
    headers = {"Authorization": f"Bearer {collector.token}", "Content-Type": wire.CONTENT_TYPE}
    if clock is not None:
        headers[SENT_HEADER] = clock
    with urlopen(
        Request(f"{collector.url}/api/v1/reports", data=wire.encode(sent), headers=headers), timeout=10
    ) as answer:
        return answer.status


AHEAD = {"2 h ahead": 7_200, "3 h behind": -10_800, "2 d ahead": 2 * DAY, "90 d behind": -90 * DAY, "2 min ahead": 150}


@pytest.mark.parametrize("words", AHEAD)
def test_times_of_a_wrong_clock_are_corrected_by_the_time_of_arrival(collector, words):
    now = time.time()
    assert 202 == post(collector, report(end=now + AHEAD[words]), f"{now + AHEAD[words]}")
    visitor = visitor_of(collector)
    shown = visitor.facts("/overview?range=15m")
    traces = visitor.facts("/traces?range=15m")["rows"]
    (process,) = collector.queries.health()["processes"]

    assert shown["totals"]["count"] > 0
    assert len(traces) == 6
    assert all(now - 65 < trace["start"] < now + 5 for trace in traces)
    assert now - 65 < process["started"] < process["seen"] < now + 5
    assert {f"times of a clock that is {words}": 1} == process["corrected"]
    assert f"times of a clock that is {words} 1" in visitor.page("/health").text


@pytest.mark.parametrize("offset", [0, 30, 7_200, -7_200])
def test_a_report_that_was_made_before_the_clock_was_set_back_is_corrected(collector, offset):
    """It waited for the collector, or was sent again, while the clock was set back by two hours."""
    now = time.time()
    assert 202 == post(collector, report(end=now + offset + 7_200), f"{now + offset}")
    visitor = visitor_of(collector)
    (process,) = collector.queries.health()["processes"]

    assert visitor.facts("/overview?range=15m")["totals"]["count"] > 0
    assert 6 == len(visitor.facts("/traces?range=15m")["rows"])
    assert now - 65 < process["seen"] < now + 35
    assert 1 == len(process["corrected"])
    assert "times of a clock that is" in visitor.page("/health").text


@pytest.mark.parametrize("offset", [0, 30, -30])
def test_a_clock_that_is_about_right_is_not_corrected(collector, offset):
    now = time.time()
    post(collector, report(end=now + offset), f"{now + offset}")

    assert {} == collector.queries.health()["collector"]["corrected"]


def test_a_report_that_is_late_is_not_corrected(collector):
    """The collector was down for three hours: the clock of the sender is right."""
    now = time.time()
    post(collector, report(end=now - 3 * 3_600), f"{now}")

    assert {} == collector.queries.health()["collector"]["corrected"]
    assert 0 == collector.queries.overview(named_range("15m"))["totals"]["count"]
    assert collector.queries.overview(named_range("6h"))["totals"]["count"]


@pytest.mark.parametrize("clock", [None, "", "soon", "nan", "inf", "-1", "1e300", "0", "1795000000000"])
def test_without_the_clock_of_the_sender_one_that_is_ahead_is_corrected_by_the_end(collector, clock):
    now = time.time()
    assert 202 == post(collector, report(end=now + 7_200), clock)
    assert 202 == post(collector, report(end=now - 7_200, instance="b" * 16), clock)

    assert {"times of a clock that is 2 h ahead": 1, UNKNOWN: 1} == collector.queries.health()["collector"]["corrected"]
    assert collector.queries.overview(named_range("15m"))["totals"]["count"]


def test_without_the_clock_of_the_sender_one_that_is_behind_is_corrected_from_the_second_report_on(
    collector, monkeypatch
):
    visitor, behind, before = visitor_of(collector), 7_200, time.time() - 60
    with monkeypatch.context() as patched:
        patched.setattr(intake, "time", Clock(before))
        assert 202 == post(collector, report(end=before - behind), None)
    first, page, health = (visitor.page(path).text for path in ("/?range=24h", "/?range=15m", "/health"))
    assert "No transactions" not in first
    assert "If it is reporting now, its clock may be behind" in page
    assert UNKNOWN in health
    assert 202 == post(collector, report(end=time.time() - behind, number=2), None)

    assert visitor.facts("/overview?range=15m")["totals"]["count"]
    assert {UNKNOWN: 1, "times of a clock that is 2 h behind": 1} == collector.queries.health()["collector"][
        "corrected"
    ]
    assert "times of a clock that is 2 h behind 1" in visitor.page("/health").text


@frozen
class Clock:
    """Stands for the module ``time``."""

    now: float

    def time(self) -> float:
        return self.now


NOW = 1_795_000_000.0
MINUTES = [NOW + 60 * number for number in range(6)]


def offsets(reports: list[tuple[float, float]], sent: float | None = None) -> list[float]:
    """Return the offset of each report, given as its end and its arrival."""
    clocks = Clocks()
    found = [clocks.offset_of(report(end=end, number=1), arrived=at, sent=sent) for end, at in reports]
    assert [offset == 0 and at - end > 60 for (offset, _), (end, at) in zip(found, reports, strict=True)] == [
        bool(hint) for _, hint in found
    ]
    return [round(offset) for offset, _ in found]


@pytest.mark.parametrize("behind", [90, 7_200, 3 * DAY])
def test_a_constant_delay_is_a_clock_that_is_behind(behind):
    assert [0, *[-behind] * 5] == offsets([(end - behind, end) for end in MINUTES])
    jitter = [0, 5, 1, 8, 0, 3]
    found = offsets([(end - behind, end + late) for end, late in zip(MINUTES, jitter, strict=True)])
    assert all(abs(offset + behind) <= 8 for offset in found[1:])


@pytest.mark.parametrize("pause", [0.0, 0.1, 5.0, 30.0])
def test_reports_that_waited_for_the_collector_are_late_and_not_corrected(pause):
    """They arrive one after the other, however long it takes for each, and the later ones have waited less."""
    assert [0] * 6 == offsets([(end, NOW + 7_200 + pause * number) for number, end in enumerate(MINUTES)])


def test_one_late_report_of_a_clock_that_is_known_to_be_behind_is_corrected_by_the_known_time():
    arrivals = [0, 0, 40, 0]
    found = offsets([(end - 7_200, end + late) for end, late in zip(MINUTES, arrivals, strict=False)])

    assert [0, -7_200, -7_200, -7_200] == found


def test_a_clock_that_is_set_right_is_no_longer_corrected():
    assert [0, -7_200, 0, 0] == offsets(
        [
            (MINUTES[0] - 7_200, MINUTES[0]),
            (MINUTES[1] - 7_200, MINUTES[1]),
            (MINUTES[2], MINUTES[2]),
            (MINUTES[3], MINUTES[3]),
        ]
    )


def test_the_same_report_again_is_corrected_as_before():
    assert [0, -7_200, -7_200] == offsets(
        [(MINUTES[0] - 7_200, MINUTES[0]), (MINUTES[1] - 7_200, MINUTES[1]), (MINUTES[1] - 7_200, MINUTES[1] + 30)]
    )


def test_processes_are_compared_with_themselves():
    clocks = Clocks()
    found = [
        clocks.offset_of(report(end=end - 7_200, instance=f"{number:016x}"), arrived=end, sent=None)[0]
        for number, end in enumerate(MINUTES)
    ]

    assert [0.0] * 6 == found


@pytest.mark.parametrize("offset", [7_200, -7_200])
def test_an_application_with_a_wrong_clock_is_visible(collector, offset):
    code = f"""
import scout_core.clocks
from scout_core.recording import transaction
real = scout_core.clocks.time
scout_core.clocks.time = transaction.time = lambda: real() + {offset}
scout_core.start(name="shop")
with scout_core.transaction("Controller/home"):
    pass
"""
    environment = {**os.environ, "SCOUT_STATE_DIR": str(collector.state_dir)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    (process,) = collector.queries.health()["processes"]

    assert 1 == collector.queries.overview(named_range("15m"))["totals"]["count"]
    assert [f"times of a clock that is 2 h {'ahead' if offset > 0 else 'behind'}"] == [*process["corrected"]]
