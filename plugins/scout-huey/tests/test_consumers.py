"""Consumer processes with each kind of workers: each job is counted once, and a worker that is killed loses only what it has not reported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from inspect import signature

import pytest
from huey.consumer import Consumer
from huey_shop import JOBS, RUNS, counted, lines, tasks

from scout_core.cli.run import environment
from scout_core.testing.jobs.reports import reported

SIZE = 1_000 if os.environ.get("TEST_SIZE") == "full" else 50
LONGEST = 120.0 + SIZE / 5


class Shop:
    """A queue in a file, and a consumer process."""

    def __init__(self, folder, kind: str, period: str) -> None:
        self.folder = folder
        self.huey, self.tasks = tasks(folder)
        variables = {
            **environment(os.environ), "SCOUT_JOBS_FOLDER": str(folder), "SCOUT_PLUGINS_DISABLE": "collector",
            "SCOUT_PLUGINS": "huey_shop,scout_core.testing.jobs.reports", "SCOUT_REPORT_PERIOD": period,
        }  # fmt: skip
        self.process = subprocess.Popen(
            [sys.executable, "-m", "huey.bin.huey_consumer", "huey_shop.huey", "-k", kind, "-w", "4", "-q", "-d", "0.01",
             "-m", "0.05", "-C"],
            env=variables, start_new_session=True,
        )  # fmt: skip

    def publish(self, name: str, number: int) -> None:
        self.tasks[name](number)

    def wait_for(self, expected) -> None:
        """Wait until these jobs have run."""
        until = time.monotonic() + LONGEST
        while counted(lines(self.folder, RUNS)) != expected and time.monotonic() < until:
            assert self.process.poll() is None, "the consumer has ended"
            time.sleep(0.05)
        assert expected == counted(lines(self.folder, RUNS))

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)  # after the jobs that run
        assert 0 == self.process.wait(60)


@contextmanager
def consuming(folder, kind, period="1h"):
    shop = Shop(folder, kind, period)
    try:
        yield shop
    finally:
        if shop.process.poll() is None:
            os.killpg(shop.process.pid, signal.SIGKILL)
            shop.process.wait(60)
        shop.huey.storage.close()


GREENLET = pytest.param(
    "greenlet",
    marks=pytest.mark.skipif(
        "max_tasks" not in signature(Consumer).parameters,
        reason="not with this Huey, whose greenlets hang with a recent gevent, also without the plugin",
    ),
)


@pytest.mark.parametrize("kind", ["thread", "process", GREENLET])
def test_every_job_is_recorded_once_and_reported_before_the_consumer_ends(tmp_path, kind):
    expected = Counter(f"{('send', 'fail')[number % 2]} {number}" for number in range(SIZE))
    with consuming(tmp_path, kind) as shop:
        for number in range(SIZE):
            shop.publish(("send", "fail")[number % 2], number)
        shop.wait_for(expected)
        shop.end()

    jobs = lines(tmp_path, JOBS)
    assert expected == counted(jobs)
    assert {("send", "success"), ("fail", "failure")} == {(job["job"].split()[0], job["outcome"]) for job in jobs}
    assert {"Job/huey_shop.send": SIZE // 2, "Job/huey_shop.fail": SIZE // 2} == reported(tmp_path)


def test_workers_that_are_killed_under_load_lose_only_what_they_have_not_reported(tmp_path):
    kills = 3
    expected = Counter([*(f"send {number}" for number in range(SIZE)), *(f"die {number}" for number in range(kills))])
    with consuming(tmp_path, "process", period="0.2s") as shop:
        for number in range(SIZE):
            shop.publish("send", number)
            if number % (SIZE // kills) == SIZE // kills // 2 and number // (SIZE // kills) < kills:
                shop.publish("die", number // (SIZE // kills))
        shop.wait_for(expected)
        shop.end()

    runs, jobs = lines(tmp_path, RUNS), lines(tmp_path, JOBS)
    killed = {run["pid"] for run in runs if run["job"].startswith("die")}
    safe = counted([run for run in runs if run["pid"] not in killed])
    assert kills == len(killed)
    assert safe <= counted(jobs) <= counted(runs)
    assert safe.total() <= reported(tmp_path).total() <= len(jobs)
