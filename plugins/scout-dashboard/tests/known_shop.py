"""A shop with known values: ten slow minutes after ten fast ones, one job, and one failed trace."""

from __future__ import annotations

import time
from collections.abc import Iterator

import sample_reports
from attrs import evolve

from scout_core.measuring.error_report import RelatedException
from scout_core.measuring.histogram import Histogram
from scout_core.measuring.report import (
    ErrorExample,
    ErrorGroupMetrics,
    ErrorReport,
    KindMetrics,
    Report,
    SpanRecord,
    SpanRepeat,
    SpanStack,
    Trace,
    TransactionMetrics,
)
from scout_dashboard.collector import Collector

CHECKOUT = "Controller/shop.checkout"
MAIL = "Job/mail.send"
TRACE_ID = "00000000000000a1"
STATEMENT = "SELECT id, price FROM product WHERE id = ?"
FAST, SLOW = (60, 0.05), (30, 0.20)
"""Transactions per minute and their seconds: 900 in total, mean 100 ms."""


FAILED = "a0a0a0a0a0a0"
"""The group of the nine failures."""
ERROR = ErrorReport(
    exception="shop.PaymentFailed", message="no answer",
    frames=(
        ("shop/pay.py", 88, "authorise"), ("flask/app.py", 917, "dispatch"), ("flask/app.py", 880, "full_dispatch"),
        ("shop/wsgi.py", 3, "app"),
    ),
    in_app=(True, False, False, True), notes=("for order ?",), where="shop.pay:authorise", group=FAILED, left_out={"exceptions": 980, "frames": 4},
    related=(
        RelatedException(
            exception="ExceptionGroup", message="2 of 2 failed (2 sub-exceptions)", frames=(("shop/pay.py", 80, "ask"),),
            in_app=(True,), parent=0, relation="cause",
        ),
        RelatedException(
            exception="TimeoutError", message="timed out", frames=(("socket.py", 7, "recv"),), in_app=(False,), parent=1,
            relation="member",
        ),
        RelatedException(exception="KeyError", message="'plan'", frames=(), parent=2, relation="context"),
    ),
)  # fmt: skip
HANDLED = ErrorReport(
    exception="shop.NoStock",
    message="sold out",
    frames=(("shop/stock.py", 9, "take"),),
    in_app=(True,),
    handled=True,
    where="shop.stock:take",
    group="b0b0b0b0b0b0",
)


def minutes() -> list[int]:
    """Return the start of each of the twenty minutes, oldest first; the last one is two minutes ago."""
    last = int(time.time() // 60) * 60 - 120
    return [last - 60 * back for back in reversed(range(20))]


def reports(starts: list[int]) -> Iterator[Report]:
    """Yield one report per minute; the newest contains the trace."""
    for number, start in enumerate(starts, start=1):
        count, seconds = FAST if number <= 10 else SLOW
        checkout = metrics(CHECKOUT, count, seconds, errors=9 if number == 20 else 0)
        jobs = (metrics(MAIL, 1, 3.0),) if number == 20 else ()
        traces = (trace(start + 10.0),) if number == 20 else ()
        base = sample_reports.report(end=start + 59.0, number=number, traces=0)
        groups = error_groups(start) if number == 20 else ()
        yield evolve(base, transactions=(checkout, *jobs), traces=traces, error_groups=groups)


def error_groups(start: float) -> tuple[ErrorGroupMetrics, ...]:
    """Return the groups of the newest report: nine failures, of which one has a trace, and a handled error."""
    example = ErrorExample(
        name=CHECKOUT,
        time=start + 10.0,
        error=ERROR,
        tags={"path": "/checkout?card=[FILTERED]", "plan": "gold"},
        trace=TRACE_ID,
    )
    failed = sample_reports.error_group(
        FAILED, 9, end=start + 59.0, names=(CHECKOUT, MAIL), exception=ERROR.exception, cause="OSError", where=ERROR.where,
        message=ERROR.message, trace=TRACE_ID, example=example,
    )  # fmt: skip
    handled = sample_reports.error_group(
        HANDLED.group, 2, handled=2, end=start + 59.0, names=(CHECKOUT,), exception=HANDLED.exception, cause="",
        where=HANDLED.where, message=HANDLED.message,
    )  # fmt: skip
    return failed, handled


def metrics(name: str, count: int, seconds: float, errors: int = 0) -> TransactionMetrics:
    """Return metrics of equal transactions that spend half their time in SQL."""
    durations = Histogram()
    for _ in range(count):
        durations.add(seconds)
    total = count * seconds
    return TransactionMetrics(
        name=name,
        count=count,
        errors=errors,
        total=total,
        durations=durations,
        kinds={
            name.partition("/")[0]: KindMetrics(count=count, errors=errors, total=total, exclusive=total / 2),
            "SQL": KindMetrics(count=count * 3, errors=0, total=total / 2, exclusive=total / 2),
        },
    )


def trace(start: float) -> Trace:
    """Return a trace of one second: six equal queries, and a payment that failed inside a template."""
    queries = [
        SpanRecord(
            id=1 + n, parent=0, operation="SQL/Query", start=0.1 * n, duration=0.05, tags={"statement": STATEMENT}
        )
        for n in range(6)
    ]
    template = SpanRecord(
        id=7, parent=0, operation="Template/Render", start=0.6, duration=0.4, tags={"name": "paid.html"}
    )
    failed = "urllib3.exceptions.MaxRetryError"
    payment = SpanRecord(
        id=8,
        parent=7,
        operation="HTTP/POST",
        start=0.7,
        duration=0.2,
        tags={"url": "http://pay.internal/v2"},
        error=failed,
    )
    calls = (
        ("urllib3/poolmanager.py", 444, "urlopen"), ("shop/pay.py", 88, "authorise"), ("shop/views.py", 12, "checkout"),
    )  # fmt: skip
    return Trace(
        id=TRACE_ID,
        name=CHECKOUT,
        start=start,
        duration=1.0,
        queue_time=0.004,
        is_error=True,
        error=ERROR,
        more_errors=(HANDLED,),
        errors_left_out=3,
        stacks=(SpanStack(span=8, frames=calls, in_app=(False, True, True)),),
        stacks_left_out=2,
        repeats=(
            SpanRepeat(
                operation="SQL/Query",
                statement=STATEMENT,
                count=6,
                seconds=0.3,
                file="shop/views.py",
                line=31,
                function="lines",
            ),
        ),
        tags={"plan": "gold", "items": 3},
        score=6.65,
        policies={"percentile": 1.4, "checkout_first": 5.0, "age": 0.25},
        group=f"errors of {CHECKOUT}",
        grouped_by="error_traces",
        seen={"count": 204.0, "quantile": 0.97},
        spans=(*queries, template, payment),
        merged={"SQL/Query": (12, 0.034)},
    )


def fill(collector: Collector) -> list[int]:
    """Send all reports, and return the start of each minute."""
    starts = minutes()
    for report in reports(starts):
        send(collector, report)
    return starts


def send(collector: Collector, report: Report) -> None:
    """Send a report like an agent."""
    status, body = sample_reports.send(collector.url, collector.token, report)
    assert 202 == status, body
