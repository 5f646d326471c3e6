"""Sample reports of a busy shop: several endpoints, jobs, kinds, traces, errors and plugins; deterministic per seed.

Run it to see the dashboard with data: ``python tests/sample_reports.py``.
"""

from __future__ import annotations

import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from attrs import evolve
from sample_operations import operations_of

from scout_core.measuring.histogram import Histogram
from scout_core.measuring.process import Process
from scout_core.measuring.report import (
    Counters,
    ErrorExample,
    ErrorGroupMetrics,
    ErrorReport,
    FunctionStatus,
    KindMetrics,
    PluginStatus,
    QueueMetrics,
    Report,
    SpanRecord,
    Tags,
    Trace,
    TransactionMetrics,
)
from scout_core.problems import NextStep, Problem, TooManyErrors, TooSlow
from scout_core.sending import wire

MISSING = NextStep(
    "upgrade-plugin",
    "some targets cannot be wrapped; a newer version of the plugin may support them",
    ("pip install -U scout-flask",),
)

MENU: tuple[tuple[str, float, float, float], ...] = (
    ("Controller/shop.home", 0.030, 90.0, 0.0),
    ("Controller/shop.product", 0.055, 60.0, 0.002),
    ("Controller/shop.search", 0.120, 25.0, 0.0),
    ("Controller/shop.cart", 0.080, 18.0, 0.01),
    ("Controller/shop.checkout", 0.350, 6.0, 0.04),
    ("Controller/admin.report", 1.900, 0.8, 0.0),
    ("Controller/shop.flaky", 0.040, 4.0, 0.30),
    ("Job/mail.send", 0.600, 5.0, 0.02),
    ("Job/stock.reindex", 4.200, 0.3, 0.0),
)
"""Name, typical seconds, calls per minute, share of errors."""

QUEUES: dict[str, tuple[tuple[str, float, float], ...]] = {
    "Job/mail.send": (("mail", 0.3, 0.05), ("bulk", 9.0, 0.2)),
    "Job/stock.reindex": (("slow", 40.0, 0.0),),
}
"""Job to its queues: each with the typical seconds that a job waits, and the share of retries."""

STATEMENTS = (
    "SELECT id, name, price FROM product WHERE id = ?",
    "SELECT id, product_id, stars FROM review WHERE product_id = ? ORDER BY id LIMIT ?",
    "INSERT INTO order_line (order_id, product_id, amount) VALUES (?, ?, ?)",
    "SELECT sum(amount) FROM order_line GROUP BY product_id HAVING sum(amount) > ?",
)


def process(app: str = "Shop", *, started: float, instance: str = "00c0ffee00c0ffee", pid: int = 4_121) -> Process:
    """Return a process of the shop."""
    return Process(
        app=app,
        hostname="web-1",
        pid=pid,
        instance=instance,
        started=started,
        agent="0.1.0",
        python="3.11.7",
        revision="3f2a9c1d7e",
    )


def report(
    *,
    end: float,
    number: int = 1,
    seed: int = 1,
    period: float = 60.0,
    app: str = "Shop",
    traces: int = 6,
    menu: tuple[tuple[str, float, float, float], ...] = MENU,
    instance: str = "00c0ffee00c0ffee",
) -> Report:
    """Return the report of one process for the period that ends at ``end``."""
    dice = random.Random(f"{seed}/{number}/{app}/{instance}")
    transactions = tuple(_metrics(dice, item, period) for item in menu)
    transactions = tuple(metrics for metrics in transactions if metrics.count)
    kept = tuple(_trace(dice, dice.choice(menu), end - dice.random() * period) for _ in range(traces))
    return Report(
        id=f"{instance}-{number}",
        process=process(app, started=end - number * period, instance=instance),
        start=end - period,
        end=end,
        transactions=transactions,
        traces=kept,
        plugins=plugins(),
        error_groups=_error_groups(transactions, kept, end),
        operations=operations_of(transactions),
        counters={"collector": counters(number * 200)},
        gauges=gauges(number),
    )


def reports(*, until: float, minutes: int, seed: int = 1, app: str = "Shop", traces: int = 3) -> Iterator[Report]:
    """Yield one report per minute; the last one ends at ``until``."""
    for number in range(1, minutes + 1):
        yield report(end=until - (minutes - number) * 60, number=number, seed=seed, app=app, traces=traces)


def many_endpoints(count: int) -> tuple[tuple[str, float, float, float], ...]:
    """Return a menu of ``count`` endpoints for performance tests."""
    return tuple((f"Controller/big.page_{n}", 0.01 + n % 50 / 100, 20.0, 0.01) for n in range(count))


def many_jobs(count: int) -> tuple[tuple[str, float, float, float], ...]:
    """Return a menu of ``count`` jobs, each with two of ten queues, for performance tests."""
    return tuple((f"Job/big.work_{n}", 0.01 + n % 50 / 100, 20.0, 0.01) for n in range(count))


def counters(finished: int) -> Counters:
    """Return counters that add up."""
    dropped = {"ignored": finished // 10, "sampled": 0, "inbox full": finished // 100}
    return Counters(
        finished=finished, exported=finished - sum(dropped.values()) - 3, queued=3, dropped=dropped, spans=finished * 9,
        spans_merged=40, late_spans=1, names_merged=0, tags_dropped=2,
    )  # fmt: skip


def gauges(number: int) -> dict[str, dict[str, float]]:
    """Return the gauges of a process with its report of this number, 60 seconds after the one before."""
    return {
        "process": {
            "rss_bytes": 82_400_000.0 + number * 1_000,
            "cpu_seconds": 1.5 + number * 7.5,
            "threads": 9.0,
            "open_files": 23.0,
            "gc_collections": 118.0 * number,
            "gc_full_collections": 3.0,
        },
        "pool": {"idle_connections": 4.0, "waited_seconds": 0.25},
    }


def plugins() -> tuple[PluginStatus, ...]:
    """Return one plugin in each state, and a slow one."""
    return (
        _plugin("flask", "active", None, "flask 3.1.3 (>=2.2,<4)", MISSING, wrapped=("flask:Flask.full_dispatch_request",),
                functions=(_function("flask:Flask.full_dispatch_request", 18_000, p50=2.4e-6, p95=3.1e-6),)),
        _plugin("jinja2", "active", None, "jinja2 3.1.6 (>=3,<4)", wrapped=("jinja2:Template.render",),
                functions=(_function("jinja2:Template.render", 9_000, p50=1.2e-6, p95=1.9e-6),)),
        _plugin("zones", "active", None, "", hooks=("on_request_start",), functions=(
            _function("on_request_start", 18_000, p50=0.00011, p95=0.00035,
                      too_slow=TooSlow(seconds=0.00035, quantile=0.95, timed=100, window=100, factor=1, limit=0.0002,
                                       option="hook_budget_seconds")),)),
        _plugin("celery", "waiting", Problem("not-imported", "celery", "celery is not imported"), "celery (>=5,<6)",
                NextStep("none", "nothing; the plugin starts when the application imports its library"),
                waiting=("celery.app.task:Task.apply",)),
        _plugin("redis", "disabled", Problem("disabled", "plugins.disable",
                "plugins.disable (environment SCOUT_PLUGINS_DISABLE) contains it"), "",
                NextStep("change-setting", "remove redis from SCOUT_PLUGINS_DISABLE")),
        _plugin("elasticsearch", "skipped", Problem("unsupported-version", "elasticsearch",
                "elasticsearch 10.0 is outside >=7,<10"), "elasticsearch 10.0 (>=7,<10)",
                NextStep("upgrade-plugin", "upgrade the plugin", ("pip install -U scout-elasticsearch",))),
        _plugin("broken", "failed", Problem("import-error", "scout_broken",
                "scout_broken cannot be imported: ImportError: No module named 'nothing'"), "",
                NextStep("upgrade-plugin", "upgrade or disable the plugin",
                         ("pip install -U scout-broken", "scout-core plugins disable broken"))),
        _plugin("team-policy", "quarantined", Problem("switched-off", "score_transaction",
                "score_transaction is switched off: 10 errors in a row"), "",
                NextStep("fix-and-restart", "fix team_policy and restart the process"),
                hooks=("on_keep", "score_transaction"),
                functions=(_function("on_keep", 12, p50=4e-6, p95=9e-6),
                           _function("score_transaction", 100, 10, p50=6e-6, p95=8e-6, too_many_errors=TooManyErrors(10, 10))),
                last_error="KeyError: 'plan' at /srv/shop/team_policy.py:22 in score_transaction",
                traceback=(("/srv/shop/plans.py", 8, "plan_of"), ("/srv/shop/team_policy.py", 22, "score_transaction"))),
    )  # fmt: skip


def _function(
    place: str,
    calls: int,
    errors: int = 0,
    *,
    p50: float,
    p95: float,
    too_slow: TooSlow | None = None,
    too_many_errors: TooManyErrors | None = None,
) -> FunctionStatus:
    return FunctionStatus(
        place=place,
        calls=calls,
        errors=errors,
        p50=p50,
        p95=p95,
        slow=too_slow.option if too_slow else "",
        off="too-many-errors" if too_many_errors else "",
        too_slow=too_slow,
        too_many_errors=too_many_errors,
    )


def _plugin(
    name: str,
    state: str,
    problem: Problem | None,
    target: str,
    next_step: NextStep | None = None,
    *,
    hooks: tuple[str, ...] = ("instrument",),
    functions: tuple[FunctionStatus, ...] = (),
    last_error: str | None = None,
    traceback: tuple[tuple[str, int, str], ...] = (),
    wrapped: tuple[str, ...] = (),
    waiting: tuple[str, ...] = (),
) -> PluginStatus:
    is_module = name in ("team-policy", "zones")
    return PluginStatus(
        name=name,
        distribution=None if is_module else f"scout-{name}",
        version=None if is_module else "0.1.0",
        state=state,
        reason=str(problem or ""),
        problems=(problem,) if problem else (),
        next_step=next_step,
        target=target,
        hooks=hooks,
        wrapped=wrapped,
        waiting=waiting,
        not_found=("flask:Flask.gone",) if name == "flask" else (),
        target_problems=(
            Problem("missing-target", "flask:Flask.gone", "flask:Flask.gone: Flask has no attribute 'gone'"),
        )
        * (name == "flask"),
        calls=sum(function.calls for function in functions),
        errors=sum(function.errors for function in functions),
        last_error=last_error,
        seconds_per_call=0.0000031 if functions else None,
        functions=functions,
        traceback=traceback,
    )


def error_group(
    key: str = "a1b2c3d4e5f6", count: int = 5, *, handled: int = 0, end: float, names: tuple[str, ...] = ("Controller/shop.cart",),
    exception: str = "shop.stock.Unavailable", cause: str = "ConnectionError", where: str = "shop.stock:fetch",
    message: str = "no answer from stock", trace: str = "", example: ErrorExample | None = None,
) -> ErrorGroupMetrics:  # fmt: skip
    """Return the errors of a group in the minute before ``end``, all but a few of them in transactions of the first name."""
    first, *others = names
    title = f"{exception}{' from ' + cause if cause else ''} in {where}"
    return ErrorGroupMetrics(
        group=key, title=title, exception=exception, cause=cause, where=where, message=message, count=count, handled=handled,
        endpoints={first: count - len(others), **dict.fromkeys(others, 1)}, first=end - 50, last=end - 5, trace=trace, example=example,
    )  # fmt: skip


def _error_groups(
    transactions: tuple[TransactionMetrics, ...], kept: tuple[Trace, ...], end: float
) -> tuple[ErrorGroupMetrics, ...]:
    """Return one group with the failures of all names, and one without an exception of a single name."""
    failed = {metrics.name: metrics.errors for metrics in transactions if metrics.errors}
    traces = [trace for trace in kept if trace.error is not None]
    found = []
    flaky = failed.pop("Controller/shop.flaky", 0)
    if flaky:
        found.append(
            error_group(
                "0f0f0f0f0f0f",
                flaky,
                end=end,
                names=("Controller/shop.flaky",),
                exception="",
                cause="",
                where="Controller/shop.flaky",
                message="",
            )
        )
    if failed:
        group = error_group(_error().group, sum(failed.values()), end=end, exception=_error().exception, cause="",
                            where=_error().where, message=_error().message, trace=traces[0].id if traces else "",
                            example=ErrorExample(name=next(iter(failed)), time=end - 5, error=_error(), tags={"path": "/checkout?card=[FILTERED]", "plan": "gold"},
                                                 trace=traces[0].id if traces else "0" * 16))  # fmt: skip
        found.append(evolve(group, endpoints=failed))
    return tuple(found)


def _metrics(dice: random.Random, item: tuple[str, float, float, float], period: float) -> TransactionMetrics:
    name, typical, per_minute, error_share = item
    count = max(0, round(dice.gauss(per_minute * period / 60, (per_minute * period / 60) ** 0.5)))
    durations = Histogram()
    values = [typical * dice.lognormvariate(0, 0.45) for _ in range(count)]
    for value in values:
        durations.add(value)
    total = sum(values)
    own, sql, template = 0.30, 0.50, 0.20
    kind = name.partition("/")[0]
    queues = _queues(name, values)
    return TransactionMetrics(
        name=name,
        count=count,
        errors=sum(dice.random() < error_share for _ in range(count)),
        total=total,
        durations=durations,
        queue_time=sum(queue.queue_time for queue in queues.values()) if queues else 0.004 * count,
        queued=count,
        kinds={
            kind: KindMetrics(count=count, errors=0, total=total, exclusive=total * own),
            "SQL": KindMetrics(count=count * 7, errors=0, total=total * sql, exclusive=total * sql),
            "Template": KindMetrics(count=count, errors=0, total=total * 0.6, exclusive=total * template),
        },
        queues=queues,
    )


def _queues(name: str, seconds: list[float]) -> dict[str, QueueMetrics]:
    """Share the jobs of one name, by how long they ran, among its queues."""
    of = QUEUES.get(name, ())
    if name.startswith("Job/big."):
        first = int(name.rpartition("_")[2]) % 10
        of = ((f"queue_{first}", 1.0, 0.1), (f"queue_{(first + 1) % 10}", 2.0, 0.0))
    return {
        queue: queue_metrics(
            seconds[number :: len(of)],
            [wait * (0.5 + n % 4 / 3) for n in range(len(seconds[number :: len(of)]))],
            retries=retries,
        )
        for number, (queue, wait, retries) in enumerate(of)
    }


def queue_metrics(seconds: list[float], waits: list[float], *, errors: int = 0, retries: float = 0.0) -> QueueMetrics:
    """
    Return the figures of jobs from one queue.

    Args:
        seconds: that each of them ran.
        waits: seconds that they waited, of those of which it is known.
        retries: their share.
    """
    durations, waited = Histogram(), Histogram()
    for value in seconds:
        durations.add(value)
    for value in waits:
        waited.add(value)
    retried = round(len(seconds) * retries)
    outcomes = {"success": len(seconds) - errors - retried, "retry": retried, "failure": errors}
    return QueueMetrics(
        count=len(seconds), errors=errors, total=sum(seconds), durations=durations, queue_time=sum(waits), waits=waited,
        outcomes={outcome: count for outcome, count in outcomes.items() if count},
    )  # fmt: skip


def _trace(dice: random.Random, item: tuple[str, float, float, float], start: float) -> Trace:
    name, typical, _, error_share = item
    duration = typical * dice.lognormvariate(0.7, 0.3)
    failed = dice.random() < error_share
    policies = {"speed": round(dice.random() * 2, 3), "percentile": round(dice.random() * 3, 3), "age": 0.5}
    if "checkout" in name:
        policies["paying"] = 5.0
    return Trace(
        id=f"{dice.getrandbits(64):016x}",
        name=name,
        start=start,
        duration=duration,
        queue_time=0.004 if name.startswith("Controller/") else 0.9,
        is_error=failed,
        error=_error() if failed else None,
        tags=_tags(dice, name),
        score=sum(policies.values()),
        policies=policies,
        spans=tuple(_spans(dice, duration, failed)),
        merged={"SQL/Query": (12, 0.034)} if "report" in name else {},
    )


def _tags(dice: random.Random, name: str) -> Tags:
    if name.startswith("Job/"):
        return {"queue": "default", "task_id": "8f1c", "priority": 5}
    return {
        "path": f"/{name.rpartition('.')[2]}",
        "user_ip": "127.0.0.1",
        "plan": dice.choice(["gold", "free"]),
        "error": False,
    }


def _spans(dice: random.Random, duration: float, failed: bool) -> Iterator[SpanRecord]:
    render = duration * 0.35
    queries = dice.randint(2, 9)
    for n in range(queries):
        share = duration * 0.5 / queries
        yield SpanRecord(
            id=n + 1, parent=0, operation="SQL/Query", start=duration * 0.05 + n * share, duration=share * 0.9,
            tags={"statement": STATEMENTS[min(n, 1) if queries > 4 else n % 4], "dialect": "sqlite"},
        )  # fmt: skip
    first = queries + 1
    yield SpanRecord(
        id=first,
        parent=0,
        operation="Template/Render",
        start=duration * 0.6,
        duration=render,
        tags={"name": "page.html"},
    )
    yield SpanRecord(
        id=first + 1, parent=first, operation="Template/Render", start=duration * 0.62, duration=render * 0.4,
        tags={"name": "row.html"},
    )  # fmt: skip
    yield SpanRecord(
        id=first + 2, parent=0, operation="HTTP/GET", start=duration * 0.96, duration=duration * 0.03,
        tags={"url": "http://stock.internal/items", "status": 503 if failed else 200},
        error="urllib3.exceptions.MaxRetryError" if failed else None,
    )  # fmt: skip


def _error() -> ErrorReport:
    return ErrorReport(
        exception="sqlalchemy.exc.IntegrityError",
        message="(sqlite3.IntegrityError) UNIQUE constraint failed: order.number",
        in_app=(True, True, False),
        where="shop.orders:place",
        group="7c1d2e3f4a5b",
        frames=(
            ("shop/orders.py", 41, "place"),
            ("shop/views.py", 112, "checkout"),
            ("flask/app.py", 917, "dispatch_request"),
        ),
    )


def send(url: str, token: str, sent: Report | bytes) -> tuple[int, bytes]:
    """POST a report like an agent, and return status and body of the response."""
    body = sent if isinstance(sent, bytes) else wire.encode(sent)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": wire.CONTENT_TYPE}
    try:
        with urlopen(Request(f"{url}/api/v1/reports", data=body, headers=headers), timeout=10) as answer:
            return answer.status, answer.read()
    except HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()


def main() -> None:
    """Run a collector with three hours of data and a new report every few seconds, until Ctrl-C."""
    from scout_dashboard.collector import Collector

    with tempfile.TemporaryDirectory() as folder, Collector.running(state_dir=Path(folder), port=0) as collector:
        for past in reports(until=time.time(), minutes=180):
            send(collector.url, collector.token, past)
        print(collector.new_links().by_name, flush=True)
        number = 1_000
        while not signal.sigtimedwait([signal.SIGINT, signal.SIGTERM], 3):
            number += 1
            send(
                collector.url,
                collector.token,
                report(end=time.time(), number=number, period=3, instance="0badcafe0badcafe"),
            )


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    sys.exit(main())
