"""Queues of RQ for the jobs suite, on a real server."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic, sleep

import redis
import rq
from rq import Queue, SimpleWorker

from scout_core.testing.jobs import JobQueue
from scout_core.testing.jobs import tasks as job_tasks

NAME = "letters"
VERSION = tuple(int(part) for part in rq.VERSION.split(".")[:2])
HAS_LINKS = VERSION >= (1, 1)
HAS_MANY = hasattr(Queue, "enqueue_many")
HAS_SCHEDULER = VERSION >= (1, 2)
HAS_RETRIES = VERSION >= (1, 5)
HAS_REPEATS = hasattr(rq, "Repeat")


def connect(url: str = "") -> redis.Redis:
    return redis.Redis.from_url(url or os.environ["RQ_TEST_URL"])


class InProcess(SimpleWorker):
    """Listens to no commands, since the thread that does is waited for a second at the end of each burst."""

    def subscribe(self) -> None:
        pass

    def unsubscribe(self) -> None:
        pass


def work(queue: Queue, worker: type = InProcess) -> None:
    """Run a worker until the queue is empty."""
    worker([queue], connection=queue.connection).work(burst=True, logging_level="CRITICAL")


def worker_command(*arguments: str) -> list[str]:
    """Return the command of a worker process."""
    program = ["-m", "rq.cli"] if VERSION >= (1, 9) else [str(Path(__file__).with_name("rq_worker.py"))]
    return [sys.executable, *program, *(arguments or ("worker",)), "--url", os.environ["RQ_TEST_URL"], NAME]


class RqQueue(JobQueue):
    """A queue of RQ."""

    def __init__(self) -> None:
        self.client = connect()
        self.queue = Queue(NAME, connection=self.client)

    def publish(self, task, *args, retries=0, delay=0.0):
        options = {"job_timeout": 5}  # a job that hangs ends some time after its worker
        if retries:
            options["retry"] = rq.Retry(max=retries)
        if delay:
            self.queue.enqueue_in(timedelta(seconds=delay), task, *args, **options)
        else:
            self.queue.enqueue(task, *args, **options)

    def work(self):
        until = monotonic() + 30
        while monotonic() < until:
            if HAS_SCHEDULER:
                self._enqueue_due()
            work(self.queue)
            if not self.queue.count and not (HAS_SCHEDULER and self.queue.scheduled_job_registry.count):
                return
            sleep(0.01)

    def _enqueue_due(self):
        from rq.scheduler import RQScheduler

        scheduler = RQScheduler([self.queue], connection=self.client)
        scheduler.acquire_locks()
        scheduler.enqueue_scheduled_jobs()
        scheduler.release_locks()

    def run_inline(self, task, *args):
        with suppress(job_tasks.TaskError):  # until 1.8 it is raised where the job is enqueued
            Queue(NAME, connection=self.client, is_async=False).enqueue(task, *args)

    def close(self):
        self.client.connection_pool.disconnect()
