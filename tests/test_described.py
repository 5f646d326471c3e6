"""Whatever a describer returns, yields or does at its ends: the call is made once, and everything around it is recorded."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from types import ModuleType

import pytest

from scout_core import Span, Transaction, current_transaction, hookimpl, span, transaction
from scout_core.recording import context
from scout_core.testing import recording

SOURCE = """
def function(a):
    return ("result", a)

async def coroutine(a):
    return ("result", a)

def raising(a):
    raise LookupError("of the library")

async def raising_async(a):
    raise LookupError("of the library")
"""


class OddStr(str):
    def _refuse(self, *args):
        raise RuntimeError("nobody may ask this text anything")

    __str__ = __repr__ = __eq__ = __len__ = __getitem__ = __iter__ = __format__ = _refuse
    __hash__ = str.__hash__


class Meta(type):
    def __getattribute__(cls, name):
        raise RuntimeError("nobody may ask this class anything")

    __eq__ = __hash__ = __instancecheck__ = __subclasscheck__ = __bool__ = __repr__ = lambda *args: 1 / 0


class Hostile(metaclass=Meta):
    def __getattribute__(self, name):
        raise RuntimeError("nobody may ask this object anything")


class Lying:
    __class__ = Span


class RaisesAtStart(Span):
    def __enter__(self):
        raise RuntimeError("start")


class RaisesAtEnd(Span):
    def __exit__(self, *problem):
        raise asyncio.CancelledError


class Swallows(Span):
    def __exit__(self, *problem):
        super().__exit__(*problem)
        return True


class NeverMade(Span):
    def __init__(self):
        pass


class AskedForNothing(Span):
    def __getattribute__(self, name):
        raise GeneratorExit(name)


class RaisingTransaction(Transaction):
    def __enter__(self):
        raise GeneratorExit


async def coroutine():
    return span("Work/call")


def ended(a):
    with span("Work/ended") as made:
        pass
    return made


def swallows_the_close(a):
    while True:
        try:
            yield span("Work/call")
        except BaseException:
            pass


def changes_the_exception(a):
    try:
        yield span("Work/call")
    except BaseException as error:
        raise ValueError("of the describer") from error


def yields_at_the_close(a):
    try:
        yield span("Work/call")
    except GeneratorExit:
        yield span("Work/again")


def raises_after(error):
    def describe(a):
        yield span("Work/call")
        raise error

    return describe


def raises_before(error):
    def describe(a):
        raise error
        yield

    return describe


def yields(made):
    def describe(a):
        yield made()

    return describe


def again_and_again(a, *, made=[]):  # noqa: B006  # the fault
    made.append(span("Work/call"))
    return made[0]


NEW = "a describer must return a new span, got one that has started before"
NO_SPAN = "a describer must return a span or None, got"
# name: describer, spans of three calls, errors of three calls, the last error
FAULTY = {
    "text": (lambda a: "nonsense", 0, 3, f"{NO_SPAN} str"),
    "odd text": (lambda a: OddStr("SQL/x"), 0, 3, f"{NO_SPAN} OddStr"),
    "hostile": (lambda a: Hostile(), 0, 3, f"{NO_SPAN} Hostile"),
    "lying": (lambda a: Lying(), 0, 3, f"{NO_SPAN} Lying"),
    "class": (lambda a: Span, 0, 3, f"{NO_SPAN} type"),
    "coroutine": (lambda a: coroutine(), 0, 3, f"{NO_SPAN} coroutine"),
    "generator": (lambda a: (span("Work/call") for _ in "a"), 0, 3, f"{NO_SPAN} generator"),
    "list": (lambda a: [span("Work/call")], 0, 3, f"{NO_SPAN} list"),
    "raises at its start": (lambda a: RaisesAtStart("Work/call"), 0, 3, "RuntimeError: start"),
    "raises at its end": (lambda a: RaisesAtEnd("Work/call"), 3, 3, "CancelledError"),
    "swallows": (lambda a: Swallows("Work/call"), 3, 0, None),
    "never made": (lambda a: NeverMade(), 0, 3, "NeverMade.__init__ must call super().__init__(operation)"),
    "a span that was never made": (lambda a: Span.__new__(Span), 0, 3, "Span.__init__ must call super().__init__(operation)"),
    "a transaction that was never made": (lambda a: object.__new__(Transaction), 0, 3, "Transaction.__init__ must call super()"),
    "a span that was never made, yielded": (yields(lambda: Span.__new__(Span)), 0, 3, "Span.__init__ must call super()"),
    "asked for nothing": (lambda a: object.__new__(AskedForNothing), 0, 3, "AskedForNothing.__init__ must call super()"),
    "made and asked for nothing": (lambda a: AskedForNothing("Work/call"), 0, 6, "GeneratorExit"),
    "transaction that raises": (lambda a: RaisingTransaction("Job/inner"), 0, 3, "GeneratorExit"),
    "the current transaction": (lambda a: current_transaction(), 0, 3, NEW),
    "the current span": (lambda a: context.current.get(), 0, 3, NEW),
    "an ended span": (ended, 3, 3, NEW),
    "the same span": (again_and_again, 1, 2, NEW),
    "the current transaction, yielded": (yields(current_transaction), 0, 3, NEW),
    "text, yielded": (yields(lambda: "nonsense"), 0, 3, f"{NO_SPAN} str"),
    "a span that it has entered": (lambda a: span("Work/call").__enter__(), 3, 0, None),
    "a transaction in a transaction": (lambda a: transaction("Job/inner"), 3, 0, None),
    **{
        f"{error!r} before": (raises_before(error), 0, 3, type(error).__name__)
        for error in (asyncio.CancelledError(), GeneratorExit(), SystemExit(3), StopIteration(), StopAsyncIteration())
    },
}  # fmt: skip
AT_THE_END = {
    "swallows the close": (swallows_the_close, 3, 3),
    "changes the exception": (changes_the_exception, 3, 0),
    "yields at the close": (yields_at_the_close, 3, 0),
    **{
        f"{error!r} after": (raises_after(error), 3, 3)
        for error in (asyncio.CancelledError(), GeneratorExit(), SystemExit(3), StopIteration())
    },
}


def raises(call):
    """Check the exception of a call; a function of its own, so that nothing keeps its frames alive."""
    with pytest.raises(LookupError) as caught:
        call()
    assert (None, None) == (caught.value.__context__, caught.value.__cause__)


@pytest.fixture(autouse=True)
def freed() -> Iterator[None]:
    """Free generators in cycles within their test: without other collections, they are among the youngest objects."""
    gc.disable()
    yield
    gc.enable()
    gc.collect(0)


def called(library, name, root, describer):
    """Call it three times inside a transaction; return what was recorded besides, and the plugin's errors."""
    plugin = ModuleType("odd_plugin")
    plugin.instrument = hookimpl(lambda wrap: wrap(f"library:{name}", describer, root=root))
    again_and_again.__kwdefaults__["made"].clear()
    with recording(plugins_autoload=False, plugins=[plugin], plugins_reraise=False) as scout:
        with transaction("Job/outer") as outer:
            for _ in range(3):
                function = getattr(library, name)
                run = asyncio.run if name.endswith(("coroutine", "async")) else lambda result: result
                if "raising" in name:
                    raises(lambda: run(function(1)))  # noqa: B023  # called at once
                else:
                    assert ("result", 1) == run(function(1))
                assert context.current.get() is outer or context.current.get().parent is outer
            assert not outer.is_closed
            with span("After/calls"):
                pass
        assert context.current.get() is None
        (found,) = [status for status in scout.agent.plugin_statuses() if status.name == "odd_plugin"]
        operations = scout.operations
    assert ["After/calls", "Job/outer"] == [name for name in operations if name in ("After/calls", "Job/outer")]
    return len(operations) - 2, found.errors, found.last_error


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("name", ["function", "coroutine", "raising", "raising_async"])
@pytest.mark.parametrize("fault", FAULTY)
def test_whatever_it_returns_the_call_and_the_transaction_are_untouched(library, fault, name, root):
    describer, spans, errors, problem = FAULTY[fault]

    found = called(library, name, root, describer)
    assert (spans, errors) == found[:2]
    assert (problem is None) == (found[2] is None)
    assert problem is None or problem in found[2]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of a generator that cannot be closed
@pytest.mark.parametrize("name", ["function", "coroutine", "raising", "raising_async"])
@pytest.mark.parametrize("fault", AT_THE_END)
def test_however_it_ends_the_call_and_its_span_are_untouched(library, fault, name):
    describer, spans, errors = AT_THE_END[fault]
    if "raising" in name:  # it is closed at its `yield`
        errors = 0 if fault.endswith("after") else 3

    assert (spans, errors) == called(library, name, False, describer)[:2]


ODD = {
    "odd text": OddStr("SQL/x"), "hostile": Hostile(), "hostile class": Hostile, "lying": Lying(), "none": None, "bytes": b"a",
    "surrogate": "SQL/\ud800", "zero": "\0", "empty": "", "slash": "/", "nan": float("nan"), "large": 10**5000, "long": "x" * 1_000_000,
    "itself": (lambda nested: nested.append(nested) or nested)([]), "subclass": type("Text", (str,), {})("SQL/y"),
    "hostile text": Meta("HostileText", (str,), {})("SQL/z"), "hostile number": Meta("HostileNumber", (int,), {})(1),
    "exit code": SystemExit(Hostile()),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_no_odd_value_raises_or_loses_a_transaction(scout, name, caplog):
    odd = ODD[name]

    def ends():
        raise SystemExit(odd)

    decorated = span("Work/decorated", value=odd)(lambda value: value)

    def describe(made):
        made.tag("key", odd)
        made.tag(odd, odd)
        made.tag("error", odd)
        made.rename(odd)
        made.operation = odd
        made.tags = odd
        assert made.is_error in (True, False)
        assert (str, str, str) == (type(made.operation), type(made.kind), type(repr(made)))

    with transaction(odd, value=odd) as outer:
        describe(outer)
        for kind in (span, transaction):
            with kind(odd, value=odd) as inner:
                describe(inner)
                assert decorated(odd) is odd
    with pytest.raises(SystemExit), transaction("Job/exit"):
        ends()
    with transaction("Job/ignored") as ignored:
        ignored.ignore(odd)
    with transaction("Job/after"):
        pass

    assert {"Job/exit", "Job/after"} <= set(scout.operations)
    assert 2 <= len(scout.traces())
    assert [] == [record.message for record in caplog.records if "could not be counted" in record.message]
    assert 4 == scout.agent.counters().finished
