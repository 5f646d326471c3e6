"""A report that holds more than any page can show: the rest is summed up or left out, counted, and shown on Health."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import known_shop
import pytest
from attrs import evolve
from sample_reports import queue_metrics, report, send
from visitor import visitor_of

from scout_core.measuring.report import ErrorExample, ErrorGroupMetrics, KindMetrics, Report, SpanRecord
from scout_core.operations import OTHER
from scout_core.sending import wire
from scout_dashboard.caps import cap
from scout_dashboard.caps.cutting import MAX_ITEMS, Cutter
from scout_dashboard.caps.figures import MAX_NAMES, MAX_QUEUES
from scout_dashboard.caps.operations import LONGEST_DETAIL
from scout_dashboard.caps.reports import MAX_TARGETS, MAX_TRACES
from scout_dashboard.caps.texts import LONGEST_NAME, LONGEST_TEXT
from scout_dashboard.caps.traces import MAX_ERRORS, MAX_SPANS
from scout_dashboard.collector import Collector
from scout_dashboard.ranges import named_range
from scout_dashboard.store import Store
from scout_dashboard.views.paging import ROWS

Facts = dict[str, Any]
FEW = 700_000
"""Characters of a page: about 500 rows."""


def facts() -> Facts:
    return json.loads(wire.encode(report(end=time.time())))


def corrected(collector: Collector) -> dict[str, int]:
    return collector.queries.health()["collector"]["corrected"]


def accept(collector: Collector, sent: Report | Facts) -> None:
    body = json.dumps(sent).encode() if isinstance(sent, dict) else sent
    assert 202 == send(collector.url, collector.token, body)[0]


@pytest.mark.parametrize("beyond", [0, 1, 2])
def test_just_as_many_merged_operations_are_summed_as_are_counted(beyond):
    cutter = Cutter()
    found = cutter.merged({f"SQL/{n}": (2, n + 1.0) for n in range(MAX_ITEMS + beyond)})

    assert beyond == sum(cutter.cut.values())
    assert (2 * beyond or None) == found.get(OTHER, (None,))[0]
    assert 2 * (MAX_ITEMS + beyond) == sum(count for count, _ in found.values())


@pytest.mark.parametrize("prefix", ["Controller", "Job"])
def test_names_beyond_the_limit_are_counted_as_other(collector, prefix):
    base = report(end=time.time(), traces=0)
    many = tuple(known_shop.metrics(f"{prefix}/n{n}", 1, 0.001 * (n + 1)) for n in range(MAX_NAMES + 500))
    accept(collector, evolve(base, transactions=many))
    when = named_range("1h")
    rows = (collector.queries.endpoints(when) if prefix == "Controller" else collector.queries.jobs(when))["rows"]
    counts = {row["name"]: row["count"] for row in rows}

    assert {f"names beyond {MAX_NAMES:,}": 500} == corrected(collector)
    assert (MAX_NAMES + 1, MAX_NAMES + 500, 500) == (len(counts), sum(counts.values()), counts[f"{prefix}/other"])
    assert f"{prefix}/n{MAX_NAMES + 499}" in counts, "those with the most time are kept"
    assert f"{prefix}/n0" not in counts


def test_queues_beyond_the_limit_are_summed_up(collector):
    names = 3
    base = report(end=time.time(), traces=0)
    jobs = tuple(
        evolve(
            known_shop.metrics(f"Job/n{n}", 1_000, 0.001),
            queues={f"q{q}": queue_metrics([0.001], [0.5] if q % 2 else []) for q in range(1_000)},
        )
        for n in range(names)
    )
    accept(collector, evolve(base, transactions=jobs))
    rows = collector.queries.jobs(named_range("1h"))["rows"]

    assert {f"queues of jobs beyond {MAX_QUEUES:,}": names * 1_000 - MAX_QUEUES} == corrected(collector)
    assert names * 1_000 == sum(row["count"] for row in rows)
    assert names * 1_000 - MAX_QUEUES == sum(row["count"] for row in rows if row["queue"] == "other")


SHAPES: dict[str, Callable[[int], int]] = {
    "all below the transaction": lambda _: 0,
    "a chain": lambda number: number - 1,
    "a tree": lambda number: number // 7,
}


@pytest.mark.parametrize("parent_of", SHAPES.values(), ids=SHAPES)
def test_spans_beyond_the_limit_are_merged_and_the_page_shows_the_others_in_parts(collector, parent_of):
    number = MAX_SPANS + 700
    spans = tuple(
        SpanRecord(
            id=n, parent=parent_of(n), operation="SQL/Query", start=n / 1e4, duration=0.001,
            tags={"statement": f"SELECT {n}"},
        )
        for n in range(1, number + 1)
    )  # fmt: skip
    base = report(end=time.time())
    accept(collector, evolve(base, traces=(evolve(base.traces[0], spans=spans, merged={"SQL/Query": (3, 1.0)}),)))
    visitor = visitor_of(collector)
    address = f"/trace/{base.traces[0].id}"
    shown = visitor.facts(address)
    pages = [visitor.page(f"{address}?page={page}") for page in range(1, (MAX_SPANS + 1) // ROWS + 2)]
    ids = [element.attributes["id"] for page in pages for element in page.elements if "id" in element.attributes]

    assert {f"spans of a trace beyond {MAX_SPANS:,}": 700} == corrected(collector)
    assert (MAX_SPANS + 1, 703) == (len(shown["spans"]), shown["merged"][0]["count"])
    assert {f"span-{n}" for n in range(MAX_SPANS + 1)} == {name for name in ids if name.startswith("span-")}
    assert len(visitor.ask(address)[2]) < 2 * FEW
    assert f"1–{ROWS} of {MAX_SPANS + 1:,} rows · Next" in pages[0].text
    assert "other calls with less own time; all as JSON" in pages[0].text


def test_a_trace_of_an_earlier_version_with_more_spans_is_cut_when_it_is_shown(tmp_path: Path) -> None:
    now = time.time()
    base = report(end=now)
    spans = tuple(
        SpanRecord(id=n, parent=0, operation="SQL/Query", start=0.0, duration=0.001, tags={}) for n in range(1, 9_001)
    )
    with closing(Store(tmp_path / "state" / "data")) as store:
        store.apply(evolve(base, traces=(evolve(base.traces[0], spans=spans),)), now=now)
    with Collector.running(state_dir=tmp_path / "state") as collector:
        shown = visitor_of(collector).facts(f"/trace/{base.traces[0].id}")

    assert (MAX_SPANS + 1, 9_000 - MAX_SPANS) == (len(shown["spans"]), shown["merged"][0]["count"])


def numbered(count: int, value: object) -> Facts:
    return {f"n{n}": value for n in range(count)}


ERROR = {"exception": "E", "message": "m", "frames": [["a.py", 1, "f"]]}
RELATED = {**ERROR, "parent": 0, "relation": "member"}
REPEAT = {
    "operation": "SQL/Query",
    "statement": "",
    "count": 9,
    "seconds": 0.1,
    "file": "a.py",
    "line": 1,
    "function": "f",
}
LARGE: dict[str, tuple[str, Callable[[Facts], object], str, int]] = {
    "tags of a trace": ("traces.0.tags", lambda _: numbered(1_200, 1), "tags", MAX_ITEMS),
    "tags of a span": ("traces.0.spans.0.tags", lambda _: numbered(1_200, "x"), "tags", MAX_ITEMS),
    "policies": ("traces.0.policies", lambda _: numbered(1_200, 0.001), "policies of a trace", MAX_ITEMS),
    "figures": ("traces.0.seen", lambda _: numbered(1_200, 0.1), "figures of a trace", MAX_ITEMS),
    "merged": ("traces.0.merged", lambda _: numbered(1_200, [1, 0.1]), "merged operations", MAX_ITEMS),
    "errors": ("traces.0.more_errors", lambda _: [ERROR] * (MAX_ERRORS + 1_000), "errors of a trace", MAX_ERRORS),
    "frames": ("traces.0.error", lambda _: {**ERROR, "frames": [["a.py", 1, "f"]] * 1_200}, "frames of an error", MAX_ITEMS),
    "stacks": ("traces.0.stacks", lambda _: [{"span": 1, "frames": [["a.py", 1, "f"]]}] * 1_200, "slow spans", MAX_ITEMS),
    "calls": ("traces.0.stacks", lambda _: [{"span": 1, "frames": [["a.py", 1, "f"]] * 1_200}], "calls of a span", MAX_ITEMS),
    "repeats": ("traces.0.repeats", lambda _: [REPEAT] * 1_200, "repeated calls", MAX_ITEMS),
    "notes": ("traces.0.error", lambda _: {**ERROR, "notes": ["n"] * 1_200}, "notes of an error", MAX_ITEMS),
    "related": ("traces.0.error", lambda _: {**ERROR, "related": [RELATED] * 1_200}, "related exceptions", MAX_ITEMS),
    "plugins": ("plugins", lambda old: [{**old["plugins"][0], "name": f"p{n}"} for n in range(1_200)], "plugins", MAX_ITEMS),
    "functions": ("plugins.0.functions", lambda old: old["plugins"][0]["functions"] * 2_000, "functions of a plugin", MAX_TARGETS),
    "targets": ("plugins.0.wrapped", lambda _: ["m:f"] * 2_000, "targets of a plugin", MAX_TARGETS),
    "exporters": ("counters", lambda old: numbered(1_200, old["counters"]["collector"]), "exporters", MAX_ITEMS),
    "gauges": ("gauges", lambda _: {"pool": numbered(1_200, 1.0)}, "gauges of a plugin", MAX_ITEMS),
    "plugins with gauges": ("gauges", lambda _: numbered(1_200, {"size": 1.0}), "plugins with gauges", MAX_ITEMS),
}  # fmt: skip


@pytest.mark.parametrize(("path", "make", "what", "most"), LARGE.values(), ids=LARGE)
def test_other_items_beyond_a_limit_are_counted_and_pages_stay_small(collector, path, make, what, most):
    sent = facts()
    trace = sent["traces"][0]["id"]
    inner: Any = sent
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in way:
        inner = inner[part]
    inner[last] = make(sent)
    accept(collector, sent)
    visitor = visitor_of(collector)

    assert {f"{what} beyond {most:,}": 1_000} == corrected(collector)
    assert f"{what} beyond {most:,} 1,000" in visitor.page("/health").text
    for page in ("/", "/errors", "/plugins", "/health", f"/trace/{trace}"):
        status, _, html = visitor.ask(page)
        assert (200, True) == (status, len(html) < FEW), page


def test_traces_with_the_highest_scores_are_kept(collector):
    base = report(end=time.time())
    traces = tuple(evolve(base.traces[0], id=f"{n:016x}", score=float(n)) for n in range(MAX_TRACES + 50))
    accept(collector, evolve(base, traces=traces))
    kept = collector.queries.traces(named_range("24h"), limit=1_000)["rows"]

    assert {f"traces beyond {MAX_TRACES}": 50} == corrected(collector)
    assert {f"{n:016x}" for n in range(50, MAX_TRACES + 50)} == {row["id"] for row in kept}


def test_sums_stay_right(collector):
    """Dropped transactions still add up, points still add up to the score, and merged spans to their time."""
    base = report(end=time.time())
    counters = evolve(base.counters["collector"], finished=900, exported=300, queued=0, dropped=numbered(600, 1))
    trace = evolve(
        base.traces[0], policies=numbered(600, 0.01), score=6.0, merged={f"SQL/{n}": (2, 0.01) for n in range(600)}
    )
    accept(collector, evolve(base, counters={"collector": counters}, traces=(trace,)))
    (process,) = collector.queries.health()["processes"]
    shown = collector.queries.trace(trace.id)

    assert 600 == sum(process["counters"]["collector"]["dropped"].values())
    assert "adds up" in visitor_of(collector).page("/health").text
    assert pytest.approx(6.0) == sum(shown["trace"]["policies"].values())
    assert (1_200, pytest.approx(6_000)) == tuple(
        sum(row[key] for row in shown["merged"]) for key in ("count", "total_ms")
    )


def complete() -> Facts:
    """Return a report in which every field has something."""
    base = report(end=time.time())
    error = evolve(known_shop.ERROR, related=tuple(evolve(it, notes=("n",)) for it in known_shop.ERROR.related))
    example = ErrorExample(name="Controller/a", time=base.end, error=error, tags={"plan": "gold"}, trace="0" * 16)
    group = ErrorGroupMetrics(
        group="g", title="t", exception="E", cause="C", where="w", message="m", count=1, handled=0, endpoints={"Controller/a": 1},
        first=base.end, last=base.end, trace="0" * 16, example=example,
    )  # fmt: skip
    trace = evolve(
        known_shop.trace(base.start), error=error, calls={"0" * 16: 1}, trace_id="0" * 32, parent_span_id="0" * 16, started_by="0" * 16
    )  # fmt: skip
    plugins = tuple(
        evolve(
            plugin,
            last_error="e",
            traceback=(("f", 1, "g"),),
            not_found=("n",),
            waiting=("w",),
            wrapped=("w",),
            functions=tuple(evolve(it, unfollowed=("u",)) for it in plugin.functions),
        )
        for plugin in base.plugins
    )
    counters = {"collector": evolve(base.counters["collector"], left_out={"names": 1})}
    return json.loads(
        wire.encode(
            evolve(
                base, plugins=plugins, traces=(trace,), counters=counters, error_groups=(group,), left_out={"traces": 1}
            )
        )
    )


NOT_CUT = {"id", "instance", "state"}
"""Refused when they are too long, or are one of a few words."""
KEYED = {
    "kinds",
    "queues",
    "outcomes",
    "tags",
    "policies",
    "seen",
    "merged",
    "calls",
    "counters",
    "dropped",
    "left_out",
    "gauges",
    "endpoints",
}
"""Fields with names as keys."""
Way = tuple[Any, ...]


def texts_of(value: Any, way: Way = ()) -> Iterator[tuple[Way, bool]]:
    """Yield the way to each text, and whether it is a key."""
    if isinstance(value, str) and way[-1] not in NOT_CUT:
        yield way, False
    for name, inner in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        if isinstance(value, dict) and (way[-1:] in {(name,) for name in KEYED} or way[-2:-1] == ("gauges",)):
            yield (*way, name), True
        yield from texts_of(inner, (*way, name))


def kinds_of_texts() -> list[tuple[Way, bool]]:
    """Return one text of each kind."""
    ways = {}
    for way, is_key in texts_of(complete()):
        ways.setdefault((tuple(it for it in way if isinstance(it, str)), is_key), way)
    return [(way, is_key) for (_, is_key), way in ways.items()]


TEXTS = kinds_of_texts()


@pytest.mark.parametrize(
    ("way", "is_key"), TEXTS, ids=[".".join(map(str, way)) + " as key" * key for way, key in TEXTS]
)
def test_every_text_of_a_report_has_a_limit(way, is_key):
    sent = complete()
    inner: Any = sent
    for part in way[:-1]:
        inner = inner[part]
    if is_key:
        inner["x" * 100_000] = inner.pop(way[-1])
    else:
        inner[way[-1]] = "x" * 100_000
    capped, cut = cap(wire.decode(json.dumps(sent).encode()))
    _, nothing = cap(capped)

    assert [1] == list(cut.values())
    assert set(cut) <= {f"texts beyond {most:,} characters" for most in (LONGEST_NAME, LONGEST_DETAIL, LONGEST_TEXT)}
    assert {} == dict(nothing)
    assert "x" * (LONGEST_TEXT + 1) not in wire.encode(capped).decode()
    assert "x" * (LONGEST_NAME - 20) in wire.encode(capped).decode()


def test_texts_of_every_kind_are_among_those():
    """A field that a report has, and that is missing here, would not be tested."""
    missing = [path for path, value in fields_of(complete()) if value in ("", [], {}, None)]

    assert {"is_last", "period"} == set(missing) - {"reason", "slow", "off", "too_slow", "too_many_errors", "next_step"}


def fields_of(value: Any) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield name, inner
        yield from fields_of(inner)


def test_keys_that_are_equal_when_they_are_cut_stay_apart():
    base = report(end=time.time())
    dropped = {f"{'x' * 1_000}{number}": 1 for number in range(150)}
    counters = evolve(base.counters["collector"], dropped=dropped)
    capped, cut = cap(evolve(base, counters={"collector": counters}))

    assert {f"texts beyond {LONGEST_NAME:,} characters": 150} == dict(cut)
    assert [1] * 150 == list(capped.counters["collector"].dropped.values())


def test_a_report_of_long_texts_is_stored_and_pages_stay_small(collector):
    sent = complete()
    for way, is_key in sorted(TEXTS, key=lambda text: (text[1], -len(text[0]))):
        inner: Any = sent
        for part in way[:-1]:
            inner = inner[part]
        if is_key:
            inner[f"{way[-1]}{'x' * 30_000}"] = inner.pop(way[-1])
        else:
            inner[way[-1]] = f"{inner[way[-1]]}{'x' * 30_000}"
    accept(collector, sent)
    visitor = visitor_of(collector)

    assert corrected(collector)
    for page in ("/", "/endpoints", "/jobs", "/errors", "/plugins", "/health", f"/trace/{sent['traces'][0]['id']}"):
        status, _, html = visitor.ask(page)
        assert (200, True) == (status, len(html) < FEW), page


def test_a_report_as_large_as_an_agent_makes_it_is_not_cut():
    base = report(end=time.time())
    kind = KindMetrics(count=1, errors=0, total=0.1, exclusive=0.1)
    spans = tuple(
        SpanRecord(id=n, parent=0, operation="SQL/Query", start=0.0, duration=0.1, tags=numbered(64, "x" * 16_384))
        for n in range(1, 1_501)
    )
    names = tuple(
        evolve(
            known_shop.metrics(f"Job/n{n}", 4, 0.1),
            kinds=numbered(50, kind),
            queues={f"q{q}": queue_metrics([0.1], []) for q in range(4)},
        )
        for n in range(500)
    )
    traces = tuple(evolve(trace, spans=spans, more_errors=(known_shop.ERROR,) * 9) for trace in base.traces)
    large = evolve(base, transactions=names, traces=traces)
    capped, cut = cap(large)

    assert {} == dict(cut)
    assert (large.transactions, set(map(id, large.traces[0].spans))) == (
        capped.transactions,
        set(map(id, next(trace for trace in capped.traces if trace.id == large.traces[0].id).spans)),
    )


def test_tables_are_shown_in_parts(collector):
    base = report(end=time.time(), traces=0)
    many = tuple(known_shop.metrics(f"Controller/n{n}", 1, 0.001 * (n + 1)) for n in range(ROWS + 20))
    accept(collector, evolve(base, transactions=many))
    visitor = visitor_of(collector)
    first, second = visitor.page("/endpoints?range=15m"), visitor.page("/endpoints?range=15m&page=2")
    links = [
        [element.attributes["href"] for element in page.elements if element.attributes.get("rel") in ("prev", "next")]
        for page in (first, second)
    ]

    assert ["/endpoints?range=15m&page=2#list"] == links[0]
    assert ["/endpoints?range=15m&page=1#list"] == links[1]
    assert f"1–{ROWS} of {ROWS + 20} endpoints · Next" in first.text
    assert f"{ROWS + 1}–{ROWS + 20} of {ROWS + 20} endpoints · Previous" in second.text
    assert ROWS + 20 == len(visitor.facts("/endpoints?range=15m")["rows"])
    assert f"{ROWS + 1}–{ROWS + 20}" in visitor.page("/endpoints?page=77").text


@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", "٣", "9" * 5_000])
def test_an_invalid_page_is_refused(collector, page):
    accept(collector, report(end=time.time()))
    status, _, html = visitor_of(collector).ask(f"/endpoints?page={quote(page)}")

    assert 400 == status
    assert "expected a number from 1" in html
