"""The jobs suite on RQ with a real server, and real worker processes."""

from __future__ import annotations

from rq_queues import HAS_LINKS, HAS_RETRIES, HAS_SCHEDULER, RqQueue, worker_command

from scout_core.testing.jobs import JobsSuite


class TestWorker(JobsSuite):
    plugin = "scout_rq"
    workers = 1
    skip = {
        "recycled": "not with RQ: the worker sends what its horses record, once a period; see test_workers.py",
        "control_flow": "not with RQ: a job asks for nothing by an exception",
        **(
            {}
            if HAS_LINKS
            else dict.fromkeys(("link", "chain", "parallel"), "not with this RQ: its jobs are not linked")
        ),
        **({} if HAS_SCHEDULER else {"delay": "not with this RQ: it schedules jobs since 1.2"}),
        **(
            {}
            if HAS_RETRIES
            else dict.fromkeys(("retry", "results", "describer_fails"), "not with this RQ: it tries again since 1.5")
        ),
    }

    def make_queue(self, folder):
        return RqQueue()

    def worker_command(self, folder):
        return worker_command()
