"""Background tasks: jobs of their own that the request has started."""

from __future__ import annotations

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from scout_core import span


class Around(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


class NotSent(Exception):
    """An error of a task."""


async def send_mail(to):
    with span("Mail/Send", to=to):
        await asyncio.sleep(0.01)


def count(what):
    with span("SQL/Query"):
        pass


async def fail():
    raise NotSent


def shop(*tasks, status=200, middleware=()):
    async def order(request):
        background = BackgroundTasks()
        for task, *arguments in tasks:
            background.add_task(task, *arguments)
        return PlainTextResponse("thanks", status_code=status, background=background)

    async def single(request):
        return PlainTextResponse("thanks", background=BackgroundTask(send_mail, "ada"))

    return Starlette(routes=[Route("/", order), Route("/single", single)], middleware=[*middleware])


@pytest.mark.parametrize("middleware", [[], [Middleware(Around)]], ids=["plain", "base"])
def test_tasks_are_linked_jobs_and_do_not_lengthen_the_request(scout, ask, middleware):
    assert 200 == ask(shop((send_mail, "ada"), (count, "orders"), middleware=middleware), "GET", "/").status

    jobs = [seen for seen in scout.transactions if seen.operation.startswith("Job/")]
    (web,) = [seen for seen in scout.transactions if seen not in jobs]
    assert [f"Job/{__name__}.send_mail", f"Job/{__name__}.count"] == [job.operation for job in jobs]
    assert [["Mail/Send"], ["SQL/Query"]] == [[inner.operation for inner in job.spans] for job in jobs]
    assert {(web.span_id, web.trace_id)} == {(job.started_by, job.trace_id) for job in jobs}
    assert () == web.spans
    assert web == scout.transactions[0]  # it has ended before both


def test_a_single_task(scout, ask):
    ask(shop(), "GET", "/single")

    web, job = scout.transactions
    assert (f"Job/{__name__}.send_mail", web.span_id) == (job.operation, job.started_by)


@pytest.mark.parametrize("status", [200, 500])
def test_the_error_of_a_task_is_recorded_once_and_is_not_that_of_the_request(scout, ask, status):
    with pytest.raises(NotSent):
        ask(shop((fail,), status=status), "GET", "/")

    web, job = scout.transactions
    assert (f"Job/{__name__}.fail", ["NotSent"]) == (
        job.operation,
        [error.exception.rpartition(".")[2] for error in job.errors],
    )
    assert ((), status == 500) == (web.errors, web.is_error)


def test_a_task_outside_of_a_request_is_a_job(scout):
    asyncio.run(BackgroundTask(send_mail, "ada")())

    assert (f"Job/{__name__}.send_mail", "") == (scout.transaction.operation, scout.transaction.started_by)


def test_spans_after_the_response_that_are_of_no_task_are_a_job(scout, ask):
    class Logs:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)
            if scope["type"] == "http":
                with span("Log/Write"):
                    pass

    ask(shop(middleware=[Middleware(Logs)]), "GET", "/")

    web, after = scout.transactions
    assert (f"Job/{__name__}.shop.<locals>.order / .after_response".replace(" .", "."), web.span_id) == (
        after.operation,
        after.started_by,
    )
    assert ["Log/Write"] == [seen.operation for seen in after.spans]
