"""Describers of a library's calls: their arguments, their errors, and everything that the application must not notice."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import sys
import threading
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from weakref import WeakSet

import pytest

from scout_core import current_transaction, hookimpl, span, transaction
from scout_core.boundary.patches import PatchState
from scout_core.boundary.wrap import Wrap, why_not_wrapped
from scout_core.errors import PluginError
from scout_core.recording import context
from scout_core.testing import recording
from scout_core.testing.leaks import raw_target

SOURCE = """
import functools

def function(a, b=2, *rest, key=None, **more):
    return (a, b, rest, key, more)

async def coroutine(a, b=2):
    return ("coroutine", a, b)

def raising(error):
    raise error

async def raising_async(error):
    raise error

def generator(a):
    yield a

async def async_generator(a):
    yield a

@functools.wraps(generator)
def decorated_generator(a):
    return generator(a)

@functools.wraps(coroutine)
def hidden(a):
    return coroutine(a)

def accept(self=None, function=None, guard=None, args=None, kwargs=None, describer=None):
    return (self, function, guard, args, kwargs, describer)

class Client:
    def execute(self, name, *args, **options):
        return (self, name, args, options)

    async def execute_async(self, name):
        return (self, name)

    @classmethod
    def make(cls, name):
        return (cls, name)

    @staticmethod
    def static(name):
        return name

    run = execute

    def generate(self):
        yield 1

class Pipeline(Client):
    pass
"""


@contextmanager
def instrumented(*instruments, reraise=False, **settings):
    """Run an agent with a plugin for each function."""
    plugins = []
    for number, instrument in enumerate(instruments):
        module = ModuleType(f"plugin{number}")
        module.instrument = hookimpl(instrument)
        plugins.append(module)
    with recording(plugins=plugins, plugins_reraise=reraise, **settings) as scout:
        yield scout


def wrapping(target, describer, **options):
    """Return an ``instrument`` with a single wrap."""
    return lambda wrap: wrap(target, describer, **options)


def status(scout, name="plugin0"):
    (found,) = [status for status in scout.agent.plugin_statuses() if status.name == name]
    return found


class Hostile:
    """Whatever is asked of it, it raises."""

    def _refuse(self, *args):
        raise RuntimeError("nobody may ask this object anything")

    __repr__ = __str__ = __eq__ = __ne__ = __bool__ = __hash__ = __len__ = __iter__ = __format__ = _refuse
    __class__ = property(_refuse)

    def __getattr__(self, name):
        raise RuntimeError(f"nobody may ask this object for {name}")


# The arguments of a describer


def test_a_describer_gets_the_same_arguments_as_the_call(library):
    got = []

    def describe(*args, **kwargs):
        got.append((args, kwargs))
        return span("Work/function")

    first, more = object(), {"x": object()}
    with instrumented(wrapping("library:function", describe)) as scout:
        with transaction("Job/mail.send"):
            result = library.function(first, 3, 4, key=5, **more)
        assert ["Work/function", "Job/mail.send"] == scout.operations

    assert (first, 3, (4,), 5, more) == result
    assert [((first, 3, 4), {"key": 5, **more})] == got
    assert got[0][0][0] is first


def test_a_describer_of_a_method_gets_the_instance_and_that_of_a_class_method_the_class(library):
    got = []

    def describe(*args):
        got.append(args)
        return span("Work/call")

    def instrument(wrap):
        for name in ("execute", "make", "static"):
            wrap(f"library:Client.{name}", describe)

    with instrumented(instrument) as scout, transaction("Job/mail.send"):
        client, pipeline = library.Client(), library.Pipeline()
        assert (client, "GET", (), {}) == client.execute("GET")
        assert (client, "GET", (), {}) == library.Client.execute(client, "GET")
        assert (library.Pipeline, "a") == library.Pipeline.make("a") == pipeline.make("a")
        assert "b" == library.Client.static("b") == client.static("b")

    expected = [(client, "GET"), (client, "GET"), (library.Pipeline, "a"), (library.Pipeline, "a"), ("b",), ("b",)]
    assert expected == got
    assert 7 == len(scout.operations)


@pytest.mark.parametrize("root", [False, True])
def test_no_name_of_an_argument_is_taken(library, root):
    given = dict.fromkeys(inspect.signature(library.accept).parameters, 1)
    got = []

    def describe(**kwargs):
        got.append(kwargs)
        return span("Work/accept")

    def describe_result(**kwargs):
        got.append(kwargs)
        yield span("Work/accept")

    for describer in (describe, describe_result):
        with instrumented(wrapping("library:accept", describer, root=root)) as scout, transaction("Job/mail.send"):
            assert (1,) * 6 == library.accept(**given)
        assert 0 == status(scout).errors
    assert [given, given] == got


def test_a_describer_may_decline(library):
    with instrumented(wrapping("library:function", lambda a: None)) as scout:
        with transaction("Job/mail.send"):
            assert (1, 2, (), None, {}) == library.function(1)
        assert ["Job/mail.send"] == scout.operations
        assert 0 == status(scout).errors


def test_outside_of_a_transaction_a_describer_is_not_called(library):
    def describe(*args):
        raise AssertionError("it was called")

    def describe_result(*args):
        raise AssertionError("it was called")
        yield

    def instrument(wrap):
        wrap("library:function", describe)
        wrap("library:coroutine", describe)
        wrap("library:Client.execute", describe_result)
        wrap("library:Client.execute_async", describe_result)

    with instrumented(instrument, reraise=True) as scout:
        client = library.Client()
        assert 1 == library.function(1)[0]
        assert ("coroutine", 1, 2) == asyncio.run(library.coroutine(1))
        assert "GET" == client.execute("GET")[1]
        assert (client, "GET") == asyncio.run(client.execute_async("GET"))
        assert [] == scout.operations


def test_a_root_begins_a_transaction_and_is_a_span_inside_a_transaction(library):
    def instrument(wrap):
        wrap("library:function", lambda *args: transaction(f"Job/{args[0]}"), root=True)
        wrap("library:coroutine", lambda *args: transaction("Job/async"), root=True)

    with instrumented(instrument) as scout:
        library.function("a")
        asyncio.run(library.coroutine(1))
        with transaction("Controller/home"):
            library.function("b")
        assert ["Job/a", "Job/async", "Job/b", "Controller/home"] == scout.operations
        assert context.current.get() is None


def test_an_async_call_is_a_span_until_it_has_been_awaited(library):
    def instrument(wrap):
        wrap("library:coroutine", lambda a, b=2: span("Work/coroutine", a=a))
        wrap("library:Client.execute_async", lambda client, name: span("Work/execute"))

    async def main():
        client = library.Client()
        with transaction("Controller/home"), span("Shop/Gather"):
            waiting = library.coroutine(1)
            with span("Shop/Between"):
                pass
            assert ("coroutine", 1, 2) == await waiting
            assert (client, "GET") == await client.execute_async("GET")
            await asyncio.gather(*(library.coroutine(number) for number in (2, 3)))

    with instrumented(instrument) as scout:
        assert inspect.iscoroutinefunction(library.coroutine)
        assert inspect.iscoroutinefunction(library.Client.execute_async)
        asyncio.run(main())
        names = ["Shop/Between", "Work/coroutine", "Work/execute", "Work/coroutine", "Work/coroutine", "Shop/Gather"]
        assert [*names, "Controller/home"] == scout.operations
        assert {"Shop/Gather", "Controller/home"} == {recorded.parent for recorded in scout.spans}


# The result


def describing_result(seen):
    def describe(*args):
        made = span("Work/call")
        result = yield made
        seen.append(result)
        made.tag("seen", True)

    return describe


def test_a_describer_that_yields_sees_the_result(library):
    seen = []

    def instrument(wrap):
        wrap("library:function", describing_result(seen))
        wrap("library:coroutine", describing_result(seen))
        wrap("library:Client.execute", describing_result(seen))

    with instrumented(instrument) as scout:
        client = library.Client()
        with transaction("Job/mail.send"):
            results = [library.function(1), asyncio.run(library.coroutine(1)), client.execute("GET")]
        assert [{"seen": True}] * 3 == [recorded.tags for recorded in scout.spans]

    assert results == seen
    assert all(result is other for result, other in zip(results, seen))


def test_a_describer_handles_the_result_within_the_span(library):
    def describe(*args):
        yield span("Work/call")
        with span("Work/after"):
            pass

    with instrumented(wrapping("library:function", describe)) as scout:
        with transaction("Job/mail.send"):
            library.function(1)
        assert ["Work/call"] == [recorded.parent for recorded in scout.spans if recorded.operation == "Work/after"]


def test_a_describer_that_ends_without_a_span_declines(library):
    closed = []

    def decline(*args):
        if args:
            return
        yield

    def yield_none(*args):
        try:
            yield None
        finally:
            closed.append(1)

    def instrument(wrap):
        wrap("library:function", decline)
        wrap("library:coroutine", yield_none)

    with instrumented(instrument) as scout:
        with transaction("Job/mail.send"):
            assert 1 == library.function(1)[0]
            assert ("coroutine", 1, 2) == asyncio.run(library.coroutine(1))
        assert ["Job/mail.send"] == scout.operations
        assert (0, [1]) == (status(scout).errors, closed)


def test_a_describer_that_yields_nothing_sees_the_result_of_a_call_that_is_not_timed(library):
    seen = []

    def describe(*args):
        result = yield
        seen.append(result)
        current_transaction().tag("seen", len(seen))

    def instrument(wrap):
        wrap("library:function", describe)
        wrap("library:coroutine", describe)
        wrap("library:Client.execute", describe)

    with instrumented(instrument, reraise=True) as scout:
        client = library.Client()
        library.function(0)
        with transaction("Job/mail.send") as job:
            for _ in range(30):  # also when calls are no longer timed each time
                results = [library.function(1), asyncio.run(library.coroutine(1)), client.execute("GET")]
                assert context.current.get() is job
        assert (["Job/mail.send"], {"seen": 90}) == (scout.operations, scout.transactions[0].tags)

    assert all(result is other for result, other in zip(results, seen[-3:], strict=True))


def test_when_a_call_that_is_not_timed_raises_the_describer_is_closed_at_its_yield(library):
    ends = []

    def describe(error):
        try:
            yield
        except GeneratorExit:
            ends.append("closed")
            raise
        ends.append("went on")

    with instrumented(wrapping("library:raising", describe), reraise=True) as scout:
        with transaction("Job/mail.send"), pytest.raises(KeyError):
            library.raising(KeyError("plan"))
        assert (["Job/mail.send"], False) == (scout.operations, scout.transactions[0].is_error)

    assert ["closed"] == ends


def test_when_the_call_raises_the_describer_is_closed_at_its_yield(library):
    ends = []

    def describe(error):
        try:
            yield span("Work/call")
        except BaseException as left:
            ends.append(type(left))
            raise
        ends.append("went on")

    def instrument(wrap):
        wrap("library:raising", describe)
        wrap("library:raising_async", describe)

    with instrumented(instrument) as scout:
        with transaction("Job/mail.send"):
            for call in (library.raising, lambda error: asyncio.run(library.raising_async(error))):
                with pytest.raises(KeyError):
                    call(KeyError("plan"))
        assert (0, [GeneratorExit] * 2) == (status(scout).errors, ends)
        assert ["KeyError"] * 2 == [recorded.error for recorded in scout.spans]


# The application's exceptions


DESCRIBERS = {
    "describe": lambda error: span("Work/call"),
    "declines": lambda error: None,
    "nonsense": lambda error: "nonsense",
    "fails": lambda error: 1 / 0,
}


def yields(error):
    yield span("Work/call")


def yields_and_fails(error):
    try:
        yield span("Work/call")
    finally:
        raise RuntimeError("of the describer")


def yields_nonsense(error):
    yield "nonsense"


def yields_and_holds(error):
    try:
        yield span("Work/call")
    except GeneratorExit:
        yield "once more"


DESCRIBERS |= {
    function.__name__: function for function in (yields, yields_and_fails, yields_nonsense, yields_and_holds)
}
LEAVING = [
    ValueError,
    StopIteration,
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
    asyncio.CancelledError,
    RecursionError,
]


@pytest.mark.parametrize("kind", LEAVING)
@pytest.mark.parametrize("describer", DESCRIBERS.values(), ids=list(DESCRIBERS))
@pytest.mark.parametrize("target", ["raising", "raising_async"])
def test_the_application_s_exception_passes_untouched(library, target, describer, kind):
    if target == "raising_async" and kind is StopIteration:
        kind = EOFError  # a coroutine cannot raise the other
    raised, first, second = kind("text"), OSError("first"), TypeError("second")
    raised.__context__, raised.__cause__ = first, second
    notes = ["a note"]
    raised.__notes__ = notes

    def drive(call):
        """Run a coroutine without a loop, which would have ideas of its own about some of these."""
        try:
            call.send(None)
        except BaseException as error:
            return error

    with instrumented(wrapping(f"library:{target}", describer)) as scout, transaction("Job/mail.send") as job:
        if target == "raising":
            with pytest.raises(kind) as caught:
                library.raising(raised)
            left = caught.value
        else:
            left = drive(library.raising_async(raised))
        assert context.current.get() is job

    assert left is raised
    assert (first, second, notes) == (left.__context__, left.__cause__, left.__notes__)
    assert (None, None) == (first.__context__, second.__context__)
    assert len(scout.spans) == (describer in (DESCRIBERS["describe"], yields, yields_and_fails, yields_and_holds))


@pytest.mark.parametrize("target", ["raising", "raising_async"])
def test_an_exception_without_a_context_gets_none(library, target):
    raised = ValueError("text")

    def call(error):
        return library.raising(error) if target == "raising" else asyncio.run(library.raising_async(error))

    for describer in DESCRIBERS.values():
        with instrumented(wrapping(f"library:{target}", describer)), transaction("Job/mail.send"):
            with pytest.raises(ValueError, match="text") as caught:
                call(raised)
        assert caught.value is raised
        assert (None, None, False) == (raised.__context__, raised.__cause__, raised.__suppress_context__)


def test_an_exception_passes_an_around_untouched(library):
    raised = ValueError("text")
    seen = []

    def around(wrapped, instance, args, kwargs):
        seen.append((instance, args, kwargs))
        return wrapped(*args, **kwargs)

    def instrument(wrap):
        wrap.around("library:raising", around)
        wrap.around("library:raising_async", around)

    with instrumented(instrument), transaction("Job/mail.send"):
        for call in (library.raising, lambda error: asyncio.run(library.raising_async(error))):
            with pytest.raises(ValueError, match="text") as caught:
                call(raised)
            assert caught.value is raised
            assert (None, None) == (raised.__context__, raised.__cause__)

    assert [(None, (raised,), {})] * 2 == seen


def test_a_cancelled_call_closes_its_span_and_its_describer(library):
    ends = []

    def describe(client, name):
        try:
            yield span("Work/slow")
        finally:
            ends.append("closed")

    async def slow(client, name):
        await asyncio.Event().wait()

    library.Client.execute_async = slow

    async def main():
        with transaction("Controller/home"):
            task = asyncio.create_task(library.Client().execute_async("GET"))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    with instrumented(wrapping("library:Client.execute_async", describe)) as scout:
        asyncio.run(main())
        assert ["closed"] == ends
        assert [("Work/slow", None)] == [(recorded.operation, recorded.error) for recorded in scout.spans]


# Describers that do it wrong


def twice(a):
    yield span("Work/call")
    yield span("Work/again")


def after_the_result(a):
    yield span("Work/call")
    raise RuntimeError("of the describer")


def before_the_span(a):
    raise RuntimeError("of the describer")
    yield


def wrong_signature():
    return span("Work/call")


def wrong_signature_yields():
    yield span("Work/call")


@pytest.mark.parametrize(
    ("describer", "spans", "problem"),
    [
        (lambda a: 1 / 0, 0, "ZeroDivisionError: division by zero at "),
        (lambda a: "nonsense", 0, "ValueError: a describer must return a span or None, got str"),
        (lambda a: Hostile(), 0, "ValueError: a describer must return a span or None, got Hostile"),
        (lambda a: span, 0, "ValueError: a describer must return a span or None, got type"),
        (lambda a: [].append, 0, "ValueError: a describer must return a span or None, got builtin_function_or_method"),
        (wrong_signature, 0, "TypeError: "),
        (wrong_signature_yields, 0, "TypeError: "),
        (before_the_span, 0, "RuntimeError: of the describer at "),
        (after_the_result, 1, "RuntimeError: of the describer at "),
        (twice, 1, "PluginError: a describer must yield once, the span; this one yielded again"),
        (yields_nonsense, 0, "ValueError: a describer must return a span or None, got str"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize("target", ["function", "coroutine"])
def test_a_faulty_describer_only_loses_its_span(library, target, describer, spans, problem):
    with instrumented(wrapping(f"library:{target}", describer)) as scout:
        with transaction("Job/mail.send") as job:
            for _ in range(12):
                if target == "function":
                    assert (1, 2, (), None, {}) == library.function(1)
                else:
                    assert ("coroutine", 1, 2) == asyncio.run(library.coroutine(1))
                assert context.current.get() is job
        found = status(scout)

    assert problem in found.last_error
    assert (10, 10, "quarantined") == (found.calls, found.errors, found.state)
    assert f"library:{target} is switched off: 10 errors in a row" in found.reason
    assert 10 * spans == len(scout.spans)


def declines_and_fails(a):
    try:
        yield None
    finally:
        raise RuntimeError("of the end")


def twice_and_fails(a):
    try:
        yield span("Work/call")
        yield span("Work/again")
    finally:
        raise RuntimeError("of the end")


@pytest.mark.parametrize("describer", [declines_and_fails, twice_and_fails])
def test_a_describer_is_closed_under_guard_at_every_yield(library, describer):
    with instrumented(wrapping("library:function", describer)) as scout:
        with transaction("Job/mail.send"):
            library.function(1)
        assert 1 == status(scout).errors
        assert "RuntimeError: of the end at " in status(scout).last_error


def test_sys_exit_in_a_describer_counts_as_an_error(library):
    def leave(a):
        sys.exit(4)

    with instrumented(wrapping("library:function", leave)) as scout, transaction("Job/mail.send"):
        for _ in range(10):
            assert library.function(1)
        assert "quarantined" == status(scout).state
        assert "SystemExit: 4" in status(scout).last_error


def test_ctrl_c_in_a_describer_passes(library):
    def leave(a):
        raise KeyboardInterrupt

    with instrumented(wrapping("library:function", leave)), transaction("Job/mail.send"):
        with pytest.raises(KeyboardInterrupt):
            library.function(1)


@pytest.mark.parametrize("error", [GeneratorExit, asyncio.CancelledError])
def test_an_exception_of_a_describer_that_looks_like_a_cancellation_is_contained(library, error):
    def leave(a):
        raise error

    with instrumented(wrapping("library:function", leave)) as scout, transaction("Job/mail.send"):
        assert library.function(1)
        assert error.__name__ in status(scout).last_error


def test_a_faulty_describer_raises_in_tests(library):
    for describer, error in ((lambda a: 1 / 0, ZeroDivisionError), (lambda a: 5, ValueError), (twice, PluginError)):
        with instrumented(wrapping("library:function", describer), reraise=True), transaction("Job/a"):
            with pytest.raises(error):
                library.function(1)


def test_no_method_of_hostile_arguments_and_results_is_called(library):
    hostile = Hostile()
    seen = []

    def instrument(wrap):
        wrap("library:function", lambda *args, **kwargs: span("Work/call", value=args[0]))
        wrap("library:coroutine", describing_result(seen))
        wrap("library:Client.make", lambda cls, name: 1 / 0)

    library.give = hostile
    with instrumented(instrument) as scout:
        with transaction("Job/mail.send"):
            assert library.function(hostile, key=hostile)[0] is hostile
            with pytest.raises(StopIteration) as ended:  # a loop would ask the result for its text
                library.coroutine(hostile).send(None)
            assert ended.value.value[1] is hostile
            assert library.Client.make(hostile)[1] is hostile
        assert seen[0][1] is hostile
        assert ["<Hostile>"] == [
            recorded.tags["value"] for recorded in scout.traces()[0].spans if "value" in recorded.tags
        ]


# Where it is put


def test_signatures_do_not_change(library):
    names = ["function", "coroutine", "Client.execute", "Client.execute_async", "Client.make", "Client.static"]

    def members():
        return [functools.reduce(getattr, name.split("."), library) for name in names]

    def look(member):
        return (
            str(inspect.signature(member)),
            inspect.iscoroutinefunction(member),
            member.__name__,
            member.__qualname__,
            member.__module__,
        )

    before = list(map(look, members()))
    for wrap_it in (
        lambda wrap, name: wrap(f"library:{name}", lambda *args, **kwargs: None),
        lambda wrap, name: wrap(f"library:{name}", yields),
        lambda wrap, name: wrap.around(f"library:{name}", lambda wrapped, instance, args, kwargs: wrapped(*args)),
    ):
        with instrumented(lambda wrap, wrap_it=wrap_it: [wrap_it(wrap, name) for name in names]) as scout:
            assert 6 == len(status(scout).wrapped)
            assert before == list(map(look, members()))


def test_a_missing_optional_target_is_reported_and_the_others_are_wrapped(library):
    def instrument(wrap):
        wrap("library:missing", lambda *args: None, optional=True)
        wrap.around("library:Client.missing", lambda *args: None, optional=True)
        wrap("library:function", lambda *args: span("Work/call"))

    with instrumented(instrument) as scout:
        found = status(scout)
        with transaction("Job/mail.send"):
            library.function(1)

    assert ("library:function",) == found.wrapped
    missing = ("library:missing", "library:Client.missing")
    details = ("library:missing: library has no missing", "library:Client.missing: library.Client has no missing")
    assert (missing, details) == (found.not_found, tuple(problem.detail for problem in found.target_problems))
    assert [("missing-target", target) for target in missing] == [
        (problem.kind, problem.subject) for problem in found.target_problems
    ]
    assert "active" == found.state
    assert ["Work/call", "Job/mail.send"] == scout.operations


def test_a_plugin_without_any_target_has_failed(library):
    expected = r"\(named in code\): library:missing: library has no missing; none of its targets is wrapped"
    with pytest.raises(PluginError, match=expected), instrumented(wrapping("library:missing", lambda *args: None)):
        pass


def test_a_plugin_whose_optional_targets_are_all_missing_has_failed(library):
    def instrument(wrap):
        wrap("library:missing", lambda *args: None, optional=True)

    with instrumented(instrument) as scout:
        assert "failed" == status(scout).state
        assert "library:missing: library has no missing" == status(scout).reason


@pytest.mark.parametrize("inner", [0, 1])
def test_two_plugins_of_the_same_target_record_two_spans_and_are_undone_in_either_order(library, inner):
    before = dict(vars(library.Client))

    def instrument(name):
        return lambda wrap: wrap("library:Client.execute", lambda *args: span(f"Work/{name}"))

    plugins = [SimpleNamespace(instrument=hookimpl(instrument(n))) for n in (0, 1)]
    plugins[inner].instrument = hookimpl(tryfirst=True)(instrument(inner))
    modules = []
    for number, plugin in enumerate(plugins):
        module = ModuleType(f"plugin{number}")
        module.instrument = plugin.instrument
        modules.append(module)

    with recording(plugins=modules) as scout:
        with transaction("Job/mail.send"):
            library.Client().execute("GET")
        assert [f"Work/{inner}", f"Work/{1 - inner}"] == [recorded.operation for recorded in scout.spans]

    assert before == dict(vars(library.Client))


def test_a_plugin_wraps_a_function_once_even_under_several_names(library):
    before = dict(vars(library.Client)), dict(vars(library.Pipeline))

    def instrument(wrap):
        for target in ("Client.execute", "Client.execute", "Client.run", "Pipeline.execute", "Client.make"):
            wrap(f"library:{target}", lambda *args: span("Work/call"))
        wrap("library:Pipeline.make", lambda *args: span("Work/call"))

    with instrumented(instrument) as scout:
        found = status(scout)
        with transaction("Job/mail.send"):
            library.Client().execute("GET")
            library.Pipeline().execute("GET")
            library.Pipeline.make("GET")
        assert 3 == len(scout.spans)
        assert ("library:Client.execute", "library:Client.run", "library:Client.make") == found.wrapped
        assert [
            f"library:{name}: this plugin has already wrapped it"
            for name in ("Client.execute", "Pipeline.execute", "Pipeline.make")
        ] == [problem.detail for problem in found.target_problems]

    assert before == (dict(vars(library.Client)), dict(vars(library.Pipeline)))


def test_starting_twice_wraps_once(library, monkeypatch, tmp_path):
    import scout_core

    monkeypatch.chdir(tmp_path)
    original = library.function
    module = ModuleType("shop_plugin")
    module.instrument = hookimpl(wrapping("library:function", lambda *args: span("Work/call")))
    settings = {"plugins": [module], "plugins_disable": "collector", "state_dir": str(tmp_path)}
    agent = scout_core.start(**settings)
    try:
        wrapped = library.function
        assert wrapped is not original
        assert scout_core.start(**settings) is agent
        assert library.function is wrapped
    finally:
        scout_core.stop(0)
    assert library.function is original


def test_a_foreign_wrapper_around_ours_keeps_working_and_ours_becomes_inert(library):
    calls = []

    def instrument(wrap):
        wrap("library:function", lambda *args: calls.append("describer") or transaction("Job/a"), root=True)
        wrap.around(
            "library:Client.execute",
            lambda wrapped, instance, args, kwargs: calls.append("around") or wrapped(*args, **kwargs),
        )

    with instrumented(instrument):
        ours = library.function
        library.function = theirs = lambda *args: ("theirs", ours(*args))
        ours_too = library.Client.execute
        library.Client.execute = lambda self, *args: ours_too(self, *args)
        library.function(1)
        library.Client().execute("GET")
    assert ["describer", "around"] == calls

    client = library.Client()
    assert library.function is theirs
    assert ("theirs", (1, 2, (), None, {})) == library.function(1)
    assert (client, "GET", (), {}) == client.execute("GET")
    with recording():
        library.function(1)
        client.execute("GET")
    assert ["describer", "around"] == calls


# The escape hatch


def test_around_replaces_the_call(library):
    def around(wrapped, instance, args, kwargs):
        return (instance, args, kwargs, wrapped(*args, **{**kwargs, "sent": True}))

    with instrumented(lambda wrap: wrap.around("library:Client.execute", around)):
        client = library.Client()
        expected = (client, ("GET", 1), {"x": 2}, (client, "GET", (1,), {"x": 2, "sent": True}))
        assert expected == client.execute("GET", 1, x=2)
        assert expected == library.Client.execute(client, "GET", 1, x=2)


def test_around_is_called_everywhere_also_outside_of_a_transaction(library):
    calls = []

    def around(wrapped, instance, args, kwargs):
        calls.append(current_transaction())
        return wrapped(*args, **kwargs)

    with instrumented(lambda wrap: wrap.around("library:function", around)):
        library.function(1)
        with transaction("Job/mail.send") as job:
            library.function(1)

    assert [None, job] == calls


def test_around_gets_the_instance_of_a_method_and_the_class_of_a_class_method(library):
    instances = []

    def around(wrapped, instance, args, kwargs):
        instances.append(instance)
        return wrapped(*args, **kwargs)

    def instrument(wrap):
        for target in ("Client.execute", "Client.make", "Client.static", "function"):
            wrap.around(f"library:{target}", around)

    with instrumented(instrument):
        pipeline = library.Pipeline()
        assert (pipeline, "GET", (), {}) == pipeline.execute("GET")
        assert (library.Pipeline, "a") == library.Pipeline.make("a")
        assert "b" == pipeline.static("b")
        library.function(1)
        assert (pipeline, "GET", (), {}) == library.Client.execute(self=pipeline, name="GET")

    assert [pipeline, library.Pipeline, None, None, None] == instances


@pytest.mark.parametrize("is_async", [False, True])
def test_around_an_async_function_is_awaited(library, is_async):
    async def around_async(wrapped, instance, args, kwargs):
        return ("around", await wrapped(*args, **kwargs))

    def around(wrapped, instance, args, kwargs):
        return wrapped(*args, **kwargs)

    with instrumented(lambda wrap: wrap.around("library:coroutine", around_async if is_async else around)):
        assert inspect.iscoroutinefunction(library.coroutine)
        result = asyncio.run(library.coroutine(1))

    assert (("around", ("coroutine", 1, 2)) if is_async else ("coroutine", 1, 2)) == result


# Invalid arguments


@pytest.mark.parametrize(
    "target",
    [
        "",
        "library",
        "library:",
        ":function",
        "library.function",
        "library:1",
        "a b:c",
        "library:a-b",
        "a:b:c",
        "a..b:c",
        None,
        5,
        b"a:b",
    ],
)
def test_an_invalid_target_is_refused(target):
    for name in ("__call__", "around"):
        wrap = Wrap("mine")
        getattr(wrap, name)(target, lambda *args: None)
        with pytest.raises(PluginError) as caught:
            wrap.check()
        assert f"plugin 'mine': invalid target {target!r}; expected 'module:Class.method' or 'module:function'" == str(
            caught.value
        )


@pytest.mark.parametrize("function", [None, "function", 5])
def test_a_describer_that_is_not_callable_is_refused(function):
    for name, role in (("__call__", "describer"), ("around", "function")):
        wrap = Wrap("mine")
        getattr(wrap, name)("library:function", function)
        with pytest.raises(PluginError) as caught:
            wrap.check()
        assert f"plugin 'mine': {role} for library:function must be callable, got {function!r}" == str(caught.value)


def test_nothing_is_replaced_before_instrument_has_returned(library):
    original = library.function
    seen = []

    def instrument(wrap):
        wrap("library:function", lambda *args: None)
        seen.append(library.function)

    with instrumented(instrument):
        assert library.function is not original
    assert [original] == seen


@pytest.mark.parametrize(
    "target",
    [
        "builtins:len", "builtins:isinstance", "builtins:print", "builtins:__import__", "sys:getrefcount", "sys:exit",
        "scout_core:span", "scout_core.recording.span:Span.tag", "scout_core.boundary.guard:Guard.run",
        "scout_core.recording.transaction:Transaction.from_trace",
    ],
)  # fmt: skip
def test_functions_that_run_while_a_call_is_recorded_are_refused(library, target):
    """Its wrapper would call itself, and its describer would be called for its own work."""
    before = raw_target(target)
    package = target.partition(":")[0].partition(".")[0]
    problem = (
        f"cannot be wrapped: the agent itself uses {package} while it records a call; wrap the function that calls it"
    )

    def instrument(wrap):
        wrap("library:function", lambda *args: None)
        wrap(target, lambda *args, **kwargs: span("Work/call"))

    function = library.function
    with pytest.raises(PluginError, match=f"{problem}; none of its targets is wrapped"):
        instrumented(instrument).__enter__()
    assert (before, function) == (raw_target(target), library.function)


@pytest.mark.parametrize("target", ["collections:deque.append", "contextvars:ContextVar.get", "_thread:RLock.acquire"])
def test_methods_of_types_written_in_c_are_refused(target):
    __import__(target.partition(":")[0])
    with pytest.raises(PluginError, match=r"cannot be replaced: .*immutable"):
        instrumented(wrapping(target, lambda *args: span("Work/call"))).__enter__()


@pytest.mark.parametrize(
    "target",
    ["time:time", "time:perf_counter", "time:perf_counter_ns", "time:monotonic", "random:getrandbits", "signal:getsignal",
     "threading:get_ident", "threading:current_thread", "functools:reduce", "inspect:unwrap", "os:getpid",
     "re:sub", "weakref:WeakSet.add", "threading:Event.set", "logging:Logger.isEnabledFor", "dis:findlabels", "copy:copy"],
)  # fmt: skip
@pytest.mark.parametrize("describer", ["works", "fails"])
def test_functions_that_the_agent_uses_elsewhere_are_recorded_once_for_each_call(library, target, describer):
    """It holds its own references to them, or calls them outside of transactions only."""
    module = sys.modules.get(target.partition(":")[0]) or __import__(target.partition(":")[0])
    arguments = {
        "random:getrandbits": (8,), "signal:getsignal": (2,), "functools:reduce": (max, [1]), "inspect:unwrap": (len,),
        "re:sub": ("a", "b", "c"), "weakref:WeakSet.add": (WeakSet(), library.Client),
        "threading:Event.set": (threading.Event(),), "logging:Logger.isEnabledFor": (logging.getLogger("shop"), 10),
        "dis:findlabels": (b"",), "copy:copy": (1,),
    }.get(target, ())  # fmt: skip

    described = []

    def describe(*args, **kwargs):
        described.append(args)
        if describer == "fails":
            raise KeyError("plan")
        return span("Work/call")

    with instrumented(wrapping(target, describe)) as scout:
        function = functools.reduce(getattr, target.partition(":")[2].split("."), module)
        with transaction("Job/mail.send"):
            for _ in range(3):
                function(*arguments)
            assert ([arguments] * 3, 0 if describer == "works" else 3) == (described, status(scout).errors)
        assert (3 if describer == "works" else 0) == scout.operations.count("Work/call")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("library:function", None),
        ("library:coroutine", None),
        ("library:Client.make", None),
        ("library:Pipeline.execute", None),
        ("library:missing", "library has no missing"),
        ("library:Client", "library.Client has neither __init__ nor __new__, so nothing runs when it is called"),
        ("library:generator", None),
        ("library:async_generator", None),
        ("library:decorated_generator", None),
        ("library:hidden", None),
        ("not_imported_library:function", "not_imported_library is not imported"),
        ("builtins:len", "builtins.len cannot be wrapped: the agent itself uses builtins while it records a call;"
         " wrap the function that calls it"),
    ],
)  # fmt: skip
def test_whether_a_target_can_be_wrapped(library, target, expected):
    before = dict(vars(library)), dict(vars(library.Client)), dict(vars(library.Pipeline))

    assert expected == why_not_wrapped(target)
    assert before == (dict(vars(library)), dict(vars(library.Client)), dict(vars(library.Pipeline)))


def test_wrap_around_accepts_more_targets(library):
    assert why_not_wrapped("library:hidden", is_around=True) is None
    assert why_not_wrapped("library:generator", is_around=True) is None


class AsyncDescriber:
    async def __call__(self, *args):
        raise AssertionError("it is not called")


async def async_describer(*args):
    raise AssertionError("it is not called")


async def async_generator_describer(*args):
    yield span("Work/call")


@pytest.mark.parametrize(
    "describer", [async_describer, async_generator_describer, AsyncDescriber(), functools.partial(async_describer, 1)]
)
def test_an_async_describer_is_refused(describer):
    wrap = Wrap("paying")
    wrap("library:function", describer)
    with pytest.raises(
        PluginError, match="describer for library:function must be a plain function, got an async function"
    ):
        wrap.check()


class StepDescriber:
    def __call__(self, a):
        made = span("Work/call")
        made.tag("result", (yield made)[0])


@pytest.mark.parametrize(
    "describer", [StepDescriber(), StepDescriber().__call__, functools.partial(StepDescriber.__call__, None)]
)
def test_a_describer_that_yields_may_be_any_callable(library, describer):
    with instrumented(wrapping("library:function", describer), reraise=True) as scout:
        with transaction("Job/mail.send"):
            library.function(7)
        assert {"result": 7} == scout.spans[0].tags


def test_two_agents_wrap_the_same_function_each_for_itself(library):
    """A command that runs under an agent, or a test, looks at plugins that have wrapped their targets in this process already."""
    states = []
    for _ in range(2):
        wrap = Wrap("mine")
        wrap("library:function", lambda *args: None)
        (patch,) = wrap.patches
        patch.apply(library)
        states.append(patch.state)

    assert [PatchState.WRAPPED] * 2 == states
