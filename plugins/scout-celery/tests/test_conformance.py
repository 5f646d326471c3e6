"""The conformance suite on Celery itself, with a broker in memory."""

from __future__ import annotations

import os
from functools import cache

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery import Celery
from celery.worker.request import Request
from kombu import Consumer

from scout_core.testing import Call, conformance, hostile

app = Celery("shop", broker="memory://", set_as_current=False)
app.conf.task_default_queue = "letters"


@pytest.fixture(autouse=True)
def _exit(monkeypatch):
    """Restore what is replaced in a child for good, because this process is not a child."""
    monkeypatch.setattr(os, "_exit", os._exit)


@app.task(name="shop.halve")
def halve(number, by=2):
    return number / by


def runs_where_it_is_called() -> None:
    assert 21 == halve.apply((hostile(42),), {"by": hostile(2)}).result


def fails() -> None:
    halve.apply((42,), {"by": 0}, throw=True)


def published() -> Request:
    """Publish a task, and return the request that a worker makes of its message."""
    halve.apply_async((42,), {"by": 2}, headers={"customer": "Ada"})
    received = []
    with app.connection() as connection:
        with Consumer(connection, app.amqp.queues["letters"], on_message=received.append, accept=["json"]):
            connection.drain_events(timeout=5)
    (message,) = received
    message.ack()
    return Request(message, app=app, task=halve)


def publishes_and_runs() -> None:
    assert 21 == published().execute()


def loses_a_child() -> None:
    try:
        raise WorkerLostError("Worker exited prematurely: signal 9 (SIGKILL).")
    except WorkerLostError:
        published().on_failure(ExceptionInfo())


@cache
def worker():
    for name in set(app.tasks) - {"shop.halve"}:
        del app.tasks[name]  # those that Celery has for every app, and those that other tests have shared
    return app.WorkController(pool="solo", concurrency=1)


def starts_a_worker_and_a_child() -> None:
    app.loader.init_worker_process()
    worker().consumer.update_strategies()
    assert 21 == published().execute()


test_conformance = conformance(
    "scout_celery",
    runs_where_it_is_called,
    Call(fails, raises=ZeroDivisionError),
    publishes_and_runs,
    loses_a_child,
    starts_a_worker_and_a_child,
    skip={
        "results": "not with Celery: what runs a task is a function that it makes, so another one must stand for that"
    },
)
