"""Replacing an attribute, and putting the original object back."""

from __future__ import annotations

import abc
import functools
import inspect
import itertools
import random
import sys
from types import ModuleType

import pytest

from scout_core.boundary.patches import Patch, PatchState
from scout_core.errors import LeftAlone, TargetError

SOURCE = '''
import abc, collections, enum, functools, math

def function(a, b=2):
    """A docstring."""
    return ("function", a, b)

async def coroutine(a):
    return ("coroutine", a)

def generator():
    yield 1


@functools.lru_cache
def cached(a):
    return a

@functools.wraps(generator)
def decorated_generator():
    return generator()

class Callable:
    def __call__(self, *args):
        return ("callable", args)

instance = Callable()
partial = functools.partial(function, 1)
number = 5
absolute = math.fabs

class Named:
    def __get__(self, instance, owner):
        return "a name"

class Managed:
    def __get__(self, instance, owner):
        return self

    def __set__(self, instance, value):
        raise AttributeError("managed")

    def __call__(self):
        return "managed"

class Color(enum.Enum):
    RED = 1

class Base:
    __slots__ = ("value",)

    def method(self, a):
        return ("method", type(self).__name__, a)

    def inherited(self):
        return ("inherited", type(self).__name__)

    @classmethod
    def make(cls, a):
        return ("make", cls.__name__, a)

    @staticmethod
    def static(a):
        return ("static", a)

    @property
    def attribute(self):
        return 1

    def generate(self):
        yield 1

    part = functools.partialmethod(method, 9)
    once = functools.cached_property(inherited)
    named = Named()
    managed = Managed()
    builtin = len
    held = functools.partial(function, 1)
    called = Callable()

    def __call__(self, a):
        return ("call", a)

class Derived(Base):
    def method(self, a):
        return ("derived", super().method(a))

class Abstract(abc.ABC):
    @abc.abstractmethod
    def method(self):
        return "abstract"

class Concrete(Abstract):
    def method(self):
        return ("concrete", super().method())

class Outer:
    class Inner:
        def method(self):
            return "inner"

class Table(collections.OrderedDict):
    pass

class Sealed(type):
    def __setattr__(cls, name, value):
        raise AttributeError("sealed")

class Closed(metaclass=Sealed):
    def method(self):
        return "closed"
'''


@pytest.fixture
def library():
    module = ModuleType("library")
    exec(SOURCE, module.__dict__)
    return module


def marking(function, has_self):
    """Return a wrapper that marks its result, and whether it was given an instance."""

    @functools.wraps(function)
    def marked(*args, **kwargs):
        return ("marked", has_self, function(*args, **kwargs))

    return marked


def applied(library, path, wrap=marking):
    patch = waiting(f"library:{path}", wrap)
    patch.apply(library)
    return patch


def waiting(target, wrap=marking):
    """Return a patch whose wrapper is made from the original's function and whether that gets an instance."""
    return Patch(target, lambda original: wrap(original.function, original.has_instance))


CALLS = {
    "function": (lambda lib: lib.function(1, b=3), False),
    "absolute": (lambda lib: lib.absolute(-1), False),
    "Base.method": (lambda lib: lib.Base().method(1), True),
    "Derived.method": (lambda lib: lib.Derived().method(1), True),
    "Derived.inherited": (lambda lib: lib.Derived().inherited(), True),
    "Base.make": (lambda lib: (lib.Base.make(1), lib.Derived.make(1), lib.Base().make(1)), True),
    "Derived.make": (lambda lib: lib.Derived.make(1), True),
    "Base.static": (lambda lib: (lib.Base.static(1), lib.Derived().static(1)), False),
    "Derived.static": (lambda lib: lib.Derived.static(1), False),
    "Base.__call__": (lambda lib: lib.Base()(1), True),
    "Abstract.method": (lambda lib: lib.Concrete().method(), True),
    "Outer.Inner.method": (lambda lib: lib.Outer.Inner().method(), True),
    "Table.get": (lambda lib: lib.Table(a=1).get("a"), True),
    "Table.__len__": (lambda lib: (len(lib.Table(a=1)),), True),
}


def plain(result):
    """Return the result without the marks, and the marks."""
    if isinstance(result, tuple) and result[:1] == ("marked",):
        inner, marks = plain(result[2])
        return inner, [result[1], *marks]
    if isinstance(result, tuple):
        parts = [plain(part) for part in result]
        return tuple(part for part, _ in parts), [mark for _, marks in parts for mark in marks]
    return result, []


def everything(library):
    """Return the ids of everything in the dictionaries of a module and its classes."""
    found = {}
    for name, member in vars(library).items():
        found[name] = id(member)
        if isinstance(member, type) and member.__module__ == "library":
            found |= {f"{name}.{key}": id(value) for key, value in vars(member).items()}
    return found


@pytest.mark.parametrize("path", [path for path in CALLS if path != "Table.__len__"])
def test_a_call_goes_through_the_wrapper_and_gives_the_same(library, path):
    call, has_self = CALLS[path]
    expected = call(library)
    before = everything(library)

    patch = applied(library, path)
    result, marks = plain(call(library))

    assert expected == result
    assert {has_self} == set(marks)
    assert (PatchState.WRAPPED, "") == (patch.state, patch.reason)
    assert patch.undo()
    assert PatchState.UNDONE is patch.state
    assert expected == call(library)
    assert before == everything(library)


def test_a_special_method_of_a_subclass_of_a_builtin_can_be_wrapped(library):
    before = everything(library)
    calls = []

    def noting(function, has_self):
        def noted(*args):
            calls.append(args)
            return function(*args)

        return noted

    patch = applied(library, "Table.__len__", noting)

    assert 1 == len(library.Table(a=1))
    assert 1 == len(calls)
    assert patch.undo()
    assert before == everything(library)


@pytest.mark.parametrize("path", ["Derived.inherited", "Derived.make", "Derived.static"])
def test_an_inherited_attribute_is_wrapped_for_the_named_class_only(library, path):
    name = path.partition(".")[2]
    applied(library, path)

    assert name in vars(library.Derived)
    assert [] == plain(getattr(library.Base(), name)(*([1] if name != "inherited" else [])))[1]


def test_a_subclass_sees_the_wrapper_of_its_base(library):
    applied(library, "Base.inherited")

    assert ("marked", True, ("inherited", "Derived")) == library.Derived().inherited()


@pytest.mark.parametrize(
    "path", ["function", "Base.method", "Base.make", "Base.static", "Derived.inherited", "Base.__call__"]
)
def test_a_wrapped_function_looks_like_the_original(library, path):
    def look():
        owner = functools.reduce(getattr, path.split(".")[:-1], library)
        member = getattr(owner, path.split(".")[-1])
        return (str(inspect.signature(member)), member.__name__, member.__qualname__, member.__doc__, member.__module__)

    before = look()
    applied(library, path)

    assert before == look()


def test_an_abstract_method_stays_abstract(library):
    applied(library, "Abstract.method")

    with pytest.raises(TypeError, match="abstract"):
        library.Abstract()
    assert library.Abstract.method.__isabstractmethod__
    assert frozenset({"method"}) == library.Abstract.__abstractmethods__
    assert ("concrete", ("marked", True, "abstract")) == library.Concrete().method()
    assert isinstance(library.Concrete(), abc.ABC)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("missing", "library has no missing"),
        ("Base.missing", "library.Base has no missing"),
        ("Missing.method", "library has no Missing"),
        ("Outer.Missing.method", "library.Outer has no Missing"),
        ("number", "library.number is not a function"),
        ("Base", "library.Base has neither __init__ nor __new__, so nothing runs when it is called"),
        ("Outer.Inner", "library.Outer.Inner has neither __init__ nor __new__, so nothing runs when it is called"),
        ("Closed", "library.Closed has neither __init__ nor __new__, so nothing runs when it is called"),
        ("Color", "library.Color is a class whose metaclass decides what a call does; wrap enum:EnumType.__call__"),
        (
            "Base.attribute",
            "library.Base.attribute is a property, which is read and not called; wrap a function that it calls",
        ),
        ("Base.value", "library.Base.value is not a function"),
        (
            "Base.once",
            "library.Base.once is a cached property, which is read and not called; wrap a function that it calls, or time the function in it",
        ),
        ("Base.named", "library.Base.named is not a function"),
        (
            "Base.managed",
            "library.Base.managed is a data descriptor, which decides itself what reading it gives; wrap what it calls",
        ),
        ("Base.__init__", "library.Base has no __init__"),
        ("Base.__new__", "library.Base has no __new__"),
        ("instance.method", "library.instance is not a class"),
        ("number.real.method", "library.number is not a class"),
        ("Closed.method", "library.Closed.method cannot be replaced: sealed"),
    ],
)
def test_an_unsupported_target_is_refused_with_the_reason_and_unchanged(library, path, reason):
    if sys.version_info < (3, 11):
        reason = reason.replace("enum:EnumType", "enum:EnumMeta")
    before = everything(library)

    with pytest.raises(TargetError) as caught:
        applied(library, path)

    assert reason == str(caught.value)
    assert before == everything(library)


def test_a_wrapper_is_removed_although_a_signal_handler_raised_while_it_was_put_in_place(library):
    before = everything(library)

    class Interrupted(type):
        def __setattr__(cls, name, value):
            super().__setattr__(name, value)
            if value is not original:
                raise KeyboardInterrupt

    library.Hooked = Interrupted("Hooked", (), {"method": lambda self: 1, "__module__": "library"})
    original = vars(library.Hooked)["method"]
    patch = waiting("library:Hooked.method")
    with pytest.raises(KeyboardInterrupt):
        patch.apply(library)

    assert vars(library.Hooked)["method"] is not original
    assert patch.undo()
    assert vars(library.Hooked)["method"] is original
    del library.Hooked
    assert before == everything(library)


def test_a_target_that_the_wrapper_refuses_is_not_replaced_and_has_the_reason(library):
    def refuse(function, has_self):
        raise LeftAlone("not this one")

    before = everything(library)
    patch = applied(library, "function", refuse)

    assert (PatchState.LEFT_ALONE, "not this one") == (patch.state, patch.reason)
    assert before == everything(library)
    assert patch.undo()
    assert PatchState.LEFT_ALONE is patch.state


def test_a_type_written_in_c_is_refused_with_the_reason():
    import datetime

    with pytest.raises(TargetError, match=r"datetime.datetime.isoformat cannot be replaced: .*immutable"):
        waiting("datetime:datetime.isoformat").apply(datetime)


def test_a_bound_method_of_a_module_is_a_function_of_it(monkeypatch):
    module = ModuleType("library")
    module.choose = random.Random(1).choice
    patch = applied(module, "choose")

    assert ("marked", False, 7) == module.choose([7])
    assert patch.undo()


def test_the_getattr_of_a_module_is_not_called(library):
    asked = []

    def make_up(name):
        asked.append(name)
        return library.Base

    library.__getattr__ = make_up
    for path in ("lazy", "Lazy.method"):
        with pytest.raises(TargetError, match="library has no "):
            applied(library, path)

    assert [] == asked


def test_a_foreign_wrapper_around_ours_stays_and_ours_stays_beneath_it(library):
    patch = applied(library, "function")
    ours = library.function
    library.function = theirs = lambda *args: ("theirs", ours(*args))

    assert not patch.undo()
    assert library.function is theirs
    assert ("theirs", ("marked", False, ("function", 1, 2))) == library.function(1)
    assert PatchState.UNDONE is patch.state
    assert patch.undo()  # there is nothing left to do


def test_an_attribute_that_other_code_has_deleted_stays_deleted(library):
    patch = applied(library, "Derived.inherited")
    del library.Derived.inherited

    assert not patch.undo()
    assert "inherited" not in vars(library.Derived)


def test_two_patches_of_the_same_target_are_undone_from_the_outside_in(library):
    before = everything(library)
    inner = applied(library, "Base.method")
    outer = applied(library, "Base.method")

    assert ("marked", True, ("marked", True, ("method", "Base", 1))) == library.Base().method(1)
    assert outer.undo()
    assert ("marked", True, ("method", "Base", 1)) == library.Base().method(1)
    assert inner.undo()
    assert before == everything(library)


@pytest.mark.parametrize("order", [*itertools.permutations(range(3))], ids=str)
@pytest.mark.parametrize("path", ["function", "Base.method", "Base.make", "Base.static", "Derived.inherited"])
def test_patches_of_the_same_target_are_undone_in_any_order(library, path, order):
    """A wrapper that is undone beneath another one stays, and is removed with it."""
    before = everything(library)
    patches = [applied(library, path) for _ in order]
    exact = [patches[number].undo() for number in order]

    assert before == everything(library)
    assert exact[-1]
    assert (order == (2, 1, 0)) == all(exact)


def test_a_foreign_copy_of_an_undone_wrapper_stays(library):
    """``functools.wraps`` copies all attributes of a function, including our mark."""
    inner = applied(library, "function")
    ours = library.function
    library.function = lambda *args: ours(*args)
    inner.undo()
    library.function = theirs = functools.wraps(ours)(lambda *args: ("theirs", ours(*args)))
    outer = applied(library, "function")

    assert set(vars(ours)) == set(vars(theirs))
    assert outer.undo()
    assert library.function is theirs


def test_applying_it_again_changes_nothing(library):
    patch = applied(library, "Base.method")
    patch.apply(library)

    assert ("marked", True, ("method", "Base", 1)) == library.Base().method(1)


def test_after_a_reload_it_is_applied_to_the_new_objects_and_undone_in_both(library):
    patches = [applied(library, path) for path in ("function", "Base.method", "absolute")]
    old = library.Base
    exec(SOURCE.replace("absolute =", "another ="), library.__dict__)
    before = everything(library)
    for patch in patches:
        patch.apply(library)

    assert ("marked", False, ("function", 1, 2)) == library.function(1)
    assert ("marked", True, ("method", "Base", 1)) == library.Base().method(1)
    assert ("marked", True, ("method", "Base", 1)) == old().method(1)
    assert ("marked", False, 1.0) == library.absolute(-1)  # the same object as before the reload, so it is wrapped once
    for patch in patches:
        patch.undo()
    assert ("method", "Base", 1) == old().method(1)
    assert {**before, "absolute": id(library.absolute)} == everything(library)
    assert 1.0 == library.absolute(-1)


def test_a_waiting_patch_is_undone_without_a_trace(library):
    patch = waiting("library:function")

    assert ("library", "function", PatchState.WAITING) == (patch.module, patch.attribute, patch.state)
    assert patch.undo()
    assert PatchState.UNDONE is patch.state


def test_the_parts_of_a_target():
    patch = waiting("some.library:Outer.Inner.method")

    assert ("some.library", "method") == (patch.module, patch.attribute)


def test_a_subclass_that_another_package_has_put_in_place_is_passed_over(library):
    """OpenTelemetry puts a subclass under ``flask.Flask``; objects that exist already are of the library's own class."""
    own = library.Base
    before = vars(own)["method"]
    library.Base = type("Instrumented", (own,), {"__module__": "otheragent.library"})

    patch = applied(library, "Base.method")

    assert (PatchState.WRAPPED, "otheragent.library.Instrumented") == (patch.state, patch.replaced_by)
    assert [("marked", True, ("method", name, 1)) for name in ("Base", "Instrumented")] == [
        own().method(1),
        library.Base().method(1),
    ]
    assert patch.undo()
    assert before is vars(own)["method"]
    assert "method" not in vars(library.Base)


@pytest.mark.parametrize("module", ["library", "library.parts", "library_extra"])
def test_a_class_of_the_library_or_from_another_one_is_the_target_itself(library, module):
    """A library may have its classes anywhere, and offer those of another library under names of its own."""
    base = type("Parent", (), {"__module__": "library_extra", "method": library.Base.inherited})
    library.Part = type("Part", (library.Derived if module != "library_extra" else base,), {"__module__": module})

    patch = applied(library, "Part.method")

    assert (PatchState.WRAPPED, "") == (patch.state, patch.replaced_by)
    assert "method" in vars(library.Part)
