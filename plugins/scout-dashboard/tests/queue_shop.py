"""
Two hours of jobs in several queues: some fall behind, some keep up, and of some it is not known how long they wait.

Each minute: twelve mails that wait 2 s, every sixth tried again; six jobs in ``bulk``, whose wait grows from 1 to 121 s in the second
hour; one export of unknown wait; two jobs without a queue, of which only the name is known. ``nightly`` runs in the first hour only.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import sample_reports
from attrs import evolve
from known_shop import metrics, send
from sample_reports import queue_metrics

from scout_core.measuring.report import QueueMetrics, Report, TransactionMetrics
from scout_dashboard.collector import Collector

MAIL, THUMBNAILS, EXPORT, TIDY, CLOSE = (
    "Job/mail.send",
    "Job/images.thumbnails",
    "Job/reports.export",
    "Job/maintenance.tidy",
    "Job/books.close",
)
APP = "Press"
MINUTES = 120


def last_minute() -> int:
    """Return the start of the last minute with a report."""
    return int(time.time() // 60) * 60


def reports(last: int) -> Iterator[Report]:
    """Yield one report per minute; the last one is that of the minute that starts at ``last``."""
    for number in range(1, MINUTES + 1):
        late = max(0, number - MINUTES // 2)
        transactions = [
            jobs(MAIL, 0.4, {"mail": queue_metrics([0.4] * 12, [2.0] * 12, errors=int(number % 20 == 0), retries=1 / 6)}),
            jobs(
                THUMBNAILS, 3.0,
                {"bulk": queue_metrics([3.0] * 5, [1.0 + 2 * late] * 5), "mail": queue_metrics([3.0], [2.0])},
            ),
            jobs(EXPORT, 20.0, {"exports": queue_metrics([20.0], [])}),
            metrics(TIDY, 2, 0.05),
        ]  # fmt: skip
        if not late:
            transactions.append(jobs(CLOSE, 1.0, {"nightly": queue_metrics([1.0], [0.5])}))
        base = sample_reports.report(
            end=last + 1.0 - 60 * (MINUTES - number), number=number, traces=0, app=APP, instance="9b1e9b1e9b1e9b1e"
        )
        yield evolve(base, transactions=tuple(transactions))


def jobs(name: str, seconds: float, queues: dict[str, QueueMetrics]) -> TransactionMetrics:
    """Return the figures of equal jobs in several queues."""
    whole = metrics(name, sum(queue.count for queue in queues.values()), seconds)
    return evolve(
        whole,
        errors=sum(queue.errors for queue in queues.values()),
        queue_time=sum(queue.queue_time for queue in queues.values()),
        queued=sum(queue.waits.count for queue in queues.values()),
        queues=queues,
    )


def fill(collector: Collector) -> int:
    """Send all reports, and return the start of the last minute."""
    last = last_minute()
    for report in reports(last):
        send(collector, report)
    return last
