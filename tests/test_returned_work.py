"""Plain functions that return lazy iterators and context managers: the span lasts until those are done."""

from __future__ import annotations

import asyncio
import copy
import gc
import itertools
import sys
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from functools import partial, partialmethod
from multiprocessing.pool import ThreadPool
from types import ModuleType

import pytest

from scout_core import hookimpl, span, transaction
from scout_core.boundary.guard_log import log_changes
from scout_core.recording.context import current
from scout_core.testing.scout import recording


def query(number):
    with span("SQL/Query"):
        return number


@contextmanager
def block():
    with span("SQL/Begin"):
        pass
    yield 7
    with span("SQL/Commit"):
        pass


@asynccontextmanager
async def async_block():
    with span("SQL/Begin"):
        await asyncio.sleep(0)
    yield 7
    with span("SQL/Commit"):
        await asyncio.sleep(0)


LAZY = {
    "map": lambda: map(query, [1, 2]),
    "filter": lambda: filter(query, [1, 2]),
    "zip": lambda: zip(map(query, [1, 2]), strict=True),
    "enumerate": lambda: enumerate(map(query, [1, 2])),
    "callable": lambda: iter(partial(next, map(query, [1, 2, 0])), 0),
    "chain": lambda: itertools.chain([1], map(query, [1, 2])),
    "islice": lambda: itertools.islice(map(query, itertools.count()), 2),
    "starmap": lambda: itertools.starmap(query, [(1,), (2,)]),
    "takewhile": lambda: itertools.takewhile(query, [1, 2]),
    "groupby": lambda: itertools.groupby([1, 2], query),
}


@pytest.mark.parametrize("name", LAZY)
def test_the_span_lasts_until_a_lazy_iterator_has_been_read(timed, name):
    make = LAZY[name]
    function = timed(make)
    with transaction("Job/a") as job:
        result = function()
        assert isinstance(result, type(make()))
        assert iter(result) is result
        assert current.get() is job
        for _ in result:
            with span("Caller/Item"):
                pass

    recorded = set(timed.outline())
    assert ("Caller/Item", "Job/a", None) in recorded
    assert {("Work/call", "Job/a", None)} == {line for line in recorded if line[0] == "Work/call"}
    assert ("SQL/Query", "Work/call", None) in recorded
    (call,) = [found for found in timed.scout.spans if found.operation == "Work/call"]
    assert "abandoned" not in call.tags


def test_values_and_exceptions_of_a_lazy_iterator_are_unchanged(timed):
    function = timed(lambda: map(int, ["1", "2", "x"]))
    with transaction("Job/a"):
        result = function()
        assert [1, 2] == [next(result), next(result)]
        with pytest.raises(ValueError, match="'x'"):
            next(result)
        assert [] == list(result)

    assert [("Work/call", "Job/a", "ValueError")] == timed.outline()


def test_a_lazy_iterator_is_copied_as_the_original_is(timed):
    function = timed(lambda: zip([1, 2], [3, 4], strict=True))
    with transaction("Job/a"):
        result = function()
        if sys.version_info < (3, 14):
            assert [(1, 3), (2, 4)] == list(copy.copy(result))


def test_a_lazy_iterator_that_is_not_read_is_abandoned(timed):
    function = timed(lambda: map(query, [1, 2]))
    with transaction("Job/a"):
        result = function()
        assert 1 == next(result)
        del result
        gc.collect()

    (call,) = [found for found in timed.scout.spans if found.operation == "Work/call"]
    assert call.tags["abandoned"] is True


@pytest.mark.parametrize("make", [itertools.count, lambda: iter([1]), lambda: {1: 2}.items()])
def test_an_endless_iterator_and_one_of_a_collection_are_returned_themselves(timed, make):
    made = []
    function = timed(lambda: made.append(make()) or made[0])
    with transaction("Job/a"):
        assert function() is made[0]

    assert [("Work/call", "Job/a", None)] == timed.outline()


IN_BLOCK = [
    ("SQL/Begin", "Work/call", None),
    ("Caller/Item", "Work/call", None),
    ("SQL/Commit", "Work/call", None),
    ("Work/call", "Job/a", None),
]


def test_the_block_of_a_returned_context_manager_belongs_to_the_span(timed):
    made = []
    function = timed(lambda: made.append(block()) or made[0])
    with transaction("Job/a") as job:
        result = function()
        assert result is made[0]
        assert current.get() is job
        with result as value, span("Caller/Item"):
            assert 7 == value
        assert current.get() is job

    assert IN_BLOCK == timed.outline()


def test_the_block_of_a_returned_async_context_manager_belongs_to_the_span(timed):
    function = timed(lambda: async_block())

    async def main():
        with transaction("Job/a") as job:
            async with function() as value:
                with span("Caller/Item"):
                    assert 7 == value
            assert current.get() is job

    asyncio.run(main())
    assert IN_BLOCK == timed.outline()


def test_an_async_function_that_returns_a_context_manager_lasts_until_that_is_left(timed):
    async def function():
        return block()

    function = timed(function)

    async def main():
        with transaction("Job/a"), await function(), span("Caller/Item"):
            pass

    asyncio.run(main())
    assert IN_BLOCK == timed.outline()


def test_an_exception_of_the_block_ends_the_span_with_it(timed):
    function = timed(lambda: block())
    with transaction("Job/a"), pytest.raises(KeyError), function():
        raise KeyError("a")

    assert ("Work/call", "Job/a", "KeyError") in timed.outline()


def test_a_context_manager_that_has_been_entered_before_it_is_returned_ends_when_it_is_left(timed):
    def function():
        entered = block()
        entered.__enter__()
        return entered

    function = timed(function)
    with transaction("Job/a"):
        entered = function()
        with span("Caller/Item") as item:
            entered.__exit__(None, None, None)
            assert sys.version_info < (3, 11) or current.get() is item

    assert ("SQL/Commit", "Work/call", None) in timed.outline()
    assert ("Work/call", "Job/a", None) in timed.outline()


class Lock:
    def __enter__(self):
        return self

    def __exit__(self, *problem):
        pass


class AsyncLock:
    async def __aenter__(self):
        return self

    async def __aexit__(self, *problem):
        pass


class Rows:
    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration


class AsyncRows:
    def __aiter__(self):
        return self

    async def __anext__(self):
        raise StopAsyncIteration


class Query:
    def __await__(self):
        yield


class Request(Query):
    def send(self, value):
        raise StopIteration

    throw = close = send


class Pool(Query, AsyncLock):
    pass


def kept(*args):
    yield span("Work/call").keep_open()


def kept_afterwards(*args):
    call = span("Work/call")
    yield call
    call.keep_open()


def only_the_result(*args):
    yield


def described(*args):
    return span("Work/call")


def unfollowed(monkeypatch, make, describer=described, calls=3):
    """Return what is noted of a target after some calls; each result is returned unchanged."""
    module = ModuleType("library")
    module.function = make
    monkeypatch.setitem(sys.modules, "library", module)
    plugin = ModuleType("plugin0")
    plugin.instrument = hookimpl(lambda wrap: wrap("library:function", describer))
    with recording(plugins=[plugin], plugins_reraise=True) as scout:
        with transaction("Job/a"):
            for _ in range(calls):
                module.function()
        guards = scout.agent.plugins.all["plugin0"].all_guards
        log_changes(guards)
        log_changes(guards)
        (status,) = [status for status in scout.agent.plugin_statuses() if status.name == "plugin0"]
    return [function.unfollowed for function in status.functions if function.place == "library:function"]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Lock, "a context manager (Lock)"),
        (AsyncLock, "an async context manager (AsyncLock)"),
        (Rows, "an iterator (Rows)"),
        (AsyncRows, "an async iterator (AsyncRows)"),
        (Query, "an awaitable object (Query)"),
        (Request, "an awaitable object (Request)"),
        (Pool, "an awaitable object (Pool)"),
        (itertools.count, "an iterator (count)"),
    ],
)
def test_a_result_that_is_not_followed_is_shown_once_for_its_target(monkeypatch, caplog, make, expected):
    caplog.set_level("INFO", "scout_core.plugins")
    assert [(expected,)] == unfollowed(monkeypatch, lambda: make())
    assert [
        f"plugin 'plugin0': the spans of library:function end with the call, though it returns {expected};"
        " keep_open() lets them last longer"
    ] == [message for message in caplog.messages if "library:function" in message]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda pool: pool.apply_async(len, ("a",)), "a pending result (ApplyResult)"),
        (lambda pool: pool.map_async(len, ["a"]), "a pending result (MapResult)"),
        (lambda pool: pool.starmap_async(len, [("a",)]), "a pending result (MapResult)"),
        (lambda pool: pool.imap_unordered(len, ["a"]), "an iterator (IMapUnorderedIterator)"),
    ],
)
def test_a_result_that_a_pool_of_multiprocessing_delivers_is_shown(monkeypatch, make, expected):
    with ThreadPool(1) as pool:
        assert [(expected,)] == unfollowed(monkeypatch, lambda: make(pool))
        pool.close()
        pool.join()


class Entered:
    """Its methods return what a ``with`` statement binds."""

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *problem):
        pass

    def open(self):
        return self


class EnteredAsRows(Entered):
    def __enter__(self):
        return Rows()


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        (Entered, "Entered.__enter__", ()),
        (Entered, "Entered.__aenter__", ()),
        (Entered, "Entered.open", ("a context manager (Entered)",)),
        (EnteredAsRows, "EnteredAsRows.__enter__", ("an iterator (Rows)",)),
    ],
)
def test_the_object_that_enter_returns_is_in_use_and_not_shown(kind, target, expected):
    async def use(entered):
        with entered:
            entered.open()
        async with entered:
            pass

    plugin = ModuleType("plugin0")
    plugin.instrument = hookimpl(lambda wrap: wrap(f"{__name__}:{target}", described))
    with recording(plugins=[plugin], plugins_reraise=True) as scout, transaction("Job/a"):
        asyncio.run(use(kind()))
        (status,) = [status for status in scout.agent.plugin_statuses() if status.name == "plugin0"]

    assert [expected] == [found.unfollowed for found in status.functions if found.place == f"{__name__}:{target}"]


def test_the_object_that_a_decorated_enter_returns_is_not_counted(scout):
    class Decorated(Entered):
        __enter__ = span("Work/decorated")(Entered.__enter__)
        __aenter__ = span("Work/decorated")(Entered.__aenter__)

    async def use():
        with Decorated():
            pass
        async with Decorated():
            pass

    with transaction("Job/a"):
        asyncio.run(use())

    assert ["Work/decorated", "Work/decorated", "Job/a"] == scout.operations
    assert 0 == scout.agent.counters().unfollowed_results


def test_each_class_of_results_that_are_not_followed_is_shown(monkeypatch):
    results = itertools.cycle([Lock(), 7, Rows()])
    assert [("a context manager (Lock)", "an iterator (Rows)")] == unfollowed(
        monkeypatch, lambda: next(results), calls=9
    )


@pytest.mark.parametrize(
    "make", [dict, lambda: iter([1]), lambda: iter({}), lambda: map(str, [1]), block, lambda: memoryview(b"a")]
)
def test_a_result_that_is_followed_or_done_is_not_shown(monkeypatch, make):
    assert [()] == unfollowed(monkeypatch, lambda: make())


@pytest.mark.parametrize("describer", [kept, kept_afterwards, only_the_result])
def test_a_describer_that_keeps_its_span_open_or_has_none_is_not_shown(monkeypatch, describer):
    assert [()] == unfollowed(monkeypatch, lambda: Lock(), describer)


def test_a_result_that_is_not_followed_is_in_the_state(monkeypatch):
    module = ModuleType("library")
    module.function = lambda: Lock()
    monkeypatch.setitem(sys.modules, "library", module)
    plugin = ModuleType("plugin0")
    plugin.instrument = hookimpl(lambda wrap: wrap("library:function", described))
    with recording(plugins=[plugin]) as scout:
        with transaction("Job/a"):
            module.function()
        (status,) = [status for status in scout.agent.plugin_statuses() if status.name == "plugin0"]

    text = "the spans of library:function end with the call, though it returns a context manager (Lock)"
    assert [("unfollowed-result", "library:function", text, "keep_open() lets them last longer")] == [
        (problem.kind, problem.subject, problem.detail, problem.advice) for problem in status.problems
    ]
    assert ("active", f"{text}; keep_open() lets them last longer") == (status.state, status.reason)


class Awaitable:
    def __await__(self):
        yield


class Made(Lock):
    def __new__(cls):
        return super().__new__(cls)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Lock, "a context manager (Lock)"),
        (Made, "a context manager (Made)"),
        (Rows, "an iterator (Rows)"),
        (Awaitable, "an awaitable object (Awaitable)"),
        (Future, "a future (Future)"),
    ],
)
def test_an_object_that_a_wrapped_class_makes_is_shown(monkeypatch, kind, expected):
    module = ModuleType("library")
    module.Own = type(kind.__name__, (kind,), {"__init__": lambda self: kind.__init__(self)})
    monkeypatch.setitem(sys.modules, "library", module)
    plugin = ModuleType("plugin0")
    plugin.instrument = hookimpl(lambda wrap: wrap("library:Own", described))
    with recording(plugins=[plugin], plugins_reraise=True) as scout:
        with transaction("Job/a"):
            assert type(module.Own()) is module.Own
        (status,) = [status for status in scout.agent.plugin_statuses() if status.name == "plugin0"]

    assert [(expected,)] == [found.unfollowed for found in status.functions if found.place == "library:Own"]


def test_a_wrapped_new_gives_the_object_that_init_sets_up(monkeypatch):
    class Query(Awaitable):
        def __new__(cls, value):
            return super().__new__(cls)

        def __init__(self, value):
            self.value = value

    module = ModuleType("library")
    module.Query = Query
    monkeypatch.setitem(sys.modules, "library", module)
    plugin = ModuleType("plugin0")
    plugin.instrument = hookimpl(lambda wrap: wrap("library:Query.__new__", described))
    with recording(plugins=[plugin], plugins_reraise=True) as scout:
        with transaction("Job/a"):
            made = module.Query(7)
        assert 2 == len(scout.operations)

    assert (Query, 7) == (type(made), made.value)


def test_a_result_of_a_call_that_is_bound_late_is_shown(monkeypatch):
    module = ModuleType("library")
    module.Own = type("Own", (), {"lock": partialmethod(lambda self: Lock())})
    monkeypatch.setitem(sys.modules, "library", module)
    plugin = ModuleType("plugin0")
    plugin.instrument = hookimpl(lambda wrap: wrap("library:Own.lock", described))
    with recording(plugins=[plugin], plugins_reraise=True) as scout:
        with transaction("Job/a"):
            module.Own().lock()
        (status,) = [status for status in scout.agent.plugin_statuses() if status.name == "plugin0"]

    assert [("a context manager (Lock)",)] == [
        found.unfollowed for found in status.functions if found.place == "library:Own.lock"
    ]


@span("Work/decorated")
def decorated():
    return Lock()


@span("Work/decorated")
async def awaited():
    return Rows()


def test_results_of_decorated_functions_that_are_not_followed_are_counted_and_logged(caplog):
    caplog.set_level("INFO", "scout_core.plugins")
    for _ in range(2):  # each agent, once
        caplog.clear()
        with recording() as scout:
            with transaction("Job/a"):
                for _ in range(3):
                    decorated()
                    asyncio.run(awaited())
            assert 7 == len(scout.operations)
            assert 2 == scout.agent.counters().unfollowed_results
            scout.agent.recorder.work()

        assert [
            "decorated returns a context manager (Lock), and its spans end with the call; open a span around its work instead",
            "awaited returns an iterator (Rows), and its spans end with the call; open a span around its work instead",
        ] == [message for message in caplog.messages if "its spans end" in message]


def test_results_of_decorated_functions_that_are_followed_or_done_are_not_counted(scout):
    @span("Work/decorated")
    def plain():
        return {}

    @span("Work/decorated")
    def rows():
        yield 1

    with transaction("Job/a"):
        plain()
        list(rows())

    assert 0 == scout.agent.counters().unfollowed_results
