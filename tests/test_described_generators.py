"""A describer that begins the span of a generator or of a context manager itself: it is recorded, or the plugin has an error."""

from __future__ import annotations

import asyncio
import sys
from contextlib import contextmanager
from types import ModuleType

import pytest

from scout_core import Span, Transaction, hookimpl, span, transaction
from scout_core.boundary.described import USED
from scout_core.recording.context import current
from scout_core.testing import recording

SOURCE = """
from contextlib import asynccontextmanager, contextmanager
from scout_core import span

def rows(count):
    for number in range(count):
        with span("SQL/Fetch"):
            pass
        yield number

async def rows_async(count):
    for number in rows(count):
        yield number

@contextmanager
def block(count):
    with span("SQL/Fetch"):
        pass
    yield count

@asynccontextmanager
async def block_async(count):
    with span("SQL/Fetch"):
        pass
    yield count
"""


class OwnSpan(Span):
    pass


class NeverEnds(Span):
    def __exit__(self, *problem):
        raise LookupError("of the span")


class NeverEndsTransaction(Transaction):
    def __exit__(self, *problem):
        raise LookupError("of the transaction")


class EndsSilently(Span):
    def __exit__(self, *problem):
        pass


class EndIsReplaced(Span):
    def end(self, error=None):
        raise LookupError("of the span")


def returns(make):
    return lambda *args: make()


def yields(make):
    def describe(*args):
        yield make()

    return describe


def in_a_block(count):
    with span("Work/call") as made:
        yield made


def begins_after(count):
    made = span("Work/call")
    yield made
    made.begin()


def two_spans(count):
    span("Work/outer").begin()
    return span("Work/call").begin()


MAKE = {
    "new": lambda: span("Work/call"),
    "entered": lambda: span("Work/call").__enter__(),
    "begun": lambda: span("Work/call").begin(),
    "kept open": lambda: span("Work/call").keep_open(),
    "begun and kept open": lambda: span("Work/call").begin().keep_open(),
    "of an own class": lambda: OwnSpan("Work/call").begin(),
    "a transaction": lambda: transaction("Work/call").begin(),
}
DESCRIBERS = {
    **{name: returns(make) for name, make in MAKE.items()},
    **{f"{name}, yielded": yields(make) for name, make in MAKE.items()},
    "in a block": in_a_block,
    "begins after": begins_after,
}


@pytest.fixture
def library(monkeypatch):
    module = ModuleType("library")
    exec(SOURCE, module.__dict__)
    monkeypatch.setitem(sys.modules, "library", module)
    return module


def use(library, name):
    """Use one to its end; what is current between its steps is returned."""
    recorded = []

    async def use_async():
        if name == "rows_async":
            async for _ in library.rows_async(2):
                recorded.append(current.get())  # noqa: PERF401  # nested, it would be harder to read
        else:
            async with library.block_async(2):
                recorded.append(current.get())

    if name.endswith("async"):
        asyncio.run(use_async())
    elif name == "rows":
        for _ in library.rows(2):
            recorded.append(current.get())  # noqa: PERF401  # as above
    else:
        with library.block(2):
            recorded.append(current.get())
    return recorded


@contextmanager
def described(name, describer, **options):
    plugin = ModuleType("odd_plugin")
    plugin.instrument = hookimpl(lambda wrap: wrap(f"library:{name}", describer, **options))
    with recording(plugins_autoload=False, plugins=[plugin], plugins_reraise=False) as scout:
        scout.problems = lambda: next(
            (status.errors, status.last_error)
            for status in scout.agent.plugin_statuses()
            if status.name == "odd_plugin"
        )
        yield scout


KINDS = ("rows", "rows_async", "block", "block_async")


@pytest.mark.parametrize("root", [False, True])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("describer", DESCRIBERS)
def test_a_span_that_the_describer_has_begun_is_recorded_like_a_new_one(library, name, describer, root):
    with described(name, DESCRIBERS[describer], root=root) as scout:
        for _ in range(2):
            with transaction("Job/a") as job:
                between = use(library, name)
                assert job is current.get()

        is_over = describer == "in a block"  # the describer ends it when the call returns
        assert 2 == scout.operations.count("Work/call")
        assert {"Job/a"} == {item.parent for item in scout.spans if item.operation == "Work/call"}
        assert {"Job/a" if is_over else "Work/call"} == {
            item.parent for item in scout.spans if item.operation == "SQL/Fetch"
        }
        if name.startswith("rows") or is_over:
            assert {job} == set(between)
        else:
            assert ["Work/call"] == [span.operation for span in between]
        assert (0, None) == scout.problems()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("describer", ["a transaction", "a transaction, yielded"])
def test_a_root_transaction_that_the_describer_has_begun_ends_with_the_generator(library, name, describer):
    with described(name, DESCRIBERS[describer], root=True) as scout:
        use(library, name)

        assert current.get() is None
        assert "Work/call" == scout.operations[-1]
        assert {"Work/call"} == {item.parent for item in scout.spans if item.operation == "SQL/Fetch"}
        assert (0, None) == scout.problems()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("describer", ["begun", "begun, yielded", "of an own class"])
def test_of_a_call_that_raises_or_is_never_used_the_begun_span_ends(library, name, describer):
    with described(name, DESCRIBERS[describer]) as scout:
        with transaction("Job/a") as job:
            with pytest.raises(TypeError, match="missing 1 required|unexpected|takes"):
                getattr(library, name)(2, 3)
            assert job is current.get()
            getattr(library, name)(2)
            assert job is current.get()

        assert ["Work/call", "Work/call", "Job/a"] == scout.operations


@pytest.mark.parametrize("name", KINDS)
def test_spans_that_the_describer_leaves_open_around_it_do_not_stay_current(library, name):
    with described(name, two_spans) as scout:
        with transaction("Job/a") as job:
            use(library, name)
            assert name.startswith("block") or job is current.get()
        assert current.get() is None

        assert {"Work/call"} == {item.parent for item in scout.spans if item.operation == "SQL/Fetch"}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("with_yield", [False, True])
def test_a_span_that_has_ended_is_refused(library, name, with_yield):
    def ended():
        with span("Work/call") as made:
            pass
        return made

    with described(name, (yields if with_yield else returns)(ended)) as scout:
        with transaction("Job/a"):
            use(library, name)

        assert {"Job/a"} == {item.parent for item in scout.spans if item.operation == "SQL/Fetch"}
        assert 1 == scout.problems()[0]
        assert USED in scout.problems()[1]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("with_yield", [False, True])
@pytest.mark.parametrize("kind", [Span, OwnSpan])
def test_a_span_for_two_calls_that_begin_later_counts_as_an_error(library, name, with_yield, kind):
    shared = kind("Work/call")

    with described(name, (yields if with_yield else returns)(lambda: shared)) as scout:
        with transaction("Job/a"):
            made = [getattr(library, name)(2) for _ in "ab"]
            setattr(library, name, lambda count: made.pop(0))
            use(library, name)
            use(library, name)

        assert 1 == scout.operations.count("Work/call")
        assert 1 == scout.problems()[0]
        assert USED in scout.problems()[1]


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("is_begun", [False, True])
@pytest.mark.parametrize("kind", [NeverEnds, NeverEndsTransaction, EndsSilently, EndIsReplaced])
def test_a_span_whose_class_does_not_end_it_ends_with_the_generator(library, name, is_begun, kind):
    made = []

    def describe(count):
        made.append(kind("Work/call"))
        return made[-1].begin() if is_begun else made[-1]

    with described(name, describe) as scout:
        with transaction("Job/a") as job:
            use(library, name)
            assert job is current.get()
            assert made[0].stop_ns > 0

        assert "Work/call" in scout.operations
        assert int(kind is not EndsSilently) == scout.problems()[0]


@pytest.mark.parametrize("kind", [Span, NeverEnds, EndsSilently, EndIsReplaced])
@pytest.mark.parametrize(
    "make_body", [lambda: iter("ab"), lambda: (letter for letter in "ab")], ids=["iterator", "generator"]
)
def test_a_span_of_an_own_class_ends_with_a_streamed_body(scout, kind, make_body):
    with transaction("Job/a") as job:
        made = kind("Work/call").begin()
        body = made.stream(make_body())
        current.set(job)
        assert ["a", "b"] == list(body)
        assert made.stop_ns > 0
        assert job is current.get()

    assert ["Work/call", "Job/a"] == scout.operations


@pytest.mark.parametrize("kind", [Span, NeverEnds, EndsSilently, EndIsReplaced])
def test_a_span_of_an_own_class_that_is_kept_open_ends_with_its_result(monkeypatch, kind):
    module = ModuleType("library")
    module.read = lambda: (letter for letter in "ab")
    module.fail = lambda: {}["x"]
    monkeypatch.setitem(sys.modules, "library", module)
    made = []

    def describe():
        made.append(kind("Work/call").keep_open())
        return made[-1]

    plugin = ModuleType("odd_plugin")
    plugin.instrument = hookimpl(
        lambda wrap: (wrap("library:read", lambda: describe()), wrap("library:fail", lambda: describe()))
    )
    with recording(plugins_autoload=False, plugins=[plugin], plugins_reraise=False) as scout:
        with transaction("Job/a") as job:
            body = module.read()
            assert job is current.get()
            assert ["a", "b"] == list(body)
            with pytest.raises(KeyError):
                module.fail()
            assert job is current.get()
            assert [True, True] == [item.stop_ns > 0 for item in made]
        assert ["Work/call", "Work/call", "Job/a"] == scout.operations
