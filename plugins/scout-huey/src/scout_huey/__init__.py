"""Tasks of Huey as transactions: ``Job/mail.send``, with the queue time, the outcome and the link to the publisher."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from scout_core import hookimpl
from scout_core.instruments.jobs import (
    ABORTED,
    FAILURE,
    REJECTED,
    RETRY,
    REVOKED,
    SUCCESS,
    TIMED_OUT,
    JobTransaction,
    current_job,
    job,
)
from scout_huey.messages import HEADERS, deserialize, receive, send, serialize

if TYPE_CHECKING:
    from datetime import datetime

    from huey.api import Huey, Task  # type: ignore[import-untyped]

    from scout_core.boundary.wrap import Wrap

ENDINGS: Final = {
    "huey.exceptions.CancelExecution": REVOKED,
    "huey.exceptions.RateLimitExceeded": REJECTED,
    "huey.exceptions.RetryTask": RETRY,
    "huey.exceptions.TaskLockedException": REJECTED,
    "huey.exceptions.TaskTimeout": TIMED_OUT,
}
OUTCOMES: Final = {
    "canceled": REVOKED,
    "complete": SUCCESS,
    "error": FAILURE,
    "interrupted": ABORTED,
    "locked": REJECTED,
    "rate-limited": REJECTED,
    "retrying": RETRY,
    "timeout": TIMED_OUT,
}
"""Signals of Huey; the last one of a task counts."""


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Time the call that runs a task. Huey catches what the task raises, and reports it by signals."""
    wrap("huey.api:Huey._execute", execute, root=True)
    wrap("huey.api:Huey._emit", emit)
    wrap("huey.api:Huey._run_post_execute", post_execute)
    # A message has no headers, so they are added to what is stored, and read from it.
    wrap.around("huey.api:Huey.serialize_task", send)
    wrap.around("huey.api:Huey.deserialize_task", receive)
    wrap.around("huey.serializer:Serializer._serialize", serialize)
    wrap.around("huey.serializer:Serializer._deserialize", deserialize)


def execute(huey: Huey, task: Task, timestamp: datetime | None = None) -> JobTransaction:
    """Describe one attempt; inside a request, as with ``immediate=True``, it becomes a span of that."""
    kind, eta = type(task), task.eta
    return job(
        f"{kind.__module__}.{kind.__name__}",
        queue=huey.name,
        task_id=task.id,
        priority=task.priority,
        headers=getattr(task, HEADERS, None),
        eta=eta.timestamp() if eta is not None and not huey.utc else eta,  # without a zone: local, or UTC
        endings=ENDINGS,
        retries_left=task.retries,
    )


def emit(huey: Huey, signal: str, task: Task, *args: object) -> None:
    """Take the outcome from a signal of the task that runs."""
    running = current_job()
    outcome = OUTCOMES.get(signal)
    if running is not None and outcome is not None and running.tags.get("task_id") == task.id:
        running.settle(outcome, args[0] if signal == "error" and args else None)  # type: ignore[arg-type]  # an exception


def post_execute(huey: Huey, task: Task, value: object, exception: BaseException | None) -> None:
    """Take the exception that Huey has caught; a retry has no signal before this."""
    running = current_job()
    if running is not None and exception is not None:
        running.settle(running.own_outcome or FAILURE, exception)
