"""Celery applications for the tests, and the module that worker processes import."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from time import monotonic, sleep

import celery
import celery_tasks
import pytest
from celery import Celery, signals
from celery.app.defaults import NAMESPACES

from scout_core.testing.jobs import TASKS, JobQueue
from scout_core.testing.jobs import tasks as job_tasks
from scout_core.testing.scout import recording

BROKER = "TEST_CELERY_BROKER"
"""Environment variable: URL of the broker of the tests, which is the result backend, too, if it is Redis."""
QUEUE = "letters"
COMMAND = [
    sys.executable,
    "-c",
    "from celery.__main__ import main; main()",
    "-A",
    "celery_queues",
    "worker",
    "-l",
    "CRITICAL",
]
"""Command of a worker process; before 5.1, ``python -m celery`` does not work."""
SPAWN_CHILDREN = "TEST_CELERY_SPAWN"
"""Environment variable: the children of a worker process are new interpreters."""
HAS_SPAWN = "pool_start_method" in NAMESPACES["worker"]
BEAT = "TEST_CELERY_BEAT"
"""Environment variable: seconds between two of the tasks that beat publishes."""
PUBLISHES_ONCE = celery.VERSION >= (5, 3)
"""Whether a message is sent once; an old Celery with an old redis-py sometimes sends one again, which then runs twice."""
CELERY_WARNS = [
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]
"""Warnings that Celery causes: it calls a deprecated method of redis-py, and leaves sockets to the garbage collector."""


@signals.setup_logging.connect
def leave_logging_alone(**_: object) -> None:
    """Celery configures nothing where there is a receiver; otherwise, other tests would log nothing below its level."""


def name_of(task) -> str:
    return f"{task.__module__}.{task.__name__}"


def make_app(prefix: str) -> Celery:
    """Return an application with the tasks of the suite, whose data in Redis begins with a prefix."""
    broker = os.environ[BROKER]
    app = Celery("shop", broker=broker, set_as_current=False)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        result_backend_thread_safe=True,
        task_default_queue=QUEUE,
        worker_prefetch_multiplier=1,
    )
    if broker.startswith("redis"):
        app.conf.result_backend = broker
        app.conf.broker_transport_options = {"global_keyprefix": f"{prefix}:"}
        app.conf.result_backend_transport_options = {"global_keyprefix": f"{prefix}:"}
    for task in TASKS:
        again = {"autoretry_for": (job_tasks.TaskError,), "retry_kwargs": {"max_retries": 1, "countdown": 0}}
        app.task(name=name_of(task), **(again if task is job_tasks.fail_once else {}))(task)
    celery_tasks.register(app)
    return app


def close(app: Celery) -> None:
    """Close the connections of an application, too."""
    app.close()
    if hasattr(app.backend, "client"):
        app.backend.result_consumer.stop()
        app.backend.client.connection_pool.disconnect()


class Published:
    """The tasks that this process has published, by id, and those that have run: a broker may deliver one again."""

    def __init__(self) -> None:
        self.left: Counter[str] = Counter()
        self._lock = Lock()
        signals.before_task_publish.connect(self._publish)
        signals.task_postrun.connect(self._run)

    def _publish(self, headers: dict[str, str], **named: object) -> None:
        with self._lock:
            self.left[headers["id"]] += 1

    def _run(self, task_id: str, **named: object) -> None:
        with self._lock:
            self.left[task_id] -= 1

    @property
    def are_run(self) -> bool:
        with self._lock:
            return not +self.left

    def close(self) -> None:
        signals.before_task_publish.disconnect(self._publish)
        signals.task_postrun.disconnect(self._run)


@contextmanager
def embedded_worker(app: Celery, pool: str, concurrency: int) -> Iterator[Published]:
    """Run a worker in a thread of this process. It is started while an agent runs, as it builds the tracers of all tasks then."""
    from celery.contrib.testing.worker import start_worker
    from celery.worker import state

    state.reset_state()
    published = Published()
    with ExitStack() as stack:
        stack.callback(close, app)
        stack.callback(published.close)
        with recording():
            stack.enter_context(
                start_worker(app, pool=pool, concurrency=concurrency, perform_ping_check=False, shutdown_timeout=30)
            )
        yield published


class CeleryQueue(JobQueue):
    """A queue of Celery, whose worker runs all the time."""

    def __init__(self, app: Celery, published: Published | None = None) -> None:
        self.app = app
        self.published = published

    def publish(self, task, *args, retries=0, delay=0.0):
        self.app.tasks[name_of(task)].apply_async(args, countdown=delay or None)

    def work(self):
        """Wait until everything that was published has run, and the worker is idle."""
        from celery.worker import state

        until = monotonic() + 30
        while monotonic() < until:
            is_idle = not (state.active_requests or state.reserved_requests)
            if self.published.are_run and is_idle:
                return
            sleep(0.005)
        raise AssertionError(
            f"the worker has not run all jobs: {self.published.left}, {state.active_requests}, {state.reserved_requests}"
        )

    def run_inline(self, task, *args):
        self.app.tasks[name_of(task)].apply(args)

    def close(self):
        if self.published is None:
            close(self.app)


if "SCOUT_JOBS_FOLDER" in os.environ:  # in a worker process
    app = make_app(Path(os.environ["SCOUT_JOBS_FOLDER"]).name)
    if SPAWN_CHILDREN in os.environ:
        app.conf.worker_pool_start_method = "spawn"
        app.conf.worker_proc_alive_timeout = 120  # instead of 4 s, after which a child that is slow to start is killed
        app.conf.imports = ["celery_queues"]  # where its children find the tasks
    if BEAT in os.environ:
        every = float(os.environ[BEAT])
        app.conf.beat_schedule = {"add": {"task": "shop.add", "schedule": every, "args": (1,)}}
        app.conf.beat_max_loop_interval = every
