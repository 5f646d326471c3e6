from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from scout_core.errors import RejectedReport
from scout_core.measuring.error_report import RelatedException
from scout_core.measuring.histogram import Histogram
from scout_core.measuring.process import Process
from scout_core.measuring.report import (
    CodeLine,
    Counters,
    EndpointShare,
    ErrorExample,
    ErrorGroupMetrics,
    ErrorReport,
    FunctionStatus,
    KindMetrics,
    OperationMetrics,
    PluginStatus,
    QueueMetrics,
    Report,
    SpanRecord,
    SpanRepeat,
    SpanStack,
    Trace,
    TransactionMetrics,
)
from scout_core.problems import NextStep, Problem, TooManyErrors, TooSlow
from scout_core.sending.wire import decode, encode

ERROR = ErrorReport(
    exception="builtins.KeyError", message="?", frames=(("/srv/app.py", 12, "home"),), in_app=(True,), notes=("cart ?",),
    handled=True, where="app:home", group="0123456789ab", left_out={"frames": 3},
    related=(
        RelatedException(
            exception="OSError", message="gone", frames=(("/srv/app.py", 3, "buy"),), in_app=(True,), notes=("?",), parent=0,
            relation="cause",
        ),
    ),
)  # fmt: skip
ERROR_WIRE = {
    "exception": "builtins.KeyError", "message": "?", "frames": [["/srv/app.py", 12, "home"]], "in_app": [True],
    "notes": ["cart ?"], "handled": True, "where": "app:home", "group": "0123456789ab", "left_out": {"frames": 3},
    "related": [
        {"exception": "OSError", "message": "gone", "frames": [["/srv/app.py", 3, "buy"]], "in_app": [True], "notes": ["?"],
         "parent": 0, "relation": "cause"},
    ],
}  # fmt: skip
FULL = Report(
    id="0123456789abcdef-7",
    process=Process(
        app="Shop ☕", hostname="web-1", pid=4711, instance="0123456789abcdef", started=1.5e9, agent="0.1.0",
        python="3.12.1", revision="abc",
    ),
    start=1.6e9,
    end=1.6e9 + 60.5,
    transactions=(
        TransactionMetrics(
            name="Controller/shop.home", count=3, errors=1, total=0.75, durations=Histogram({-80: 1, -75: 2}),
            queue_time=0.25, queued=2, kinds={"SQL": KindMetrics(count=9, errors=1, total=0.5, exclusive=0.5)},
            queues={
                "mail": QueueMetrics(
                    count=2, errors=1, total=0.5, durations=Histogram({-80: 1, -75: 1}), queue_time=0.25,
                    waits=Histogram({-70: 1}), outcomes={"success": 1, "retry": 1},
                ),
            },
        ),
    ),
    traces=(
        Trace(
            id="fedcba9876543210", name="Controller/shop.home", start=1.6e9, duration=0.5, queue_time=0.25, is_error=True,
            error=ERROR,
            tags={"plan": "gold", "items": 3, "share": 0.5, "is_new": True, "nothing": None}, score=2.5,
            policies={"speed": 0.5, "team": 2.0}, group="acme ☕", grouped_by="by_customer", seen={"count": 3.0},
            spans=(
                SpanRecord(id=1, parent=0, operation="SQL/Query", start=0.125, duration=0.25, tags={"statement": "SELECT ?"}),
                SpanRecord(id=2, parent=1, operation="HTTP/GET", start=0.25, duration=0.125, tags={}, error="KeyError"),
            ),
            merged={"SQL/Query": (12, 0.5)}, trace_id="4bf92f3577b34da6a3ce929d0e0e4736", parent_span_id="00f067aa0ba902b7",
            started_by="00f067aa0ba902b8", calls={"b7ad6b7169203331": 2}, stacks_left_out=6,
            stacks=(
                SpanStack(span=2, frames=(("/srv/shop.py", 7, "pay"), ("flask/app.py", 9, "run")), in_app=(True, False)),
            ),
            repeats=(
                SpanRepeat(
                    operation="SQL/Query", statement="SELECT ?", count=9, seconds=0.5, file="/srv/shop.py", line=7, function="pay"
                ),
            ),
            more_errors=(ERROR,),
            errors_left_out=4,
        ),
    ),
    plugins=(
        PluginStatus(
            name="flask", distribution="scout-flask", version="0.1.0", state="active", reason="", target="flask 3.1",
            hooks=("instrument",), wrapped=("flask:Flask.dispatch_request",), waiting=("redis:Redis",),
            not_found=("flask:gone",), calls=9, errors=1, last_error="KeyError", seconds_per_call=1e-6,
            functions=(
                FunctionStatus(
                    place="instrument", calls=9, errors=1, p50=1e-6, p95=None, slow="slow_hook_seconds", off="too-slow",
                    too_slow=TooSlow(
                        seconds=0.5, quantile=0.95, timed=20, window=100, option="slow_hook_seconds", factor=100, limit=0.25
                    ),
                    too_many_errors=TooManyErrors(errors=10, calls=10), is_recovered=True, unfollowed=("a context manager (Lock)",),
                ),
            ),
            traceback=(("/srv/scout.py", 12, "instrument"),),
            target_problems=(Problem("missing-target", "flask:gone", "flask:gone: why", "look"),),
            problems=(Problem("slow", "instrument", "instrument is slow", "make it faster"),),
            next_step=NextStep("speed-up", "make it faster", ("a", "b")),
        ),
    ),
    counters={
        "collector": Counters(
            finished=10, exported=5, queued=3, dropped={"ignored": 2}, figures_only=5, spans=20, spans_merged=12, late_spans=1, spans_never_ended=11, spans_open_at_stop=16, unfollowed_results=13,
            in_collection=2, in_hooks=3, invalid_values=8, queue_times_refused=10, errors_ignored=17, headers_unsent=14, values_cut=9, names_merged=4, errors_merged=18, operations_merged=19, tags_dropped=6, groups_left_out=7, traces_lost=1, logging_failures=7,
            left_out={"traces": 2},
        )
    },
    error_groups=(
        ErrorGroupMetrics(
            group="0123456789ab", title="KeyError in app:home", exception="KeyError", cause="OSError", where="app:home", message="?",
            count=3, handled=1, endpoints={"Controller/home": 2, "other": 1}, first=1.6e9, last=1.6e9 + 1, trace="fedcba9876543210",
            example=ErrorExample(
                name="Controller/home", time=1.6e9 + 0.5, error=ERROR, tags={"plan": "gold"}, trace="fedcba9876543210"
            ),
        ),
    ),
    operations=(
        OperationMetrics(
            operation="SQL/Query", detail="SELECT ?", count=3, errors=1, total=0.5, durations=Histogram({-200: 3}),
            endpoints={"Controller/home": EndpointShare(count=3, total=0.5, repeated=1)},
            lines=(CodeLine(file="/shop/home.py", line=7, function="home", count=2, total=0.25),),
        ),
    ),
    gauges={"process": {"rss_bytes": 50e6}},
    is_last=True,
    period=5.0,
    left_out={"names": 3, "plugins": 1},
)  # fmt: skip

WIRE = {
    "schema": 1, "id": "0123456789abcdef-7",
    "process": {
        "app": "Shop ☕", "hostname": "web-1", "pid": 4711, "instance": "0123456789abcdef", "started": 1.5e9,
        "agent": "0.1.0", "python": "3.12.1", "revision": "abc",
    },
    "start": 1.6e9, "end": 1.6e9 + 60.5,
    "transactions": [{
        "name": "Controller/shop.home", "count": 3, "errors": 1, "total": 0.75, "durations": [[-80, 1], [-75, 2]],
        "queue_time": 0.25, "queued": 2, "kinds": {"SQL": {"count": 9, "errors": 1, "total": 0.5, "exclusive": 0.5}},
        "queues": {"mail": {
            "count": 2, "errors": 1, "total": 0.5, "durations": [[-80, 1], [-75, 1]], "queue_time": 0.25,
            "waits": [[-70, 1]], "outcomes": {"success": 1, "retry": 1},
        }},
    }],
    "traces": [{
        "id": "fedcba9876543210", "name": "Controller/shop.home", "start": 1.6e9, "duration": 0.5, "queue_time": 0.25,
        "is_error": True,
        "error": ERROR_WIRE,
        "tags": {"plan": "gold", "items": 3, "share": 0.5, "is_new": True, "nothing": None}, "score": 2.5,
        "policies": {"speed": 0.5, "team": 2.0}, "group": "acme ☕", "grouped_by": "by_customer", "seen": {"count": 3.0},
        "spans": [
            {"id": 1, "parent": 0, "operation": "SQL/Query", "start": 0.125, "duration": 0.25,
             "tags": {"statement": "SELECT ?"}, "error": None},
            {"id": 2, "parent": 1, "operation": "HTTP/GET", "start": 0.25, "duration": 0.125, "tags": {},
             "error": "KeyError"},
        ],
        "merged": {"SQL/Query": [12, 0.5]}, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "parent_span_id": "00f067aa0ba902b7", "started_by": "00f067aa0ba902b8", "calls": {"b7ad6b7169203331": 2},
        "more_errors": [ERROR_WIRE],
        "stacks": [{"span": 2, "frames": [["/srv/shop.py", 7, "pay"], ["flask/app.py", 9, "run"]], "in_app": [True, False]}],
        "repeats": [
            {"operation": "SQL/Query", "statement": "SELECT ?", "count": 9, "seconds": 0.5, "file": "/srv/shop.py", "line": 7, "function": "pay"}
        ],
        "stacks_left_out": 6,
        "errors_left_out": 4,
    }],
    "plugins": [{
        "name": "flask", "distribution": "scout-flask", "version": "0.1.0", "state": "active", "reason": "",
        "target": "flask 3.1", "hooks": ["instrument"], "wrapped": ["flask:Flask.dispatch_request"],
        "waiting": ["redis:Redis"], "not_found": ["flask:gone"], "calls": 9, "errors": 1, "last_error": "KeyError",
        "seconds_per_call": 1e-6,
        "functions": [
            {"place": "instrument", "calls": 9, "errors": 1, "p50": 1e-6, "p95": None, "slow": "slow_hook_seconds", "off": "too-slow",
             "too_slow": {
                 "seconds": 0.5, "quantile": 0.95, "timed": 20, "window": 100, "option": "slow_hook_seconds", "factor": 100,
                 "limit": 0.25,
             },
             "too_many_errors": {"errors": 10, "calls": 10}, "is_recovered": True,
             "unfollowed": ["a context manager (Lock)"]},
        ],
        "target_problems": [
            {"kind": "missing-target", "subject": "flask:gone", "detail": "flask:gone: why", "advice": "look"},
        ],
        "traceback": [["/srv/scout.py", 12, "instrument"]],
        "problems": [
            {"kind": "slow", "subject": "instrument", "detail": "instrument is slow", "advice": "make it faster"},
        ],
        "next_step": {"kind": "speed-up", "text": "make it faster", "commands": ["a", "b"]},
    }],
    "counters": {"collector": {
        "finished": 10, "exported": 5, "queued": 3, "dropped": {"ignored": 2}, "figures_only": 5, "spans": 20, "spans_merged": 12,
        "late_spans": 1, "spans_never_ended": 11, "spans_open_at_stop": 16, "unfollowed_results": 13, "in_collection": 2, "in_hooks": 3, "invalid_values": 8, "queue_times_refused": 10, "errors_ignored": 17, "headers_unsent": 14, "values_cut": 9, "names_merged": 4, "errors_merged": 18, "operations_merged": 19, "tags_dropped": 6, "groups_left_out": 7, "traces_lost": 1, "logging_failures": 7,
        "left_out": {"traces": 2},
    }},
    "error_groups": [
        {
            "group": "0123456789ab", "title": "KeyError in app:home", "exception": "KeyError", "cause": "OSError",
            "where": "app:home", "message": "?", "count": 3, "handled": 1, "endpoints": {"Controller/home": 2, "other": 1},
            "first": 1.6e9, "last": 1.6e9 + 1, "trace": "fedcba9876543210",
            "example": {
                "name": "Controller/home", "time": 1.6e9 + 0.5, "error": copy.deepcopy(ERROR_WIRE), "tags": {"plan": "gold"},
                "trace": "fedcba9876543210",
            },
        },
    ],
    "operations": [
        {
            "operation": "SQL/Query", "detail": "SELECT ?", "count": 3, "errors": 1, "total": 0.5, "durations": [[-200, 3]],
            "endpoints": {"Controller/home": {"count": 3, "total": 0.5, "repeated": 1}},
            "lines": [{"file": "/shop/home.py", "line": 7, "function": "home", "count": 2, "total": 0.25}],
        },
    ],
    "gauges": {"process": {"rss_bytes": 50e6}},
    "is_last": True,
    "period": 5.0,
    "left_out": {"names": 3, "plugins": 1},
}  # fmt: skip

MAY_BE_MISSING = {
    *(f"traces.{name}.{field}" for name in ("error", "more_errors") for field in
      ("in_app", "notes", "handled", "where", "group", "left_out", "related", "related.in_app", "related.notes")), "traces.more_errors",
    "traces.errors_left_out", "traces.stacks_left_out", "traces.stacks", "traces.stacks.in_app", "traces.repeats", "transactions.queue_time", "transactions.queued", "transactions.queues", "traces.merged", "traces.spans.error", "counters.collector.spans",
    "counters.collector.figures_only", "counters.collector.spans_merged", "counters.collector.late_spans", "counters.collector.spans_never_ended", "counters.collector.spans_open_at_stop", "counters.collector.unfollowed_results", "counters.collector.in_collection", "counters.collector.in_hooks", "counters.collector.invalid_values", "counters.collector.queue_times_refused", "counters.collector.errors_ignored", "counters.collector.values_cut", "counters.collector.headers_unsent", "counters.collector.names_merged", "counters.collector.errors_merged", "error_groups", "error_groups.trace", "error_groups.example",
    *(f"error_groups.example.error.{field}" for field in ("in_app", "notes", "handled", "where", "group", "left_out", "related", "related.in_app", "related.notes")),
    "counters.collector.tags_dropped", "counters.collector.groups_left_out", "counters.collector.traces_lost", "counters.collector.logging_failures", "traces.seen", "traces.group", "traces.grouped_by",
    "traces.trace_id", "traces.parent_span_id", "traces.started_by", "traces.calls", "plugins.functions", "plugins.traceback", "plugins.functions.slow",
    "operations", "operations.lines", "operations.endpoints.Controller/home.repeated", "counters.collector.operations_merged",
    "plugins.functions.off", "gauges", "is_last", "period", "left_out", "counters.collector.left_out", "plugins.functions.too_slow", "plugins.functions.too_many_errors", "plugins.functions.is_recovered", "plugins.functions.unfollowed", "plugins.target_problems",
    "plugins.target_problems.advice", "plugins.problems", "plugins.problems.advice", "plugins.next_step", "plugins.next_step.commands",
}  # fmt: skip
NAMES = (
    "transactions.kinds",
    "transactions.queues",
    "transactions.queues.mail.outcomes",
    "traces.tags",
    "traces.spans.tags",
    "traces.policies",
    "traces.seen",
    "traces.merged",
    "traces.calls",
    "counters",
    "counters.collector.dropped",
    "error_groups.endpoints",
    "error_groups.example.tags",
    "operations.endpoints",
    "gauges",
    "gauges.process",
    "counters.collector.left_out",
    "left_out",
    "traces.error.left_out",
    "traces.more_errors.left_out",
    "error_groups.example.error.left_out",
)
"""Mappings whose keys are data, not fields."""


def places(facts: Any, path: tuple = ()) -> list[tuple]:
    """Return the path to every value of the JSON, outermost first."""
    inner = facts.items() if isinstance(facts, dict) else enumerate(facts) if isinstance(facts, list) else ()
    return [path] * bool(path) + [place for key, value in inner for place in places(value, (*path, key))]


def changed(path: tuple, value: Any) -> bytes:
    """Return the encoded full report with another value at a path."""
    facts = copy.deepcopy(WIRE)
    inner: Any = facts
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(facts).encode()


def value_at(path: tuple) -> Any:
    value: Any = WIRE
    for key in path:
        value = value[key]
    return value


def test_a_report_is_encoded_as_this_json():
    """A change breaks agents and collectors of different versions; only a new optional field is compatible."""
    assert WIRE == json.loads(encode(FULL))


def test_decoding_restores_the_encoded_report():
    assert FULL == decode(encode(FULL))


names = st.text(max_size=20).map(lambda text: text.encode("utf-8", "replace").decode())
counts = st.integers(min_value=0, max_value=2**62)
numbers = st.floats(min_value=-1e15, max_value=1e15)
tag_values = st.one_of(
    names, st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none()
)


@settings(deadline=None)
@given(
    app=names,
    tags=st.dictionaries(names, tag_values, max_size=5),
    policies=st.dictionaries(names, numbers, max_size=3),
    buckets=st.dictionaries(st.integers(-900, 900), st.integers(0, 2**40), max_size=5),
    dropped=st.dictionaries(names, counts, max_size=3),
    start=numbers,
)
def test_every_report_of_an_agent_is_restored(app, tags, policies, buckets, dropped, start):
    metrics = evolve(
        FULL.transactions[0],
        durations=Histogram(buckets),
        kinds={app: KindMetrics(count=1, errors=0, total=start, exclusive=0)},
    )
    counters = evolve(FULL.counters["collector"], dropped=dropped)
    report = evolve(
        FULL,
        start=start,
        process=evolve(FULL.process, app=app),
        transactions=(metrics, FULL.transactions[0]),
        traces=(evolve(FULL.traces[0], tags=tags, policies=policies, name=app),),
        counters={app: counters},
    )

    restored = decode(encode(report))

    assert report == restored
    assert {key: type(value) for key, value in tags.items()} == {
        key: type(value) for key, value in restored.traces[0].tags.items()
    }


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_does_not_have_are_not_encoded(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(evolve(FULL, start=number))


@pytest.mark.parametrize(
    "path", [path for path in places(WIRE) if isinstance(path[-1], str)], ids=lambda path: ".".join(map(str, path))
)
def test_a_missing_field_is_named_in_the_error_unless_it_has_a_default(path):
    facts = copy.deepcopy(WIRE)
    inner: Any = facts
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    body = json.dumps(facts).encode()

    field, _, _ = (dotted := ".".join(key for key in path if isinstance(key, str))).rpartition(".")
    if dotted == "schema":
        with pytest.raises(RejectedReport, match="schema 'None' is not 1"):
            decode(body)
    elif field in NAMES or dotted in MAY_BE_MISSING:
        assert decode(body) != FULL or value_at(path) is None
    else:
        with pytest.raises(RejectedReport, match=rf"required field missing @ \$.*{path[-1]}"):
            decode(body)


WRONG: dict[type, list[Any]] = {
    str: [None, 5, True, [], {}],
    int: [None, "5", True, 1.5, -1, 10**30, [], {}],
    float: [None, "5", True, math.nan, math.inf, -math.inf, 1e300, 10**400, [], {}],
    bool: [None, "true", 1, [], {}],
    list: [None, 5, True, {"a": 1}, "text"],
    dict: [None, 5, True, [1], "text"],
    type(None): [5, True, [], {}],
}


def cases() -> Iterator[Any]:
    for path in places(WIRE):
        if (
            path[0] == "schema"
            or "tags" in path[:-1]
            or path[-2:-1] == ("durations",)
            or {"durations", "waits"} & set(path)
        ):
            continue
        value = value_at(path)
        may_be_none = path[-1] in (
            "queue_time",
            "error",
            "distribution",
            "version",
            "last_error",
            "seconds_per_call",
            "p50",
            "p95",
            "next_step",
            "example",
            "too_slow",
            "too_many_errors",
            "is_last",
            "period",
        )
        for wrong in WRONG[type(value)]:
            is_list_of_texts = path[-1] in (
                "hooks",
                "wrapped",
                "waiting",
                "not_found",
                "commands",
                "notes",
                "unfollowed",
            ) and wrong in (
                "text",
                {"a": 1},
            )
            is_number = path[-1] == "p95" and wrong == 5
            if (
                not (wrong is None and may_be_none)
                and not is_list_of_texts
                and not is_number
                and not (value is None and wrong is None)
            ):
                yield pytest.param(path, wrong, id=f"{'.'.join(map(str, path))}={str(wrong)[:10]}")


@pytest.mark.parametrize(("path", "wrong"), list(cases()))
def test_a_value_of_the_wrong_type_is_rejected_with_its_path(path, wrong):
    with pytest.raises(RejectedReport) as caught:
        decode(changed(path, wrong))

    assert str(path[0]) in str(caught.value)


@pytest.mark.parametrize(
    "wrong", [[], {}, math.nan, math.inf, -math.inf, 10**30, -(10**400)], ids=lambda wrong: str(wrong)[:10]
)
def test_a_tag_that_is_not_a_plain_value_is_rejected(wrong):
    with pytest.raises(RejectedReport, match="tags"):
        decode(changed(("traces", 0, "tags", "plan"), wrong))


@pytest.mark.parametrize(
    "wrong",
    [None, 5, "12", {"1": 1}, [1], [[1]], [[1, 2, 3]], [["1", 2]], [[1, "2"]], [[1.5, 2]], [[1, True]], [[1, -1]], [[5_001, 1]],
     [[-5_001, 1]], [[1, 2**70]]],
    ids=str,
)  # fmt: skip
def test_a_histogram_without_pairs_of_bucket_and_count_is_rejected(wrong):
    with pytest.raises(RejectedReport, match="durations"):
        decode(changed(("transactions", 0, "durations"), wrong))


def test_unknown_fields_of_later_versions_are_ignored():
    facts = {**WIRE, "added_later": {"deep": [1]}, "process": {**WIRE["process"], "added_later": 1}}

    assert FULL == decode(json.dumps(facts).encode())


@pytest.mark.parametrize("schema", [0, 2, "1", None, [1], {"x": "y" * 1_000}])
def test_another_schema_is_rejected_with_advice(schema):
    with pytest.raises(RejectedReport, match="is not 1: use the same version of scout-core on both sides") as caught:
        decode(changed(("schema",), schema))

    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"{", b"\xff\xfe\x00", b"report", b"NaN", b"[" * 100_000, b'{"schema": 1' + b"0" * 10_000 + b"}", b"\x00" * 10],
    ids=lambda body: repr(body[:8]),
)  # fmt: skip
def test_a_body_that_is_not_json_is_rejected(body):
    with pytest.raises(RejectedReport, match=r"the body is not (JSON|a JSON object)|schema"):
        decode(body)


@pytest.mark.parametrize("facts", [[], 1, "text", None, True, [WIRE]], ids=lambda facts: type(facts).__name__)
def test_json_that_is_not_an_object_is_rejected(facts):
    with pytest.raises(RejectedReport, match="the body is not a JSON object"):
        decode(json.dumps(facts).encode())


def test_a_truncated_body_is_rejected():
    body = encode(FULL)
    for length in range(len(body)):
        with pytest.raises(RejectedReport):
            decode(body[:length])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None, max_examples=150)
@given(path=st.sampled_from(places(WIRE)), value=json_values)
def test_an_invalid_value_raises_no_other_exception(path, value):
    try:
        report = decode(changed(path, value))
    except RejectedReport as error:
        assert 0 < len(str(error)) <= 2_000
        return
    assert report == decode(encode(report)), "an accepted report can be encoded again"
    repr(report).encode("utf-8")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_invalid_bytes_raise_no_other_exception(body):
    with pytest.raises(RejectedReport):
        decode(body)


def test_a_lone_surrogate_becomes_a_question_mark():
    """Python's JSON decoder accepts it, but it cannot be stored in SQLite or encoded as UTF-8."""
    odd = "caf\ud800é"
    report = decode(
        encode(
            evolve(
                FULL,
                process=evolve(FULL.process, app=odd),
                traces=(evolve(FULL.traces[0], tags={odd: odd}),),
                counters={odd: FULL.counters["collector"]},
            )
        )
    )

    assert "caf?é" == report.process.app
    assert {"caf?é": "caf?é"} == report.traces[0].tags
    assert ["caf?é"] == list(report.counters)


def test_a_message_names_at_most_ten_fields():
    with pytest.raises(RejectedReport) as caught:
        decode(json.dumps({"schema": 1, "process": {}, "transactions": [{}] * 100, "traces": [{}] * 100}).encode())

    assert 9 == str(caught.value).count("; ")
