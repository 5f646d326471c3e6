"""Failures that an object of the application causes: each counts once, so one bad view does not end the recording of others."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from scout_core.boundary.blame import culprit_in_application
from scout_core.boundary.failures import MAX_CULPRITS
from scout_core.boundary.guard import Guard

SHOP = """
class Named:
    @property
    def __name__(self):
        raise RuntimeError("no name")

class Meta(type):
    def __getattr__(cls, name):
        raise KeyError(name)

class Attribute(metaclass=Meta):
    pass

class Text:
    def __format__(self, *spec):
        raise SystemExit(3)

class Compared:
    def __eq__(self, other):
        return 1 / 0
    __hash__ = None

class Plain:
    @property
    def name(self):
        return {}["name"]

    def describe(self):
        import json
        return json.loads("nonsense")

class Cancelled:
    @property
    def name(self):
        import asyncio
        raise asyncio.CancelledError

class Good:
    __name__ = name = "good"

    def describe(self):
        return "good"

def helper(view):
    raise LookupError("of the shop")
"""
PLUGIN = """
def name(view):
    return f"View/{view.__name__}"

def attribute(view):
    return view.name

def text(view):
    return f"{view}"

def compared(view):
    return view == 3

def called(view):
    return view.describe()

def with_result(view):
    result = yield "span"
    result.name

def own_error(view):
    raise KeyError("plan")

def own_helper(view):
    return own_error(view)

def of_the_library(view):
    import shoplib.parts
    shoplib.parts.find(view)

def of_the_standard_library(view):
    import json
    json.loads("nonsense")
"""
LIBRARY = """
def find(view):
    raise LookupError("of the library")

def evaluate(view):
    return view.name
"""


def module(name: str, source: str, monkeypatch) -> ModuleType:
    made = ModuleType(name)
    exec(compile(source, f"/srv/{name.replace('.', '/')}.py", "exec"), made.__dict__)
    monkeypatch.setitem(sys.modules, name, made)
    return made


@pytest.fixture
def shop(monkeypatch):
    return module("shop.views", SHOP, monkeypatch)


@pytest.fixture
def plugin(monkeypatch):
    module("shoplib", "", monkeypatch)
    module("shoplib.parts", LIBRARY, monkeypatch)
    return module("scout_shoplib", PLUGIN, monkeypatch)


def guard_of(function, **options) -> Guard:
    return Guard("shoplib", "shoplib.app:App.dispatch", function, module="scout_shoplib", **options)


OF_APPLICATION = [
    ("name", "Named"), ("attribute", "Attribute"), ("text", "Text"), ("compared", "Compared"), ("attribute", "Plain"),
    ("called", "Plain"), ("attribute", "Cancelled"),
]  # fmt: skip


@pytest.mark.parametrize(("describer", "view"), OF_APPLICATION)
@pytest.mark.parametrize("times", [10, 1000])
def test_one_bad_view_does_not_switch_off_a_describer(shop, plugin, describer, view, times):
    guard = guard_of(getattr(plugin, describer))
    for _ in range(times):
        assert guard.run(getattr(shop, view)() if view != "Attribute" else shop.Attribute) is None

    assert (times, None) == (guard.failures.count, guard.off)
    assert "/srv/shop/views.py" in [file for file, _, _ in guard.failures.last.frames]
    assert str(guard.failures.last).endswith("(code of the application, counted once)")
    if describer in ("name", "attribute", "called"):
        assert str(guard.run(shop.Good())).endswith("good")


@pytest.mark.parametrize("describer", ["own_error", "own_helper", "of_the_library", "of_the_standard_library", "name"])
def test_what_the_plugin_causes_counts_for_every_input(shop, plugin, describer):
    guard = guard_of(getattr(plugin, describer))
    for _ in range(10):
        assert guard.off is None
        guard.run(object())

    assert "10 errors in a row" == str(guard.off)
    assert "application" not in str(guard.failures.last)


def test_ten_bad_views_in_a_row_do(shop, plugin, monkeypatch):
    """A function that works for none of them is not spared."""
    guard = guard_of(plugin.attribute)
    for number in range(10):
        assert guard.off is None
        views = module(f"shop.views{number}", SHOP, monkeypatch)
        for _ in range(3):
            guard.run(views.Plain())

    assert ("10 errors in a row", 28) == (str(guard.off), guard.failures.count)


def test_bad_views_between_good_ones_do_not(shop, plugin):
    guard = guard_of(plugin.attribute)
    for number in range(1000):
        guard.run((shop.Plain, shop.Good, shop.Cancelled)[number % 3]())

    assert (667, None) == (guard.failures.count, guard.off)


def test_a_bad_result_counts_once_too(shop, plugin):
    guard = guard_of(plugin.with_result, has_steps=True)
    for _ in range(50):
        generator, _ = guard.begin((shop.Good(),), {})
        try:
            guard.finish(generator.send, shop.Plain())
        except StopIteration:
            raise AssertionError from None

    assert (50, None) == (guard.failures.count, guard.off)


def test_the_library_may_pass_on_what_an_object_raises(shop, plugin):
    guard = guard_of(sys.modules["shoplib.parts"].evaluate)
    for _ in range(20):
        guard.run(shop.Plain())

    assert guard.off is None


def test_in_a_module_of_the_application_that_is_a_plugin_its_own_functions_count(shop):
    own = Guard("shop.views", "score_transaction", lambda view: shop.helper(view), module="shop.views")
    for _ in range(10):
        own.run(None)
    looked_at = Guard("shop.views", "score_transaction", lambda view: view == 3, module="shop.views")
    for _ in range(10):
        looked_at.run(shop.Compared())

    assert ("10 errors in a row", None) == (str(own.off), looked_at.off)


class BadHere:
    @property
    def __name__(self):
        raise RuntimeError("no name")


def test_an_object_of_the_plugin_s_own_module_may_be_bad_as_well():
    guard = Guard("shoplib", "shoplib:call", lambda view: view.__name__)
    for _ in range(20):
        guard.run(BadHere())

    assert "good" == guard.run(type("Good", (), {"__name__": "good"})())


def test_a_full_stack_is_not_the_describer_s_fault():
    guard = Guard("shoplib", "shoplib:call", lambda: [len, (lambda: None)()])
    results = []

    def descend():
        results.append(guard.run())
        descend()

    for _ in range(20):
        with pytest.raises(RecursionError):
            descend()
    endless = Guard("shoplib", "shoplib:call", lambda: endless.function())
    for _ in range(10):
        endless.run()

    assert (None, "10 errors in a row") == (guard.off, str(endless.off))


def test_functions_of_the_application_are_remembered_up_to_a_limit(plugin):
    guard = guard_of(plugin.attribute)
    guard.failures.culprits.update(("/srv/shop.py", number, "name") for number in range(MAX_CULPRITS))
    guard.failures.is_known(("/srv/shop.py", MAX_CULPRITS, "name"))

    assert MAX_CULPRITS == len(guard.failures.culprits)


def test_without_a_traceback_the_plugin_is_at_fault():
    assert culprit_in_application(KeyError("plan"), plugin="scout_shoplib", target="shoplib:call") is None
