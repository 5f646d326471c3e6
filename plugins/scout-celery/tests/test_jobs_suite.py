"""The jobs suite on Celery with workers in this process, on a real Redis."""

from __future__ import annotations

from uuid import uuid4

import celery
import pytest
from celery.exceptions import Ignore, Reject, Retry
from celery_queues import CELERY_WARNS, CeleryQueue, embedded_worker, make_app

from scout_core.testing.jobs import JobsSuite

pytestmark = CELERY_WARNS


class TestThreads(JobsSuite):
    plugin = "scout_celery"
    control_flow = {"retry": lambda: Retry("again"), "ignored": Ignore, "rejected": lambda: Reject("no")}
    skip = {
        **dict.fromkeys(("killed", "recycled"), "not with a worker in this process; see test_prefork_suite.py"),
        "one_side": "not with a worker that runs all the time; see test_celery.py",
        "retry": "not with several threads, where the second attempt may end before the first one; see TestSolo",
    }
    pool = "threads"
    concurrency = 10

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _worker(cls):
        cls.app = make_app(uuid4().hex)
        with embedded_worker(cls.app, cls.pool, cls.concurrency) as cls.published:
            yield

    def make_queue(self, folder):
        return CeleryQueue(self.app, self.published)


@pytest.mark.skipif(celery.VERSION < (5, 3), reason="not with an old Celery, where it takes seconds for each message")
class TestSolo(TestThreads):
    skip = {name: reason for name, reason in TestThreads.skip.items() if name != "retry"}
    pool = "solo"
    concurrency = 1
