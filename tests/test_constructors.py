"""A class as a target: the call that constructs an object."""

from __future__ import annotations

import pickle
from types import ModuleType

import pytest

from scout_core import hookimpl, span, transaction
from scout_core.boundary.wrap import why_not_wrapped
from scout_core.testing import recording

SOURCE = """
import collections, dataclasses, enum

class Client:
    def __init__(self, host, port=80):
        if host is None:
            raise ValueError("no host")
        self.host, self.port = host, port

    def __eq__(self, other):
        return type(self) is type(other) and vars(self) == vars(other)

class Pooled(Client):
    def __init__(self, host, size):
        super().__init__(host, port=81)
        self.size = size

class Plain(Client):
    pass

class Failure(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code

class Bare(Exception):
    pass

class Point(tuple):
    def __new__(cls, x, y):
        return super().__new__(cls, (x, y))

    def __getnewargs__(self):
        return tuple(self)

class Inherited(Point):
    pass

Pair = collections.namedtuple("Pair", "left right")

@dataclasses.dataclass
class Order:
    number: int

class Table(collections.OrderedDict):
    pass

class Single(type):
    objects = {}

    def __call__(cls, *args):
        return cls.objects.setdefault(cls, super().__call__(*args))

class Registry(metaclass=Single):
    def __init__(self, name="r"):
        self.name = name

class Wrong:
    def __init__(self):
        return 5

class Outer:
    class Inner:
        def __init__(self, a):
            self.a = a
"""

CALLS = {
    "Client": (lambda lib: lib.Client("h", port=1), (("h",), {"port": 1})),
    "Plain": (lambda lib: lib.Plain("h"), (("h",), {})),
    "Failure": (lambda lib: lib.Failure(4), ((4,), {})),
    "Bare": (lambda lib: lib.Bare(4), ((4,), {})),
    "Point": (lambda lib: lib.Point(1, 2), ((1, 2), {})),
    "Inherited": (lambda lib: lib.Inherited(1, y=2), ((1,), {"y": 2})),
    "Pair": (lambda lib: lib.Pair(1, right=2), ((1,), {"right": 2})),
    "Order": (lambda lib: lib.Order(3), ((3,), {})),
    "Table": (lambda lib: lib.Table(a=1), ((), {"a": 1})),
    "Outer.Inner": (lambda lib: lib.Outer.Inner(1), ((1,), {})),
}


def instrumented(*instruments):
    plugins = []
    for number, instrument in enumerate(instruments):
        plugins.append(ModuleType(f"plugin{number}"))
        plugins[-1].instrument = hookimpl(instrument)
    return recording(plugins=plugins, plugins_reraise=True)


def classes(library):
    return {name: dict(vars(kind)) for name, kind in vars(library).items() if isinstance(kind, type)}


@pytest.mark.parametrize("target", CALLS)
def test_a_construction_is_described_with_the_arguments_of_the_call(library, target):
    call, arguments = CALLS[target]
    got, results, before = [], [], classes(library)
    expected = repr(call(library)) if target in ("Point", "Inherited", "Pair", "Order", "Table") else None

    def describe(*args, **kwargs):
        got.append((args, kwargs))
        results.append((yield span("Work/construct")))

    with instrumented(lambda wrap: wrap(f"library:{target}", describe)) as scout:
        with transaction("Job/mail.send"):
            made = call(library)
        assert ["Work/construct", "Job/mail.send"] == scout.operations
        assert expected in (None, repr(made))

    assert [arguments] == got
    assert results[0] is made
    assert before == classes(library)
    assert vars(call(library)) == vars(made) if hasattr(made, "__dict__") else call(library) == made


@pytest.mark.parametrize("target", CALLS)
def test_the_class_is_still_the_class(library, target):
    call, _ = CALLS[target]
    kind = type(call(library))

    with instrumented(lambda wrap: wrap(f"library:{target}", lambda *args, **kwargs: span("Work/construct"))):
        made = call(library)
        assert (kind, type(kind)) == (type(made), type(type(call(library))))
        assert isinstance(made, kind)
        derived = type("Derived", (kind,), {})
        assert issubclass(derived, kind)
        assert isinstance(derived.__new__(derived, *(1, 2)[: 2 if issubclass(kind, tuple) else 0]), kind)
        if issubclass(kind, BaseException):
            with pytest.raises(kind):
                raise kind(1)
        if "." not in target:
            assert type(pickle.loads(pickle.dumps(made))) is kind


def test_a_class_can_be_pickled_and_caught_where_it_was_imported_before(library):
    before = library.Failure
    with instrumented(lambda wrap: wrap("library:Failure", lambda *args: span("Work/construct"))) as scout:
        with transaction("Job/mail.send"):
            try:
                raise before(3)
            except library.Failure as error:
                assert 3 == error.code
        assert pickle.loads(pickle.dumps(library.Failure)) is before
        assert 2 == len(scout.operations)


def test_a_subclass_is_described_with_the_arguments_that_reach_the_class(library):
    got = []

    def describe(*args, **kwargs):
        got.append((args, kwargs))
        return span("Work/construct")

    with instrumented(lambda wrap: wrap("library:Client", describe)), transaction("Job/mail.send"):
        library.Pooled("h", 5)

    assert [(("h",), {"port": 81})] == got


def test_a_class_and_a_subclass_that_inherits_its_constructor_are_wrapped_once(library):
    def instrument(wrap):
        for name in ("Client", "Plain"):
            wrap(f"library:{name}", lambda *args: span("Work/construct"))

    with instrumented(instrument) as scout:
        with transaction("Job/mail.send"):
            library.Plain("h")
        assert ["Work/construct", "Job/mail.send"] == scout.operations


def test_an_exception_of_the_constructor_passes_untouched(library):
    with instrumented(lambda wrap: wrap("library:Client", lambda *args: span("Work/construct"))) as scout:
        with transaction("Job/mail.send"), pytest.raises(ValueError, match="no host") as caught:
            library.Client(None)
        assert (None, None) == (caught.value.__context__, caught.value.__cause__)
        assert "ValueError" == scout.spans[0].error


def test_wrong_arguments_raise_the_same_error(library):
    def message():
        with pytest.raises(TypeError) as caught:
            library.Client()
        return str(caught.value)

    before = message()
    with instrumented(lambda wrap: wrap("library:Client", lambda *args: span("Work/construct"))):
        assert before == message()


def test_a_constructor_that_returns_something_is_still_an_error(library):
    with instrumented(lambda wrap: wrap("library:Wrong", lambda *args: span("Work/construct"))):
        with pytest.raises(TypeError, match="__init__"):
            library.Wrong()


def test_wrap_around_changes_the_arguments_of_a_construction(library):
    seen = []

    def around(wrapped, instance, args, kwargs):
        seen.append((instance, args, kwargs))
        return wrapped("other", **kwargs)

    with instrumented(lambda wrap: wrap.around("library:Client", around)):
        made = library.Client("h", port=5)

    assert ([(None, ("h",), {"port": 5})], "other", 5) == (seen, made.host, made.port)


def test_a_metaclass_that_decides_what_a_call_does_is_the_target_itself(library):
    reason = "library.Registry is a class whose metaclass decides what a call does; wrap library:Single.__call__"
    assert reason == why_not_wrapped("library:Registry")

    got = []

    def describe(*args):
        got.append(args)
        return span("Work/construct")

    with instrumented(lambda wrap: wrap("library:Single.__call__", describe)), transaction("Job/mail.send"):
        assert library.Registry("a") is library.Registry("b")
    assert [(library.Registry, "a"), (library.Registry, "b")] == got
