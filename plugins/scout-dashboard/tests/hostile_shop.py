"""A report in which every text under control of an app, a user or a plugin is a payload."""

from __future__ import annotations

import time

import sample_reports
from attrs import evolve
from known_shop import metrics
from payloads import PAYLOADS

from scout_core.measuring.error_report import RelatedException
from scout_core.measuring.report import (
    Counters,
    ErrorExample,
    ErrorGroupMetrics,
    ErrorReport,
    FunctionStatus,
    KindMetrics,
    PluginStatus,
    Report,
    SpanRecord,
    SpanRepeat,
    SpanStack,
    Trace,
)
from scout_core.problems import NextStep, Problem, TooSlow

APP = "<script>hit('app')</script>"
TRACE_ID = "00000000000000ff"
STATES = ("active", "failed", "quarantined")


def report() -> Report:
    """Return a report of one minute."""
    end = int(time.time() // 60) * 60 - 61.0
    base = sample_reports.report(end=end, traces=0, instance='"><b onclick=hit(0)>', app=APP)
    names = [f"{prefix}/{payload}" for payload in PAYLOADS for prefix in ("Controller", "Job")]
    return evolve(
        base,
        process=evolve(
            base.process, hostname=PAYLOADS[0], revision=PAYLOADS[9], agent=PAYLOADS[10], python=PAYLOADS[16]
        ),
        transactions=tuple(_with_kinds(name, number) for number, name in enumerate(names)),
        traces=(trace(end - 5.0),),
        plugins=tuple(plugin(number) for number in range(len(PAYLOADS))),
        counters={payload: counters() for payload in PAYLOADS[:12]},
        error_groups=tuple(error_group(payload, end) for payload in PAYLOADS),
    )


def error_group(payload: str, end: float) -> ErrorGroupMetrics:
    """Return a group with one payload in all fields."""
    example = ErrorExample(
        name=payload, time=end, error=error(payload), tags=dict.fromkeys(PAYLOADS, payload), trace=payload
    )
    return ErrorGroupMetrics(
        group=payload, title=payload, exception=payload, cause=payload, where=payload, message=payload, count=3, handled=1,
        endpoints={payload: 2, f"Controller/{payload}": 1}, first=end, last=end, trace=payload, example=example,
    )  # fmt: skip


def error(payload: str) -> ErrorReport:
    """Return an error with one payload in all fields."""
    related = RelatedException(
        exception=payload, message=payload, frames=((payload, 1, payload),), parent=0, relation=payload
    )
    return ErrorReport(
        exception=payload, message=payload, frames=((payload, 1, payload),), in_app=(True,), notes=(payload,), related=(related,),
        where=payload, group=payload, left_out={payload: 1},
    )  # fmt: skip


def _with_kinds(name: str, number: int) -> object:
    plain = metrics(name, 1, 0.01 + number / 10_000)
    mine = PAYLOADS[number % len(PAYLOADS)].replace("/", "|")
    payload = PAYLOADS[number // 2 % len(PAYLOADS)]
    queue = evolve(sample_reports.queue_metrics([0.01], [0.5]), outcomes={payload: 1})
    return evolve(
        plain,
        kinds={**plain.kinds, mine: KindMetrics(count=1, errors=0, total=0.001, exclusive=0.001)},
        queues={payload: queue} if name.startswith("Job/") else {},
    )


def trace(start: float) -> Trace:
    """Return a trace with every payload as operation, tag, statement, URL, policy, file and function."""
    spans = tuple(
        SpanRecord(
            id=number, parent=0, operation=f"{payload}/{payload}", start=number / 1_000, duration=0.001,
            tags={"statement": payload, payload: payload}, error=payload if number % 3 == 0 else None,
        )
        for number, payload in enumerate(PAYLOADS, start=1)
    )  # fmt: skip
    frames = tuple((payload, 1, payload) for payload in PAYLOADS[:50])
    stacks = tuple(SpanStack(span=span.id, frames=frames[:3], in_app=(True, False, True)) for span in spans[:50])
    repeats = tuple(
        SpanRepeat(operation=payload, statement=payload, count=9, seconds=0.1, file=payload, line=1, function=payload)
        for payload in PAYLOADS
    )
    related = tuple(
        RelatedException(
            exception=payload, message=payload, frames=((payload, 1, payload),), in_app=(True,), notes=(payload,), relation=payload,
            parent=2**60,
        )
        for payload in PAYLOADS
    )  # fmt: skip
    error = ErrorReport(
        exception=PAYLOADS[9], message=" ".join(PAYLOADS), frames=frames, in_app=(True,) * 3, notes=PAYLOADS, related=related,
        left_out=dict.fromkeys(PAYLOADS, 1),
    )  # fmt: skip
    return Trace(
        id=TRACE_ID,
        name=f"Controller/{PAYLOADS[0]}",
        start=start,
        duration=0.1,
        queue_time=None,
        is_error=True,
        error=error,
        more_errors=(error,) * 2,
        stacks=stacks,
        repeats=repeats,
        tags={payload: payload for payload in PAYLOADS},
        score=float(len(PAYLOADS)),
        policies=dict.fromkeys(PAYLOADS, 1.0),
        group=PAYLOADS[1],
        grouped_by=PAYLOADS[2],
        spans=spans,
        merged=dict.fromkeys(PAYLOADS, (2, 0.5)),
        trace_id=PAYLOADS[3],
        parent_span_id=PAYLOADS[4],
        started_by=PAYLOADS[5],
        calls=dict.fromkeys(PAYLOADS, 1),
    )


def plugin(number: int) -> PluginStatus:
    """Return a status with one payload in all fields."""
    payload = PAYLOADS[number]
    slow = TooSlow(seconds=1.0, quantile=0.5, timed=10, window=100, option=payload, factor=number, limit=0.5)
    return PluginStatus(
        name=payload,
        distribution=payload,
        version=payload,
        state=STATES[number % len(STATES)],
        reason=payload,
        problems=(Problem(kind=payload, subject=payload, detail=payload, advice=payload),),
        next_step=NextStep(kind=payload, text=payload, commands=(payload,)),
        target=payload,
        hooks=(payload,),
        wrapped=(payload,),
        waiting=(payload,),
        not_found=(payload,),
        target_problems=(Problem(kind=payload, subject=payload, detail=payload),) * (number % 2),
        calls=1,
        errors=1,
        last_error=payload,
        seconds_per_call=0.001,
        functions=(
            FunctionStatus(
                place=f"{payload} 1", calls=1, errors=1, p50=0.001, p95=0.001, slow=payload, off=payload, too_slow=slow
            ),
            FunctionStatus(place=f"{payload} 2", calls=1, errors=1, p50=0.001, p95=0.001, slow=payload, off=payload),
        ),
        traceback=((payload, 1, payload),),
    )


def counters() -> Counters:
    """Return counters with every payload as a reason."""
    return Counters(finished=len(PAYLOADS), exported=0, queued=0, dropped=dict.fromkeys(PAYLOADS, 1))
