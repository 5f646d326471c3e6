"""Targets that a function cannot replace: partial objects, cached functions, functions written in C, callable objects."""

from __future__ import annotations

import asyncio
import collections
import copy
import functools
import inspect
import os
import pickle
import random
import subprocess
import sys
import zlib
from types import ModuleType

import pytest
import wrapt

from scout_core import hookimpl, span, transaction
from scout_core.boundary.wrap import why_not_wrapped
from scout_core.testing import recording
from scout_core.testing.leaks import raw_target

SOURCE = '''
import collections, functools, zlib
import wrapt

def function(a, b=2):
    """A docstring."""
    return ("function", a, b)

async def coroutine(a):
    return ("coroutine", a)

async def coroutine_of(self, a):
    return ("coroutine", self.name, a)

@functools.lru_cache
def cached(a):
    return ("cached", a)

def generator(a):
    yield a
    yield a + 1

partial_generator = functools.partial(generator)

partial = functools.partial(function, b=5)
partial_async = functools.partial(coroutine)
compress = zlib.compress

@wrapt.decorator
def theirs(wrapped, instance, args, kwargs):
    return ("theirs", instance, wrapped(*args, **kwargs))

decorated = theirs(function)

class Greeter:
    def __init__(self, text):
        self.text = text

    def __call__(self, name):
        return f"{self.text} {name}"

    def __len__(self):
        return 7

    def __next__(self):
        return "next"

class AsyncGreeter(Greeter):
    async def __call__(self, name):
        return f"{self.text} {name}"

greet = Greeter("hello")
greet_async = AsyncGreeter("hello")

class Binding:
    """A descriptor that is not callable, and does something else for the class than for an instance."""

    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner):
        return functools.partial(self.function, owner if instance is None else instance)

class Command:
    """A descriptor that is not callable, and gives itself to those who read it from the class."""

    def __init__(self, function):
        self.function = function

    def __get__(self, instance, owner=None):
        return self if instance is None else functools.partial(self.function, instance)

class Lazy(Command):
    def __get__(self, instance, owner=None):
        return self if instance is None else self.function(instance)

class Base:
    def __init__(self, name):
        self.name = name

    def method(self, a, b=2):
        return ("method", self.name, a, b)

    @functools.lru_cache
    def cached(self, a):
        return ("cached", self.name, a)

    part = functools.partialmethod(method, b=9)

    def steps(self, a):
        yield self.name
        yield a

    part_steps = functools.partialmethod(steps, 3)
    their_steps = theirs(steps)
    held = staticmethod(functools.partial(function, 1))
    kept = classmethod(functools.partial(function, b=3))
    length = len
    compress = zlib.compress
    greet = Greeter("hello")
    command = Command(lambda self, a: ("command", self.name, a))
    command_async = Command(coroutine_of)
    lazy = Lazy(lambda self: [self.name])
    binding = Binding(lambda owner, a: ("binding", owner if isinstance(owner, type) else owner.name, a))

    @functools.singledispatchmethod
    def dispatch(self, a):
        return ("object", self.name, a)

    @dispatch.register
    def _(self, a: int):
        return ("int", self.name, a)

    @theirs
    def decorated(self, a):
        return ("decorated", self.name, a)

    @theirs
    @classmethod
    def decorated_class(cls, a):
        return ("decorated", cls, a)

    @theirs
    @staticmethod
    def decorated_static(a):
        return ("decorated", a)

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        return type(other) is type(self) and self.name == other.name

class Derived(Base):
    pass

class Table(collections.OrderedDict):
    pass
'''


def instrumented(target, described, *, steps=False, around=False):
    """Run an agent with a plugin that wraps one target and collects the arguments of its calls."""

    def describe(*args, **kwargs):
        described.append((args, kwargs))
        return span("Work/call")

    def describe_result(*args, **kwargs):
        described.append((args, kwargs))
        described.append((yield span("Work/call")))

    def replace(wrapped, instance, args, kwargs):
        described.append((instance, args, kwargs))
        return wrapped(*args, **kwargs)

    plugin = ModuleType("odd")

    @hookimpl
    def instrument(wrap):
        if around:
            wrap.around(target, replace)
        else:
            wrap(target, describe_result if steps else describe)

    plugin.instrument = instrument
    return recording(plugins=[plugin], plugins_reraise=True)


def base(lib):
    return lib.Base("b")


# Target: what to call, and the arguments that its describer gets.
CALLS = {
    "partial": (lambda lib: lib.partial(1), lambda lib: (1,)),
    "cached": (lambda lib: lib.cached(1), lambda lib: (1,)),
    "compress": (lambda lib: lib.compress(b"text"), lambda lib: (b"text",)),
    "greet": (lambda lib: lib.greet("you"), lambda lib: ("you",)),
    "decorated": (lambda lib: lib.decorated(1), lambda lib: (1,)),
    "Base.part": (lambda lib: base(lib).part(1), lambda lib: (base(lib), 1)),
    "Base.cached": (lambda lib: base(lib).cached(1), lambda lib: (base(lib), 1)),
    "Base.held": (lambda lib: base(lib).held(5), lambda lib: (5,)),
    "Base.kept": (lambda lib: lib.Derived.kept(), lambda lib: (lib.Derived,)),
    "Base.length": (lambda lib: base(lib).length("four"), lambda lib: ("four",)),
    "Base.compress": (lambda lib: base(lib).compress(b"text"), lambda lib: (b"text",)),
    "Base.greet": (lambda lib: base(lib).greet("you"), lambda lib: ("you",)),
    "Base.binding": (lambda lib: base(lib).binding(1), lambda lib: (base(lib), 1)),
    "Base.command": (lambda lib: base(lib).command(1), lambda lib: (base(lib), 1)),
    "Base.dispatch": (lambda lib: (base(lib).dispatch(1),), lambda lib: (base(lib), 1)),
    "Base.decorated": (lambda lib: base(lib).decorated(1), lambda lib: (base(lib), 1)),
    "Base.decorated_class": (lambda lib: lib.Derived.decorated_class(1), lambda lib: (lib.Derived, 1)),
    "Base.decorated_static": (lambda lib: base(lib).decorated_static(1), lambda lib: (1,)),
    "Derived.cached": (lambda lib: lib.Derived("d").cached(1), lambda lib: (lib.Derived("d"), 1)),
    "Table.get": (lambda lib: lib.Table(a=1).get("a"), lambda lib: (lib.Table(a=1), "a")),
    "Table.__contains__": (lambda lib: "a" in lib.Table(a=1), lambda lib: (lib.Table(a=1), "a")),
    "Table.fromkeys": (lambda lib: lib.Table.fromkeys("a"), lambda lib: (lib.Table, "a")),
}
OF_INSTANCES = [target for target in CALLS if target in ("Base.part", "Base.cached", "Base.decorated", "Table.get")]


@pytest.mark.parametrize("target", CALLS)
def test_a_call_is_described_with_its_arguments_and_everything_is_restored(library, target):
    call, arguments = CALLS[target]
    expected, before = call(library), raw_target(f"library:{target}")
    names = {name: set(vars(owner)) for name, owner in vars(library).items() if isinstance(owner, type)}
    described = []

    with instrumented(f"library:{target}", described) as scout:
        outside = call(library)
        with transaction("Job/mail.send"):
            result = call(library)
        assert ["Work/call", "Job/mail.send"] == scout.operations

    assert (expected, expected) == (outside, result)
    assert [(arguments(library), {})] == described
    assert raw_target(f"library:{target}") is before
    assert names == {name: set(vars(owner)) for name, owner in vars(library).items() if isinstance(owner, type)}


@pytest.mark.parametrize("target", CALLS)
def test_a_describer_that_yields_sees_the_result(library, target):
    call, arguments = CALLS[target]
    described = []

    with instrumented(f"library:{target}", described, steps=True), transaction("Job/mail.send"):
        result = call(library)

    seen = (result,) if target != "Base.dispatch" else result
    assert [(arguments(library), {}), *seen] == described


@pytest.mark.parametrize("target", CALLS)
def test_wrap_around_gets_the_call_and_its_instance(library, target):
    call, arguments = CALLS[target]
    expected, described = call(library), []

    with instrumented(f"library:{target}", described, around=True):
        assert expected == call(library)

    given = arguments(library)
    has_instance = bool(given) and isinstance(given[0], (library.Base, library.Table, type))
    assert [(given[0], given[1:], {}) if has_instance else (None, given, {})] == described


@pytest.mark.parametrize("target", OF_INSTANCES)
def test_a_method_may_be_called_through_its_class(library, target):
    owner, name = getattr(library, target.split(".")[0]), target.split(".")[1]
    instance, argument = (owner(a=1), "a") if owner is library.Table else (owner("b"), 1)
    expected, described = getattr(owner, name)(instance, argument), []

    with instrumented(f"library:{target}", described) as scout, transaction("Job/mail.send"):
        result = getattr(owner, name)(instance, argument)

    assert (expected, [((instance, argument), {})]) == (result, described)
    assert 2 == len(scout.operations)


def test_a_descriptor_that_binds_classes_differently_is_asked_once_and_decides_itself(library):
    described = []
    with instrumented("library:Base.binding", described), transaction("Job/mail.send"):
        assert ("binding", library.Base, 1) == library.Base.binding(1)
        assert ("binding", library.Derived, 1) == library.Derived.binding(1)
        assert ("binding", "b", 1) == base(library).binding(1)


def test_a_descriptor_that_gives_itself_is_still_read_from_the_class(library):
    original = library.Base.command
    with instrumented("library:Base.command", []):
        assert library.Base.command is library.Base.__dict__["command"]
        assert (type(original), original.function) == (library.Base.command.__class__, library.Base.command.function)
        assert "command" not in vars(base(library))
    assert original is library.Base.command


def test_an_async_call_of_what_a_descriptor_gives_is_a_span_until_it_has_been_awaited(library):
    async def main():
        with transaction("Job/mail.send"):
            waiting = base(library).command_async(1)
            with span("Shop/Between"):
                pass
            return await waiting

    with instrumented("library:Base.command_async", []) as scout:
        assert ("coroutine", "b", 1) == asyncio.run(main())
        assert ["Shop/Between", "Work/call", "Job/mail.send"] == scout.operations


def test_a_descriptor_that_gives_a_value_passes_it_and_is_shown(library):
    described = []
    with instrumented("library:Base.lazy", described) as scout, transaction("Job/mail.send"):
        found = base(library).lazy
        found.append(1)

        assert (list, ["b", 1]) == (type(found), found)
        problems = [problem for status in scout.agent.plugin_statuses() for problem in status.problems]
    text = "reading library:Base.lazy gives a value of type list, which is not called, so nothing is recorded"

    assert [("not-called", "library:Base.lazy", text)] == [
        (problem.kind, problem.subject, problem.detail) for problem in problems if problem.kind == "not-called"
    ]
    assert [] == described


@pytest.mark.parametrize("target", ["partial_async", "greet_async"])
def test_an_async_call_is_a_span_until_it_has_been_awaited(library, target):
    described = []

    async def main():
        with transaction("Job/mail.send"):
            waiting = getattr(library, target)("you")
            with span("Shop/Between"):
                pass
            return await waiting

    expected = asyncio.run(main())
    with instrumented(f"library:{target}", described) as scout:
        assert expected == asyncio.run(main())
        assert ["Shop/Between", "Work/call", "Job/mail.send"] == scout.operations
    assert [(("you",), {})] == described


@pytest.mark.parametrize("target", ["partial_async", "greet_async"])
def test_two_plugins_may_wrap_the_same_async_object(library, target):
    outer, inner = [], []
    with instrumented(f"library:{target}", inner), transaction("Job/mail.send"):
        before = raw_target(f"library:{target}")
        plugin = ModuleType("second")
        plugin.instrument = hookimpl(lambda wrap: wrap(f"library:{target}", lambda *args: outer.append(args)))
        assert why_not_wrapped(f"library:{target}") is None
        assert "you" in str(asyncio.run(getattr(library, target)("you")))
        assert raw_target(f"library:{target}") is before
    assert 1 == len(inner)


@pytest.mark.parametrize(
    ("target", "call", "expected"),
    [
        ("partial_generator", lambda lib: lib.partial_generator(1), [1, 2]),
        ("Base.part_steps", lambda lib: base(lib).part_steps(), ["b", 3]),
    ],
)
def test_a_generator_is_a_span_from_its_first_step_to_its_end(library, target, call, expected):
    with instrumented(f"library:{target}", []) as scout:
        with transaction("Job/mail.send"):
            steps = call(library)
            with span("Shop/Between"):
                pass
            assert expected == list(steps)
        assert ["Shop/Between", "Work/call", "Job/mail.send"] == scout.operations


FACTS = {
    "partial": lambda it: (it.func, it.args, it.keywords, isinstance(it, functools.partial), callable(it)),
    "cached": lambda it: (it.cache_info().maxsize, it.cache_parameters(), it.__wrapped__.__name__, it.__doc__),
    "compress": lambda it: (inspect.isbuiltin(it), inspect.isroutine(it), it.__name__, str(inspect.signature(it))),
    "greet": lambda it: (it.text, len(it), next(it), bool(it), it == it, hash(it) == hash(it), type(it).__name__ != ""),
    "decorated": lambda it: (str(inspect.signature(it)), it.__name__, inspect.isfunction(it)),
}


@pytest.mark.parametrize("target", FACTS)
def test_everything_except_the_call_is_the_original_s_own(library, target):
    before = FACTS[target](getattr(library, target))
    with instrumented(f"library:{target}", []):
        assert before == FACTS[target](getattr(library, target))


def test_attributes_that_are_set_belong_to_the_original(library):
    original = library.greet
    with instrumented("library:greet", []):
        library.greet.text = "goodbye"
        assert "goodbye you" == library.greet("you")
    assert "goodbye" == original.text


def test_special_methods_that_the_original_lacks_are_missing(library):
    with instrumented("library:greet", []):
        for use in (iter, lambda it: it[0], aiter if sys.version_info >= (3, 10) else iter):
            with pytest.raises(TypeError):
                use(library.greet)
        assert not isinstance(library.greet, collections.abc.Iterable)


def test_a_cache_is_still_one_cache(library):
    library.cached(1)
    with instrumented("library:cached", []):
        library.cached(1)
        assert (1, 1) == library.cached.cache_info()[:2]
        library.cached.cache_clear()
    assert (0, 0) == library.cached.cache_info()[:2]


def test_implementations_are_registered_while_it_is_wrapped(library):
    with instrumented("library:Base.dispatch", []):

        @library.Base.dispatch.register
        def _(self, a: str):
            return "str"

        assert "str" == base(library).dispatch("a")
    assert "str" == base(library).dispatch("a")


def picklable(library):
    return [
        library.partial, library.cached, library.greet, library.Base("b").cached, library.Table(a=1).get,
        zlib.compress, random.Random(3).choice,
    ]  # fmt: skip


def test_it_is_pickled_as_the_original_is(library):
    def facts():
        partial, cached, greet, bound, got, compress, _ = map(pickle.loads, map(pickle.dumps, picklable(library)))
        return (
            partial(1), type(partial), cached is library.cached, greet("you"), type(greet), bound(1), got("a"),
            compress is zlib.compress,
        )  # fmt: skip

    def instrument(wrap):
        targets = ("library:partial", "library:cached", "library:greet", "library:Base.cached", "library:Table.get")
        for target in (*targets, "zlib:compress"):
            wrap(target, lambda *args, **kwargs: span("Work/call"))

    before = facts()
    plugin = ModuleType("odd")
    plugin.instrument = hookimpl(instrument)
    with recording(plugins=[plugin], plugins_reraise=True):
        assert before == facts()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_it_is_copied_as_the_original_is(library, copied):
    def facts():
        same = [copied(it) is it for it in (library.cached, library.compress, library.decorated_function)]
        greet, partial = copied(library.greet), copied(library.partial)
        return same, greet is library.greet, greet.text, type(greet), partial.keywords, type(partial)

    library.decorated_function = zlib.crc32
    before = facts()

    def instrument(wrap):
        for name in ("cached", "compress", "decorated_function", "greet", "partial"):
            wrap(f"library:{name}", lambda *args, **kwargs: span("Work/call"))

    plugin = ModuleType("odd")
    plugin.instrument = hookimpl(instrument)
    with recording(plugins=[plugin], plugins_reraise=True):
        assert before == facts()


def test_a_function_written_in_c_is_not_bound_by_a_class_of_the_application(library):
    """``clock = time.monotonic`` in the body of a class is a call without the instance."""
    described = []
    with instrumented("library:compress", described), transaction("Job/mail.send"):

        class Store:
            compress = library.compress

        assert zlib.compress(b"text") == Store().compress(b"text")
    assert [((b"text",), {})] == described


def test_a_wrapper_of_another_library_around_ours_stays_and_ours_does_nothing_any_more(library):
    described = []
    with instrumented("library:partial", described):
        ours = library.partial
        library.partial = around = functools.partial(ours)
    with transaction("Job/mail.send"):
        assert ("function", 1, 5) == library.partial(1)

    assert library.partial is around
    assert [] == described
    library.partial = ours
    with instrumented("library:partial", described):
        pass
    assert type(library.partial) is functools.partial  # the one beneath is removed, too


@pytest.mark.parametrize("target", ["Base.cached", "compress", "greet"])
def test_an_exception_passes_untouched(library, target):
    owner = base(library) if "." in target else library
    name = target.rpartition(".")[2]
    with instrumented(f"library:{target}", []) as scout, transaction("Job/mail.send"):
        with pytest.raises(TypeError) as caught:
            getattr(owner, name)(1, 2, 3, 4, 5)
    assert (None, None) == (caught.value.__context__, caught.value.__cause__)
    assert "TypeError" == scout.spans[0].error


START = """
import sys
import scout_core
from scout_core import hookimpl

class Plugin:
    __name__ = "letters"

    @hookimpl
    def instrument(self, wrap):
        for target in ("string:Template.substitute", "string:capwords", "functools:partial.func"):
            wrap(target, lambda *args: None, optional=True)
        wrap("zlib:compress", lambda *args: None)

agent = scout_core.start(plugins=[Plugin()])
import string
print("wrapt" in sys.modules)
import zlib
print("wrapt" in sys.modules)
"""


def test_wrapt_is_imported_with_the_first_library_that_needs_it_and_not_at_start(tmp_path):
    environment = {**os.environ, "SCOUT_STATE_DIR": str(tmp_path), "SCOUT_PLUGINS_AUTOLOAD": "false"}
    done = subprocess.run(
        [sys.executable, "-c", START], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )

    assert (0, ["False", "True"]) == (done.returncode, done.stdout.split()), done.stderr


def test_the_version_of_wrapt_is_supported():
    assert (1, 17) <= tuple(int(part) for part in wrapt.__version__.split(".")[:2]) < (3, 0)
