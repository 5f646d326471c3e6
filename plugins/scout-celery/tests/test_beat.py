"""Tasks that a real beat publishes, in a process of its own or in that of a worker, on a real Redis."""

from __future__ import annotations

import signal
import subprocess
from contextlib import contextmanager

import pytest
from celery_queues import BEAT, CELERY_WARNS, COMMAND
from celery_tasks import PUBLISHED, lines
from celery_workers import variables, working

pytestmark = CELERY_WARNS

SECONDS = "0.2"
WANTED = 5


@contextmanager
def beating(folder, *options):
    process = subprocess.Popen(
        [*COMMAND[:-3], "beat", *COMMAND[-2:], "-s", str(folder / "schedule"), "--pidfile=", *options],
        env=variables(folder, period="1h"),
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) in (0, -signal.SIGTERM)


@pytest.mark.parametrize("place", ["process", "prefork", "threads"])
def test_tasks_of_beat_wait_since_their_publish_and_begin_a_trace_each(tmp_path, monkeypatch, place):
    monkeypatch.setenv(BEAT, SECONDS)
    if place == "process":
        with working(tmp_path, "prefork", "-c", "2") as worker, beating(tmp_path):
            worker.wait_for(lambda: len(lines(tmp_path)) >= WANTED)
    else:
        with working(tmp_path, place, "-c", "2", "-B", "-s", str(tmp_path / "schedule")) as worker:
            worker.wait_for(lambda: len(lines(tmp_path)) >= WANTED)
            worker.end()

    jobs = lines(tmp_path)
    assert {("add", "success")} == set(worker.outcomes())
    assert len(jobs) == len({job["trace_id"] for job in jobs})
    assert {("", None)} == {tuple(job["parents"]) for job in jobs}
    times = {}
    for line in lines(tmp_path, PUBLISHED):
        times.setdefault(line.pop("task_id"), {}).update(line)
    sent = {job["task_id"]: job["started"] - job["queue_time"] for job in jobs}
    assert sent == {
        task: pytest.approx((times[task]["before"] + times[task]["after"]) / 2,
                            abs=(times[task]["after"] - times[task]["before"]) / 2 + 0.005)
        for task in sent
    }  # fmt: skip
