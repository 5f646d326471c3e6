"""The conformance suite on Huey itself, with a queue in memory."""

from __future__ import annotations

from huey import MemoryHuey
from huey.api import Huey
from huey.exceptions import HueyException, TaskException

from scout_core.testing import Call, conformance, hostile


def runs(huey: Huey) -> None:
    """Publish a task, and run it as a consumer does."""

    @huey.task()
    def double(number: int) -> int:
        return 2 * number

    @huey.post_execute()
    def note(task: object, value: object, error: object) -> None:
        """Do nothing; an older Huey calls its own function for these only if there are any."""

    waiting = double(21)
    assert 42 == huey.execute(huey.dequeue())
    assert 42 == waiting.get()


def runs_in_memory() -> None:
    runs(MemoryHuey(hostile("shop")))


def fails() -> None:
    huey = MemoryHuey("shop")

    @huey.task()
    def broken() -> None:
        raise ZeroDivisionError

    waiting = broken()
    huey.execute(huey.dequeue())
    waiting.get()


def runs_a_task_and_reads_the_message_of_another_that_it_does_not_have() -> None:
    huey, other = MemoryHuey("shop"), MemoryHuey("shop")

    @huey.task()
    def double(number: int) -> int:
        return 2 * number

    double(21)
    huey.execute(huey.dequeue())
    double(21)
    other.storage = huey.storage
    other.dequeue()


test_conformance = conformance(
    "scout_huey",
    runs_in_memory,
    Call(fails, raises=TaskException),
    Call(runs_a_task_and_reads_the_message_of_another_that_it_does_not_have, raises=HueyException),
    skip={"results": "not with Huey: it has no headers, so those of the trace are written behind its message"},
)
