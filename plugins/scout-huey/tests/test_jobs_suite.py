"""The jobs suite on Huey: queues in memory and in a file, and real consumers."""

from __future__ import annotations

import sys
from inspect import signature

from huey.consumer import Consumer
from huey.exceptions import CancelExecution, RetryTask, TaskLockedException
from huey_queues import HueyQueue, in_file, in_memory

from scout_core.testing.jobs import JobsSuite


class TestMemory(JobsSuite):
    plugin = "scout_huey"
    control_flow = {"retry": RetryTask, "revoked": CancelExecution, "rejected": lambda: TaskLockedException("lock")}
    skip = {
        "recycled": "not with a queue in memory, which is of one process; see the other class",
        "killed": "not with a queue in memory, which is of one process; see the other class",
    }

    def make_queue(self, folder):
        return HueyQueue(in_memory(folder))


class TestSqlite(TestMemory):
    skip = (
        {}
        if "max_tasks" in signature(Consumer).parameters
        else {"recycled": "not with this Huey: workers are recycled since 3.0"}
    )

    def make_queue(self, folder):
        return HueyQueue(in_file(folder))

    def worker_command(self, folder):
        return [
            sys.executable,
            "-m",
            "huey.bin.huey_consumer",
            "huey_queues.huey",
            "-w",
            "1",
            "-q",
            "-d",
            "0.05",
            "-m",
            "0.05",
        ]

    def recycled_command(self, folder):
        return [*self.worker_command(folder), "-k", "process", "--max-tasks", "2"]
