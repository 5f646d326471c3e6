"""Tasks of the tests, and a plugin for worker processes: it appends a line for each job that counts to a file."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from celery import Celery, Task, signals
from celery.exceptions import Ignore, Reject

from scout_core import hookimpl, span

if TYPE_CHECKING:
    from scout_core import Transaction

FILE = "jobs"
RUNS = "runs"
PUBLISHED = "published"
RETRY = {"max_retries": 1, "default_retry_delay": 0}


def add(number, other=0):
    with span("Letter/Write", number=number):
        return number + other


def total(numbers):
    return sum(numbers)


def fail(*numbers):
    raise ValueError("no stamp")


def report(request, error, trace):
    """Do nothing about a failure, in the process of the task that has failed."""


def retry_once(self: Task, number):
    if not self.request.retries:
        raise self.retry(exc=ValueError("no stamp yet"))
    return number


def ignore(number):
    raise Ignore


def reject(number):
    raise Reject("no stamp", requeue=False)


def hand_over(self: Task, number):
    raise self.replace(self.app.tasks["shop.add"].s(number))


def wait(folder):
    """Wait until the process is killed."""
    Path(folder, "waiting").write_text(str(os.getpid()))
    time.sleep(60)


def leave():
    raise SystemExit(3)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_once(self: Task):
    """Kill the process of the first delivery; the broker delivers the message again."""
    mark = Path(os.environ["SCOUT_JOBS_FOLDER"], self.request.id)
    if not mark.exists():
        mark.touch()
        kill()


@signals.task_prerun.connect
def note_run(task: Task, task_id: str, **_: object) -> None:
    """Note each run of a task in a file, where the tests want it."""
    note(RUNS, name=task.name.removeprefix("shop."), task_id=task_id, pid=os.getpid())


@signals.before_task_publish.connect
def note_publish(headers: dict[str, object], **_: object) -> None:
    note(PUBLISHED, task_id=headers.get("id"), before=time.time())


@signals.after_task_publish.connect
def note_published(headers: dict[str, object], **_: object) -> None:
    note(PUBLISHED, task_id=headers.get("id"), after=time.time())


def note(file: str, **facts: object) -> None:
    if folder := os.environ.get("SCOUT_JOBS_FOLDER"):
        append(Path(folder), file, facts)


def register(app: Celery) -> None:
    for function in (add, total, fail, report, ignore, reject, wait, leave, kill):
        app.task(name=f"shop.{function.__name__}")(function)
    for function in (retry_once, hand_over):
        app.task(name=f"shop.{function.__name__}", bind=True, **RETRY)(function)
    app.task(name="shop.kill_again", retry_on_worker_lost=True, **RETRY)(kill)
    app.task(name="shop.kill_once", bind=True, acks_late=True, reject_on_worker_lost=True)(kill_once)


def append(folder: Path, name: str, facts: dict[str, object]) -> None:
    """Append a line to the file of this process: one that is killed may leave a part of its last line."""
    with (folder / f"{name}-{os.getpid()}.jsonl").open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(facts) + "\n")


def line_of(job: Transaction) -> dict[str, object]:
    return {
        "name": job.operation.removeprefix("Job/shop."),
        "task_id": job.tags.get("task_id"),
        "outcome": job.tags.get("outcome"),
        "is_error": job.is_error,
        "pid": os.getpid(),
        "seconds": job.duration,
        "started": job.started,
        "queue_time": job.queue_time,
        "trace_id": job.trace_id,
        "parents": [job.parent_span_id, job.tags.get("parent_task_id")],
        "number": next((recorded.tags.get("number") for recorded in job.spans), None),
    }


@hookimpl
def on_request_end(transaction: Transaction) -> None:
    append(Path(os.environ["SCOUT_JOBS_FOLDER"]), FILE, line_of(transaction))


def lines(folder: Path, name: str = FILE) -> list[dict[str, object]]:
    """Return the complete lines of all processes."""
    texts = [file.read_text(encoding="utf-8") for file in folder.glob(f"{name}-*.jsonl")]
    return [json.loads(line) for text in texts for line in text[: text.rfind("\n") + 1].splitlines()]


def counted(noted: list[dict[str, object]]) -> Counter[tuple[object, object]]:
    """Return how often each task, by name and id, has run or was recorded."""
    return Counter((line["name"], line["task_id"]) for line in noted)
