"""The inbox is bounded by bytes: whatever a transaction is given, little of it waits for the agent's thread."""

from __future__ import annotations

import tracemalloc
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from http import HTTPStatus
from pathlib import Path, PurePosixPath, PureWindowsPath
from uuid import UUID

import pytest

from scout_core import span, transaction
from scout_core.recording import tracer
from scout_core.recording.limits.bounds import LONGEST_NAME, LONGEST_TEXT, MOST_TEXT, bounded
from scout_core.recording.web import WebRequest
from scout_core.tag_values import KEY_READ, MOST_TAGS, PRINTED_TYPES
from scout_core.testing import recording
from scout_core.text.tags import clean_tags

SIZE = 500_000
COUNT = 20
MOST_HELD = 2_000_000
"""Bytes that the inbox may hold for ``COUNT`` transactions that were given ``SIZE`` bytes each."""


class Opaque:
    """Its size cannot be looked at: every way to ask it is code of the application."""

    def __init__(self, content: object) -> None:
        self.content = content

    def __sizeof__(self) -> int:
        raise RuntimeError("foreign code was called")

    __len__ = __str__ = __repr__ = __bool__ = __iter__ = __eq__ = __hash__ = __sizeof__  # type: ignore[assignment]


class Long(str):
    """A text of the application's own class."""

    def __len__(self) -> int:
        raise RuntimeError("foreign code was called")

    __str__ = __repr__ = __getitem__ = __eq__ = __hash__ = __len__  # type: ignore[assignment]


class Key(str):
    def __len__(self) -> int:
        raise RuntimeError("foreign code was called")

    __str__ = __repr__ = __getitem__ = __len__  # type: ignore[assignment]


class Number(int):
    def __new__(cls, content: str) -> Number:
        made = super().__new__(cls, 7)
        made.content = content  # type: ignore[attr-defined]
        return made


def text(number: int) -> str:
    return chr(97 + number % 26) * SIZE


def shared_tag(value):
    with transaction("Job/import") as job:
        job.tag("value", value)


def in_span(value):
    with transaction("Job/import"), span("SQL/Query", value=value):
        pass


def at_start(value):
    with transaction("Job/import", value=value):
        pass


def set_directly(value):
    with transaction("Job/import") as job, span("SQL/Query") as query:
        job.tags["value"] = value
        query.tags = {"value": value}


VALUES = {
    "text": text,
    "not ascii": lambda number: "é" * (SIZE // 2),
    "own text": lambda number: Long(text(number)),
    "bytes": lambda number: text(number).encode(),
    "bytearray": lambda number: bytearray(SIZE),
    "number": lambda number: number + (1 << 8 * SIZE),
    "own number": lambda number: Number(text(number)),
    "decimal": lambda number: Decimal((0, (7,) * SIZE, number)),
    "list": lambda number: [number] * (SIZE // 8),
    "nested": lambda number: [{"deep": [text(number)]}],
    "dict": lambda number: {"a": text(number)},
    "key of a dict": lambda number: {text(number): 1},
    "tuple of short texts": lambda number: tuple(str(index) for index in range(SIZE // 100)),
    "set": lambda number: {text(number)},
    "object": lambda number: Opaque(text(number)),
    "generator": lambda number: (part for part in [text(number)]),
    "closure": lambda number: lambda content=text(number): content,
    "path": lambda number: PurePosixPath("/" + text(number)),
}


def held(work) -> int:
    """Return the bytes that are held after work for each of ``COUNT`` numbers."""
    work(0)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(COUNT):
            work(number)
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("record", [shared_tag, in_span, at_start, set_directly])
@pytest.mark.parametrize("kind", VALUES)
def test_a_large_tag_of_any_type_does_not_wait_in_the_inbox(kind, record):
    with recording() as scout:
        assert held(lambda number: record(VALUES[kind](number))) < MOST_HELD
        counters = scout.agent.counters()
        assert counters.finished == counters.queued == COUNT + 1
        if "own number" not in kind:
            assert counters.values_cut > COUNT


@pytest.mark.parametrize(
    "work",
    [
        lambda number: transaction("Job/" + text(number)).__enter__().__exit__(None, None, None),
        lambda number: shared_key(text(number)),
        lambda number: shared_key(Key(text(number))),
    ],
    ids=["operation", "key", "key of an own class"],
)
def test_large_names_do_not_wait_in_the_inbox(work):
    with recording() as scout:
        assert held(work) < MOST_HELD
        assert scout.agent.counters().values_cut > COUNT
        for found in scout.agent.tracer.inbox:
            assert len(found.own_operation) <= LONGEST_NAME
            assert all(len(key) <= KEY_READ for key in found.own_tags)


def shared_key(key):
    with transaction("Job/import") as job:
        job.tag(key, 1)


def test_large_names_of_spans_do_not_wait_in_the_inbox():
    def work(number):
        with transaction("Job/import"):
            for _ in range(2):
                with span("SQL/" + text(number)):
                    pass

    with recording(max_spans=1) as scout:
        assert held(work) < MOST_HELD
        assert scout.agent.counters().values_cut > COUNT


@pytest.mark.parametrize("field", WebRequest._fields)
@pytest.mark.parametrize("kind", [str, Long])
def test_large_facts_of_a_request_do_not_wait_in_the_inbox(field, kind):
    nothing = WebRequest("/", "")

    def work(number):
        with transaction("Controller/home") as web:
            web.request = nothing._replace(**{field: kind(text(number))})

    with recording() as scout:
        assert held(work) < MOST_HELD
        assert scout.agent.counters().values_cut > COUNT
        report = scout.report()

    assert COUNT + 1 == sum(metrics.count for metrics in report.transactions)


@pytest.mark.parametrize(
    "make",
    [
        lambda number: ValueError(text(number)),
        lambda number: ValueError([text(number)]),
        lambda number: KeyError({text(number): 1}),
        lambda number: type("Own", (Exception,), {"__str__": lambda self: "own"})({"body": text(number)}),
        lambda number: OSError(number, text(number), text(number)),
    ],
    ids=["text", "list", "dict", "own", "os"],
)
def test_large_exceptions_do_not_wait_in_the_inbox(make):
    def work(number):
        with pytest.raises(Exception), transaction("Job/import"):  # noqa: B017, PT011
            raise make(number)

    with recording():
        assert held(work) < MOST_HELD


def test_a_reason_to_ignore_may_be_large():
    def work(number):
        with transaction("Job/import") as job:
            job.ignore(text(number))

    with recording() as scout:
        scout.agent.tracer.wants_ignored = True
        assert held(work) < MOST_HELD


def test_many_spans_with_long_tags_are_kept_without_further_tags():
    with recording() as scout:
        with transaction("Job/import") as job:
            for number in range(400):
                with span("SQL/Query", value=chr(97 + number % 26) * 10_000):
                    pass
        assert 400 == len(job.spans)
        assert MOST_TEXT // 10_000 >= sum(bool(found.tags) for found in job.spans) > 150
        assert scout.agent.counters().tags_dropped == sum(not found.tags for found in job.spans)


def test_many_tags_are_cut_when_their_span_ends():
    with recording() as scout:
        with transaction("Job/import") as job:
            for number in range(1_000):
                job.tag(f"tag {number}", number)
        assert MOST_TAGS == len(job.tags)
        assert 1_000 - MOST_TAGS == scout.agent.counters().tags_dropped


def test_transactions_beyond_the_limit_of_bytes_are_only_counted(monkeypatch):
    """A thousand transactions of 8 KB, when 1 MB may wait."""
    monkeypatch.setattr(tracer, "MOST_BYTES", 1_000_000)
    with recording() as scout:
        for number in range(1_000):
            with transaction("Job/import", value=chr(97 + number % 26) * 8_000):
                pass
        inbox = scout.agent.tracer.inbox
        assert 60 < len(inbox) < 130
        report = scout.report()
        counters = scout.agent.counters()
        assert [1_000] == [metrics.count for metrics in report.transactions]
        assert 870 < counters.figures_only < 940
        assert scout.agent.tracer.entered == scout.agent.tracer.left

        with transaction("Job/import"):
            pass
        assert 1 == len(inbox), "there is room again"


def test_many_spans_count_as_bytes(monkeypatch):
    monkeypatch.setattr(tracer, "MOST_BYTES", 1_000_000)
    with recording() as scout:
        for _ in range(20):
            with transaction("Job/import"):
                for _ in range(1_000):
                    with span("SQL/Query"):
                        pass
        assert 4 > len(scout.agent.tracer.inbox) > 0


class Color(Enum):
    RED = 1


SMALL = {
    "text": "short",
    "long text": "x" * LONGEST_TEXT,
    "bytes": b"\x00",
    "number": 2**63,
    "share": 0.5,
    "nothing": None,
    "yes": True,
    "status": HTTPStatus.OK,
    "color": Color.RED,
    "moment": datetime(2026, 1, 2, tzinfo=timezone.utc),
    "opening time": time(9, 30),
    "id": UUID(int=7),
    "price": Decimal("9.99"),
    "path": PurePosixPath("/srv/app"),
    "groups": ["a", "b"],
    "flags": {"a": True},
}


@pytest.mark.parametrize("name", SMALL)
def test_small_values_stay_what_they_are(name):
    with recording() as scout:
        with transaction("Job/import") as job, span("SQL/Query", value=SMALL[name]) as query:
            job.tag("value", SMALL[name])
        assert query.tags["value"] is SMALL[name]
        assert job.tags["value"] is SMALL[name]
        assert 0 == scout.agent.counters().values_cut


def test_every_type_that_is_kept_is_also_shown_as_text():
    values = [
        datetime(2026, 1, 2, tzinfo=timezone.utc), date(2026, 1, 2), time(9, 30), timedelta(1), UUID(int=7), Decimal(1),
        type(Path("a"))("a"), PurePosixPath("a"), PureWindowsPath("a"),
    ]  # fmt: skip
    assert {*PRINTED_TYPES} - {"PosixPath", "WindowsPath"} <= {type(value).__name__ for value in values}

    for value in values:
        assert bounded(value) is value
        assert {"value": str(value).replace(" ", "T" if type(value) is datetime else " ")} == clean_tags(
            {"value": value}
        )[0]


def test_a_trace_shows_of_large_values_what_it_always_showed():
    with recording() as scout:
        with transaction("Job/import") as job:
            with span("SQL/Query", statement="SELECT " + "1," * 20_000 + "1", url="http://h/" + "p" * 20_000 + "?a=1"):
                job.tag("note", "n" * 20_000)
                job.tag("body", b"x" * 20_000)
                job.tag("object", Opaque(""))
                job.tag("items", [[1]])
                job.tag("password", "p" * 20_000)
        (trace,) = scout.traces()

    tags = trace.tags
    assert ("n" * 1_999 + "…", "<bytes>", "<Opaque>", "<list>", "[FILTERED]") == (
        tags["note"], tags["body"], tags["object"], tags["items"], tags["password"],
    )  # fmt: skip
    assert "<statement of 40008 characters>" == trace.spans[0].tags["statement"]
    assert trace.spans[0].tags["url"].startswith("http://h/ppp")
