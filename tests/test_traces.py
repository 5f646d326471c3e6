from __future__ import annotations

import pytest

from scout_core import span, transaction
from scout_core.measuring.report import ErrorReport, SpanRecord
from scout_core.measuring.reservoir import Kept
from scout_core.sending.traces import class_path, error_of, trace_of
from tests.workbench import running


class OddError(Exception):
    pass


@pytest.fixture
def agent():
    with running(threaded=False) as agent:
        yield agent


def trace_in(agent, **changes):
    """The trace of the only transaction that ended, as if it had been kept."""
    (ended,) = agent.tracer.inbox
    return trace_of(Kept(name=ended.operation, score=2.5, policies={"a": 1.5, "b": 1.0}, item=ended))[0]


def outline(trace):
    return [(one.id, one.parent, one.operation) for one in trace.spans]


def test_a_trace_tells_everything_that_is_known_of_a_transaction(agent):
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
    assert sorted(one.start for one in trace.spans) == [one.start for one in trace.spans]


def test_a_parent_that_is_not_in_the_trace_is_passed_over(agent):
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


def test_a_span_that_was_never_closed_is_not_among_the_merged():
    with running(threaded=False, max_spans=0) as agent:
        with transaction("Controller/home"):
            span("A/never closed").__enter__()
            with span("SQL/Query"):
                pass

        assert {"SQL/Query": 1} == {operation: count for operation, (count, _) in trace_in(agent).merged.items()}


def test_the_exception_that_left_it_is_told_with_its_frames(agent):
    def fails():
        raise OddError("it is odd")

    with pytest.raises(OddError), transaction("Controller/home"), span("View/v"):
        fails()

    trace = trace_in(agent)
    path = f"{OddError.__module__}.OddError"

    assert trace.is_error
    assert path == trace.spans[0].error
    assert (path, "it is odd") == (trace.error.exception, trace.error.message)
    assert ["fails", "test_the_exception_that_left_it_is_told_with_its_frames"] == [
        function for _, _, function in trace.error.frames
    ]
    assert {__file__} == {file for file, _, _ in trace.error.frames}
    (ended,) = agent.tracer.inbox
    assert isinstance(error_of(ended.raised), ErrorReport)


def test_what_was_beyond_the_limit_of_tags_is_counted(agent):
    with transaction("Controller/home", **{f"t{number}": number for number in range(70)}):
        with span("SQL/Query", **{f"s{number}": number for number in range(65)}):
            pass
    (ended,) = agent.tracer.inbox

    trace, dropped = trace_of(Kept("Controller/home", 1.0, {}, ended))

    assert 7 == dropped
    assert (64, 64) == (len(trace.tags), len(trace.spans[0].tags))


def test_secrets_do_not_get_into_a_trace(agent):
    with transaction("Controller/home", password="hunter2"):
        with span("SQL/Query", statement="select * from users where name = 'ann'"):
            pass

    told = repr(trace_in(agent))

    assert "hunter2" not in told
    assert "ann" not in told


def test_an_operation_is_cut_to_three_hundred_characters():
    with running(threaded=False, max_spans=1) as agent:
        with transaction("Controller/home"):
            for name in ("a", "b"):
                with span(f"K/{name * 1_000}"):
                    pass
        trace = trace_in(agent)

        assert f"K/{'a' * 298}" == trace.spans[0].operation
        assert [f"K/{'b' * 298}"] == list(trace.merged)


def test_a_class_is_told_with_its_module_unless_it_is_built_in():
    assert "KeyError" == class_path(KeyError)
    assert f"{__name__}.OddError" == class_path(OddError)
