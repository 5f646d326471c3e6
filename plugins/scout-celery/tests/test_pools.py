"""Worker processes of each pool, on a real Redis: what they record, and what is left of it when they end."""

from __future__ import annotations

from collections import Counter

import pytest
from celery import Task
from celery_queues import BROKER, CELERY_WARNS, HAS_SPAWN, PUBLISHES_ONCE
from celery_tasks import RUNS, counted, lines
from celery_workers import FULL, SPAWN, working

from scout_core.testing.jobs.reports import reported

JOBS = 1_002 if FULL else 48  # as many of each kind
POOLS = ["prefork", *([SPAWN] if HAS_SPAWN else []), "threads", "gevent", "eventlet", "solo"]
CASES = [(pool, "redis") for pool in POOLS] + [(pool, "rabbitmq") for pool in (POOLS if JOBS > 100 else POOLS[:1])]
KINDS = {
    "add": "success",
    "fail": "failure",
    "ignore": "ignored",
    "reject": "rejected",
    "retry_once": "retry",
    "hand_over": "ignored",
}
"""Tasks of which equally many are published, each with the outcome of its first attempt."""

HAS_RETRIES_OF_LOST = hasattr(Task, "retry_on_worker_lost")
"""Since Celery 5.7."""

pytestmark = CELERY_WARNS


@pytest.mark.parametrize("pool, broker", CASES)
def test_every_job_is_recorded_once_and_reported_before_the_worker_ends(request, monkeypatch, tmp_path, pool, broker):
    if broker == "rabbitmq":
        monkeypatch.setenv(BROKER, request.getfixturevalue("rabbitmq"))
    with working(tmp_path, pool, "-c", "1" if pool == "solo" else "4") as worker:
        for number in range(JOBS):
            worker.publish(list(KINDS)[number % len(KINDS)], number)
        share = JOBS // len(KINDS)
        expected = Counter(dict.fromkeys(KINDS.items(), share))
        expected["add", "success"] += share  # in place of `hand_over`
        expected["retry_once", "success"] += share
        added = {number for number in range(JOBS) if list(KINDS)[number % len(KINDS)] in ("add", "hand_over")}
        worker.wait_for(lambda: not expected - worker.outcomes() and added == worker.added())
        worker.end()

    jobs = lines(tmp_path)
    names = Counter(line["name"] for line in jobs)
    assert counted(lines(tmp_path, RUNS)) == counted(jobs)
    assert {f"Job/shop.{name}": count for name, count in names.items()} == reported(tmp_path)
    again = worker.outcomes() - expected
    assert not expected - worker.outcomes()
    assert set(again) <= (set() if PUBLISHES_ONCE else set(expected))
    assert all((line["outcome"] == "failure") == line["is_error"] for line in jobs)


@pytest.mark.parametrize("pool", [pool for pool in POOLS if pool in ("prefork", SPAWN)])
def test_children_that_are_killed_under_load_lose_only_what_they_have_not_reported(tmp_path, pool):
    """Every other job is recorded once, also one that runs again after its process was killed."""
    kills = max(2, JOBS // 100)
    with working(tmp_path, pool, "-c", "4", period="0.2s") as worker:
        for number in range(JOBS):
            worker.publish("add", number)
            if number % (JOBS // kills) == JOBS // kills // 2:
                worker.publish("kill")
                worker.publish("kill_once")
        wanted = Counter({"add": JOBS, "kill": kills, "kill_once": 2 * kills})
        worker.wait_for(lambda: wanted <= Counter(line["name"] for line in lines(tmp_path, RUNS)))
        worker.wait_for(lambda: kills == worker.outcomes()["kill", "failure"])
        worker.end()

    runs, jobs = lines(tmp_path, RUNS), lines(tmp_path)
    killed = {run["pid"] for run in runs if run["name"] == "kill"}
    killed |= {run["pid"] for run in runs if run["name"] == "kill_once"}
    assert counted([run for run in runs if run["pid"] not in killed]) <= counted(jobs)
    assert counted(jobs) <= counted(runs)
    # Not each of them: Celery runs a task again, and reports nothing, if its process ends before the worker knows that it has begun.
    assert worker.outcomes()["kill_once", "retry"] <= kills
    found = reported(tmp_path)
    assert all(found[f"Job/shop.{name}"] <= count for name, count in Counter(line["name"] for line in jobs).items())


def test_a_task_whose_process_is_killed_is_recorded_by_the_main_process(tmp_path):
    with working(tmp_path, "prefork", "-c", "1", period="0.2s") as worker:
        worker.publish("add", 1)
        worker.publish("wait", str(tmp_path), time_limit=1)
        worker.wait_for(lambda: worker.outcomes()["wait", "timed_out"])
        (tmp_path / "waiting").unlink()
        worker.publish("kill")
        worker.wait_for(lambda: worker.outcomes()["kill", "failure"])
        if HAS_RETRIES_OF_LOST:
            worker.publish("kill_again")
            worker.wait_for(lambda: worker.outcomes()["kill_again", "failure"])
        revoked = worker.publish("wait", str(tmp_path))
        worker.wait_for((tmp_path / "waiting").exists)
        worker.app.control.revoke(revoked, terminate=True)
        worker.wait_for(lambda: worker.outcomes()["wait", "revoked"])
        worker.publish("leave")
        worker.wait_for(lambda: worker.outcomes()["leave", "failure"])
        worker.publish("add", 2)
        worker.wait_for(lambda: worker.outcomes()["add", "success"] == 2)
        worker.end()

    jobs = {(line["name"], line["outcome"]): line for line in lines(tmp_path)}
    expected = {
        ("add", "success"): 2,
        ("wait", "timed_out"): 1,
        ("kill", "failure"): 1,
        ("wait", "revoked"): 1,
        ("leave", "failure"): 1,
        **({("kill_again", "retry"): 1, ("kill_again", "failure"): 1} if HAS_RETRIES_OF_LOST else {}),
    }
    assert expected == worker.outcomes()
    assert sum(expected.values()) == sum(reported(tmp_path).values())
    assert 1.0 <= jobs["wait", "timed_out"]["seconds"] < 20
    assert {worker.process.pid} == {jobs[job]["pid"] for job in jobs if job[0] not in ("add", "leave")}
