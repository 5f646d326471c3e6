"""The errors of kept traces that are in no group, as earlier agents send them, and files of earlier versions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from sample_reports import report

from scout_core.measuring.report import ErrorReport, Trace
from scout_dashboard.queries.error_groups import errors as all_errors
from scout_dashboard.ranges import Range, read_range
from scout_dashboard.store import Store, files
from scout_dashboard.store.errors import MOST_ROWS
from scout_dashboard.store.reader import Reader
from scout_dashboard.store.schema import VERSION

NOW = time.time()
PLACES = (("flask/app.py", 9, "dispatch"), ("/srv/shop/cart.py", 41, "total"))


def error(kind: str = "shop.Broken", *, line: int = 41, handled: bool = False, message: str = "no plan") -> ErrorReport:
    frames = (PLACES[0], (PLACES[1][0], line, PLACES[1][2]))
    return ErrorReport(exception=kind, message=message, frames=frames, in_app=(False, True), handled=handled)


def trace(number: int, *found: ErrorReport, name: str = "Controller/shop.cart") -> Trace:
    left = found[0] if found and not found[0].handled else None
    return Trace(
        id=f"{number:016x}", name=name, start=NOW - 1_000 + number, duration=0.1, queue_time=None, is_error=left is not None,
        error=left, more_errors=found if left is None else found[1:], tags={}, score=1.0, policies={}, spans=(),
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "data")
    yield store
    store.close()


def put(store: Store, *traces: Trace, number: int = 1) -> None:
    store.apply(evolve(report(end=NOW, number=number, traces=0), traces=traces), now=NOW)


def errors(reader: Reader, when: Range) -> dict[str, Any]:
    return all_errors(reader, when)["in_traces"]


def last_day() -> Range:
    return read_range({"range": "24h"})


def test_errors_of_one_exception_and_place_are_one_row_with_the_facts_of_the_newest(store):
    put(
        store,
        trace(1, error(message="old"), error(handled=True, message="other line", line=7)),
        trace(2, error(message="new"), name="Job/mail.send"),
        trace(3, error("shop.Late", handled=True)),
        trace(4),
    )

    facts = errors(store.reader, last_day())

    assert (4, False) == (facts["total"], facts["is_cut"])
    late, broken = facts["rows"]
    assert ("shop.Late", 1, 1) == (late["exception"], late["count"], late["handled"])
    assert {
        "exception": "shop.Broken", "message": "new", "file": "/srv/shop/cart.py", "line": 41, "function": "total", "count": 3,
        "handled": 1, "first": NOW - 999, "last": NOW - 998, "trace": f"{2:016x}",
        "names": [
            {"name": "Job/mail.send", "label": "mail.send"}, {"name": "Controller/shop.cart", "label": "shop.cart"},
        ],
    } == broken  # fmt: skip


def test_an_error_of_an_earlier_agent_is_placed_at_its_innermost_frame(store):
    put(store, trace(1, evolve(error(), in_app=())), trace(2, evolve(error(), frames=(), in_app=())))

    assert [("", ""), ("flask/app.py", "dispatch")] == [
        (row["file"], row["function"]) for row in errors(store.reader, last_day())["rows"]
    ]


def test_many_errors_are_cut_and_the_answer_has_that(store):
    found = tuple(error(message=str(number)) for number in range(MOST_ROWS // 10))
    put(store, *(trace(number, *found) for number in range(11)))

    facts = errors(store.reader, last_day())

    assert (MOST_ROWS, True, 1) == (facts["total"], facts["is_cut"], len(facts["rows"]))


def test_a_report_that_comes_twice_counts_once(store):
    for number in (1, 2):
        put(store, trace(1, error()), number=number)

    assert [1] == [row["count"] for row in errors(store.reader, last_day())["rows"]]


def test_a_file_of_an_earlier_version_is_upgraded(tmp_path):
    directory = tmp_path / "data"
    before = Store(directory)
    put(before, trace(1, error()))
    before.close()
    for kind in files.KINDS:
        connection = sqlite3.connect(files.path_of(directory, kind, files.day_of(NOW)))
        if kind == "traces":
            connection.execute("DROP TABLE error")
        else:
            for table in ("error_series", "error_rollup", "error_group"):
                connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 5")
        connection.commit()
        connection.close()
    again = Store(directory)
    put(again, trace(2, error("shop.Late")), number=2)
    found = errors(again.reader, last_day())
    (version,) = again.reader.rows("traces", "PRAGMA user_version")
    again.close()

    assert ["shop.Late"] == [row["exception"] for row in found["rows"]]
    assert (VERSION,) == version
