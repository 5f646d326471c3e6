"""
Tasks whose process was killed: only the main process of a prefork worker is left to record them.

A hard time limit, ``revoke(terminate=True)`` and the kernel when memory is short end a child in the middle of a task. What the child
has recorded of that task is lost with it, so nothing is counted twice.
"""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from scout_celery.describe import attempt
from scout_core.instruments.jobs import FAILURE, RETRY, REVOKED, TIMED_OUT, JobTransaction

if TYPE_CHECKING:
    from collections.abc import Generator

    from celery.worker.request import Request  # type: ignore[import-untyped]

_NANOSECONDS: Final = 1e9


recorded: Final[WeakSet[Request]] = WeakSet()
"""A time limit is followed by the loss of the process, which it has killed."""


def on_failure(
    request: Request, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False
) -> Generator[JobTransaction, None, None]:
    """Describe the end of a task that has no process any more, from its start to now; every other one has described itself."""
    error = getattr(exc_info.exception, "exc", None) or exc_info.exception
    outcome = outcome_of(request, error)
    if outcome is None or return_ok or request in recorded:
        return
    recorded.add(request)
    lost = attempt(request.type, request.id, request.request_dict).settle(outcome, error)
    yield lost
    if request.time_start:
        lost.start_ns -= int((time() - request.time_start) * _NANOSECONDS)
        lost.started = request.time_start


def outcome_of(request: Request, error: object) -> str | None:
    """Return the outcome of a task whose process was killed; None for any other error."""
    from billiard.exceptions import Terminated, TimeLimitExceeded, WorkerLostError  # type: ignore[import-untyped]

    if isinstance(error, TimeLimitExceeded):
        return TIMED_OUT
    if isinstance(error, Terminated):
        return REVOKED
    if isinstance(error, WorkerLostError):
        return RETRY if runs_again(request.task, request.request_dict.get("retries") or 0) else FAILURE
    return None


def runs_again(task: Any, retries: int) -> bool:
    """Whether a task is tried again that was lost with its process."""
    if getattr(task, "retry_on_worker_lost", False):  # since 5.7
        return task.max_retries is None or retries < task.max_retries
    return bool(task.acks_late and task.reject_on_worker_lost)
