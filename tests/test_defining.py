"""Targets that name a re-export, and the module that defines what they mean."""

from __future__ import annotations

import concurrent.futures
import importlib
import json
import sys
from types import ModuleType

import attrs
import pytest

from scout_core.testing.rules.defining import defining_name

PARTS = """
import functools

def function():
    pass

def decorator(function):
    @functools.wraps(function)
    def wrapper():
        return function()
    return wrapper

class Client:
    def execute(self):
        pass

    class Inner:
        def run(self):
            pass

class Empty:
    pass

class Child(Client):
    @classmethod
    def make(cls):
        pass

def local():
    class Local:
        def run(self):
            pass
    return Local
"""


@pytest.fixture
def library(monkeypatch):
    parts, top = ModuleType("library.parts"), ModuleType("library")
    exec(PARTS, parts.__dict__)
    exec("def own(): pass\n\nclass Own:\n    def run(self): pass", top.__dict__)
    vars(top).update(
        {name: value for name, value in vars(parts).items() if not name.startswith("__")},
        parts=parts,
        Renamed=parts.Client,
        Local=parts.local(),
        attribute=5,
        decorated=parts.decorator(top.own),
        builtin=len,
    )
    monkeypatch.setitem(sys.modules, "library", top)
    monkeypatch.setitem(sys.modules, "library.parts", parts)
    return top


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("library:function", "library.parts:function"),
        ("library:Client.execute", "library.parts:Client.execute"),
        ("library:Client.Inner.run", "library.parts:Client.Inner.run"),
        ("library:Renamed.execute", "library.parts:Client.execute"),
        ("library:Child.make", "library.parts:Child.make"),
        ("library:Child.execute", "library.parts:Child.execute"),
        ("library:Empty.missing", "library.parts:Empty.missing"),
        ("library:parts.Client.execute", "library.parts:Client.execute"),
        ("library:parts.function", "library.parts:function"),
        ("library.parts:function", None),
        ("library.parts:Client.execute", None),
        ("library.parts:Child.execute", None),
        ("library:own", None),
        ("library:Own.run", None),
        ("library:Local.run", None),
        ("library:decorated", None),
        ("library:builtin", None),
        ("library:attribute", None),
        ("library:missing", None),
        ("not_imported_library:function", None),
    ],
)
@pytest.mark.parametrize("shown", ["", "library"], ids=["plain", "renamed"])
def test_the_code_decides_which_module_defines_a_target(library, target, expected, shown):
    """Some libraries set ``__module__`` of everything to the package that users import from."""
    if shown:
        for name in ("Client", "Child", "function"):
            getattr(library, name).__module__ = shown

    assert expected == defining_name(target)


def test_classes_with_generated_methods(library):
    made = attrs.make_class("Made", ["number"])
    made.__module__ = "library.parts"
    library.Made = library.parts.Made = made

    assert "library.parts:Made.method" == defining_name("library:Made.method")
    assert defining_name("library.parts:Made.method") is None


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("concurrent.futures:ThreadPoolExecutor.submit", "concurrent.futures.thread:ThreadPoolExecutor.submit"),
        ("json:JSONDecoder.decode", "json.decoder:JSONDecoder.decode"),
        ("json:dumps", None),
        ("json.decoder:JSONDecoder.decode", None),
        ("string:Template.substitute", None),
        ("random:choice", None),
    ],
)
def test_targets_of_the_standard_library(target, expected):
    assert all((concurrent.futures.ThreadPoolExecutor, json.JSONDecoder))
    importlib.import_module(target.partition(":")[0])

    assert expected == defining_name(target)
