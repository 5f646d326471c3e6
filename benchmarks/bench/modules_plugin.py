"""Calls of ``modules_library``, recorded with the shared modules, as plugins of such libraries do it."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from scout_core import hookimpl
from scout_core.instruments.dbapi import Driver
from scout_core.instruments.http import http_span
from scout_core.instruments.jobs import JobTransaction, job

if TYPE_CHECKING:
    from bench.modules_library import Client, Worker
    from scout_core import OutermostSpan, Wrap


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Give connections a proxy, and describe the calls of the client and the worker."""
    wrap.around("bench.modules_library:connect", Driver(wrap, "sqlite").connect)
    wrap("bench.modules_library:Client.send", send)
    wrap("bench.modules_library:Worker.perform", perform, root=True)


def send(client: Client, method: str, url: str) -> Generator[OutermostSpan, int, None]:
    """Describe a call."""
    call = http_span(method, url)
    status = yield call
    call.tag("status", status)


def perform(worker: Worker, task: str, task_id: str, headers: dict[str, str]) -> JobTransaction:
    """Describe a job."""
    return job(task, queue="low", task_id=task_id, attempt=1, headers=headers)
