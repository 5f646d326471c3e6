"""The conformance suite on RQ itself, with a real server."""

from __future__ import annotations

import rq
from rq import Queue
from rq.job import get_current_job
from rq_queues import HAS_MANY, HAS_REPEATS, NAME, connect, work

from scout_core.testing import Call, conformance, hostile


def double(number: int) -> int:
    return 2 * number


def broken() -> None:
    raise ZeroDivisionError


def again() -> object:
    return None if get_current_job().number_of_retries else rq.Retry(max=1)


def runs(url: str) -> None:
    client = connect(url)
    queue = Queue(hostile(NAME), connection=client)
    job = queue.enqueue(double, 21, meta={"shop": "tea"})
    failing = queue.enqueue(broken)
    if HAS_REPEATS:
        queue.enqueue(again, repeat=rq.Repeat(times=1))
    work(queue)
    job.refresh()
    failing.refresh()
    assert ({"shop": "tea"}, True, True) == (job.meta, job.is_finished, failing.is_failed)
    client.connection_pool.disconnect()


def refuses(url: str) -> None:
    client = connect(url)
    try:
        Queue(NAME, connection=client).enqueue_call(5)
    finally:
        client.connection_pool.disconnect()


test_conformance = conformance(
    "scout_rq",
    runs,
    Call(refuses, raises=TypeError),
    skip={
        "calls": "not with RQ: a work horse is a process of its own",
        **({} if HAS_MANY else {"targets": "not with this RQ: enqueue_many comes with 1.9"}),
    },
)
