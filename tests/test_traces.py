from __future__ import annotations

import pytest

from scout_core import span, transaction
from scout_core.measuring.report import SpanRecord
from scout_core.measuring.reservoir import Kept
from scout_core.sending.traces import class_path, trace_of
from tests.workbench import running


class ApplicationError(Exception):
    pass


@pytest.fixture
def agent():
    with running(threaded=False) as agent:
        yield agent


def trace_in(agent, **changes):
    """Return the trace of the only finished transaction, as if it had been kept."""
    (ended,) = agent.tracer.inbox
    return trace_of(Kept(name=ended.operation, score=2.5, policies={"a": 1.5, "b": 1.0}, item=ended))[0]


def outline(trace):
    return [(record.id, record.parent, record.operation) for record in trace.spans]


def test_a_trace_contains_the_facts_of_its_transaction(agent):
    with transaction("Controller/home", plan="gold") as request:
        with span("SQL/Query", statement="select 1"):
            pass
    request.queue_time = 0.5
    (ended,) = agent.tracer.inbox
    (query,) = ended.spans

    trace = trace_in(agent)

    assert 16 == len(trace.id) == len(f"{request.id:016x}")
    assert request.id == int(trace.id, 16)
    assert ("Controller/home", request.started, 0.5, False, None) == (
        trace.name, trace.start, trace.queue_time, trace.is_error, trace.error,
    )  # fmt: skip
    assert (ended.stop_ns - ended.start_ns) / 1e9 == trace.duration
    assert {"plan": "gold"} == trace.tags
    assert (2.5, {"a": 1.5, "b": 1.0}) == (trace.score, trace.policies)
    assert (
        SpanRecord(
            id=1,
            parent=0,
            operation="SQL/Query",
            start=(query.start_ns - ended.start_ns) / 1e9,
            duration=(query.stop_ns - query.start_ns) / 1e9,
            tags={"statement": trace.spans[0].tags["statement"]},
        ),
    ) == trace.spans
    assert {} == trace.merged


def test_spans_are_numbered_in_order_of_their_start(agent):
    with transaction("Controller/home"):
        with span("A/outer"):
            with span("B/first"):
                with span("C/deep"):
                    pass
            with span("B/second"):
                pass
        with span("D/last"):
            pass

    trace = trace_in(agent)

    assert [(1, 0, "A/outer"), (2, 1, "B/first"), (3, 2, "C/deep"), (4, 1, "B/second"), (5, 0, "D/last")] == outline(
        trace
    )
    assert sorted(record.start for record in trace.spans) == [record.start for record in trace.spans]


def test_the_parent_of_a_span_is_its_nearest_ancestor_in_the_trace(agent):
    with transaction("Controller/home"), span("A/outer"):
        span("B/never closed").__enter__()
        with span("C/inner"):
            pass

    assert [(1, 0, "A/outer"), (2, 1, "C/inner")] == outline(trace_in(agent))


def test_spans_beyond_the_limit_are_summed_by_operation():
    with running(threaded=False, max_spans=2) as agent:
        with transaction("Controller/home"), span("A/outer"):
            for _ in range(5):
                with span("SQL/Query"):
                    pass

        trace = trace_in(agent)

        assert [(1, 0, "SQL/Query"), (2, 0, "SQL/Query")] == outline(trace)
        assert {"SQL/Query": 3, "A/outer": 1} == {operation: count for operation, (count, _) in trace.merged.items()}
        assert trace.merged["A/outer"][1] > trace.merged["SQL/Query"][1] > 0


def test_an_unclosed_span_is_not_among_the_merged_spans():
    with running(threaded=False, max_spans=0) as agent:
        with transaction("Controller/home"):
            span("A/never closed").__enter__()
            with span("SQL/Query"):
                pass

        assert {"SQL/Query": 1} == {operation: count for operation, (count, _) in trace_in(agent).merged.items()}


def test_a_trace_contains_the_exception_and_its_frames(agent):
    def fail():
        raise ApplicationError("unexpected")

    with pytest.raises(ApplicationError), transaction("Controller/home"), span("View/v"):
        fail()

    trace = trace_in(agent)
    path = f"{ApplicationError.__module__}.ApplicationError"

    assert trace.is_error
    assert path == trace.spans[0].error
    assert (path, "unexpected") == (trace.error.exception, trace.error.message)
    assert ["fail", "test_a_trace_contains_the_exception_and_its_frames"] == [
        function for _, _, function in trace.error.frames
    ]
    assert {__file__} == {file for file, _, _ in trace.error.frames}
    (ended,) = agent.tracer.inbox
    assert (trace.error,) == trace.errors == ended.errors


def test_tags_beyond_the_limit_are_counted(agent):
    with transaction("Controller/home", **{f"t{number}": number for number in range(70)}):
        with span("SQL/Query", **{f"s{number}": number for number in range(65)}):
            pass
    (ended,) = agent.tracer.inbox

    trace, dropped = trace_of(Kept("Controller/home", 1.0, {}, ended))

    assert (7, 0) == (agent.counters().tags_dropped, dropped), "they are dropped when their span ends"
    assert (64, 64) == (len(trace.tags), len(trace.spans[0].tags))


def test_a_trace_contains_no_secrets(agent):
    with transaction("Controller/home", password="hunter2"):
        with span("SQL/Query", statement="select * from users where name = 'ann'"):
            pass

    text = repr(trace_in(agent))

    assert "hunter2" not in text
    assert "ann" not in text


def test_an_operation_is_cut_to_three_hundred_characters():
    with running(threaded=False, max_spans=1) as agent:
        with transaction("Controller/home"):
            for name in ("a", "b"):
                with span(f"K/{name * 1_000}"):
                    pass
        trace = trace_in(agent)

        assert f"K/{'a' * 298}" == trace.spans[0].operation
        assert [f"K/{'b' * 298}"] == list(trace.merged)


def test_the_path_of_a_class_includes_its_module_unless_it_is_built_in():
    assert "KeyError" == class_path(KeyError)
    assert f"{__name__}.ApplicationError" == class_path(ApplicationError)
