"""The guard: exceptions of plugins stop here and are counted; functions that keep failing or are slow are switched off."""

from __future__ import annotations

import asyncio
import builtins
import ctypes
import functools
import gc
import logging
import signal
import sys
import weakref
from threading import Thread, get_ident
from types import SimpleNamespace

import pytest

from scout_core.boundary import guard as module
from scout_core.boundary.failures import IN_A_ROW, WINDOW, TooManyErrors
from scout_core.boundary.guard import Guard
from scout_core.boundary.guard_log import log_changes
from scout_core.boundary.health import EARLY
from scout_core.boundary.pace import Limit, Slowness
from scout_core.builtin.sampling import rate_of
from scout_core.config.files import find_settings
from scout_core.errors import PluginError
from scout_core.tracebacks import MAX_FRAMES


class Clock:
    """A monotonic clock that only functions under test advance."""

    def __init__(self) -> None:
        self.now_ns = 1_000

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module, "perf_counter_ns", made)
    return made


def fails(*args):
    raise KeyError("plan")


def single_step():
    yield "span"


def fails_at_once():
    raise KeyError("plan")
    yield "span"


def by_turns(*pattern):
    """A function that fails where the pattern, again and again, is 1."""
    calls = iter(range(100_000))

    def function():
        if pattern[next(calls) % len(pattern)]:
            raise KeyError("plan")
        return "fine"

    return function


def run_until_off(guard: Guard, most: int = 1000) -> int:
    for number in range(most):
        if guard.off is not None:
            return number
        guard.run()
    return most


def test_a_call_passes_every_argument_and_returns_the_result():
    guard = Guard("paying", "score_transaction", lambda *args, **kwargs: (args, kwargs))

    assert ((1, 2), {"self": 3, "function": 4}) == guard.run(1, 2, self=3, function=4)
    assert (1, 0, None, None) == (guard.calls, guard.failures.count, guard.off, guard.failures.last)


def test_an_exception_is_counted_and_kept_and_goes_no_further():
    guard = Guard("paying", "score_transaction", fails)

    assert guard.run("transaction") is None
    line = fails.__code__.co_firstlineno + 1
    assert f"KeyError: 'plan' at {__file__}:{line} in fails" == str(guard.failures.last)
    assert (1, 1, None) == (guard.calls, guard.failures.count, guard.off)


def test_a_call_with_wrong_arguments_is_an_error_without_a_frame():
    guard = Guard("paying", "redis:Redis.get", lambda client: None)

    assert guard.run(1, 2) is None
    assert str(guard.failures.last).startswith("TypeError: ")
    assert " at " not in str(guard.failures.last).removeprefix("TypeError: ")


def test_an_exception_that_cannot_be_printed_is_counted_too():
    class Refuses(Exception):
        def __str__(self):
            raise RuntimeError

        __repr__ = __str__

    def refuse():
        raise Refuses

    guard = Guard("paying", "on_span", refuse)

    assert guard.run() is None
    assert str(guard.failures.last).startswith("Refuses: ")


def test_a_deep_traceback_is_kept_down_to_where_it_was_raised():
    def descend(depth):
        if depth == 0:
            raise KeyError("plan")
        descend(depth - 1)

    guard = Guard("paying", "on_span", descend)
    guard.run(500)

    assert f":{descend.__code__.co_firstlineno + 2} in descend" in str(guard.failures.last)
    assert MAX_FRAMES == len(guard.failures.last.frames)


def test_frames_of_the_core_are_left_out_except_those_of_its_own_plugins():
    """A built-in plugin is at fault like any other; the core around it is not."""

    def fail(transaction):
        return rate_of(transaction, None)

    def fail_in_the_core(path):
        return find_settings(path)

    guards = [Guard("sampling", "on_request_start", fail), Guard("paying", "on_start", fail_in_the_core)]
    for guard in guards:
        guard.run(None)

    assert [["rate_of", "fail"], ["fail_in_the_core"]] == [
        [function for _, _, function in guard.failures.last.frames] for guard in guards
    ]


def test_no_object_of_the_exception_is_kept_alive():
    class Held:
        pass

    references = []

    def fail():
        held = Held()
        references.append(weakref.ref(held))
        raise KeyError(held)

    guard = Guard("paying", "on_span", fail)
    guard.run()
    gc.collect()

    assert 1 == guard.failures.count
    assert [None] == [reference() for reference in references]


PyErr_SetNone = ctypes.PYFUNCTYPE(None, ctypes.py_object)(("PyErr_SetNone", ctypes.pythonapi))


class OwnBaseError(BaseException):
    """A plugin's own."""


OWN = [GeneratorExit(), asyncio.CancelledError(), OwnBaseError()]
OUTSIDE = [KeyboardInterrupt()]
Group = getattr(builtins, "BaseExceptionGroup", None)
if Group is not None:  # Python >= 3.11
    OWN += [Group("several", [error]) for error in OWN]
    OWN += [Group("groups", [Group("several", [OwnBaseError()]), SystemExit(3)])]
    OUTSIDE += [Group("groups", [ValueError(), Group("several", [KeyboardInterrupt()])])]


@pytest.mark.parametrize("error", OWN, ids=repr)
def test_whatever_a_plugin_raises_is_counted(error):
    def leave():
        raise error

    def steps():
        leave()
        yield

    guard = Guard("paying", "on_start", leave)
    assert guard.run() is None
    assert guard.attempt(leave) is None
    guard.finish(leave)
    stepping = Guard("paying", "shop:work", steps, has_steps=True)
    assert stepping.begin((), {}) is None
    assert (3, 1) == (guard.failures.count, stepping.failures.count)


def test_a_cancelled_future_that_a_plugin_waits_for_is_its_own_error():
    async def main():
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        guard = Guard("paying", "on_request_start", future.result)
        assert guard.run() is None
        return guard.failures.count

    assert 1 == asyncio.run(main())


def test_what_is_thrown_into_a_greenlet_passes(monkeypatch):
    """Greenlet raises it where the greenlet waits; no ``raise`` statement does."""

    class GreenletExit(BaseException):
        pass

    class Timeout(BaseException):
        pass

    monkeypatch.setitem(sys.modules, "greenlet", SimpleNamespace(GreenletExit=GreenletExit))
    for thrown in (GreenletExit, Timeout):
        guard = Guard("paying", "on_request_start", functools.partial(PyErr_SetNone, ctypes.py_object(thrown)))
        with pytest.raises(thrown):
            guard.run()
        assert 0 == guard.failures.count


@pytest.mark.parametrize("raised", OUTSIDE, ids=repr)
def test_exceptions_that_end_a_program_pass(raised):
    leaves = type(raised)

    def leave():
        raise raised

    guard = Guard("paying", "on_request_start", leave)

    with pytest.raises(leaves) as caught:
        guard.run()
    assert caught.value is raised
    with pytest.raises(leaves):
        guard.attempt(leave)
    assert (1, 0) == (guard.calls, guard.failures.count)


@pytest.mark.parametrize("way", ["run", "attempt", "begin", "finish"])
def test_sys_exit_counts_as_an_error(way):
    def leave():
        sys.exit(3)

    def steps():
        leave()
        yield

    guard = Guard("paying", "score_transaction", steps if way == "begin" else leave)
    arguments = {"run": (), "attempt": (leave,), "begin": ((), {}), "finish": (leave,)}[way]

    assert getattr(guard, way)(*arguments) is None
    assert 1 == guard.failures.count
    assert str(guard.failures.last).startswith("SystemExit: 3 at ")


@pytest.mark.parametrize("written", ["function", "method", "object", "partial"])
def test_sys_exit_in_a_signal_handler_passes_wherever_it_runs(written):
    """Servers end their workers this way, and the main thread may be in a plugin at that moment."""

    class Worker:
        def stop(self, number, frame):
            sys.exit(0)

        __call__ = stop

    worker = Worker()
    handlers = {
        "function": lambda number, frame: sys.exit(0),
        "method": worker.stop,
        "object": worker,
        "partial": functools.partial(Worker.stop, worker),
    }
    before = signal.signal(signal.SIGUSR1, handlers[written])
    try:
        guard = Guard("paying", "on_span", lambda: signal.raise_signal(signal.SIGUSR1))
        with pytest.raises(SystemExit):
            guard.run()
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert (0, None) == (guard.failures.count, guard.off)


def test_in_tests_everything_is_raised():
    guard = Guard("paying", "score_transaction", fails, reraise=True)

    with pytest.raises(KeyError, match="plan"):
        guard.run()
    with pytest.raises(KeyError, match="plan"):
        guard.attempt(fails)
    with pytest.raises(KeyError, match="plan"):
        guard.finish(fails)
    with pytest.raises(ValueError, match="a score is a number"):
        guard.refuse("a score is a number")


def test_ten_errors_in_a_row_switch_a_function_off():
    guard = Guard("paying", "score_transaction", fails)

    assert IN_A_ROW == 10 == run_until_off(guard)
    assert "10 errors in a row" == str(guard.off)
    assert guard.run() is None
    assert 10 == guard.calls


def test_nine_in_a_row_do_not():
    assert 500 == run_until_off(Guard("paying", "on_span", by_turns(*[1] * 9, *[0] * 11)), 500)


def test_fifty_errors_in_a_hundred_calls_switch_a_function_off():
    guard = Guard("paying", "score_transaction", by_turns(0, 1))

    assert WINDOW == 100 == run_until_off(guard)
    assert "50 errors in 100 calls" == str(guard.off)


def test_fewer_do_not():
    assert 5000 == run_until_off(Guard("paying", "on_span", by_turns(0, 1, 0, 1, 0)), 5000)


def test_errors_of_long_ago_do_not_count():
    guard = Guard("paying", "on_span", by_turns(*[0, 1] * 40, *[0] * 300))

    assert 5000 == run_until_off(guard, 5000)
    assert guard.failures.count > 200
    assert guard.failures.history < 1 << WINDOW


@pytest.mark.parametrize("before", [0, 1, 30], ids=["at once", "after one", "after many"])
def test_ten_invalid_results_in_a_row_switch_a_function_off_too(before):
    guard = Guard("paying", "score_transaction", lambda: "nonsense")
    for _ in range(before):
        guard.run()

    for number in range(10):
        assert guard.off is None, number
        guard.run()
        guard.refuse("a score must be a finite number or None, got str")

    assert "10 errors in a row" == str(guard.off)
    assert "ValueError: a score must be a finite number or None, got str" == str(guard.failures.last)


def test_fifty_invalid_results_in_a_hundred_calls_switch_a_function_off():
    guard = Guard("paying", "score_transaction", lambda: 1)

    for number in range(1, 101):
        guard.run()
        if number % 2:
            guard.refuse("nonsense")
        if guard.off:
            break

    assert (99, 50, TooManyErrors(50, 100)) == (number, guard.failures.count, guard.off)


@pytest.mark.parametrize("step", ["next", "last", "nonsense"])
def test_ten_calls_in_a_row_that_fail_at_a_later_step_switch_a_function_off(step):
    guard = Guard("paying", "redis:Redis.get", fails_at_once if step == "next" else single_step, has_steps=True)

    for number in range(10):
        assert guard.off is None, number
        begun = guard.begin((), {})
        if step == "next":
            assert begun is None
        elif step == "nonsense":
            guard.refuse("a describer returns a span")
        else:
            assert "span" == begun[1]
            guard.attempt(len, "")
            guard.finish(fails)

    assert "10 errors in a row" == str(guard.off)


@pytest.mark.parametrize(("good", "bad", "expected"), [(1, 9, TooManyErrors(50, 100)), (11, 9, None)])
def test_a_call_whose_last_step_succeeds_ends_a_row(good, bad, expected):
    guard = Guard("paying", "redis:Redis.get", single_step, has_steps=True)

    for number in range(400):
        guard.begin((), {})
        guard.finish(len if number % (good + bad) < good else fails, "")

    assert expected == guard.off


def test_the_last_step_gets_its_arguments():
    got = []
    Guard("paying", "redis:Redis.get", fails).finish(lambda *args: got.append(args), 1, 2)

    assert [(1, 2)] == got


BUDGET = Limit("hook_budget_seconds", 0.0002, quantile=0.95, minimum=20, time_every=64, on_application_thread=True)
SLOW = Limit("slow_hook_seconds", 0.005, quantile=0.5, minimum=10, switches_off=True)


def working(clock, *durations_ns, limit):
    """A guard whose function takes these times; the last one from then on."""
    ahead = list(durations_ns)

    def work():
        clock.now_ns += ahead.pop(0) if len(ahead) > 1 else ahead[0]

    return Guard("paying", "on_span", work, limit=limit)


def run(guard, times):
    for _ in range(times):
        guard.run()
    return guard


def test_on_the_application_s_thread_the_first_calls_are_timed_and_then_a_sample(clock):
    guard = run(working(clock, 250, limit=BUDGET), 3 * BUDGET.time_every)

    assert (EARLY + 3, 250 * (EARLY + 3)) == (guard.pace.count, guard.pace.total_ns)


@pytest.mark.parametrize("limit", [BUDGET, SLOW._replace(time_every=8)])
def test_after_a_slow_call_the_next_one_is_timed_too(clock, limit):
    """So a function that becomes slow is found soon, and one that was slow once costs no more than before."""
    every = limit.time_every
    quick, slow = 250, 20_000_000
    quick_calls = (EARLY // every + 2) * every - 1  # the next call is one that is sampled
    guard = run(working(clock, *[quick] * quick_calls, *[slow] * 3, quick, limit=limit), quick_calls)
    before = guard.pace.count
    run(guard, 4)

    assert 4 == guard.pace.count - before  # the sampled one, the two after it, and the quick one that follows
    run(guard, every - 4)
    assert 4 == guard.pace.count - before


@pytest.mark.parametrize("limit", [None, SLOW])
def test_without_sampling_every_call_is_timed(clock, limit):
    assert 300 == run(working(clock, 250, limit=limit), 300).pace.count


def test_the_first_step_of_a_generator_is_timed_with_its_call(clock):
    def steps():
        clock.now_ns += 250
        yield "span"
        clock.now_ns += 10**9

    guard = Guard("paying", "redis:Redis.get", steps, has_steps=True)
    _, first = guard.begin((), {})

    assert ("span", 1, 250) == (first, guard.pace.count, guard.pace.total_ns)


def test_generators_are_timed_as_often_as_functions(clock):
    guard = Guard("paying", "redis:Redis.get", single_step, has_steps=True, limit=BUDGET)
    for _ in range(3 * BUDGET.time_every):
        guard.begin((), {})

    assert EARLY + 3 == guard.pace.count


@pytest.mark.parametrize(
    ("limit", "slow", "timed"),
    [(BUDGET, 1, 20), (BUDGET, 5, 100), (SLOW, 5, 10), (SLOW, 50, 100), (BUDGET, 19, 19), (SLOW, 9, 9)],
)
def test_slow_calls_beyond_the_quantile_do_not_make_a_function_slow(clock, limit, slow, timed):
    every = Limit(limit.option, limit.seconds, limit.quantile, limit.minimum, switches_off=True)
    guard = run(working(clock, *[1_000] * (timed - slow), *[20_000_000] * slow, limit=every), timed)

    assert (timed, None, None) == (guard.pace.count, guard.pace.slowness, guard.off)


@pytest.mark.parametrize(("limit", "slow", "timed"), [(BUDGET, 2, 20), (BUDGET, 5, 99), (SLOW, 6, 10), (SLOW, 50, 99)])
def test_a_further_slow_call_does_and_the_reason_has_the_numbers(clock, limit, slow, timed):
    every = Limit(limit.option, limit.seconds, limit.quantile, limit.minimum, switches_off=True)
    guard = run(working(clock, *[1_000] * (timed - slow), *[20_000_000] * slow, limit=every), timed)

    assert Slowness(every, seconds=0.02, timed=timed) == guard.off == guard.reason


@pytest.mark.parametrize("limit", [BUDGET, SLOW])
def test_exactly_the_limit_is_within_it(clock, limit):
    guard = run(working(clock, round(limit.seconds * 1e9), limit=limit), 200)

    assert (None, None) == (guard.pace.slowness, guard.off)


def test_a_few_slow_calls_after_a_thousand_fast_calls_are_not_a_habit(clock):
    guard = run(working(clock, *[0] * 1000, 6_000_000, limit=SLOW), 1050)

    assert guard.off is None


def test_a_function_that_becomes_slow_is_switched_off_when_most_of_its_last_calls_are(clock):
    guard = working(clock, *[0] * 1000, 6_000_000, limit=SLOW)

    assert 1051 == run_until_off(guard, 2000)
    assert "6 ms a call (median of the last 100 timed calls, window 100), above slow_hook_seconds = 5 ms" == str(
        guard.off
    )


def test_a_function_that_is_slow_now_and_then_stays_on(clock):
    """It imported something, waited for a processor, for the interpreter's lock or for the garbage collector."""
    calls = iter(range(100_000))

    def work():
        clock.now_ns += 20_000_000_000 if next(calls) % 10 in (0, 3, 5, 7) else 1_000

    assert 5000 == run_until_off(Guard("paying", "score_transaction", work, limit=SLOW), 5000)


@pytest.mark.parametrize(("good", "expected"), [(0, "10 errors in a row"), (2, "None")])
def test_after_a_failure_each_call_is_noted_also_where_only_a_sample_is_timed(clock, good, expected):
    guard = run(working(clock, 250, limit=BUDGET), 10 * EARLY)
    for number in range(10):
        assert guard.off is None, number
        run(guard, 1)
        guard.refuse("nonsense")
        run(guard, good)

    assert expected == str(guard.off)


def test_without_a_limit_nothing_is_too_slow(clock):
    guard = run(working(clock, 10**12, limit=None), 300)

    assert (None, None) == (guard.pace.slowness, guard.off)


def test_a_multiple_of_an_option_is_named_with_the_option():
    limit = Limit("slow_hook_seconds", 0.005, quantile=0.5, minimum=10, factor=100)

    assert (
        "612.4 ms a call (median of the last 37 timed calls, window 100), above 100 × slow_hook_seconds = 500 ms"
        == str(Slowness(limit, seconds=0.6124, timed=37))
    )


SLOW_SPAN = "350 µs a call (p95 of the last 20 timed calls, window 100), above hook_budget_seconds = 200 µs"


def test_a_slow_function_on_the_application_s_thread_is_logged_once_and_stays_on(clock, caplog):
    guard = run(working(clock, 350_000, limit=BUDGET), 20)
    assert [] == caplog.messages  # nothing on the thread that called
    log_changes([guard])
    run(guard, 1000)
    log_changes([guard])

    assert [f"plugin 'paying': on_span is slow: {SLOW_SPAN}"] == caplog.messages
    assert guard.off is None


def test_a_function_that_is_fast_again_is_no_longer_slow(clock):
    guard = run(working(clock, *[350_000] * EARLY, 1_000, limit=BUDGET), EARLY)
    assert 0.00035 == guard.pace.slowness.seconds
    run(guard, 100 * BUDGET.time_every)

    assert guard.pace.slowness is None


def test_where_a_limit_demands_it_a_slow_function_on_the_application_s_thread_is_switched_off_by_the_agent_s(
    clock, caplog
):
    strict = Limit(
        "hook_budget_seconds",
        0.0002,
        quantile=0.95,
        minimum=20,
        time_every=64,
        on_application_thread=True,
        switches_off=True,
    )
    guard = run(working(clock, 350_000, limit=strict), 20)
    assert guard.off is None
    for _ in range(2):
        log_changes([guard])

    assert (SLOW_SPAN, 20) == (str(guard.off), run(guard, 5).calls)
    assert [f"plugin 'paying': on_span is switched off: {SLOW_SPAN}"] == caplog.messages


def test_a_forked_child_counts_from_zero_and_keeps_functions_switched_off(clock):
    slow = run(working(clock, 20_000_000, limit=SLOW), 10)
    sound = run(working(clock, 20_000_000, limit=SLOW), 9)
    for guard in (slow, sound):
        guard.forget_calls()

    assert [(0, 0, 0), (0, 0, 0)] == [(it.calls, it.failures.count, it.pace.count) for it in (slow, sound)]
    assert (10, 9) == (slow.reason.timed, run(sound, 9).pace.count)
    assert (None, 10) == (sound.off, run(sound, 1).reason.timed)


def test_closing_is_not_a_reason_and_does_not_hide_a_reason():
    sound, failing = Guard("paying", "on_span", len), Guard("paying", "on_span", fails)
    run_until_off(failing)
    for guard in (sound, failing):
        guard.close()

    assert (None, 0) == (sound.run(), sound.calls)
    assert (None, TooManyErrors(10, 10)) == (sound.reason, failing.reason)
    log_changes([sound])


def test_the_first_failure_is_logged_once(caplog):
    guard = Guard("paying", "score_transaction", by_turns(1, 0, 0))
    guard.run()
    assert [] == caplog.records  # nothing on the thread that called
    for _ in range(9):
        log_changes([guard])
        guard.run()
    log_changes([guard])

    (record,) = caplog.records
    assert ("scout_core.plugins", logging.WARNING) == (record.name, record.levelno)
    assert "plugin 'paying': score_transaction failed: KeyError: 'plan' at " in record.message
    assert "the application is not affected" in record.message


def test_being_switched_off_is_logged_once(caplog):
    guard = Guard("paying", "score_transaction", fails)
    for _ in range(20):
        guard.run()
        log_changes([guard])

    assert ["failed", "is switched off: 10 errors in a row; last error: KeyError"] == [
        text
        for record, text in zip(
            caplog.records, ("failed", "is switched off: 10 errors in a row; last error: KeyError"), strict=True
        )
        if text in record.message
    ]


def test_a_guard_that_works_logs_nothing(caplog):
    guard = Guard("paying", "score_transaction", lambda: 1)
    guard.run()
    log_changes([guard])

    assert [] == caplog.records


def test_many_threads_count_exactly():
    guard = Guard("paying", "on_span", lambda: None)

    def work():
        for _ in range(2000):
            guard.run()

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 16_000 == guard.calls


def depth_of(name):
    """How many calls of a function of this name are running."""
    frame, depth = sys._getframe(1), 0
    while frame is not None:
        depth += frame.f_code.co_name == name
        frame = frame.f_back
    return depth


@pytest.mark.parametrize("first", [1, 25, 1000], ids=lambda number: f"from-call-{number}")
@pytest.mark.parametrize("kind", ["plain", "steps"])
def test_a_function_that_is_called_for_its_own_call_does_not_recurse(first, kind):
    """As a describer that calls what it describes."""
    depths = []

    def library():
        if kind == "plain":
            guard.run()
        elif (begun := guard.begin((), {})) is not None:
            guard.finish(next, begun[0], None)

    def describe():
        depths.append(depth_of("describe"))
        if len(depths) >= first:
            library()
        return "span"

    def describe_with_result():
        yield describe()

    guard = Guard("paying", "shop:price", describe if kind == "plain" else describe_with_result, limit=BUDGET)
    guard.has_steps = kind == "steps"
    for _ in range(first + 300):
        library()

    assert max(depths) <= (1 if first == 1 else 2 * BUDGET.time_every)
    assert {1} == set(depths[first + 2 * BUDGET.time_every :] or [1])
    assert "50 errors in 100 calls" == str(guard.off)
    assert str(guard.failures.last).startswith("PluginError: it calls shop:price itself")


def test_functions_that_call_each_other_do_not_recurse_either():
    depths = []

    def describe(other):
        depths.append(depth_of("describe"))
        other.run()

    first = Guard("paying", "shop:price", lambda: describe(second))
    second = Guard("paying", "shop:tax", lambda: describe(first))
    first.run()

    assert 2 == max(depths)
    assert "it calls shop:price itself" in str(first.failures.last)


@pytest.mark.parametrize("calls", [1, 40])
def test_a_call_that_the_guard_s_own_work_makes_is_not_described(monkeypatch, calls):
    """Noting a failure calls functions of the standard library, and one of them may be wrapped."""
    reached = []

    def describe():
        reached.append(depth_of("describe"))
        if len(reached) >= calls:
            raise KeyError("plan")

    original = signal.getsignal

    def getsignal(number):
        guard.run()
        return original(number)

    guard = Guard("paying", "signal:getsignal", describe, limit=BUDGET)
    monkeypatch.setattr(signal, "getsignal", getsignal)
    for _ in range(calls):
        guard.run()

    assert (calls, 1) == (len(reached), max(reached))
    assert 1 == guard.failures.count


def test_in_tests_a_call_by_itself_is_raised():
    guard = Guard("paying", "shop:price", lambda: guard.run(), reraise=True)

    with pytest.raises(PluginError, match="it calls shop:price itself"):
        guard.run()


def test_a_thread_that_left_a_call_unfinished_is_not_taken_for_one_within_it():
    """A signal handler may raise before the end of a call is noted."""
    guard = Guard("paying", "shop:price", lambda: "span")
    guard.entered.add(get_ident())

    assert ["span", "span"] == [guard.run(), guard.run()]
    assert (0, set()) == (guard.failures.count, guard.entered)


def test_other_threads_may_call_it_meanwhile():
    def describe(is_first):
        if is_first:
            thread = Thread(target=guard.run, args=(False,))
            thread.start()
            thread.join()
        return "span"

    guard = Guard("paying", "shop:price", describe)

    assert "span" == guard.run(True)
    assert (2, 0) == (guard.calls, guard.failures.count)
