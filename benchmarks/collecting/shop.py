"""Reports of an application of any size: histograms, kinds of spans, traces, and jobs with queues; deterministic."""

from __future__ import annotations

import random
from typing import Final

from attrs import evolve, frozen

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.process import Process
from scout_core.measuring.report import (
    CodeLine,
    Counters,
    EndpointShare,
    ErrorReport,
    FunctionStatus,
    KindMetrics,
    OperationMetrics,
    PluginStatus,
    QueueMetrics,
    Report,
    SpanRecord,
    Trace,
    TransactionMetrics,
)

KINDS: Final = ("SQL", "Template", "HTTP", "Redis")
"""Kinds of spans of each transaction, beside its own."""
_JOBS: Final = 10
"""One name in so many is a job."""
_QUEUES: Final = 10
PLUGINS: Final = ("flask", "sqlalchemy", "jinja2", "redis", "urllib3", "celery", "process", "collector")
STATEMENT: Final = "SELECT stock.id, stock.amount, stock.reserved FROM stock JOIN region ON region.id = stock.region WHERE region.name = ?"


@frozen(kw_only=True)
class Shop:
    """How large an application is."""

    names: int
    """Names in each report, of which a tenth are jobs."""
    calls: float
    """Mean number of transactions of each name in a report."""
    traces: int
    """Kept traces in each report."""
    operations: int = 200
    """Statements, hosts and templates in each report."""


def report(
    shop: Shop, *, end: float, period: float, app: str = "Shop", instance: str, number: int, seed: int
) -> Report:
    """Return the report of one process. The same seed gives the same figures."""
    dice = random.Random(seed)
    return Report(
        id=f"{instance}-{number}",
        process=Process(
            app=app, hostname="web-1", pid=4_121, instance=instance, started=end - 3_600, agent="0.1.0", python="3.11.7",
            revision="3f2a9c1d7e",
        ),
        start=end - period,
        end=end,
        transactions=tuple(_metrics(dice, name_of(index), shop.calls) for index in range(shop.names)),
        traces=tuple(_trace(dice, name_of(dice.randrange(shop.names)), end - dice.random() * period) for _ in range(shop.traces)),
        plugins=tuple(_plugin(name) for name in PLUGINS),
        operations=tuple(_operation(dice, index, shop) for index in range(shop.operations)),
        counters={"collector": Counters(finished=number * 200, exported=number * 200 - 3, queued=3, dropped={}, spans=number * 900)},
        gauges={"process": {"rss_bytes": 82_400_000.0, "cpu_seconds": 1.5 + number, "threads": 9.0}},
        period=period,
    )  # fmt: skip


def name_of(index: int) -> str:
    """Return the name of an endpoint, or of a job."""
    if index % _JOBS == _JOBS - 1:
        return f"Job/warehouse.tasks.section_{index % 23}.reconcile_{index}"
    return f"Controller/warehouse.views.section_{index % 23}.page_{index}"


def with_end(report: Report, *, end: float, number: int) -> Report:
    """Return the same figures for another period, with other ids."""
    by = end - report.end
    traces = tuple(
        evolve(trace, id=f"{number:08x}{index:08x}", start=trace.start + by)
        for index, trace in enumerate(report.traces)
    )
    instance = report.process.instance
    process = evolve(report.process, started=report.process.started + by)
    return evolve(report, id=f"{instance}-{number}", process=process, start=report.start + by, end=end, traces=traces)


def _metrics(dice: random.Random, name: str, calls: float) -> TransactionMetrics:
    count = max(1, round(dice.gauss(calls, calls**0.5)))
    typical = 0.01 + hash_of(name) % 50 / 100
    values = [typical * dice.lognormvariate(0, 0.45) for _ in range(count)]
    total = sum(values)
    own = name.partition("/")[0]
    share = total * 0.7 / len(KINDS)
    kinds = {own: KindMetrics(count=count, errors=0, total=total, exclusive=total * 0.3)}
    kinds |= {kind: KindMetrics(count=count * 3, errors=0, total=share, exclusive=share) for kind in KINDS}
    queues = _queues(name, values) if own == "Job" else {}
    return TransactionMetrics(
        name=name,
        count=count,
        errors=sum(dice.random() < 0.01 for _ in range(count)),
        total=total,
        durations=_histogram(values),
        queue_time=sum(queue.queue_time for queue in queues.values()) if queues else 0.004 * count,
        queued=count,
        kinds=kinds,
        queues=queues,
    )


def _operation(dice: random.Random, index: int, shop: Shop) -> OperationMetrics:
    kind = KINDS[index % len(KINDS)]
    typical = 0.002 + index % 17 / 1_000
    values = [typical * dice.lognormvariate(0, 0.45) for _ in range(max(1, round(shop.calls * 2)))]
    total, count = sum(values), len(values)
    names = {name_of((index * 7 + number) % shop.names) for number in range(1 + index % 4)}
    return OperationMetrics(
        operation=f"{kind}/Query",
        detail=statement_of(index) if kind == "SQL" else f"{kind.lower()}-{index}.internal:8080",
        count=count,
        errors=0,
        total=total,
        durations=_histogram(values),
        endpoints={
            name: EndpointShare(count=count // len(names), total=total / len(names), repeated=index % 3)
            for name in sorted(names)
        },
        lines=tuple(
            CodeLine(
                file=f"/srv/warehouse/views_{index}.py", line=10 + number, function="find", count=3, total=total / 9
            )
            for number in range(index % 3)
        ),
    )


def statement_of(index: int) -> str:
    """Return the statement of an operation, of 200 to 700 characters."""
    columns = ", ".join(f"stock_{index}.column_{number}" for number in range(8 + index % 20))
    return f"SELECT {columns} FROM stock_{index} JOIN region ON region.id = stock_{index}.region WHERE region.name = ?"


def _queues(name: str, values: list[float]) -> dict[str, QueueMetrics]:
    first = hash_of(name) % _QUEUES
    shares = {f"queue_{first}": values[::2], f"queue_{(first + 1) % _QUEUES}": values[1::2]}
    return {
        queue: QueueMetrics(
            count=len(own), errors=0, total=sum(own), durations=_histogram(own), queue_time=2 * sum(own),
            waits=_histogram([2 * value for value in own]), outcomes={"success": len(own)},
        )
        for queue, own in shares.items() if own
    }  # fmt: skip


def hash_of(name: str) -> int:
    """Return a number that is the same in every process."""
    return sum(map(ord, name))


def _histogram(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


def _trace(dice: random.Random, name: str, start: float) -> Trace:
    duration = dice.lognormvariate(-1, 0.5)
    policies = {"speed": round(dice.random() * 2, 3), "percentile": round(dice.random() * 3, 3), "age": 0.5}
    spans = tuple(
        SpanRecord(
            id=number, parent=number // 4, operation=f"{KINDS[number % len(KINDS)]}/Query", start=duration * number / 30,
            duration=duration / 40, tags={"statement": STATEMENT} if number % 4 == 0 else {"name": "page.html"},
        )
        for number in range(1, 25)
    )  # fmt: skip
    failed = dice.random() < 0.1
    frames = tuple((f"warehouse/views_{number}.py", 40 + number, "dispatch") for number in range(8))
    error = ErrorReport(exception=f"warehouse.errors.Error{hash_of(name) % 40}", message="no stock", frames=frames)
    return Trace(
        id=f"{dice.getrandbits(64):016x}", name=name, start=start, duration=duration, queue_time=0.004, is_error=failed,
        error=error if failed else None, tags={"path": "/stock", "plan": "gold"}, score=sum(policies.values()),
        policies=policies, spans=spans,
    )  # fmt: skip


def _plugin(name: str) -> PluginStatus:
    place = f"{name}:Client.call"
    return PluginStatus(
        name=name, distribution=f"scout-{name}", version="0.1.0", state="active", reason="", target=f"{name} 3.1",
        hooks=("instrument",), wrapped=(place,), waiting=(), not_found=(), calls=9_000, errors=0, last_error=None,
        seconds_per_call=3e-6, functions=(FunctionStatus(place=place, calls=9_000, errors=0, p50=2e-6, p95=3e-6),),
    )  # fmt: skip
