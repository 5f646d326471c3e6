"""Reports that arrive at the same time are stored in one transaction, and each gets its own answer."""

from __future__ import annotations

import asyncio
import sqlite3
import time

import pytest
from sample_reports import report

from scout_core.errors import RejectedReport
from scout_core.sending import wire
from scout_dashboard.errors import StoreError
from scout_dashboard.ranges import zoomed_range
from scout_dashboard.store import Store, files, schema
from scout_dashboard.store.rollups import by_name
from scout_dashboard.tally import Tally
from scout_dashboard.writer import Writer

NOW = time.time()
END = int(NOW // 60) * 60 - 60.0
TODAY = zoomed_range(END - 3_600, END + 3_600)


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def of_process(number, *, end=END):
    return report(end=end, number=1, instance=f"{number:016x}", traces=2)


def answers(store, tally, bodies):
    """The answers to reports that are all waiting when the first one is stored."""

    async def take_all():
        return await asyncio.gather(*(writer.take(body, arrived=NOW) for body in bodies), return_exceptions=True)

    writer = Writer(store, tally)
    try:
        return asyncio.run(take_all())
    finally:
        writer.close()


def test_each_report_gets_its_own_answer(store):
    tally, sent = Tally(), [of_process(number) for number in range(40)]
    bodies = [wire.encode(incoming) for incoming in sent]
    found = answers(store, tally, [*bodies[:20], b"{", *bodies[20:], bodies[0], b"nothing"])

    assert [True] * 20 == found[:20]
    assert [True] * 20 + [False] == found[21:-1]
    assert [RejectedReport, RejectedReport] == [type(found[20]), type(found[-1])]
    assert (40, 1, 80) == (tally.facts()["reports"], tally.facts()["duplicates"], tally.facts()["traces"])
    assert 40 == len(store.reader.rows("metrics", "SELECT id FROM report"))
    assert sum(metrics.count for incoming in sent for metrics in incoming.transactions) == sum(
        ranked.count for web in (True, False) for ranked in by_name(store.reader, TODAY, web=web).values()
    )


def test_a_report_that_cannot_be_stored_does_not_keep_others_from_it(store, monkeypatch):
    """Another program holds the file of its day."""
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.01)
    yesterday = END - 86_400.0
    store.apply(of_process(0, end=yesterday), now=END)
    store._connections.close_all()
    holder = sqlite3.connect(files.path_of(store.directory, "metrics", files.day_of(yesterday)), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    sent = [of_process(number, end=yesterday if number == 1 else END) for number in range(1, 7)]
    found = answers(store, Tally(), [wire.encode(incoming) for incoming in sent])
    holder.close()

    assert [StoreError, True, True, True, True, True] == [
        type(answer) if isinstance(answer, Exception) else answer for answer in found
    ]
    assert {incoming.id for incoming in sent[1:]} == {
        number for (number,) in store.reader.rows("metrics", "SELECT id FROM report", start=END)
    }


def test_reports_of_two_days_are_stored_together(store):
    ends = [END, END - 86_400.0, END]
    found = answers(store, Tally(), [wire.encode(of_process(number, end=end)) for number, end in enumerate(ends)])

    assert [True, True, True] == found
    assert [(1,), (2,)] == store.reader.rows("metrics", "SELECT count(*) FROM report")


def test_a_failure_to_delete_old_days_is_logged_once_and_raises_nothing(tmp_path, caplog):
    """The server awaits it, so that whatever it raises would end the server."""
    store = Store(tmp_path / "data")
    writer = Writer(store, Tally())
    (tmp_path / "data").rename(tmp_path / "gone")
    try:
        for _ in range(2):
            asyncio.run(writer.tidy())
    finally:
        writer.close()
        (tmp_path / "gone").rename(tmp_path / "data")
        store.close()

    (message,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert message.startswith("days past their retention cannot be deleted: ")
    assert str(tmp_path / "data") in message
