"""Exceptions of signal handlers, raised at each of our instructions: the thread records what comes after them."""

from __future__ import annotations

import gc
import random
import signal
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import scout_core
from scout_core import current_transaction, span, transaction
from scout_core.boundary.bound_calls import Original
from scout_core.boundary.describing import describe_or_send
from scout_core.boundary.guard import Guard
from scout_core.boundary.header_places import HeaderParameter
from scout_core.boundary.wrappers import describing_wrapper
from scout_core.testing import recording
from tests.sizes import IS_FULL
from tests.workbench import plugin

FOLDERS = tuple(str(Path(scout_core.__file__).parent / name) for name in ("recording", "boundary"))


STEP = 1 if IS_FULL else 3
"""Each of so many instructions is tried, beginning with any: each run repeats all before it."""


def first_run() -> int:
    return random.randint(1, STEP)


class Alarm(Exception):
    """The exception of a time-out."""


def time_out(number, frame):
    raise Alarm


def by_hand():
    with transaction("Job/first"), span("SQL/Query"):
        pass


def ignored():
    with transaction("Job/first") as first, span("SQL/Query"):
        first.ignore()


def nested():
    with transaction("Job/first"), transaction("Job/inner"), span("SQL/Query"):
        pass


def failing():
    try:
        with transaction("Job/first"), span("SQL/Query"):
            raise KeyError("plan")
    except KeyError:
        pass


def begun():
    job = transaction("Job/first").begin()
    query = span("SQL/Query").begin()
    query.end()
    job.end()


def detached():
    with transaction("Job/outer"), transaction("Job/first").detach(), span("SQL/Query"):
        pass


def kept_open():
    with transaction("Job/first") as first, span("SQL/Query"):
        first.keep_open()
    first.end()


def rows():
    for number in range(2):
        with span("SQL/Query"):
            yield number


def read():
    for _ in steps():
        pass


def streamed():
    with transaction("Job/first") as first:
        body = first.stream(rows())
    for _ in body:
        pass


def work():
    with span("SQL/Query"):
        return 1


async def work_async():
    with span("SQL/Query"):
        return 1


def describe():
    return transaction("Job/first")


def describe_steps():
    _ = yield transaction("Job/first")


def wrapped(function, describer, has_steps):
    guard = Guard("paying", "shop:work", describer, has_steps=has_steps)
    return describing_wrapper(function, guard, is_root=True)


def send(headers=None):
    with span("SQL/Query"):
        return headers


sending = describe_or_send(
    Guard("paying", "shop:send", lambda headers=None: transaction("Job/first", url="http://shop.example/")),
    True,
    HeaderParameter("headers", ()),
    Original(send, send),
)


plain, plain_steps = wrapped(work, describe, False), wrapped(work, describe_steps, True)
steps = wrapped(rows, describe, False)
awaited, awaited_steps = wrapped(work_async, describe, False), wrapped(work_async, describe_steps, True)


def driven(function):
    """Run a coroutine in this context, as a server may that drives its own loop."""

    def run():
        coroutine = function()
        try:
            coroutine.send(None)
        except StopIteration:
            return

    return run


REQUESTS = {
    "by hand": by_hand,
    "ignored": ignored,
    "nested": nested,
    "failing": failing,
    "begun": begun,
    "detached": detached,
    "kept open": kept_open,
    "plain": plain,
    "plain with steps": plain_steps,
    "sending": lambda: sending({"A": "b"}),
    "async": driven(awaited),
    "async with steps": driven(awaited_steps),
    "generator": read,
    "streamed": streamed,
}


def is_ours(code):
    return code.co_filename.startswith(FOLDERS) or code in WITH_STATEMENTS


@contextmanager
def calling(function):
    """Call the function with code and offset before each of our instructions."""
    if sys.version_info >= (3, 12):
        monitoring, tool = sys.monitoring, sys.monitoring.PROFILER_ID
        event = monitoring.events.INSTRUCTION
        monitoring.use_tool_id(tool, "interrupt")
        monitoring.register_callback(
            tool, event, lambda code, offset: function(code, offset) if is_ours(code) else None
        )
        monitoring.set_events(tool, event)
        try:
            yield
        finally:
            monitoring.set_events(tool, 0)
            monitoring.free_tool_id(tool)
        return

    def trace(frame, event, argument):
        if not is_ours(frame.f_code):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            function(frame.f_code, frame.f_lasti)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def in_generator(function):
    """
    Call the function in a frame with a stack of handled exceptions of its own.

    An exception at an instruction that ends an ``except`` block leaves the handled exception on the stack of its frame's
    thread, where it would become the context of exceptions in later tests.
    """
    function()
    yield


def interrupted_at(number, request):
    """Raise before one of our instructions, or of a ``with`` statement around it; return where, None if there are fewer."""
    numbers = iter(range(1, 100_000))
    arrived, passed = [], []

    def interrupt(code, offset):
        if next(numbers) == number:
            arrived.append((code.co_qualname if hasattr(code, "co_qualname") else code.co_name, offset))
            signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, time_out)
    gc.disable()  # Python ignores exceptions in callbacks of the collector
    try:
        with calling(interrupt):
            try:
                next(in_generator(request), None)
            except Alarm:
                passed.extend(arrived)
    finally:
        gc.enable()
        signal.signal(signal.SIGUSR1, before)
    if sys.version_info < (3, 11):
        gc.collect(0)  # tracing has stored the variables of frames in cycles, and with them what the application had
    assert arrived == passed  # the time-out of the application takes place
    return arrived


WITH_STATEMENTS = {
    function.__code__ for function in (by_hand, ignored, nested, failing, begun, detached, kept_open, streamed)
}


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "request_, then", [*((name, "plain") for name in REQUESTS), ("by hand", "by hand"), ("by hand", "async with steps")]
)
def test_the_next_request_is_counted_wherever_an_exception_arrives(scout, request_, then):
    REQUESTS[request_]()
    REQUESTS[then]()
    scout.forget()
    runs, missing = first_run(), []
    while place := interrupted_at(runs, REQUESTS[request_]):
        REQUESTS[then]()
        operations = [seen.operation for seen in scout.transactions]
        if not operations or operations[-1] != "Job/first" or current_transaction() is not None:
            missing.append((place, operations))
        assert len(operations) <= 2 + (request_ == "detached")
        scout.forget()
        runs += STEP

    assert runs > 100
    assert [] == missing


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("request_", ["by hand", "ignored", "nested", "begun", "detached", "kept open"])
def test_the_next_request_is_counted_wherever_an_exception_arrives_around_hooks(request_):
    hooks = plugin("hooks", on_request_start=lambda transaction: None, on_span=lambda span: None)
    with recording(plugins=[hooks]) as scout:
        by_hand()
        scout.forget()
        runs, missing = first_run(), []
        while place := interrupted_at(runs, REQUESTS[request_]):
            by_hand()
            operations = [seen.operation for seen in scout.transactions]
            if not operations or operations[-1] != "Job/first" or current_transaction() is not None:
                missing.append((place, operations))
            scout.forget()
            runs += STEP

    assert runs > 100
    assert [] == missing


def forgetful(number, frame):
    """A handler that is not installed any more when it raises."""
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    raise Alarm


@pytest.mark.parametrize("handler", [time_out, forgetful, lambda *arguments: time_out(*arguments)])
@pytest.mark.parametrize("way", ["run", "attempt", "begin", "finish"])
def test_a_guard_lets_a_time_out_of_the_application_pass(handler, way):
    def work():
        signal.raise_signal(signal.SIGUSR1)

    def steps():
        work()
        yield

    guard = Guard("paying", "score_transaction", steps if way == "begin" else work)
    arguments = {"run": (), "attempt": (work,), "begin": ((), {}), "finish": (work,)}[way]
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(Alarm):
            getattr(guard, way)(*arguments)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert 0 == guard.failures.count


def test_a_transaction_that_its_owner_still_has_is_not_given_up(scout):
    def begin():
        made.append(transaction("Job/outer"))
        made[0].__enter__()

    made = []
    begin()
    with transaction("Job/inner"), span("SQL/Query"):
        pass
    made[0].__exit__(None, None, None)

    assert ["SQL/Query", "Job/inner", "Job/outer"] == scout.operations


def test_a_transaction_that_nobody_can_end_is_counted_as_interrupted(scout):
    transaction("Job/outer").__enter__()
    with span("SQL/Query"):
        pass
    with transaction("Job/next"):
        pass

    assert ["Job/next"] == scout.operations
    counters = scout.agent.counters()
    assert ({"interrupted": 1}, 2) == (counters.dropped, counters.finished)


def test_an_exit_stack_keeps_a_transaction_open(scout):
    with ExitStack() as stack:
        stack.enter_context(transaction("Job/outer"))
        for _ in range(3):
            with transaction("Job/inner"), span("SQL/Query"):
                pass

    assert ["SQL/Query", "Job/inner"] * 3 + ["Job/outer"] == scout.operations


def test_a_root_wrapper_is_called_in_an_abandoned_transaction_that_is_ignored(scout):
    transaction("Job/outer").__enter__().ignore()
    plain()

    assert ["SQL/Query", "Job/first"] == scout.operations
