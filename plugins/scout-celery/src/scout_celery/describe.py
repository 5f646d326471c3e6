"""
One attempt to run a task as a transaction, or as a span where it is run inside one.

Hot code: it runs before and after each task.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from scout_celery.arguments import argument_tags
from scout_celery.unreported import is_left_to_main_process
from scout_core.instruments.jobs import FAILURE, IGNORED, REJECTED, RETRY, SENT, TIMED_OUT, JobTransaction, job

if TYPE_CHECKING:
    from collections.abc import Generator

ENDINGS: Final = {
    "billiard.exceptions.SoftTimeLimitExceeded": TIMED_OUT,
    "celery.exceptions.Ignore": IGNORED,
    "celery.exceptions.Reject": REJECTED,
    "celery.exceptions.Retry": RETRY,
}
HEADERS: Final = (SENT, "traceparent", "tracestate")
OUTCOMES: Final = {"FAILURE": FAILURE, "IGNORED": IGNORED, "REJECTED": REJECTED, "RETRY": RETRY}
"""States of Celery. The state of a success is not reported, but its absence is."""


def run(
    task: Any, tracer: object, uuid: object, args: Any, kwargs: Any, request: Any, *, records_arguments: bool
) -> Generator[JobTransaction, Any, None]:
    """Describe one attempt, and take its outcome from what the tracer returns, which has caught what the task has raised."""
    made = attempt(task.name, uuid, request if type(request) is dict else {})
    if records_arguments:
        for name, value in argument_tags(task, args, kwargs).items():
            made.tag(name, value)
    try:
        result = yield made
    except GeneratorExit:  # an exception has left the tracer, which ends a process
        if is_left_to_main_process():
            made.ignore("its process ends, and the main process records it")
        raise
    info = result.info
    if info is not None:
        settle(made, info.state, info.retval)


def attempt(name: str, uuid: object, request: dict[str, Any]) -> JobTransaction:
    """
    Return the transaction of an attempt.

    Args:
        request: the headers of its message, and what the worker has added to them. Protocol 1 has the headers among them.
    """
    delivery = request.get("delivery_info") or {}
    headers, tags = {}, {}
    if not request.get("is_eager"):  # such a one was not sent
        headers = own_headers(request) or own_headers(request.get("headers") or {})
    if request.get("parent_id"):
        tags["parent_task_id"] = request["parent_id"]
    if delivery.get("redelivered"):
        tags["redelivered"] = True
    return job(
        name,
        queue=delivery.get("routing_key"),
        task_id=uuid,
        attempt=(request.get("retries") or 0) + 1,
        priority=delivery.get("priority"),
        headers=headers,
        eta=due(request.get("eta")),
        endings=ENDINGS,
        **tags,
    )


def own_headers(request: dict[str, Any]) -> dict[str, Any]:
    """Return only the headers that matter here: reading all of them would take longer than anything else."""
    return {name: request[name] for name in HEADERS if name in request}


def due(eta: object) -> datetime | None:
    """Return the time before which a task must not run; it is text in a message."""
    if type(eta) is not str:
        return None
    try:
        return datetime.fromisoformat(eta.replace("Z", "+00:00"))
    except ValueError:
        return None


def settle(made: JobTransaction, state: str, error: Any) -> None:
    """Set the outcome of an attempt that has not succeeded."""
    from billiard.exceptions import SoftTimeLimitExceeded  # type: ignore[import-untyped]

    if state == "RETRY":
        error = getattr(error, "exc", None)
    outcome = TIMED_OUT if state == "FAILURE" and isinstance(error, SoftTimeLimitExceeded) else OUTCOMES[state]
    made.settle(outcome, error if isinstance(error, BaseException) else None)
