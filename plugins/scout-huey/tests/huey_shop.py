"""Tasks of a shop, for consumer processes, and a plugin for these: it appends a line for each job that counts to a file."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from huey import SqliteHuey

from scout_core import hookimpl, span

if TYPE_CHECKING:
    from scout_core import Transaction

FOLDER = "SCOUT_JOBS_FOLDER"
RUNS = "runs"
JOBS = "jobs"


def note(name: str, **facts: object) -> None:
    """Append a line to the file of this process: one that is killed may leave a part of its last line."""
    with Path(os.environ[FOLDER], f"{name}-{os.getpid()}.jsonl").open("a", encoding="utf-8") as opened:
        opened.write(json.dumps(facts) + "\n")


def lines(folder: Path, name: str) -> list[dict[str, object]]:
    """Return the complete lines of all processes."""
    texts = [file.read_text(encoding="utf-8") for file in folder.glob(f"{name}-*.jsonl")]
    return [json.loads(line) for text in texts for line in text[: text.rfind("\n") + 1].splitlines()]


def counted(noted: list[dict[str, object]]) -> Counter[object]:
    """Return how often each job has run or was recorded."""
    return Counter(line["job"] for line in noted)


def send(number: int) -> None:
    note(RUNS, job=f"send {number}", pid=os.getpid())
    with span("Letter/Write", number=number):
        pass


def fail(number: int) -> None:
    note(RUNS, job=f"fail {number}", pid=os.getpid())
    with span("Letter/Write", number=number):
        raise ValueError("no stamp")


def die(number: int) -> None:
    note(RUNS, job=f"die {number}", pid=os.getpid())
    os.kill(os.getpid(), signal.SIGKILL)


def tasks(folder: Path) -> tuple[SqliteHuey, dict[str, Callable[[int], object]]]:
    """Return a queue in a file, and the functions that publish its tasks."""
    made = SqliteHuey("letters", filename=str(folder / "shop.db"))
    return made, {task.__name__: made.task()(task) for task in (send, fail, die)}


@hookimpl
def on_request_end(transaction: Transaction) -> None:
    numbers = [recorded.tags["number"] for recorded in transaction.spans if recorded.operation == "Letter/Write"]
    name = transaction.operation.rpartition(".")[2]
    note(JOBS, job=" ".join(map(str, [name, *numbers])), outcome=transaction.tags.get("outcome"))


if FOLDER in os.environ:  # in a consumer process
    huey, _ = tasks(Path(os.environ[FOLDER]))
