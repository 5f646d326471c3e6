"""Errors that something handled: recorded once, with their causes, groups and notes, within limits."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress

import pytest

from scout_core import Transaction, current_transaction, hookimpl, record_error, recording, span, transaction
from scout_core.application_code import AGENT
from scout_core.instruments.asgi import AsgiMiddleware
from scout_core.recording.errors.raised import MOST_NOTES, MOST_RELATED, MOST_RELATED_FRAMES, MOST_STEPS
from scout_core.recording.errors.recorded import MOST_COUNTED, MOST_ERRORS
from tests.workbench import acting_at, plugin, running

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup, ExceptionGroup

RECORDING = os.path.join(os.path.dirname(recording.__file__), "")


def handled(error: BaseException, **options) -> Transaction:
    """Record an exception that is handled in a transaction of its own."""
    with transaction("Controller/home") as home:
        try:
            raise error
        except BaseException as caught:
            home.record_error(caught, **options)
    return home


def only(home: Transaction):
    (error,) = home.errors
    return error


def chain(error) -> list[tuple[str, str, int]]:
    return [(related.relation, related.message, related.parent) for related in error.related]


def raised(make: Callable[[], BaseException], *, cause=None, context=None) -> BaseException:
    error = make()
    error.__cause__, error.__context__ = cause, context
    error.__suppress_context__ = cause is not None
    return error


def test_a_handled_error_is_recorded_and_the_transaction_has_not_failed(scout):
    home = handled(ValueError("no such plan: 'gold'"))

    error = only(home)
    assert ("ValueError", "no such plan: ?", True) == (error.exception, error.message, error.handled)
    assert [(__file__, "handled")] == [(file, function) for file, _, function in error.frames]
    assert (True,) == error.in_app
    assert (False, None, 1) == (home.is_error, home.error, home.error_count)
    scout.agent.recorder.work()
    (figures,) = scout.report().transactions
    assert (1, 0) == (figures.count, figures.errors)


def test_an_error_that_nothing_handled_makes_the_transaction_fail(scout):
    """As a framework records it that answers an exception with an error page of its own."""
    home = handled(ValueError("wrong"), handled=False)

    assert (True, ValueError, False) == (home.is_error, home.error, only(home).handled)
    assert [1] == [figures.errors for figures in scout.report().transactions]


def test_an_exception_is_recorded_once_however_often_it_is_seen(scout):
    error = ValueError("wrong")
    with pytest.raises(ValueError, match="wrong"), transaction("Controller/home") as home:
        for _ in range(3):
            home.record_error(error)
            record_error(error)
        raise error

    assert ("wrong", False) == (only(home).message, only(home).handled)
    assert (True, 1) == (home.is_error, home.error_count)


def test_an_error_that_leaves_has_the_frames_up_to_the_transaction(scout):
    def fail():
        raise ValueError

    def handle():
        try:
            fail()
        except ValueError as error:
            record_error(error)
            raise

    with pytest.raises(ValueError), transaction("Controller/home") as home:  # noqa: PT011
        handle()

    names = [function for _, _, function in only(home).frames]
    assert ["fail", "handle", "test_an_error_that_leaves_has_the_frames_up_to_the_transaction"] == names


def test_different_exceptions_are_different_errors_those_that_made_it_fail_first(scout):
    with pytest.raises(OSError, match="left"), transaction("Controller/home") as home:
        home.record_error(ValueError("equal"))
        home.record_error(ValueError("equal"))
        home.record_error(EOFError("unhandled"), handled=False)
        raise OSError("left")

    assert [("unhandled", False), ("left", False), ("equal", True), ("equal", True)] == [
        (error.message, error.handled) for error in home.errors
    ]


class AlwaysEqual(Exception):
    """Unhashable, and equal to everything."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other):
        return True


def test_identity_is_neither_equality_nor_hash(scout):
    with transaction("Controller/home") as home:
        first, second = AlwaysEqual("first"), AlwaysEqual("second")
        for error in (first, second, first, second):
            home.record_error(error)

    assert ["first", "second"] == [error.message for error in home.errors]


def test_exceptions_at_the_address_of_earlier_ones_are_recorded(scout):
    """CPython uses memory again at once, so each of these has the address of the one before."""
    with transaction("Controller/home") as home:
        for number in range(MOST_ERRORS):
            home.record_error(ValueError(number))

    assert [str(number) for number in range(MOST_ERRORS)] == [error.message for error in home.errors]


def test_the_same_exception_in_two_transactions_is_recorded_in_both(scout):
    error = ValueError("shared")
    homes = [handled(error), handled(error)]

    assert ["shared", "shared"] == [only(home).message for home in homes]


def test_errors_beyond_the_limit_are_counted_and_one_that_leaves_has_a_place(scout):
    with pytest.raises(OSError, match="left"), transaction("Controller/home") as home:
        for number in range(MOST_ERRORS + 5):
            home.record_error(ValueError(number))
        raise OSError("left")

    assert (MOST_ERRORS, MOST_ERRORS + 6) == (len(home.errors), home.error_count)
    assert "left" == home.errors[0].message
    (trace,) = scout.traces()
    assert (MOST_ERRORS, 6) == (len(trace.errors), trace.errors_left_out)
    assert home.errors == trace.errors


@pytest.mark.parametrize("leaves", [False, True])
def test_an_error_beyond_the_limit_is_counted_once(scout, leaves):
    again = [KeyError(number) for number in range(3)]
    with suppress(KeyError), transaction("Controller/home") as home:
        for number in range(MOST_ERRORS):
            home.record_error(ValueError(number))
        for error in again * 5:
            home.record_error(error)
        if leaves:
            raise again[0]

    assert MOST_ERRORS + 3 == home.error_count
    assert leaves == home.is_error


def test_an_error_whose_place_another_one_takes_is_still_counted_once(scout):
    last = ValueError("last")
    with pytest.raises(OSError, match="left"), transaction("Controller/home") as home:
        for number in range(MOST_ERRORS - 1):
            home.record_error(ValueError(number))
        home.record_error(last)
        home.record_error(OSError("not handled"), handled=False)
        home.record_error(last)
        raise OSError("left")

    assert MOST_ERRORS + 2 == home.error_count


def test_of_very_many_errors_only_the_last_are_recognised(scout):
    with transaction("Controller/home") as home:
        errors = [ValueError(number) for number in range(MOST_ERRORS + MOST_COUNTED + 1)]
        for error in errors:
            home.record_error(error)
        counted = home.error_count
        home.record_error(errors[-1])
        assert counted == home.error_count
        home.record_error(errors[MOST_ERRORS])
        assert counted + 1 == home.error_count


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), SystemExit(0), SystemExit(None), GeneratorExit(), asyncio.CancelledError(),
     BaseExceptionGroup("several", [KeyboardInterrupt(), asyncio.CancelledError()])],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_an_exception_that_is_no_error_is_not_recorded(scout, error):
    home = handled(error, handled=False)
    with pytest.raises(type(error)), transaction("Controller/home") as left:
        raise error

    assert [(False, 0), (False, 0)] == [(seen.is_error, seen.error_count) for seen in (home, left)]


def test_a_group_with_an_error_among_cancellations_is_an_error(scout):
    home = handled(BaseExceptionGroup("several", [KeyboardInterrupt(), BaseExceptionGroup("x", [SystemExit(1)])]))

    assert "several" in only(home).message


def test_outside_a_transaction_nothing_is_recorded(scout):
    record_error(ValueError("wrong"))
    transaction("Controller/never started").record_error(ValueError("wrong"))

    assert [] == scout.transactions


def test_after_its_transaction_an_error_is_counted_as_late(scout):
    home = handled(ValueError("in time"))
    home.record_error(ValueError("late"))

    assert ["in time"] == [error.message for error in home.errors]
    assert 1 == scout.agent.counters().late_spans


def test_in_an_ignored_transaction_nothing_is_recorded(scout):
    with transaction("Controller/home") as home:
        home.ignore()
        home.record_error(ValueError("wrong"))

    assert (0, ()) == (home.error_count, home.errors)
    assert 0 == scout.agent.counters().late_spans


def test_a_transaction_inside_another_one_records_in_the_outer_one(scout):
    with transaction("Controller/home") as home, transaction("Job/inner") as inner:
        inner.record_error(ValueError("wrong"), handled=False)

    assert "wrong" == only(home).message
    assert (ValueError, ()) == (inner.error, inner.errors)


@pytest.mark.parametrize("given", [None, "text", 3, ValueError, type("Foreign", (), {"__class__": ValueError})()])
def test_anything_but_an_exception_is_counted(scout, given):
    with transaction("Controller/home") as home:
        home.record_error(given)
        record_error(given)

    assert (0, 2) == (home.error_count, scout.agent.counters().invalid_values)


def test_a_hook_that_records_at_the_start_is_counted(tmp_path):
    @hookimpl
    def on_request_start(transaction):
        transaction.record_error(ValueError("too early"))

    with running(threaded=False, plugins=[plugin("early", on_request_start=on_request_start)]) as agent:
        with transaction("Controller/home") as home:
            pass
        assert (0, 1) == (home.error_count, agent.counters().in_hooks)


def test_without_an_agent_nothing_happens():
    record_error(ValueError("wrong"))
    with transaction("Controller/home") as home:
        home.record_error(ValueError("wrong"))

    assert (0, ()) == (home.error_count, home.errors)


def test_texts_are_read_when_the_transaction_has_ended(scout):
    with transaction("Controller/home") as home:
        home.record_error(ValueError("wrong"))
        assert (1, ()) == (current_transaction().error_count, home.errors)

    assert "wrong" == only(home).message


def test_cause_and_context_are_related_as_python_shows_them(scout):
    key = KeyError("plan")
    lookup = raised(lambda: LookupError("lookup"), context=key)
    missing = raised(lambda: ValueError("missing"), cause=lookup, context=EOFError("hidden by the cause"))
    error = raised(lambda: OSError("top"), context=missing)
    hidden = raised(lambda: OSError("raised from None"), context=key)
    hidden.__suppress_context__ = True

    assert [("context", "missing", 0), ("cause", "lookup", 1), ("context", "'plan'", 2)] == chain(only(handled(error)))
    assert [] == chain(only(handled(hidden)))


def test_the_members_of_a_group_are_related_and_so_are_their_causes(scout):
    first = raised(lambda: ValueError("first"), cause=KeyError("plan"))
    inner = ExceptionGroup("inner", [EOFError("third")])
    group = raised(lambda: ExceptionGroup("several", [first, OSError("second"), inner]), cause=EOFError("why"))

    assert [
        ("cause", "why", 0),
        ("member", "first", 0),
        ("cause", "'plan'", 2),
        ("member", "second", 0),
        ("member", "inner (1 sub-exception)", 0),
        ("member", "third", 5),
    ] == chain(only(handled(group)))


def test_an_exception_that_is_raised_out_of_its_own_group_ends(scout):
    """It has the group as its context, which has it as a member."""
    with transaction("Controller/home") as home:
        try:
            try:
                raise ExceptionGroup("several", [ValueError("inside"), OSError("other")])
            except ExceptionGroup as group:
                raise group.exceptions[0]  # noqa: B904
        except ValueError as error:
            home.record_error(error)

    error = only(home)
    assert "inside" == error.message
    assert [("context", "several (2 sub-exceptions)", 0), ("member", "other", 1)] == chain(error)
    assert {} == error.left_out


def test_cycles_end(scout):
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    single = ValueError("single")
    single.__cause__ = single

    assert [("cause", "second", 0)] == chain(only(handled(first)))
    assert [] == chain(only(handled(single)))


def test_a_chain_of_a_thousand_is_cut_and_counted(scout):
    error = ValueError("0")
    for number in range(1, 1_000):
        error = raised(lambda number=number: ValueError(number), cause=error)

    found = only(handled(error))
    assert [str(998 - step) for step in range(MOST_STEPS)] == [related.message for related in found.related]
    assert {"exceptions": 1} == found.left_out


def test_a_group_of_a_thousand_is_cut_and_counted(scout):
    found = only(handled(ExceptionGroup("several", [ValueError(number) for number in range(1_000)])))

    assert [str(number) for number in range(MOST_RELATED)] == [related.message for related in found.related]
    assert {"exceptions": 1_000 - MOST_RELATED} == found.left_out


def test_groups_within_groups_are_cut_and_counted(scout):
    error = ExceptionGroup("0", [ValueError(0)])
    for number in range(1, 500):
        error = ExceptionGroup(str(number), [error, *[ValueError(number)] * 3, *map(ValueError, range(30))])

    found = only(handled(error))
    assert MOST_RELATED == len(found.related)
    assert found.left_out["exceptions"] > 14 * MOST_STEPS
    assert all(related.parent < number for number, related in enumerate(found.related, 1))


def test_frames_of_related_exceptions_are_cut_and_counted(scout):
    def descend(depth):
        if not depth:
            raise RecursionError("deep")
        descend(depth - 1)

    with transaction("Controller/home") as home:
        try:
            try:
                descend(99)
            except RecursionError as deep:
                raise ValueError("top") from deep
        except ValueError as error:
            home.record_error(error)

    error = only(home)
    (cause,) = error.related
    assert (MOST_RELATED_FRAMES, {"frames": 101 - MOST_RELATED_FRAMES}) == (len(cause.frames), error.left_out)
    assert {"descend"} == {function for _, _, function in cause.frames}
    assert MOST_RELATED_FRAMES == len(cause.in_app)


class Foreign:
    def _refuse(self, *args):
        raise RuntimeError("code of the application has run")

    __str__ = __repr__ = __len__ = __iter__ = __getitem__ = __bool__ = __eq__ = __hash__ = _refuse  # type: ignore[assignment]


class Text(str):
    __str__ = __len__ = __iter__ = __getitem__ = __eq__ = Foreign._refuse  # type: ignore[assignment]
    __hash__ = str.__hash__


@pytest.mark.parametrize(
    ("notes", "shown"),
    [
        (["first", "second\nline"], ("first", "second")),
        (("cart 'gold'",), ("cart ?",)),
        ([3, None, Foreign(), Text("text")], ("<int>", "<NoneType>", "<Foreign>", "text")),
        ("one text", ("one text",)),
        (Foreign(), ("<Foreign>",)),
        ({"a": 1}, ("<dict>",)),
        ([], ()),
        (None, ()),
        (["x" * 50_000_000], ("x" * 299 + "…",)),
    ],
    ids=["lines", "a tuple", "no texts", "a text", "an object", "a dict", "none", "None", "long"],
)
def test_notes_are_masked_whatever_they_are(scout, notes, shown):
    error = ValueError("wrong")
    error.__notes__ = notes

    assert shown == only(handled(error)).notes


def test_many_notes_are_cut_and_counted(scout):
    error = ValueError("wrong")
    error.__notes__ = [str(number) for number in range(1_000)]

    found = only(handled(error))
    assert (MOST_NOTES, {"notes": 1_000 - MOST_NOTES}) == (len(found.notes), found.left_out)


@pytest.mark.parametrize("name", ["__cause__", "__context__", "__traceback__", "__notes__", "exceptions", "__dict__"])
def test_no_code_of_an_exception_runs_where_it_is_recorded(scout, name):
    def refuse(self):
        raise RuntimeError("code of the application has run")

    odd = type("Odd", (ExceptionGroup,), {name: property(refuse)})
    error = odd("several", [raised(lambda: ValueError("inside"), cause=KeyError("plan"))])
    with transaction("Controller/home") as home:
        home.record_error(error)

    assert [("member", "inside", 0), ("cause", "'plan'", 1)] == chain(only(home))


class Unprintable(Exception):
    def __str__(self):
        raise KeyboardInterrupt


def test_one_unprintable_exception_of_a_group_costs_only_its_own_message(scout):
    found = only(handled(ExceptionGroup("several", [Unprintable(), ValueError("fine")])))

    assert ["<message could not be read>", "fine"] == [related.message for related in found.related]


def test_a_message_of_fifty_megabytes_is_cut_where_it_is_recorded(scout):
    with transaction("Controller/home") as home:
        home.record_error(ExceptionGroup("several", [ValueError("x" * 50_000_000)]))
        assert 1_600 < home.size < 10_000

    (related,) = only(home).related
    assert "x" * 299 + "…" == related.message


class Held:
    pass


def test_local_variables_are_freed_while_the_transaction_is_open(scout):
    """Only a dictionary of attributes is held to recognise an exception, not its traceback."""
    references = []

    def fail():
        held = Held()
        references.append(weakref.ref(held))
        raise ExceptionGroup("several", [ValueError(held.__class__.__name__)]) from KeyError("plan")

    with transaction("Controller/home") as home:
        try:
            fail()
        except ExceptionGroup as error:
            home.record_error(error)
        gc.collect()
        assert [None] == [reference() for reference in references]


def test_attributes_are_freed_with_the_transaction(scout):
    references = []
    with transaction("Controller/home") as home:
        error = ValueError("wrong")
        error.held = Held()
        references.append(weakref.ref(error.held))
        home.record_error(error)
        del error
        gc.collect()
        assert references[0]() is not None

    gc.collect()
    assert references[0]() is None


def test_threads_that_record_one_exception_at_once_record_it_once_or_count_it(scout):
    """Nothing is lost, and nothing raises, when threads record at the same time."""
    error, barrier = ValueError("shared"), threading.Barrier(8)
    problems = []

    def work(number, home):
        barrier.wait()
        try:
            for _ in range(50):
                home.record_error(error)
            home.record_error(OSError(number))
        except BaseException as problem:  # reported below
            problems.append(problem)

    with transaction("Controller/home") as home:
        threads = [threading.Thread(target=work, args=(number, home)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    messages = [found.message for found in home.errors]
    assert [] == problems
    assert ["shared"] == [message for message in messages if message == "shared"]
    assert {str(number) for number in range(8)} == set(messages) - {"shared"}


def test_spans_and_their_tags_are_not_affected(scout):
    with transaction("Controller/home") as home, span("SQL/Query") as query:
        record_error(ValueError("wrong"))

    assert (None, {}) == (query.error, query.tags)
    assert {} == home.tags


def test_hooks_see_each_recorded_error_once(tmp_path):
    seen = []

    @hookimpl
    def on_error(transaction, error):
        seen.append((transaction.operation, error.message, error.handled, len(error.related)))

    with running(state_dir=str(tmp_path), threaded=False, plugins=[plugin("errors", on_error=on_error)]) as agent:
        with pytest.raises(OSError, match="left"), transaction("Controller/home") as home:
            home.record_error(raised(lambda: ValueError("handled"), cause=KeyError("plan")))
            raise OSError("left")
        with transaction("Controller/fine"):
            pass
        agent.recorder.work()

    assert [("Controller/home", "left", False, 0), ("Controller/home", "handled", True, 1)] == seen


def test_a_stored_trace_has_the_errors_again(scout):
    with pytest.raises(OSError, match="left"), transaction("Controller/home") as home:
        home.record_error(raised(lambda: ValueError("handled"), cause=KeyError("plan")))
        raise OSError("left")
    (trace,) = scout.traces()

    rebuilt = Transaction.from_trace(trace)

    assert home.errors == trace.errors == rebuilt.errors
    assert (True, 2) == (rebuilt.is_error, rebuilt.error_count)


def test_a_handled_error_is_no_error_of_a_stored_trace(scout):
    handled(ValueError("wrong"))
    (trace,) = scout.traces()

    assert (False, None) == (trace.is_error, trace.error)
    assert [True] == [error.handled for error in trace.errors]
    rebuilt = Transaction.from_trace(trace)
    assert (False, 1) == (rebuilt.is_error, rebuilt.error_count)


def interrupting(line: int):
    """Return a trace function that raises at the nth executed line of what records errors."""

    def act(line):
        raise KeyboardInterrupt

    return acting_at(line, RECORDING, act)


def test_an_interrupt_at_every_line_leaves_the_transaction_usable(scout):
    """A signal handler may raise anywhere: what was recorded can be read, and later errors are recorded."""
    interrupted = lines = 0
    before = sys.gettrace()
    while interrupted == lines:
        lines += 1
        with transaction("Controller/home") as home:
            error = raised(lambda: ExceptionGroup("several", [ValueError("inside")]), cause=KeyError("plan"))
            error.__notes__ = ["a note"]
            sys.settrace(interrupting(lines))
            try:
                home.record_error(error)
            except KeyboardInterrupt:
                interrupted += 1
            finally:
                sys.settrace(before)
            home.record_error(OSError("next"))
            home.record_error(error)
        messages = [found.message for found in home.errors]
        assert messages.count("next") == 1
        assert messages.count("several (1 sub-exception)") == 1
    scout.agent.recorder.work()

    assert interrupted > 100
    assert ["Controller/home"] * lines == scout.operations


class Shop:
    """Calls that fail where the agent has frames of its own around them."""

    @span("Cart/plain")
    def plain(self):
        raise ValueError("plain")

    @span("Cart/generator")
    def generator(self):
        yield 1
        raise ValueError("generator")

    def decorated(self):
        self.plain()

    def generated(self):
        list(self.generator())

    def mapped(self):
        list(span("Cart/mapped")(lambda: map(self.fail, [1]))())

    def asgi(self):
        async def app(scope, receive, send):
            self.fail(1)

        asyncio.run(AsgiMiddleware(app)({"type": "http"}, None, None))  # type: ignore[arg-type]

    def fail(self, number):
        raise ValueError("fail")


@pytest.mark.parametrize("name", ["decorated", "generated", "mapped", "asgi"])
def test_no_frame_of_the_agent_is_recorded(scout, name):
    with transaction("Controller/home") as home:
        try:
            getattr(Shop(), name)()
        except ValueError as error:
            home.record_error(error)

    files = [file for file, _, _ in only(home).frames]
    assert __file__ in files
    assert [] == [file for file in files if file.startswith(AGENT)]


@pytest.mark.parametrize(
    ("handled", "is_error"), [(None, False), ("no", False), (object(), False), (1, False), (0, True)]
)
def test_an_error_with_another_value_than_true_or_false_is_recorded_and_counted(scout, handled, is_error):
    with transaction("Controller/home") as home:
        record_error(KeyError("k"), handled=False)
        record_error(ValueError("v"), handled=handled)

    assert [False, not is_error] == [error.handled for error in home.errors]
    assert 2 == len(scout.report().error_groups)
    assert 1 == scout.agent.tracer.invalid_values
