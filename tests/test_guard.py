"""The guard: what a plugin raises stops here, is counted, and switches off what keeps failing."""

from __future__ import annotations

import asyncio
import functools
import gc
import logging
import signal
import sys
import weakref
from threading import Thread

import pytest

from scout_core.boundary import guard as module
from scout_core.boundary.guard import EARLY, IN_A_ROW, MAX_FRAMES, SAMPLE_EVERY, WINDOW, Guard


class Clock:
    """Stands in for the monotonic clock; a function moves it on."""

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


def one_step():
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


def test_a_call_gets_every_argument_and_gives_the_result():
    guard = Guard("paying", "score_transaction", lambda *args, **kwargs: (args, kwargs))

    assert ((1, 2), {"self": 3, "function": 4}) == guard.run(1, 2, self=3, function=4)
    assert (1, 0, None, None) == (guard.calls, guard.errors, guard.off, guard.last_error)


def test_what_it_raises_is_counted_and_told_and_goes_no_further():
    guard = Guard("paying", "score_transaction", fails)

    assert guard.run("transaction") is None
    line = fails.__code__.co_firstlineno + 1
    assert f"KeyError: 'plan' at {__file__}:{line} in fails" == guard.last_error
    assert (1, 1, None) == (guard.calls, guard.errors, guard.off)


def test_a_function_that_cannot_be_called_so_is_an_error_without_a_place():
    guard = Guard("paying", "redis:Redis.get", lambda client: None)

    assert guard.run(1, 2) is None
    assert guard.last_error.startswith("TypeError: ")
    assert " at " not in guard.last_error.removeprefix("TypeError: ")


def test_an_exception_that_cannot_be_shown_is_counted_all_the_same():
    class Refuses(Exception):
        def __str__(self):
            raise RuntimeError

        __repr__ = __str__

    def refuse():
        raise Refuses

    guard = Guard("paying", "on_span", refuse)

    assert guard.run() is None
    assert guard.last_error.startswith("Refuses: ")


def test_a_deep_traceback_is_kept_down_to_where_it_was_raised():
    def descend(depth):
        if depth == 0:
            raise KeyError("plan")
        descend(depth - 1)

    guard = Guard("paying", "on_span", descend)
    guard.run(500)

    assert f":{descend.__code__.co_firstlineno + 2} in descend" in guard.last_error
    assert MAX_FRAMES == len(guard.error[2])


def test_it_holds_on_to_no_object_of_the_exception():
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

    assert 1 == guard.errors
    assert [None] == [reference() for reference in references]


@pytest.mark.parametrize("leaves", [KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_what_ends_a_program_or_a_task_passes(leaves):
    raised = leaves()

    def leave():
        raise raised

    guard = Guard("paying", "on_request_start", leave)

    with pytest.raises(leaves) as caught:
        guard.run()
    assert caught.value is raised
    with pytest.raises(leaves):
        guard.attempt(leave)
    assert (1, 0) == (guard.calls, guard.errors)


@pytest.mark.parametrize("way", ["run", "attempt", "begin", "finish"])
def test_sys_exit_is_one_more_error(way):
    def leave():
        sys.exit(3)

    def steps():
        leave()
        yield

    guard = Guard("paying", "score_transaction", steps if way == "begin" else leave)
    arguments = {"run": (), "attempt": (leave,), "begin": ((), {}), "finish": (leave,)}[way]

    assert getattr(guard, way)(*arguments) is None
    assert 1 == guard.errors
    assert guard.last_error.startswith("SystemExit: 3 at ")


@pytest.mark.parametrize("written", ["function", "method", "object", "partial"])
def test_sys_exit_of_a_signals_handler_passes_wherever_it_runs(written):
    """Servers end their workers so, and the main thread may be in a plugin at that moment."""

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

    assert (0, None) == (guard.errors, guard.off)


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


def test_ten_errors_in_a_row_switch_it_off():
    guard = Guard("paying", "score_transaction", fails)

    assert IN_A_ROW == 10 == run_until_off(guard)
    assert "10 errors in a row" == guard.off
    assert guard.run() is None
    assert 10 == guard.calls


def test_nine_in_a_row_do_not():
    assert 500 == run_until_off(Guard("paying", "on_span", by_turns(*[1] * 9, *[0] * 11)), 500)


def test_half_of_a_hundred_calls_switch_it_off():
    guard = Guard("paying", "score_transaction", by_turns(0, 1))

    assert WINDOW == 100 == run_until_off(guard)
    assert "50 errors in 100 calls" == guard.off


def test_fewer_than_half_do_not():
    assert 5000 == run_until_off(Guard("paying", "on_span", by_turns(0, 1, 0, 1, 0)), 5000)


def test_errors_of_long_ago_do_not_count():
    guard = Guard("paying", "on_span", by_turns(*[0, 1] * 40, *[0] * 300))

    assert 5000 == run_until_off(guard, 5000)
    assert guard.errors > 200
    assert guard.history < 1 << WINDOW


@pytest.mark.parametrize("before", [0, 1, 30], ids=["at once", "after one", "after many"])
def test_ten_results_in_a_row_that_make_no_sense_switch_it_off_too(before):
    guard = Guard("paying", "score_transaction", lambda: "nonsense")
    for _ in range(before):
        guard.run()

    for number in range(10):
        assert guard.off is None, number
        guard.run()
        guard.refuse("a score is a finite number or None, not str")

    assert "10 errors in a row" == guard.off
    assert "ValueError: a score is a finite number or None, not str" == guard.last_error


def test_half_of_a_hundred_results_that_make_no_sense_switch_it_off():
    guard = Guard("paying", "score_transaction", lambda: 1)

    for number in range(1, 101):
        guard.run()
        if number % 2:
            guard.refuse("nonsense")
        if guard.off:
            break

    assert (99, 50, "50 errors in 100 calls") == (number, guard.errors, guard.off)


@pytest.mark.parametrize("step", ["next", "last", "nonsense"])
def test_ten_calls_in_a_row_that_fail_at_a_later_step_switch_it_off(step):
    guard = Guard("paying", "redis:Redis.get", fails_at_once if step == "next" else one_step, has_steps=True)

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

    assert "10 errors in a row" == guard.off


@pytest.mark.parametrize(("good", "bad", "expected"), [(1, 9, "50 errors in 100 calls"), (11, 9, None)])
def test_a_call_whose_last_step_goes_well_ends_a_row(good, bad, expected):
    guard = Guard("paying", "redis:Redis.get", one_step, has_steps=True)

    for number in range(400):
        guard.begin((), {})
        guard.finish(len if number % (good + bad) < good else fails, "")

    assert expected == guard.off


def test_the_last_step_gets_its_arguments():
    got = []
    Guard("paying", "redis:Redis.get", fails).finish(lambda *args: got.append(args), 1, 2)

    assert [(1, 2)] == got


def test_the_first_calls_are_timed_and_then_one_in_so_many(clock):
    def work():
        clock.now_ns += 250

    guard = Guard("paying", "on_span", work)
    for _ in range(2 * SAMPLE_EVERY + 1):
        guard.run()

    samples = EARLY + 2
    assert (samples, 250 * samples) == (guard.samples.count, guard.samples.total_ns)


def test_with_a_budget_each_call_is_timed_and_half_of_ten_too_slow_switch_it_off(clock):
    def work():
        clock.now_ns += 20_000_000

    guard = Guard("paying", "score_transaction", work, budget=0.005)

    assert 5 == run_until_off(guard)
    assert "20.0 ms a call, slow_hook_seconds allows 5.0 ms" == guard.off


def test_one_that_is_slow_now_and_then_stays(clock):
    """It imported something, waited for a processor, or for the garbage collector."""
    calls = iter(range(100_000))

    def work():
        clock.now_ns += 20_000_000_000 if next(calls) % 10 in (0, 3, 5, 7) else 1_000

    assert 5000 == run_until_off(Guard("paying", "on_report", work, budget=0.005), 5000)


def test_one_that_becomes_slow_is_switched_off_however_long_it_was_fast(clock):
    calls = iter(range(100_000))

    def work():
        clock.now_ns += 6_000_000 if next(calls) >= 20_000 else 1_000

    assert 20_005 == run_until_off(Guard("paying", "score_transaction", work, budget=0.005), 30_000)


def test_exactly_the_budget_is_within_it(clock):
    def work():
        clock.now_ns += 5_000_000

    assert 100 == run_until_off(Guard("paying", "score_transaction", work, budget=0.005), 100)


def test_without_a_budget_nothing_is_too_slow(clock):
    def work():
        clock.now_ns += 10**12

    assert 300 == run_until_off(Guard("paying", "on_span", work), 300)


def test_the_first_step_of_a_generator_is_timed_with_its_call(clock):
    def steps():
        clock.now_ns += 250
        yield "span"
        clock.now_ns += 10**9

    guard = Guard("paying", "redis:Redis.get", steps, has_steps=True)
    _, first = guard.begin((), {})

    assert ("span", 1, 250) == (first, guard.samples.count, guard.samples.total_ns)


def over_limit(clock, took_ns, *, is_strict=False, samples=20):
    def work():
        clock.now_ns += took_ns

    guard = Guard("paying", "on_span", work, limit=0.0002, is_strict=is_strict)
    for _ in range(samples):
        guard.run()
    guard.log()
    guard.log()
    return guard


def test_one_that_is_over_its_limit_is_told_once_and_goes_on(clock, caplog):
    guard = over_limit(clock, 350_000)

    told = "takes 350 µs (95th percentile), hook_budget_seconds allows 200 µs"
    assert [f"plugin 'paying': on_span is slow: it {told}"] == caplog.messages
    assert (True, told, None) == (guard.is_over_limit, guard.slowness, guard.off)


def test_with_strict_one_that_is_over_its_limit_is_switched_off(clock, caplog):
    guard = over_limit(clock, 350_000, is_strict=True)

    assert "takes 350 µs (95th percentile), hook_budget_seconds allows 200 µs" == guard.off
    assert 1 == len(caplog.messages)


def test_one_that_was_only_slow_tells_of_no_error(clock, caplog):
    def work():
        clock.now_ns += 20_000_000

    guard = Guard("paying", "score_transaction", work, budget=0.005)
    run_until_off(guard)
    guard.log()

    told = "20.0 ms a call, slow_hook_seconds allows 5.0 ms"
    assert [f"plugin 'paying': score_transaction is switched off: {told}"] == caplog.messages


@pytest.mark.parametrize(("took_ns", "samples"), [(200_000, 20), (350_000, 19)])
def test_at_the_limit_or_with_few_samples_nothing_is_told(clock, caplog, took_ns, samples):
    guard = over_limit(clock, took_ns, samples=samples)

    assert ("", None, []) == (guard.slowness, guard.off, caplog.messages)


def test_the_first_failure_is_logged_once(caplog):
    guard = Guard("paying", "score_transaction", by_turns(1, 0, 0))
    guard.run()
    assert [] == caplog.records  # nothing on the thread that called
    for _ in range(9):
        guard.log()
        guard.run()
    guard.log()

    (record,) = caplog.records
    assert ("scout_core.plugins", logging.WARNING) == (record.name, record.levelno)
    assert "plugin 'paying': score_transaction failed: KeyError: 'plan' at " in record.message
    assert "the application is not affected" in record.message


def test_being_switched_off_is_logged_once(caplog):
    guard = Guard("paying", "score_transaction", fails)
    for _ in range(20):
        guard.run()
        guard.log()

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
    guard.log()

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
