"""Jobs of RQ as transactions: ``Job/mail.send``, with the queue time, the outcome and the link to the publisher."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from scout_core import Span, hookimpl, outermost_span
from scout_core.instruments.jobs import (
    FAILURE,
    RETRY,
    TIMED_OUT,
    JobTransaction,
    current_job,
    end_child,
    job,
    send_for_child,
)
from scout_core.operations import JOB
from scout_rq.headers import create, headers_of, read, repeat, write

if TYPE_CHECKING:
    from rq.job import Job, Retry
    from rq.queue import Queue

    from scout_core.boundary.wrap import Wrap

WORKERS: Final = ("rq.worker.base:BaseWorker", "rq.worker:Worker")
"""Since 2.7 the first has what the second had, which derives from it."""
FORKING: Final = ("rq.worker.worker_classes:Worker", "rq.worker:Worker")
"""The second one until 2.7."""
TIMEOUT: Final = "JobTimeoutException"
UNREADABLE: Final = "unreadable"
"""The name of jobs that cannot be deserialized."""


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Time the call with which a worker runs a job; it catches what the job raises."""
    for worker in WORKERS:
        wrap(f"{worker}.perform_job", perform, root=True, group=worker)
        wrap(f"{worker}.handle_exception", handle_exception, group=worker)
        wrap(f"{worker}.handle_job_retry", handle_job_retry, optional=True)
        wrap.around(f"{worker}.main_work_horse", end_child, group=worker)
    # The worker sends what its horses record, so that they neither start threads nor open connections.
    for worker in FORKING:
        wrap.around(f"{worker}.execute_job", send_for_child, group=f"{worker} forks")
    wrap("rq.job:Job.perform", run, root=True)
    for method in ("enqueue_call", "enqueue_job", "enqueue_at", "enqueue_many"):
        wrap(f"rq.queue:Queue.{method}", enqueue, optional=method in ("enqueue_at", "enqueue_many"))
    # A job has no headers, so they are added to what is stored, and read from it.
    wrap.around("rq.job:Job.create", create)
    wrap.around("rq.job:Job.to_dict", write)
    wrap.around("rq.job:Job.restore", read, optional=True)  # since 1.1
    wrap.around("rq.repeat:Repeat.schedule", repeat, optional=True)


def perform(worker: object, job: Job, *args: object, **kwargs: object) -> JobTransaction:
    """Describe one attempt of a worker. Its function is known when RQ has deserialized it."""
    attempt = describe(job, UNREADABLE)
    attempt.has_retries = bool(getattr(job, "retries_left", None))  # since 1.5
    return attempt


def run(job: Job) -> JobTransaction | None:
    """Name the attempt of a worker, or describe a job that runs where it is enqueued."""
    name, attempt = name_of(job), current_job()
    if attempt is None or attempt.own_tags.get("task_id") != job.id:
        return describe(job, name)
    attempt.rename(f"{JOB}/{name}")
    return None


def describe(rq_job: Job, name: str) -> JobTransaction:
    """Return the transaction of a job."""
    return job(name, queue=rq_job.origin, task_id=rq_job.id, headers=headers_of(rq_job), queued_at=rq_job.enqueued_at)


def name_of(job: Job) -> str:
    """Return the function of a job, ``mail.send``; that of a method has its class, ``mail.Sender.send``."""
    instance = job.instance
    if instance is None:
        return str(job.func_name)
    kind = instance if isinstance(instance, type) else type(instance)
    return f"{kind.__module__}.{kind.__qualname__}.{job.func_name}"


def handle_exception(worker: object, job: Job, *exc_info: Any) -> None:
    """Take the exception that the worker has caught, of the job or of its callbacks."""
    attempt = current_job()
    if attempt is not None:
        kind, error = exc_info[:2]
        attempt.settle(RETRY if attempt.has_retries else TIMED_OUT if kind.__name__ == TIMEOUT else FAILURE, error)


def handle_job_retry(worker: object, job: Job, queue: object, retry: Retry, *args: object, **kwargs: object) -> None:
    """Take the outcome of a job that has returned a ``Retry``."""
    attempt, before = current_job(), job.number_of_retries
    if attempt is not None:
        attempt.settle(FAILURE if before and before >= retry.max else RETRY)


def enqueue(queue: Queue, *args: object, **kwargs: object) -> Generator[Span, Any, None]:
    """Describe the publishing of jobs, which name this span as their caller."""
    published = outermost_span("RQ/Enqueue", queue=queue.name)
    jobs = yield published
    if isinstance(jobs, list):
        published.tag("jobs", len(jobs))
    else:
        published.tag("task_id", jobs.id)
