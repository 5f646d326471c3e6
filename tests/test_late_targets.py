"""Targets that are named while the application runs, and targets that are objects."""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import threading
import weakref
from types import ModuleType

import pytest

from scout_core import hookimpl, span, trace_headers, transaction
from scout_core.boundary import wrap as wrap_module
from scout_core.boundary.object_targets import _Chosen
from scout_core.errors import PluginError
from scout_core.recording.trace.context import read_context
from scout_core.testing import recording

SOURCE = """
import functools

def function(a):
    return ("function", a)

class Task:
    def run(self, a):
        return ("task", a)

    async def run_async(self, a):
        return ("async", a)

    def steps(self, a):
        yield a

    def send(self, url, headers=None):
        return headers

    async def send_async(self, url, headers=None):
        return headers

    @staticmethod
    def static(a):
        return a

    @classmethod
    def make(cls, a):
        return a

    def __eq__(self, other):
        raise RuntimeError("nobody may compare tasks")

    __hash__ = None

class Slots:
    __slots__ = ("a",)

    def run(self, a):
        return a
"""


@pytest.fixture
def write_module(monkeypatch, tmp_path):
    """Write a module that can be imported during the test."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda name, source: (tmp_path / f"{name}.py").write_text(source)
    for name in set(sys.modules) - before:
        if name.startswith("library_"):
            del sys.modules[name]


class Plugin:
    """A plugin that keeps ``wrap``, and names a first target at once."""

    def __init__(self, name="late", target="library:function"):
        self.__name__ = name
        self.target = target

    @hookimpl
    def instrument(self, wrap):
        self.wrap = wrap
        if self.target:
            wrap(self.target, described)


def described(*args, **kwargs):
    return span("Work/call")


def described_result(*args, **kwargs):
    call = span("Work/call")
    call.tag("result", str((yield call)))


def running(*plugins, reraise=False):
    return recording(plugins=plugins, plugins_reraise=reraise)


def status(scout, name="late"):
    (found,) = [status for status in scout.agent.plugin_statuses() if status.name == name]
    return found


def recorded(scout, call):
    """Return the operations of the spans of a call in a transaction."""
    before = len(scout.operations)
    with transaction("Job/mail.send"):
        call()
    return scout.operations[before:-1]


# By name


def test_a_target_that_is_named_later_is_wrapped_at_once_and_undone(library):
    plugin, before = Plugin(), vars(library.Task)["run"]
    with running(plugin) as scout:
        assert [] == recorded(scout, lambda: library.Task().run(1))
        plugin.wrap("library:Task.run", described)
        plugin.wrap.around("library:Task.run", lambda wrapped, instance, args, kwargs: wrapped(2))
        assert ["Work/call"] == recorded(scout, lambda: library.Task().run(1))
        assert ("task", 2) == library.Task().run(1)
        assert ("library:function", "library:Task.run", "library:Task.run") == status(scout).wrapped
    assert vars(library.Task)["run"] is before


def test_a_module_that_is_imported_later_still_is_waited_for(library, write_module):
    write_module("library_later", "def function(): return 1\n")
    plugin = Plugin()
    with running(plugin) as scout:
        plugin.wrap("library_later:function", described)
        assert ("library_later:function",) == status(scout).waiting
        later = __import__("library_later")
        assert ["Work/call"] == recorded(scout, later.function)


def test_a_target_is_named_again_by_every_call_of_a_describer_and_wrapped_once(library):
    plugin = Plugin(target=None)

    def describe(a):
        plugin.wrap("library:Task.run", described)
        return span("Work/function")

    with running(plugin, reraise=True) as scout:
        plugin.wrap("library:function", describe)
        for _ in range(3):
            assert ["Work/function"] == recorded(scout, lambda: library.function(1))
        assert ["Work/call"] == recorded(scout, lambda: library.Task().run(1))
        assert ("library:function", "library:Task.run") == status(scout).wrapped
        assert 2 == len(status(scout).functions)


def test_a_late_target_that_is_missing_is_shown_and_costs_no_other(library, caplog):
    plugin = Plugin()
    with running(plugin) as scout:
        plugin.wrap("library:gone", described)
        plugin.wrap("library:Task.gone", described, group="cluster")
        plugin.wrap("library:Task.run", described, group="cluster")
        found = status(scout)
        assert ("active", ("library:function", "library:Task.run")) == (found.state, found.wrapped)
        assert ("library:gone", "library:Task.gone") == found.not_found
    assert "gone" not in caplog.text


def test_a_late_target_that_is_invalid_is_shown_and_raises_in_tests(library):
    plugin = Plugin()
    with running(plugin) as scout:
        for _ in range(3):
            plugin.wrap("library.gone", described)
            plugin.wrap("library:Task.run", None)
        assert ["invalid-target", "invalid-describer"] == [problem.kind for problem in status(scout).problems]
        assert "active" == status(scout).state
    plugin = Plugin()
    with running(plugin, reraise=True), pytest.raises(PluginError, match="invalid target 'library.gone'"):
        plugin.wrap("library.gone", described)


def test_the_number_of_late_targets_is_limited_and_the_rest_is_counted(library, monkeypatch):
    monkeypatch.setattr(wrap_module, "MOST_LATE", 3)
    plugin = Plugin()
    with running(plugin) as scout:
        for number in range(4):
            plugin.wrap(f"library:gone{number}", described)
        plugin.wrap.object(library.Task, "run", described)
        (problem,) = status(scout).problems
        assert "too-many-targets" == problem.kind
        assert "3 targets were named after the start, and 2 more calls of wrap were ignored" == problem.detail


def test_after_the_stop_nothing_is_wrapped(library):
    plugin, before, finders = Plugin(), vars(library.Task)["run"], list(sys.meta_path)
    with running(plugin):
        pass
    plugin.wrap("library:Task.run", described)
    plugin.wrap.object(library.Task, "run", described)
    plugin.wrap.object(library.Task(), "run", described)
    assert vars(library.Task)["run"] is before
    assert finders == sys.meta_path


def test_a_plugin_that_has_failed_wraps_nothing_later(library, write_module):
    write_module("library_later", "")
    plugin, before = Plugin(target="library_later:gone"), vars(library.Task)["run"]
    with running(plugin) as scout:
        plugin.wrap.object(library.Task, "run", described)
        __import__("library_later")
        assert "failed" == status(scout).state
        plugin.wrap("library:Task.run", described)
        assert vars(library.Task)["run"] is before


def test_threads_that_name_targets_while_the_agent_stops_leave_nothing_behind(library):
    classes = [type(f"Task{number}", (), {"run": lambda self: None}) for number in range(200)]
    before = [vars(kind)["run"] for kind in classes]
    for number, kind in enumerate(classes):
        setattr(library, f"Task{number}", kind)
    plugin, start = Plugin(), threading.Barrier(3)

    def name(by_name):
        start.wait()
        for number, kind in enumerate(classes):
            if by_name:
                plugin.wrap(f"library:Task{number}.run", described)
            else:
                plugin.wrap.object(kind, "run", described)

    threads = [threading.Thread(target=name, args=(by_name,)) for by_name in (True, False)]
    with running(plugin):
        for thread in threads:
            thread.start()
        start.wait()
    for thread in threads:
        thread.join()

    assert before == [vars(kind)["run"] for kind in classes]


def test_two_threads_that_give_the_same_class_wrap_it_once(library):
    plugin = Plugin()
    with running(plugin) as scout:
        for _ in range(50):
            kind = type("Made", (), {"run": lambda self: None})
            start = threading.Barrier(4)

            def name(kind=kind, start=start):
                start.wait()
                plugin.wrap.object(kind, "run", described)

            threads = [threading.Thread(target=name) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert ["Work/call"] == recorded(scout, kind().run)


# Classes and modules


def test_a_class_that_appears_at_run_time_is_wrapped_until_the_stop(library):
    class Send(library.Task):
        def run(self, a):
            return ("send", a)

    plugin, before = Plugin(), vars(Send)["run"]
    with running(plugin) as scout:
        for _ in range(2):
            plugin.wrap.object(Send, "run", described)
        assert ["Work/call"] == recorded(scout, lambda: Send().run(1))
        assert ("send", 1) == Send().run(1)
        place = f"object {__name__}:{Send.__qualname__}.run"
        assert ("library:function", place) == status(scout).wrapped
    assert vars(Send)["run"] is before


def test_the_override_of_a_wrapped_method_is_wrapped_and_an_inherited_one_is_not_wrapped_again(library):
    plugin = Plugin(target="library:Task.run")

    class Send(library.Task):
        def run(self, a):
            return ("send", a)

    class Plain(library.Task):
        pass

    with running(plugin) as scout:
        assert [] == recorded(scout, lambda: Send().run(1))
        for kind in (Send, Plain):
            plugin.wrap.object(kind, "run", described)
        assert ["Work/call"] == recorded(scout, lambda: Send().run(1))
        assert ["Work/call"] == recorded(scout, lambda: Plain().run(1))
        assert () == status(scout).target_problems
    assert "run" not in vars(Plain)


@pytest.mark.parametrize("name", ["run", "steps", "static", "make"])
def test_a_class_is_freed_while_it_is_wrapped(library, name):
    plugin = Plugin()
    with running(plugin) as scout:
        kind = type("Made", (library.Task,), {name: vars(library.Task)[name]})
        plugin.wrap.object(kind, name, described)
        assert 2 == len(status(scout).wrapped) == len(status(scout).functions)
        reference = weakref.ref(kind)
        del kind
        gc.collect()
        assert reference() is None
        assert 1 == len(status(scout).wrapped) == len(status(scout).functions)


def test_classes_that_come_and_go_do_not_count_towards_the_limit(library, monkeypatch):
    monkeypatch.setattr(wrap_module, "MOST_LATE", 3)
    plugin = Plugin()
    with running(plugin) as scout:
        for _ in range(10):
            kind = type("Made", (), {"run": lambda self: None})
            plugin.wrap.object(kind, "run", described)
            assert ["Work/call"] == recorded(scout, kind().run)
            del kind
            gc.collect()
        assert () == status(scout).problems


def test_a_function_of_a_module_and_a_constructor_are_objects_too(library):
    plugin = Plugin(target=None)
    with running(plugin) as scout:
        plugin.wrap.object(library, "function", described)
        assert ["Work/call"] == recorded(scout, lambda: library.function(1))
        assert ("object library:function",) == status(scout).wrapped


# Single objects


@pytest.mark.parametrize("describer", [described, described_result])
def test_only_the_calls_of_one_object_are_described(library, describer):
    plugin, before = Plugin(), dict(vars(library.Task))
    task, other = library.Task(), library.Task()
    with running(plugin, reraise=True) as scout:
        plugin.wrap.object(task, "run", describer)
        assert ["Work/call"] == recorded(scout, lambda: task.run(1))
        assert [] == recorded(scout, lambda: other.run(1))
        assert ("task", 1) == task.run(1) == other.run(1)
        assert {} == vars(task) == vars(other)
        assert ("library:function", "object library:Task.run") == status(scout).wrapped
    assert before == dict(vars(library.Task))


def test_each_object_may_have_its_own_describer(library):
    plugin = Plugin()
    tasks = [library.Task() for _ in range(4)]
    with running(plugin, reraise=True) as scout:
        for number, task in enumerate(tasks):
            named = functools.partial(lambda number, task, a: span(f"Work/{number}"), number)
            plugin.wrap.object(task, "run", named)
            plugin.wrap.object(task, "run", described)  # named again
        plugin.wrap.object(tasks[3], "run", described_result)
        assert [["Work/0"], ["Work/1"], ["Work/2"], ["Work/3", "Work/call"]] == [
            recorded(scout, functools.partial(task.run, 1)) for task in tasks
        ]


def named(name):
    return lambda *args: span(f"Work/{name}")


def named_result(name):
    def describer(*args):
        yield span(f"Work/{name}")

    return describer


EXPECTED = {
    ("base", "sub"): {"base": ["base"], "sub": ["sub"]},
    ("base", "Base"): {"base": ["base"], "other": ["Base"], "sub": ["Base"]},
    ("base", "Sub"): {"base": ["base"], "sub": ["Sub"]},
    ("sub", "Base"): {"base": ["Base"], "other": ["Base"], "sub": ["sub"]},
    ("sub", "Sub"): {"sub": ["sub"]},
    ("base", "text"): {"base": ["base"], "other": ["text"], "sub": ["text"]},
    ("sub", "text"): {"base": ["text"], "other": ["text"], "sub": ["sub"]},
    ("own", "base"): {"base": ["base"], "own": ["own"]},
    ("own", "sub"): {"sub": ["sub"], "own": ["own"]},
}
"""Pairs of what is given to the spans of the calls of each object, whatever comes first."""


@pytest.mark.parametrize("pair", [*EXPECTED, *(pair[::-1] for pair in EXPECTED)], ids="-".join)
@pytest.mark.parametrize("makes", [(named, named), (named_result, named_result), (named, named_result)])
def test_each_call_has_one_span_whichever_of_object_and_class_is_given_first(library, pair, makes):
    class Base:
        def run(self, a):
            return a

    class Sub(Base):
        pass

    class Own(Base):
        def run(self, a):
            return super().run(a)

    library.Base, Base.__module__ = Base, "library"
    plugin, before = Plugin(), vars(Base)["run"]
    objects = {"base": Base(), "other": Base(), "sub": Sub(), "own": Own()}
    given = {**objects, "Base": Base, "Sub": Sub}
    with running(plugin, reraise=True) as scout:
        for make, name in zip(makes, pair, strict=True):
            if name == "text":
                plugin.wrap("library:Base.run", make(name))
            else:
                plugin.wrap.object(given[name], "run", make(name))
        found = {name: recorded(scout, functools.partial(task.run, 1)) for name, task in objects.items()}
    expected = EXPECTED.get(pair) or EXPECTED[pair[::-1]]
    found = {name: found[name] for name in objects if name != "own" or name in expected}
    assert {name: [f"Work/{describer}" for describer in expected.get(name, ())] for name in found} == found
    assert (before, False) == (vars(Base)["run"], "run" in vars(Sub))


def test_a_class_is_described_after_an_object_of_it_was_freed(library):
    plugin, task = Plugin(), library.Task()
    with running(plugin, reraise=True) as scout:
        plugin.wrap.object(task, "run", named("object"))
        del task
        plugin.wrap.object(library.Task, "run", named("class"))
        assert [["Work/class"]] * 20 == [recorded(scout, lambda: library.Task().run(1)) for _ in range(20)]


def test_an_async_method_and_a_generator_of_one_object(library):
    plugin, task, other = Plugin(), library.Task(), library.Task()
    with running(plugin, reraise=True) as scout:
        plugin.wrap.object(task, "run_async", described)
        plugin.wrap.object(task, "steps", described)
        assert ["Work/call"] == recorded(scout, lambda: asyncio.run(task.run_async(1)))
        assert ["Work/call"] == recorded(scout, lambda: list(task.steps(1)))
        assert [] == recorded(scout, lambda: (asyncio.run(other.run_async(1)), list(other.steps(1))))


def test_an_object_may_begin_transactions(library):
    plugin, task = Plugin(), library.Task()
    with running(plugin) as scout:
        plugin.wrap.object(task, "run", lambda task, a: transaction("Job/run"), root=True)
        task.run(1)
        library.Task().run(1)
        assert ["Job/run"] == scout.operations


# Headers


def calling(task, url, *args, **kwargs):
    return span("HTTP/GET", url=url)


def calling_result(task, url, *args, **kwargs):
    yield span("HTTP/GET", url=url)


def headers_only(task, url, *args, **kwargs):
    return trace_headers(url)


URL = "http://shop.example/"


@pytest.mark.parametrize("describer", [calling, calling_result])
def test_only_one_object_sends_headers(library, describer):
    plugin, before = Plugin(), dict(vars(library.Task))
    task, other = library.Task(), library.Task()
    with running(plugin, reraise=True) as scout:
        plugin.wrap.object(task, "send", describer, headers="headers", default_headers={})
        plugin.wrap.object(task, "send_async", describer, headers="headers", default_headers={})
        with transaction("Job/prices"):
            own = {"A": "b"}
            found = [task.send(URL, own), task.send(URL), asyncio.run(task.send_async(URL, headers=[("A", "b")]))]
            assert own is other.send(URL, own)
            assert asyncio.run(other.send_async(URL)) is None
        assert [call.span_id for call in scout.spans] == [
            read_context(dict(headers)["traceparent"]).parent_id for headers in found
        ]
        assert [{"A", "traceparent"}, {"traceparent"}, {"A", "traceparent"}] == [set(dict(sent)) for sent in found]
        assert {"A": "b"} == own
    assert before == dict(vars(library.Task))


def test_an_object_sends_headers_and_another_of_its_class_does_not(library):
    plugin, sender, timed = Plugin(), library.Task(), library.Task()
    with running(plugin, reraise=True) as scout:
        plugin.wrap.object(timed, "send", calling)
        plugin.wrap.object(sender, "send", headers_only, headers="headers", default_headers={})
        with transaction("Job/prices"):
            assert timed.send(URL) is None
            assert {"traceparent"} == sender.send(URL).keys()
        assert ["HTTP/GET", "Job/prices"] == scout.operations


@pytest.mark.parametrize("make", [lambda lib: lib.Task, lambda lib: type("Own", (), {"send": lib.Task.send})])
def test_a_class_that_is_given_sends_headers(library, make):
    plugin, kind = Plugin(), make(library)
    with running(plugin, reraise=True) as scout:
        plugin.wrap.object(kind, "send", calling, headers="headers", default_headers={})
        with transaction("Job/prices"):
            found = kind().send(URL)
        assert scout.spans[0].span_id == read_context(found["traceparent"]).parent_id


def test_a_function_among_the_attributes_of_one_object_sends_headers(library):
    plugin, task = Plugin(), library.Task()
    task.send = lambda url, headers=None: headers
    with running(plugin, reraise=True) as scout:
        plugin.wrap.object(
            task, "send", lambda url, headers=None: span("HTTP/GET", url=url), headers="headers", default_headers={}
        )
        with transaction("Job/prices"):
            found = task.send(URL)
        assert scout.spans[0].span_id == read_context(found["traceparent"]).parent_id


def test_an_object_that_is_given_in_instrument_sends_headers(library):
    task, plugin = library.Task(), ModuleType("late")
    plugin.instrument = hookimpl(lambda wrap: wrap.object(task, "send", calling, headers="headers", default_headers={}))
    with running(plugin, reraise=True), transaction("Job/prices"):
        assert {"traceparent"} == task.send(URL).keys()


@pytest.mark.parametrize(
    "name, parameter, reason",
    [
        ("run", "headers", "it has no parameter 'headers' for headers; it takes self, a"),
        ("send", "no name", "headers must be the name of a parameter"),
        ("steps", "a", "headers cannot be added to the call of a generator function"),
    ],
)
@pytest.mark.parametrize("make", [lambda lib: lib.Task(), lambda lib: lib.Task])
def test_an_object_that_cannot_send_headers_is_shown_with_the_reason(library, make, name, parameter, reason):
    plugin, target = Plugin(), make(library)
    with running(plugin) as scout:
        plugin.wrap.object(target, name, calling, headers=parameter)
        (problem,) = status(scout).target_problems
        assert reason in str(problem)
        assert "active" == status(scout).state


def test_an_object_is_freed_at_once(library):
    plugin, task = Plugin(), library.Task()
    reference = weakref.ref(task)
    gc.disable()
    try:
        with running(plugin) as scout:
            plugin.wrap.object(task, "run", described)
            bound = [task.run]
            del task
            assert ["Work/call"] == recorded(scout, lambda: bound[0](1))
            bound.clear()
            assert reference() is None
            assert [] == recorded(scout, lambda: library.Task().run(1))
    finally:
        gc.enable()


def test_a_function_among_the_attributes_of_one_object(library):
    plugin, task = Plugin(), library.Task()
    task.send = original = lambda a: ("own", a)
    reference = weakref.ref(task)
    gc.disable()
    try:
        with running(plugin) as scout:
            plugin.wrap.object(task, "send", described)
            assert ["Work/call"] == recorded(scout, functools.partial(task.send, 1))
            assert ("own", 1) == task.send(1)
            freed = library.Task()
            freed.send = original
            plugin.wrap.object(freed, "send", described)
            other = weakref.ref(freed)
            del freed
            assert other() is None
        assert task.send is original
        del task
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (lambda lib: lib.Task(), "gone", "library.Task has no gone"),
        (lambda lib: lib.Task(), "static", "its calls have no object; wrap the class"),
        (lambda lib: lib.Task(), "make", "its calls have no object; wrap the class"),
        (lambda lib: [], "append", "cannot create weak reference to 'list' object"),
        (lambda lib: {1}, "add", "builtins.set.add cannot be wrapped: the agent itself uses builtins"),
        (lambda lib: lib.Slots(), "run", "cannot create weak reference to 'Slots' object"),
        (lambda lib: __import__("collections").deque(), "append", "immutable type"),
        (lambda lib: None, "append", "cannot create weak reference to 'NoneType' object"),
        (lambda lib: lib.Task, "gone", "library.Task has no gone"),
    ],
)
def test_an_object_that_cannot_be_wrapped_is_shown_with_the_reason(library, make, name, reason):
    plugin, target = Plugin(), make(library)
    with running(plugin) as scout:
        for _ in range(3):
            plugin.wrap.object(target, name, described)
        found = status(scout)
        (problem,) = (*found.target_problems, *found.problems)
        assert reason in str(problem)
        assert "active" == found.state


def test_an_object_that_is_given_in_instrument_is_wrapped_after_it(library):
    task = library.Task()
    plugin = ModuleType("late")
    plugin.instrument = hookimpl(lambda wrap: wrap.object(task, "run", described))
    with running(plugin) as scout:
        assert ["Work/call"] == recorded(scout, lambda: task.run(1))


def test_the_number_of_objects_is_limited(monkeypatch, library):
    monkeypatch.setattr("scout_core.boundary.object_targets.MOST_OBJECTS", 2)
    chosen, tasks = _Chosen(set()), [library.Task() for _ in range(3)]

    assert [True, True, False, True] == [chosen.add(task, described) for task in (*tasks, tasks[0])]
    del tasks[0]
    assert chosen.add(tasks[1], described)


def test_a_faulty_describer_of_an_object_does_not_reach_the_application(library):
    plugin, task = Plugin(), library.Task()
    with running(plugin) as scout:
        plugin.wrap.object(task, "run", lambda task, a: 1 / 0)
        for _ in range(11):
            with transaction("Job/mail.send"):
                assert ("task", 1) == task.run(1)
        assert "quarantined" == status(scout).state
        assert "object library:Task.run is switched off: 10 errors in a row" in status(scout).reason
