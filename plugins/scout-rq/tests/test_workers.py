"""Worker processes of every class under ``scout-core run``: each job is counted once, and horses open no connections."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
import rq
import shop
from rq_queues import HAS_SCHEDULER, VERSION, RqQueue, worker_command

from scout_core.cli.run import environment
from scout_core.testing.jobs import reports as job_reports

SIZE = 1_000 if os.environ.get("TEST_SIZE") == "full" else 50


class Workers:
    """Runs a worker process to its end."""

    def __init__(self, folder) -> None:
        self.folder = folder
        self.queue = RqQueue().queue

    def run(self, *arguments: str, until: Callable[[], bool] | None = None) -> Counter[str]:
        """
        Run a worker; return how often each job was reported.

        Args:
            until: when to end the worker; None: it ends when the queue is empty.
        """
        variables = {
            **environment(os.environ), job_reports.FOLDER: str(self.folder), "SCOUT_PLUGINS_DISABLE": "collector",
            "SCOUT_PLUGINS": "scout_core.testing.jobs.reports", "SCOUT_REPORT_PERIOD": "1h", "SCOUT_SHUTDOWN_TIMEOUT_SECONDS": "20",
        }  # fmt: skip
        with subprocess.Popen(
            worker_command(*arguments), env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as worker:
            try:
                while until is not None and not until():
                    assert worker.poll() is None, "the worker has ended"
                    time.sleep(0.05)
                if until is not None:
                    worker.terminate()
                assert 0 == worker.wait(120 + 4 * SIZE)
            finally:
                worker.kill()
        return job_reports.reported(self.folder)

    def runs(self) -> Counter[str]:
        """Return how often each job has run."""
        return Counter((self.folder / shop.RUNS).read_text(encoding="utf-8").splitlines())

    @property
    def reports(self) -> int:
        return len((self.folder / job_reports.FILE).read_text(encoding="utf-8").splitlines())


@pytest.fixture
def workers(url, tmp_path):
    made = Workers(tmp_path)
    yield made
    made.queue.connection.connection_pool.disconnect()


SPAWN = pytest.param(
    "SpawnWorker",
    marks=pytest.mark.skipif(
        not hasattr(rq.worker, "SpawnWorker"), reason="not with this RQ: SpawnWorker comes with 2.3"
    ),
)
POOL = pytest.param(
    "pool", marks=pytest.mark.skipif(VERSION < (1, 15), reason="not with this RQ: worker pools come with 1.14")
)


def command(kind: str) -> list[str]:
    if kind == "pool":
        return ["worker-pool", "--burst", "--num-workers", "2"]
    return ["worker", "--burst", "--worker-class", f"rq.worker.{kind}"]


def size(kind: str) -> int:
    """Return the number of jobs: each horse of a SpawnWorker is a new interpreter, which takes a second."""
    return SIZE if kind != "SpawnWorker" or SIZE > 50 else 4


@pytest.mark.parametrize("kind", ["Worker", "SimpleWorker", "HerokuWorker", SPAWN, POOL])
def test_every_job_is_counted_once(workers, kind):
    for number in range(size(kind)):
        workers.queue.enqueue(shop.send, number)
    found = workers.run(*command(kind))

    assert {f"send {number}": 1 for number in range(size(kind))} == workers.runs()
    assert {"Job/shop.send": size(kind)} == found
    if kind != "SpawnWorker":  # whose horses send their own
        assert workers.reports <= 4  # of the workers, not of their horses


@pytest.mark.parametrize("kind", ["Worker", "HerokuWorker", SPAWN, POOL])
def test_horses_that_are_killed_under_load_lose_only_the_jobs_that_they_ran(workers, kind):
    kills = max(2, size(kind) // 50)
    for number in range(size(kind)):
        workers.queue.enqueue(shop.send, number)
        if number % (size(kind) // kills) == 0:
            workers.queue.enqueue(shop.die)
    found = workers.run(*command(kind))

    assert {**{f"send {number}": 1 for number in range(size(kind))}, "die": kills} == workers.runs()
    assert {"Job/shop.send": size(kind)} == found


@pytest.mark.skipif(not HAS_SCHEDULER, reason="not with this RQ: it schedules jobs since 1.2")
def test_a_job_that_the_scheduler_of_a_worker_moves_is_counted_once(workers):
    """The scheduler is a process that the worker forks: nothing of it is recorded."""
    job = workers.queue.enqueue_in(timedelta(seconds=1), shop.send, 1)
    found = workers.run("worker", "--with-scheduler", until=lambda: job.get_status(refresh=True) == "finished")

    assert {"Job/shop.send": 1} == found
