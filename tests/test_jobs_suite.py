"""The jobs suite: a right plugin passes every test, and for each rule there is a wrong one that fails it."""

from __future__ import annotations

from time import time
from types import ModuleType, SimpleNamespace

import pytest

from scout_core import hookimpl, record_error, trace_headers, transaction
from scout_core.instruments.jobs import FAILURE, RETRY, current_job, job, stamped
from scout_core.testing.jobs import JobQueue, JobsSuite
from tests import job_library

ENDINGS = {"tests.job_library.Again": RETRY}
PROCESSES = {"killed", "recycled"}


def described(queue, message, /, **facts):
    task = message["task"]
    known = {
        "queue": queue.name,
        "task_id": message["id"],
        "headers": message["headers"],
        "eta": message["due"] or None,
        "endings": ENDINGS,
    }
    return job(f"{task.__module__}.{task.__name__}", **{**known, **facts})


def publish(wrapped, queue, args, kwargs):
    return wrapped(*args, **{**kwargs, "headers": stamped(kwargs.get("headers"))})


def settle(outcome):
    def report(worker, queue, message, error):
        current_job().settle(outcome, error)

    return report


RIGHT = {
    "run": lambda worker, queue, message: described(queue, message),
    "retry": settle(RETRY),
    "fail": settle(FAILURE),
    "publish": publish,
}


def plugin(**wrong):
    """Return the plugin as a module, with some of its functions replaced."""
    functions = {**RIGHT, **wrong}

    @hookimpl
    def instrument(wrap):
        wrap("tests.job_library:Worker.run", functions["run"], root=True)
        wrap("tests.job_library:Worker.retry", functions["retry"])
        wrap("tests.job_library:Worker.fail", functions["fail"])
        wrap.around("tests.job_library:Queue.publish", functions["publish"])
        if "around" in functions:
            wrap.around("tests.job_library:Worker.run", functions["around"])

    module = ModuleType("library_jobs")
    module.instrument = instrument
    return module


class LibraryQueue(JobQueue):
    def __init__(self):
        self.queue, self.worker = job_library.Queue(), job_library.Worker()

    def publish(self, task, *args, retries=0, delay=0.0):
        self.queue.publish(task, args, retries=retries, due=time() + delay if delay else 0.0)

    def work(self):
        self.worker.work(self.queue)

    def run_inline(self, task, *args):
        self.worker.run(self.queue, {"id": 0, "task": task, "args": args, "headers": {}, "retries": 0, "due": 0.0})


class Library(JobsSuite):
    control_flow = {"retry": job_library.Again}
    parallel = 20
    workers = 4

    def make_queue(self, folder):
        return LibraryQueue()


RULES = sorted(name.removeprefix("test_") for name in dir(Library) if name.startswith("test_"))


def check(rule, module):
    """Run one test of the suite with a plugin."""
    suite = Library()
    suite.settings = {"plugins": [module]}
    suite.plugin = module
    getattr(suite, f"test_{rule}")()


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in PROCESSES])
def test_a_right_plugin_passes(rule):
    check(rule, plugin())


def named_alike(worker, queue, message):
    return job("task", queue=queue.name, task_id=message["id"], headers=message["headers"], endings=ENDINGS)


def named_by_arguments(worker, queue, message):
    return job(f"work.{message['args']}", queue=queue.name, task_id=message["id"], headers=message["headers"])


def without_library(worker, queue, message):
    task = message["task"]
    return transaction(
        f"Job/{task.__module__}.{task.__name__}", queue=queue.name, task_id=message["id"], outcome="success"
    )


def detached(worker, queue, message):
    return described(queue, message).detach()


def without_headers(wrapped, queue, args, kwargs):
    return wrapped(*args, **kwargs)


def without_time(wrapped, queue, args, kwargs):
    return wrapped(*args, **{**kwargs, "headers": trace_headers()})


def with_the_first_trace(wrapped, queue, args, kwargs):
    first.headers = first.headers or trace_headers() or dict(TRACE)
    return wrapped(*args, **{**kwargs, "headers": {**(stamped(None) or {}), **first.headers}})


def with_the_last_trace(worker, queue, message):
    return described(queue, message, headers=first.last)


def noting(wrapped, queue, args, kwargs):
    first.last = stamped(None)
    return wrapped(*args, **kwargs)


def in_the_future(worker, queue, message):
    return described(queue, message, queued_at=time() + 60)


def run_twice(wrapped, worker, args, kwargs):
    wrapped(*args, **kwargs)
    return wrapped(*args, **kwargs)


def raising(wrapped, queue, args, kwargs):
    headers = stamped(kwargs.get("headers"))
    return wrapped(*args, **{**kwargs, "headers": {"scout-sent": headers["scout-sent"]}})


def recorded_afterwards(wrapped, worker, args, kwargs):
    wrapped(*args, **kwargs)
    with described(*args):
        pass


def failing(worker, queue, message, error):
    record_error(error, handled=False)


def nothing(worker, queue, message, error):
    return None


TRACE = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
first = SimpleNamespace(headers=None, last=None)

WRONG = {
    "all tasks have the same name": ("names", {"run": named_alike}),
    "names have arguments": ("names", {"run": named_by_arguments}),
    "no queue": ("names", {"run": lambda worker, queue, message: described(queue, message, queue=None)}),
    "no id": ("names", {"run": lambda worker, queue, message: described(queue, message, task_id=None)}),
    "jobs are run twice": ("results", {"around": run_twice}),
    "no time in messages": ("latency", {"publish": without_time}),
    "a wrong time": ("latency", {"run": in_the_future}),
    "delays count as waiting": ("delay", {"run": lambda worker, queue, message: described(queue, message, eta=None)}),
    "failures are not reported": ("failure", {"fail": nothing}),
    "retries are failures": ("retry", {"retry": settle(FAILURE)}),
    "retries are successes": ("retry", {"retry": nothing}),
    "attempts are counted from 0": (
        "retry",
        {"run": lambda worker, queue, message: described(queue, message, attempt=1 - message["retries"])},
    ),
    "each attempt is the first": (
        "retry",
        {"run": lambda worker, queue, message: described(queue, message, attempt=1)},
    ),
    "only repeated attempts are numbered": (
        "retry",
        {"run": lambda worker, queue, message: described(queue, message, attempt=None if message["retries"] else 2)},
    ),
    "control flow is a failure": ("control_flow", {"retry": settle(FAILURE)}),
    "control flow is recorded": (
        "control_flow",
        {"run": lambda w, queue, message: described(queue, message, endings=None)},
    ),
    "no link": ("link", {"publish": without_headers}),
    "only a time": ("link", {"publish": raising}),
    "the first publisher of all": ("chain", {"publish": with_the_first_trace}),
    "scheduled jobs have a caller": ("scheduled", {"publish": with_the_first_trace}),
    "inline tasks are transactions": ("inline", {"run": detached}),
    "inline tasks fail their request": ("inline", {"fail": failing}),
    "publishers are mixed up": ("parallel", {"publish": noting, "run": with_the_last_trace}),
    "jobs are recorded when they are over": ("ignored", {"run": lambda *_: None, "around": recorded_afterwards}),
    "jobs are described by hand": ("describer_fails", {"run": without_library}),
}


def test_a_plugin_that_numbers_the_attempts_passes():
    check("retry", plugin(run=lambda worker, queue, message: described(queue, message, attempt=2 - message["retries"])))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_plugin_fails(wrong):
    rule, functions = WRONG[wrong]
    first.headers = first.last = None
    with pytest.raises(AssertionError):
        check(rule, plugin(**functions))


def test_a_plugin_that_patches_by_hand_is_recorded_twice_and_after_the_stop():
    original = job_library.Worker.run

    @hookimpl
    def instrument(wrap):
        before = job_library.Worker.run

        def run(worker, queue, message):
            with described(queue, message):
                return before(worker, queue, message)

        job_library.Worker.run = run

    module = ModuleType("library_jobs")
    module.instrument = instrument
    try:
        with pytest.raises(AssertionError):
            check("one_side", module)
            check("stopped", module)
    finally:
        job_library.Worker.run = original


@pytest.mark.parametrize("unknown", [{"nmaes": "a typing error"}, {"names": "no ids", "": "nothing"}])
def test_a_test_that_does_not_exist_cannot_be_skipped(unknown):
    with pytest.raises(TypeError, match="unknown test"):
        type("Skipping", (Library,), {"skip": unknown})
