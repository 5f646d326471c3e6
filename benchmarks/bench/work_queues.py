"""Workloads of the plugins for Redis and for queues, with the libraries themselves."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from bench.agents.protocol import Agent

if TYPE_CHECKING:
    from bench.work import Run

MANY: Final = 100


def redis_command(agent: Agent) -> Run:
    """100 commands to a server of its own, whose time is not that of this process."""
    import redis

    from scout_core.testing.servers import redis_server

    stack = ExitStack()
    atexit.register(stack.close)
    client = redis.Redis.from_url(stack.enter_context(redis_server()))
    client.set("tea", 1)
    transaction, get = agent.transaction, client.get

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/commands"):
                for _ in range(MANY):
                    get("tea")

    return run


def celery_task(agent: Agent) -> Run:
    """A task of Celery that does nothing, run by its tracer as in a worker, without a broker and without a result."""
    from celery import Celery
    from celery.app.trace import build_tracer

    app = Celery("bench", broker="memory://", set_as_current=False)
    task = app.task(name="bench.nothing", ignore_result=True)(_nothing)
    app.finalize()
    app.set_current()
    trace = build_tracer(task.name, task, app.loader, "bench", app=app)
    request = {
        "id": "5ad5ef19-52e6-4f1c-9d0a-5a1d8c3f6b32", "task": task.name, "retries": 0, "eta": None, "args": (), "kwargs": {},
        "delivery_info": {"routing_key": "celery", "exchange": "", "priority": 0, "redelivered": False},
        "scout-sent": "1764400000.5 00f067aa0ba902b7", "traceparent": f"00-{'4bf92f35' * 4}-00f067aa0ba902b7-01",
    }  # fmt: skip

    def run(units: int) -> None:
        for _ in range(units):
            trace(request["id"], (), {}, request)

    return run


def huey_task(agent: Agent) -> Run:
    """A task of Huey that does nothing, run as in a consumer, with a queue in memory."""
    from huey import MemoryHuey

    huey = MemoryHuey("bench", results=False)
    task = huey.task()(_nothing)
    task()
    received = huey.dequeue()

    def run(units: int) -> None:
        for _ in range(units):
            huey.execute(received)

    return run


def _nothing() -> None:
    pass
