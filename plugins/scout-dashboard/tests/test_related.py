"""Traces of several services that are parts of one distributed trace."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from sample_reports import report
from visitor import visitor_of

from scout_core.measuring.report import SpanRecord, Trace
from scout_dashboard.collector import Collector
from scout_dashboard.queries import Queries
from scout_dashboard.store import Store, files
from scout_dashboard.store.schema import VERSION
from scout_dashboard.tally import Tally

NOW = float(int(time.time()) // 86_400 * 86_400 + 43_200)
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OF_CALL, UNKNOWN = "b7ad6b7169203331", "00f067aa0ba902b7"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data")
    yield opened
    opened.close()


def trace(id: str, name: str, *, start: float = NOW - 2, trace_id: str = TRACE, **more) -> Trace:
    call = SpanRecord(id=1, parent=0, operation="HTTP/GET", start=0.1, duration=0.2, tags={})
    return Trace(
        id=id * 16, name=name, start=start, duration=1.0, queue_time=None, is_error=False, error=None, tags={}, score=1.0,
        policies={}, spans=(call,), trace_id=trace_id, **more,
    )  # fmt: skip


def put(store: Store, *traces: Trace, end: float = NOW, number: int = 1) -> None:
    base = report(end=end, number=number, traces=0)
    assert store.apply(evolve(base, id=f"{base.process.instance}-{number}", traces=traces), now=NOW)


HOME = trace("a", "Controller/shop.home", parent_span_id=UNKNOWN, calls={OF_CALL: 1})
PRICES = trace("b", "Controller/prices.all", start=NOW - 1.9, parent_span_id=OF_CALL)
MAIL = trace("c", "Job/mail.send", start=NOW - 1.5, parent_span_id="a" * 16)
OTHER = trace("d", "Controller/stock.all", start=NOW - 1.4, parent_span_id=UNKNOWN)
STRANGER = trace("e", "Controller/shop.home", trace_id=TRACE[::-1])


def related(store: Store, trace: Trace) -> list[tuple]:
    facts = Queries(store, Tally()).trace(trace.id)
    return [(row["id"][0], row["is_caller"], row["called_from"], row["starts_after_ms"]) for row in facts["related"]]


def test_each_trace_shows_the_others_and_who_called_whom(store):
    put(store, HOME, PRICES, STRANGER)
    put(store, MAIL, OTHER, number=2)

    assert [
        ("b", False, "HTTP/GET", 100.0),
        ("c", False, "Controller/shop.home", 500.0),
        ("d", False, None, 600.0),
    ] == related(store, HOME)
    assert [("a", True, None, -100.0), ("c", False, None, 400.0), ("d", False, None, 500.0)] == related(store, PRICES)
    assert ("a", True, None, -500.0) == related(store, MAIL)[0]
    assert [] == related(store, STRANGER)


def test_the_facts_name_the_distributed_trace(store):
    put(store, HOME)
    facts = Queries(store, Tally()).trace(HOME.id)

    assert (TRACE, UNKNOWN) == (facts["trace"]["trace_id"], facts["trace"]["parent_span_id"])
    assert ([], 0) == (facts["related"], facts["related_count"])


def test_parts_are_found_across_midnight(store):
    midnight = float(int(NOW) // 86_400 * 86_400)
    put(store, evolve(HOME, start=midnight - 0.5), end=midnight - 0.1)
    put(store, evolve(PRICES, start=midnight + 0.5), end=midnight + 1.6, number=2)

    assert [("b", False, "HTTP/GET", 1000.0)] == related(store, HOME)
    assert [("a", True, None, -1000.0)] == related(store, PRICES)


@pytest.mark.parametrize(
    "trace_id", ["", "x", TRACE.upper(), TRACE + "0", "'; DROP TABLE trace; --", "0" * 31 + "\u0660"]
)
def test_ids_of_another_form_are_stored_and_lead_nowhere(store, trace_id):
    caller, called = (evolve(trace, trace_id=trace_id, calls={"no id": 1}) for trace in (HOME, PRICES))
    put(store, caller, called)

    assert [] == related(store, caller)
    assert trace_id == Queries(store, Tally()).trace(caller.id)["trace"]["trace_id"]


def test_a_detached_transaction_names_the_one_that_started_it(store):
    put(store, HOME, evolve(MAIL, started_by=HOME.id), evolve(OTHER, started_by=MAIL.id[::-1]))
    queries = Queries(store, Tally())
    started_by = [queries.trace(trace.id)["trace"]["started_by"] for trace in (HOME, MAIL, OTHER)]

    assert [
        None,
        {"id": HOME.id, "name": "Controller/shop.home", "label": "shop.home"},
        {"id": MAIL.id, "name": "Job/mail.send", "label": "mail.send"},
    ] == started_by


@pytest.mark.parametrize("started_by", ["", "x", "A" * 16, "0" * 15 + "\u0660", "'; DROP TABLE trace; --", "f" * 16])
def test_a_starter_that_is_not_stored_or_no_id_leads_nowhere(store, started_by):
    put(store, evolve(MAIL, started_by=started_by))
    expected = {"id": "f" * 16, "name": None, "label": None} if started_by == "f" * 16 else None

    assert expected == Queries(store, Tally()).trace(MAIL.id)["trace"]["started_by"]


def test_a_trace_with_very_many_parts_shows_the_first(store):
    parts = [evolve(PRICES, id=f"{number:016x}", start=NOW - 1 - number / 1_000) for number in range(150)]
    put(store, HOME, *parts)
    facts = Queries(store, Tally()).trace(HOME.id)

    assert (100, 150) == (len(facts["related"]), facts["related_count"])


def test_a_file_of_an_earlier_version_is_upgraded(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    before = Store(directory)
    put(before, STRANGER)
    before.close()
    for kind in files.KINDS:
        connection = sqlite3.connect(files.path_of(directory, kind, files.day_of(NOW)))
        if kind == "traces":
            connection.execute("DROP TABLE member")
        connection.execute("PRAGMA user_version = 4")
        connection.commit()
        connection.close()
    again = Store(directory)
    put(again, HOME, PRICES, number=2)
    found = related(again, HOME)
    (version,) = again.reader.rows("traces", "PRAGMA user_version")
    again.close()

    assert ["b"] == [row[0] for row in found]
    assert (VERSION,) == version


def test_the_page_links_the_parts(tmp_path: Path) -> None:
    now = time.time()
    with Collector.running(state_dir=tmp_path / "state") as collector:
        shift = now - NOW
        started = evolve(OTHER, started_by=HOME.id)
        lost = evolve(STRANGER, started_by="f" * 16)
        made = [evolve(trace, start=trace.start + shift) for trace in (HOME, PRICES, started, lost)]
        base = report(end=now, traces=0)
        assert collector.store.apply(evolve(base, traces=tuple(made)), now=now)
        visitor = visitor_of(collector)
        page = visitor.page(f"/trace/{HOME.id}")
        called = visitor.page(f"/trace/{PRICES.id}")
        background, unknown = visitor.page(f"/trace/{OTHER.id}"), visitor.page(f"/trace/{STRANGER.id}")

    assert [] == [*page.problems, *called.problems, *background.problems, *unknown.problems]
    links = [element.attributes["href"] for element in page.elements if "/trace/" in element.attributes.get("href", "")]
    assert [PRICES.id, PRICES.id, OTHER.id] == [link.rpartition("/")[2] for link in links if "/json/" not in link]
    assert f"Distributed trace {TRACE}" in page.text
    assert "called from HTTP/GET" in page.text
    assert "2 other traces stored" in page.text
    assert "called this transaction" in called.text
    assert "Started by" not in page.text
    assert "Started by shop.home; not part of its duration" in background.text
    assert f"Started by transaction {'f' * 16}, whose trace is not stored; not part of its duration" in unknown.text
