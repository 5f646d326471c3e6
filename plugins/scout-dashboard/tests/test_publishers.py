"""From a request to the jobs that it published, and back: links between the traces of both."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from attrs import evolve
from known_shop import metrics
from payloads import PAYLOADS
from sample_reports import queue_metrics, report
from visitor import visitor_of

from scout_core.measuring.report import SpanRecord, Trace
from scout_dashboard.collector import Collector
from scout_dashboard.ranges import Range, zoomed_range
from scout_dashboard.store import Store, files
from scout_dashboard.store.publishers import jobs_published_by, publishers_of

if TYPE_CHECKING:
    from browser import Opened

pytest_plugins = ("browser",)  # its fixtures; not imported here, as pytest must rewrite its asserts first

NOW = float(int(time.time()) // 86_400 * 86_400 + 43_200)
HOUR = zoomed_range(NOW - 3_600, NOW + 3_600)
ORDER, MAIL, STOCK = "Controller/shop.order", "Job/mail.send", "Job/stock.count"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def trace(number: int, name: str, *, of: int, parent: str = "", start: float = NOW - 5, **more) -> Trace:
    """Return a trace in the distributed trace ``of``, in which span 1 published something."""
    return Trace(
        id=f"{number:016x}", name=name, start=start, duration=1.0, queue_time=2.0 if name.startswith("Job/") else None, is_error=False,
        error=None, tags={}, score=1.0, policies={"speed": 1.0}, trace_id=f"{of:032x}", parent_span_id=parent,
        spans=(SpanRecord(id=1, parent=0, operation="Publish/mail.send", start=0.1, duration=0.2, tags={}),),
        calls={span_of(number): 1}, **more,
    )  # fmt: skip


def span_of(number: int) -> str:
    """Return the id of the span with which a trace publishes."""
    return f"{number + 0xFFFF0000:016x}"


def put(store: Store, *traces: Trace, end: float = NOW, number: int = 1, app: str = "Shop") -> None:
    base = report(end=end, number=number, traces=0, app=app)
    assert store.apply(evolve(base, id=f"{app}-{number}", traces=traces), now=NOW)


def pairs(store: Store, when: Range = HOUR) -> dict[str, list[tuple[str, int, int]]]:
    """Return the neighbours of each name as name, count, and the number of the newest trace."""
    return {
        name: [(found.name, found.count, int(found.trace, 16)) for found in read(store.reader, when, name)]
        for name, read in ((ORDER, jobs_published_by), (MAIL, publishers_of), (STOCK, publishers_of))
    }


def test_a_request_has_the_jobs_that_it_published_and_a_job_its_publishers(store):
    put(
        store,
        *(trace(number, ORDER, of=number, start=NOW - 5 - number) for number in (1, 2)),
        trace(11, MAIL, of=1, parent=span_of(1), start=NOW - 3),
        trace(12, MAIL, of=2, parent=span_of(2), start=NOW - 4),
        trace(13, STOCK, of=2, parent=f"{2:016x}"),
        trace(14, STOCK, of=2, parent=span_of(12)),
        trace(15, "Controller/prices.all", of=2, parent=span_of(2)),
    )
    put(store, trace(16, MAIL, of=1, parent="", start=NOW - 1), trace(17, MAIL, of=9, parent=span_of(1)), number=2)

    assert {
        ORDER: [(MAIL, 2, 11), (STOCK, 1, 13)],
        MAIL: [(ORDER, 2, 1)],
        STOCK: [(ORDER, 1, 2), (MAIL, 1, 12)],
    } == pairs(store)


def test_other_applications_and_times_are_left_out(store):
    put(store, trace(1, ORDER, of=1))
    put(store, trace(11, MAIL, of=1, parent=span_of(1)), app="Worker")

    assert ([(MAIL, 1, 11)], [(ORDER, 1, 1)]) == (pairs(store)[ORDER], pairs(store)[MAIL]), "of any application"
    assert [] == pairs(store, evolve(HOUR, app="Worker"))[ORDER]
    assert [(ORDER, 1, 1)] == pairs(store, evolve(HOUR, app="Worker"))[MAIL]
    assert {ORDER: [], MAIL: [], STOCK: []} == pairs(store, zoomed_range(NOW - 7_200, NOW - 3_600))


def test_a_distributed_trace_of_very_many_parts_is_read_in_time(store):
    """A scheduler in one endless trace: 300 traces of 300 parts would be 90,000 pairs; a limit ends the reading."""
    put(store, *(trace(number, MAIL, of=1, parent=span_of(number - 1)) for number in range(1, 301)))
    started = time.thread_time()
    found = pairs(store)[MAIL]

    assert time.thread_time() - started < 1.0
    assert [MAIL] == [name for name, _, _ in found]


def test_a_file_of_an_earlier_version_gets_the_index(tmp_path):
    store = Store(tmp_path / "data")
    put(store, trace(1, ORDER, of=1), trace(11, MAIL, of=1, parent=span_of(1)))
    store.close()
    with sqlite3.connect(files.path_of(store.directory, "traces", files.day_of(NOW))) as connection:
        connection.executescript(
            "DROP INDEX member_id; DROP INDEX error_grp; ALTER TABLE error DROP COLUMN grp; PRAGMA user_version = 6"
        )
    connection.close()

    again = Store(tmp_path / "data")
    found = pairs(again)[MAIL]
    indexes = again.reader.rows("traces", "SELECT name FROM sqlite_schema WHERE name = 'member_id'")
    again.close()

    assert ([(ORDER, 1, 1)], [("member_id",)]) == (found, indexes)


def fill(collector: Collector, *traces: Trace) -> None:
    """Send traces and figures of the same names as of now."""
    now = time.time()
    base = report(end=now, traces=0)
    mail = evolve(metrics(MAIL, 2, 0.5), queues={"mail": queue_metrics([0.5] * 2, [2.0] * 2)})
    transactions = metrics(ORDER, 2, 0.5), mail
    made = tuple(evolve(trace, start=trace.start - NOW + now) for trace in traces)
    assert collector.store.apply(evolve(base, transactions=transactions, traces=made), now=now)


def test_the_pages_link_both(collector: Collector, opened: Opened) -> None:
    fill(
        collector,
        trace(1, ORDER, of=1),
        trace(11, MAIL, of=1, parent=span_of(1), start=NOW - 3),
        trace(12, MAIL, of=3, parent=span_of(3)),
    )
    page = opened(collector).open(f"/endpoint?name={quote(ORDER)}")
    page.click("#published .name a")
    page.wait_for_selector("#publishers")
    assert "mail.send" in (page.text_content("h1") or "")
    page.click("#publishers tbody td:last-child a")

    page.wait_for_selector("#timeline")
    assert "shop.order" in (page.text_content("h1") or "")
    assert "1 job" == page.text_content("#timeline .tag.job")
    assert "published from Publish/mail.send, waited 2.00 s" in " ".join((page.text_content("#related") or "").split())
    page.click("#span-1 summary")
    page.click("#span-1 .more a")

    page.wait_for_selector("#published-by")
    assert "Published by shop.order" in (page.text_content("#published-by") or "")
    assert "published this job" in (page.text_content("#related") or "")
    page.click("#published-by a")
    page.wait_for_selector("#timeline .tag.job")
    assert f"/trace/{1:016x}" in page.url


def test_a_publisher_without_a_trace_is_shown_as_such(collector: Collector) -> None:
    fill(
        collector,
        trace(12, MAIL, of=3, parent=span_of(3)),
        trace(13, MAIL, of=4),
        trace(14, ORDER, of=5, parent=span_of(5)),
    )
    pages = [visitor_of(collector).page(f"/trace/{number:016x}") for number in (12, 13, 14)]

    assert [] == [problem for page in pages for problem in page.problems]
    assert "Published by a transaction whose trace is not stored" in pages[0].text
    assert ["Published" in page.text for page in pages] == [True, False, False]


def test_hostile_names_are_text(collector: Collector) -> None:
    parts = [
        trace(number, f"Job/{payload}", of=1, parent=span_of(1))
        for number, payload in enumerate(PAYLOADS[:30], start=50)
    ]
    fill(collector, trace(1, ORDER, of=1), *parts)
    visitor = visitor_of(collector)
    pages = [
        visitor.page(f"/endpoint?name={quote(ORDER)}"),
        visitor.page(f"/trace/{1:016x}"),
        visitor.page(f"/trace/{60:016x}"),
    ]

    for page in pages:
        assert [] == page.problems
        assert {"img", "iframe", "object", "style"}.isdisjoint(element.tag for element in page.elements)
