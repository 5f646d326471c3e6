"""Targets that belong together: two wrappers of one call, groups, everything that is wrong, all reported at once."""

from __future__ import annotations

import functools
import sys
from contextlib import contextmanager
from types import ModuleType

import pytest

from scout_core import hookimpl, span, transaction
from scout_core.errors import PluginError
from scout_core.problems import Problem
from scout_core.testing import recording
from scout_core.testing.leaks import raw_target

SOURCE = """
import functools, zlib

def function(a):
    return ("function", a)

async def coroutine(a):
    return ("coroutine", a)

def generator(a):
    yield a

@functools.lru_cache
def cached(a):
    return ("cached", a)

class Client:
    def execute(self, name):
        return ("execute", name)

    def send(self, name):
        return ("send", name)

class Pipeline(Client):
    pass

class Thing:
    def __init__(self, a):
        self.a = a
"""


@pytest.fixture
def library(monkeypatch):
    module = ModuleType("library")
    exec(SOURCE, module.__dict__)
    monkeypatch.setitem(sys.modules, "library", module)
    return module


@pytest.fixture
def write_module(monkeypatch, tmp_path):
    """Write a module that can be imported during the test."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield lambda name, source: (tmp_path / f"{name}.py").write_text(source)
    for name in set(sys.modules) - before:
        if name.startswith("library_"):
            del sys.modules[name]


@contextmanager
def instrumented(*instruments, reraise=False, **settings):
    plugins = []
    for number, instrument in enumerate(instruments):
        plugins.append(ModuleType(f"plugin{number}"))
        plugins[-1].instrument = hookimpl(instrument)
    with recording(plugins=plugins, plugins_reraise=reraise, **settings) as scout:
        yield scout


def status(scout, name="plugin0"):
    (found,) = [status for status in scout.agent.plugin_statuses() if status.name == name]
    return found


def described(*args, **kwargs):
    return span("Work/call")


def passed_on(wrapped, instance, args, kwargs):
    return wrapped(*args, **kwargs)


# A describer and a function that changes the call


CALLS = {
    "function": lambda lib: lib.function(1),
    "cached": lambda lib: lib.cached(1),
    "Client.execute": lambda lib: lib.Client().execute(1),
    "Pipeline.execute": lambda lib: lib.Pipeline().execute(1),
    "generator": lambda lib: next(lib.generator(1)),
}


@pytest.mark.parametrize("target", CALLS)
@pytest.mark.parametrize("order", ["describer", "around"])
def test_the_one_that_is_named_later_is_around_the_other(library, target, order):
    before, seen = raw_target(f"library:{target}"), []

    def describe(*args):
        seen.append(("described", args[-1]))
        return span("Work/call")

    def change(wrapped, instance, args, kwargs):
        seen.append(("changed", args[-1]))
        with span("Work/change"):
            return wrapped(2)

    def instrument(wrap):
        if order == "describer":
            wrap(f"library:{target}", describe)
            wrap.around(f"library:{target}", change)
        else:
            wrap.around(f"library:{target}", change)
            wrap(f"library:{target}", describe)

    with instrumented(instrument, reraise=True) as scout:
        with transaction("Job/mail.send"):
            result = CALLS[target](library)
        assert (f"library:{target}",) * 2 == status(scout).wrapped
        assert () == status(scout).target_problems

    assert 2 in (result if isinstance(result, tuple) else (result,))
    inner, outer = ("described", "changed") if order == "describer" else ("changed", "described")
    assert [(outer, 1), (inner, 2 if order == "describer" else 1)] == seen
    if target != "generator":  # its span begins with its first step
        operations = ["Work/call", "Work/change"]
        assert [*(operations if order == "describer" else reversed(operations)), "Job/mail.send"] == scout.operations
    assert before is raw_target(f"library:{target}")


@pytest.mark.parametrize("role", ["describer", "around"])
def test_two_wrappers_of_the_same_kind_are_one(library, role):
    """Each call would be two spans, or get its header twice: a loop names one target twice, or by two names."""

    def instrument(wrap):
        for _ in range(2):
            if role == "describer":
                wrap("library:function", described)
            else:
                wrap.around("library:function", passed_on)
        wrap("library:Client.execute", described)
        wrap("library:Pipeline.execute", described)

    with instrumented(instrument) as scout:
        with transaction("Job/mail.send"):
            library.function(1)
            library.Pipeline().execute(1)
        spans = ["Work/call"] * (2 if role == "describer" else 1)
        assert [*spans, "Job/mail.send"] == scout.operations
        assert [
            Problem("unsupported-target", target, f"{target}: this plugin has already wrapped it")
            for target in ("library:function", "library:Pipeline.execute")
        ] == [*status(scout).target_problems]


def test_a_call_of_a_subclass_may_be_changed_where_that_of_its_base_is_described(library):
    def instrument(wrap):
        wrap("library:Client.execute", described)
        wrap.around("library:Pipeline.execute", lambda wrapped, instance, args, kwargs: wrapped(2))

    before = dict(vars(library.Client)), dict(vars(library.Pipeline))
    with instrumented(instrument, reraise=True) as scout:
        with transaction("Job/mail.send"):
            assert ("execute", 1) == library.Client().execute(1)
            assert ("execute", 2) == library.Pipeline().execute(1)
        assert 3 == len(scout.operations)
    assert before == (dict(vars(library.Client)), dict(vars(library.Pipeline)))


def test_a_plugin_that_fails_later_is_undone_above_another(library, write_module):
    write_module("library_later", "def other():\n    pass\n")

    def first(wrap):
        wrap("library:function", described)

    def second(wrap):
        wrap.around("library:function", passed_on)
        wrap("library:function", described)
        wrap("library_later:gone", described)

    before = library.function
    with instrumented(first, second) as scout:
        __import__("library_later")
        with transaction("Job/mail.send"):
            assert ("function", 1) == library.function(1)
        assert ["Work/call", "Job/mail.send"] == scout.operations
        assert "failed" == status(scout, "plugin1").state
    assert before is library.function


# Groups


def test_a_group_with_a_missing_target_is_not_wrapped_and_the_rest_is(library):
    def instrument(wrap):
        wrap("library:function", described)
        wrap("library:Client.execute", described, group="cluster")
        wrap.around("library:Client.execute", passed_on, group="cluster")
        wrap("library:Client.gone", described, group="cluster")
        wrap("library:Client.optional", described, group="cluster", optional=True)
        wrap("library:Client.gone_too", described, group="cluster")
        wrap("library:Client.send", described, group="other")
        wrap("library:coroutine", described, group="cluster")

    before = raw_target("library:Client.execute"), library.coroutine
    with instrumented(instrument) as scout:
        found = status(scout)
        assert before == (raw_target("library:Client.execute"), library.coroutine)
        with transaction("Job/mail.send"):
            library.Client().execute(1)
            library.Client().send(1)
            library.function(1)
        assert ["Work/call", "Work/call", "Job/mail.send"] == scout.operations

    reason = "its group 'cluster' is incomplete without library:Client.gone and library:Client.gone_too"
    assert ("active", ("library:function", "library:Client.send"), ()) == (found.state, found.wrapped, found.waiting)
    assert [
        ("incomplete-group", f"library:Client.execute: {reason}"),
        ("incomplete-group", f"library:Client.execute: {reason}"),
        ("missing-target", "library:Client.gone: library.Client has no gone"),
        ("incomplete-group", f"library:Client.optional: {reason}"),
        ("missing-target", "library:Client.gone_too: library.Client has no gone_too"),
        ("incomplete-group", f"library:coroutine: {reason}"),
    ] == [(problem.kind, problem.detail) for problem in found.target_problems]
    assert ("library:Client.gone", "library:Client.gone_too") == found.not_found
    assert found.next_step is None, "what belongs to a group may be missing, so nothing is wrong"


def test_an_optional_target_of_a_group_may_be_missing(library):
    def instrument(wrap):
        wrap("library:Client.execute", described, group="cluster")
        wrap("library:Client.gone", described, group="cluster", optional=True)

    with instrumented(instrument) as scout:
        assert ("library:Client.execute",) == status(scout).wrapped
        assert ("library:Client.gone",) == status(scout).not_found


def test_a_group_is_undone_when_a_module_that_is_imported_later_lacks_a_target(library, write_module):
    write_module("library_cluster", "def other():\n    pass\n")

    def instrument(wrap):
        wrap("library:function", described)
        wrap("library:Client.execute", described, group="cluster")
        wrap("library_cluster:gone", described, group="cluster")

    before = raw_target("library:Client.execute")
    with instrumented(instrument) as scout:
        assert ("library:function", "library:Client.execute") == status(scout).wrapped
        covering = library.Client.execute
        library.Client.execute = functools.wraps(covering)(lambda *args: covering(*args))
        __import__("library_cluster")
        assert ("library:function",) == status(scout).wrapped
        with transaction("Job/mail.send"):
            library.Client().execute(1)  # ours beneath it cannot be removed, and does nothing
        assert ["Job/mail.send"] == scout.operations
        library.Client.execute = before


def test_a_plugin_fails_when_all_of_its_targets_are_in_incomplete_groups(library):
    with instrumented(lambda wrap: wrap("library:gone", described, group="cluster")) as scout:
        found = status(scout)
    assert ("failed", "library:gone: library has no gone") == (found.state, found.reason)


# Several problems


def test_all_invalid_targets_and_describers_are_reported_at_once(library):
    def instrument(wrap):
        wrap("library.function", described)
        wrap("library:function", None)
        wrap.around("library:", passed_on)
        wrap("library:function", described)

    before = library.function
    with pytest.raises(PluginError) as caught, instrumented(instrument):
        pass
    expected = [
        "invalid target 'library.function'; expected 'module:Class.method' or 'module:function'",
        "describer for library:function must be callable, got None",
        "invalid target 'library:'; expected 'module:Class.method' or 'module:function'",
    ]
    assert "; ".join(expected) in str(caught.value)
    with pytest.raises(PluginError) as caught, instrumented(instrument, reraise=True):
        pass
    assert "; ".join(expected) in str(caught.value)
    assert before is library.function


def test_invalid_targets_are_reported_beside_an_exception_of_instrument(library):
    def instrument(wrap):
        wrap("library.function", described)
        raise KeyError("plan")

    with pytest.raises(PluginError, match=r"invalid target 'library.function'.*instrument raised KeyError: 'plan'"):
        instrumented(instrument).__enter__()


def reasons(scout):
    return [problem.detail for problem in status(scout).problems]


NOTHING = "none of its targets is wrapped"


def test_all_missing_targets_of_a_module_that_is_imported_later_are_reported_at_once(library, write_module, caplog):
    write_module("library_late", "def there():\n    pass\n")

    def instrument(wrap):
        wrap("library:function", described)
        wrap("library_late:there", described)
        wrap("library_late:gone", described)
        wrap("library_late:Client.gone", described)
        wrap("library_late:optional", described, optional=True)
        wrap("library_late:in_group", described, group="cluster")

    with instrumented(instrument) as scout:
        __import__("library_late")
        assert [
            "library_late:gone: library_late has no gone", "library_late:Client.gone: library_late has no Client", NOTHING,
        ] == reasons(scout)  # fmt: skip
        assert ("library_late:gone", "library_late:Client.gone") == status(scout).not_found
        (record,) = [record for record in caplog.records if "library_late" in record.getMessage()]
        assert "library_late:gone: library_late has no gone; library_late:Client.gone" in record.getMessage()


def test_missing_targets_of_modules_that_are_imported_after_the_plugin_has_failed_are_added(
    library, write_module, caplog
):
    for name in ("library_one", "library_two", "library_three"):
        write_module(name, "def there():\n    pass\n")

    def instrument(wrap):
        wrap("library_one:gone", described)
        wrap("library_two:gone", described)
        wrap("library_three:there", described)

    with instrumented(instrument) as scout:
        for name in ("library_one", "library_two", "library_three"):
            __import__(name)
        assert [
            "library_one:gone: library_one has no gone",
            "library_two:gone: library_two has no gone",
            NOTHING,
        ] == reasons(scout)
        assert ("library_one:gone", "library_two:gone") == status(scout).not_found
        texts = [record.getMessage() for record in caplog.records if NOTHING in record.getMessage()]
        assert [1, 2] == [text.count(" has no gone") for text in texts]


def test_missing_targets_are_reported_with_those_that_are_invalid(library):
    def instrument(wrap):
        wrap("library.function", described)
        wrap("library:gone", described)
        wrap("library:function", 3)
        raise KeyError("plan")

    plugin = ModuleType("plugin1")
    plugin.instrument = hookimpl(instrument)
    with recording(plugins=[], plugins_autoload=False) as scout:
        agent = scout.agent
        agent.plugins.hooks.reraise = False
        agent.plugins.add_object(plugin, "plugin1")
        agent.plugins.instrument()
        found = [problem.detail for problem in status(scout, "plugin1").problems]

    assert 4 == len(found)
    for part in (
        "invalid target",
        "must be callable, got 3",
        "instrument raised KeyError",
        "library:gone: library has no gone",
    ):
        assert 1 == sum(part in text for text in found), found


def test_all_missing_targets_are_reported_at_once(library):
    def instrument(wrap):
        wrap("library:function", described)
        wrap("library:gone", described)
        wrap("library:optional", described, optional=True)
        wrap("library:Client.gone", described)
        wrap("library:Thing.__len__", described)

    before = library.function
    with pytest.raises(PluginError) as caught, instrumented(instrument):
        pass
    assert (
        "library:gone: library has no gone; library:Client.gone: library.Client has no gone;"
        " library:Thing.__len__: library.Thing has no __len__; none of its targets is wrapped" in str(caught.value)
    )
    assert "optional" not in str(caught.value)
    assert before is library.function
