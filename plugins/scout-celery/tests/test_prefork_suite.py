"""The jobs suite on Celery with worker processes of their own, on a real Redis: apart from workers in the process that publishes."""

from __future__ import annotations

from celery_queues import CELERY_WARNS, COMMAND, PUBLISHES_ONCE, CeleryQueue, make_app

from scout_core.testing.jobs import JobsSuite

pytestmark = CELERY_WARNS


class TestPrefork(JobsSuite):
    plugin = "scout_celery"
    publishes_once = PUBLISHES_ONCE
    skip = {
        name.removeprefix("test_"): "not with a worker process; see test_jobs_suite.py"
        for name in dir(JobsSuite)
        if name.startswith("test_") and name not in ("test_killed", "test_recycled")
    }

    def make_queue(self, folder):
        return CeleryQueue(make_app(folder.name))

    def worker_command(self, folder):
        return [*COMMAND, "-c", "1"]

    def recycled_command(self, folder):
        return [*self.worker_command(folder), "--max-tasks-per-child", "1"]
