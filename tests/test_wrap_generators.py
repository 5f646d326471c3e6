"""``wrap`` on generator functions and context managers."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
import sys
from contextlib import contextmanager
from types import ModuleType

import pytest

from scout_core import current_transaction, hookimpl, span, transaction
from scout_core.recording.context import current
from scout_core.testing.scout import recording

SOURCE = """
import asyncio
from contextlib import asynccontextmanager, contextmanager
from scout_core import span

def rows(count, fail=False):
    for number in range(count):
        with span("SQL/Fetch"):
            yield number
    if fail:
        raise KeyError(count)
    return "done"

async def async_rows(count, fail=False):
    for number in range(count):
        with span("SQL/Fetch"):
            await asyncio.sleep(0)
        yield number
    if fail:
        raise KeyError(count)

class Client:
    def scan(self, count):
        yield from rows(count)

    @classmethod
    def make(cls, count):
        yield cls

    @staticmethod
    def static(count):
        yield count

    async def scan_async(self, count):
        async for number in async_rows(count):
            yield number

    @contextmanager
    def lock(self, name):
        yield (self, name)

    @asynccontextmanager
    async def lock_async(self, name):
        await asyncio.sleep(0)
        yield (self, name)

class Child(Client):
    pass

class Later:
    def __new__(cls, number):
        return super().__new__(cls)

    def __await__(self):
        yield
"""


@pytest.fixture
def library(monkeypatch):
    module = ModuleType("library")
    exec(SOURCE, module.__dict__)
    monkeypatch.setitem(sys.modules, "library", module)
    return module


@contextmanager
def instrumented(*instruments, reraise=True):
    """Run an agent with a plugin for each function."""
    plugins = []
    for number, instrument in enumerate(instruments):
        module = ModuleType(f"plugin{number}")
        module.instrument = hookimpl(instrument)
        plugins.append(module)
    with recording(plugins=plugins, plugins_reraise=reraise) as scout:
        yield scout


def wrapping(*names, describer=None, **options):
    def describe(*args, **kwargs):
        return span("Work/call")

    def instrument(wrap):
        for name in names:
            wrap(f"library:{name}", describer or describe, **options)

    return instrument


def outline(scout):
    return [(recorded.operation, recorded.parent, recorded.error) for recorded in scout.spans]


async def collect(iterable):
    return [item async for item in iterable]


def test_the_span_lasts_from_the_first_step_to_the_end(library):
    with instrumented(wrapping("rows", "async_rows")) as scout:
        with transaction("Job/a") as job:
            for _ in library.rows(1):
                assert current.get() is job
            asyncio.run(collect(library.async_rows(1)))

        assert [("SQL/Fetch", "Work/call", None), ("Work/call", "Job/a", None)] * 2 == outline(scout)
        assert all(recorded.tags["active_time"] > 0 for recorded in scout.spans if recorded.operation == "Work/call")


def test_methods_of_every_kind(library):
    names = ("Client.scan", "Client.make", "Client.static", "Client.scan_async")
    before = {name: vars(library.Client)[name.partition(".")[2]] for name in names}
    with instrumented(wrapping(*names)) as scout:
        client = library.Client()
        for name, original in before.items():
            wrapped = vars(library.Client)[name.partition(".")[2]]
            assert type(wrapped) is type(original) or inspect.isfunction(wrapped)
        with transaction("Job/a"):
            assert [0, 1] == list(client.scan(2))
            assert [0, 1] == list(library.Client.scan(client, 2))
            assert ([library.Client], [library.Child]) == (list(client.make(1)), list(library.Child.make(1)))
            assert [5] == list(client.static(5))
            assert [0] == asyncio.run(collect(client.scan_async(1)))

        assert 6 == scout.operations.count("Work/call")
    assert before == {name: vars(library.Client)[name.partition(".")[2]] for name in names}


def test_a_context_manager_is_a_span_with_its_block(library):
    async def hold():
        async with library.Client().lock_async("a"), library.Client().lock_async("b"):
            with span("SQL/Query"):
                pass

    with instrumented(wrapping("Client.lock", "Client.lock_async")) as scout:
        client = library.Client()
        with transaction("Job/a") as job:
            with client.lock("a") as got:
                assert (client, "a") == got
                with span("SQL/Query"):
                    pass
            assert current.get() is job
            with pytest.raises(KeyError), client.lock("a"):
                raise KeyError("a")
            client.lock("b")(len)("text")
            asyncio.run(hold())

        assert [
            ("SQL/Query", "Work/call", None),
            ("Work/call", "Job/a", None),
            ("Work/call", "Job/a", "KeyError"),
            ("Work/call", "Job/a", None),
            ("SQL/Query", "Work/call", None),
            ("Work/call", "Work/call", None),
            ("Work/call", "Job/a", None),
        ] == outline(scout)
        assert inspect.isfunction(library.Client.lock)


def test_the_exception_that_ends_it_passes(library):
    with instrumented(wrapping("rows", "async_rows")) as scout:
        with transaction("Job/a"):
            with pytest.raises(KeyError) as caught:
                list(library.rows(0, fail=True))
            with pytest.raises(KeyError):
                asyncio.run(collect(library.async_rows(0, fail=True)))
            with pytest.raises(TypeError, match="missing 1 required positional argument"):
                library.rows()

        assert (None, None) == (caught.value.__context__, caught.value.__cause__)
        assert [("Work/call", "Job/a", "KeyError")] * 2 == outline(scout)


def test_a_root_generator_is_a_transaction_until_its_end(library):
    def describe(count):
        return transaction("Job/rows")

    with instrumented(wrapping("rows", describer=describe, root=True)) as scout:
        made = library.rows(2)
        assert current_transaction() is None
        for _ in made:
            assert current_transaction() is None
            with transaction("Job/other"):
                pass

        assert ["Job/other", "Job/other", "SQL/Fetch", "SQL/Fetch", "Job/rows"] == scout.operations


def test_a_describer_with_yield_gets_the_generator_when_the_call_returns(library):
    got = []

    def describe(count):
        described = span("Work/call")
        result = yield described
        got.append(result)
        described.tag("kind", type(result).__name__)
        described.rename("Work/renamed")

    with instrumented(wrapping("rows", describer=describe)) as scout:
        with transaction("Job/a"):
            made = library.rows(1)
            assert ["generator"] == [type(result).__name__ for result in got]
            assert [0] == list(made)
            with pytest.raises(TypeError):
                library.rows()

        (recorded,) = [recorded for recorded in scout.spans if recorded.operation == "Work/renamed"]
        assert "generator" == recorded.tags["kind"]


@pytest.mark.parametrize(
    "describer",
    [
        pytest.param(lambda *args: None, id="declines"),
        pytest.param(lambda *args: 5, id="returns a number"),
        pytest.param(lambda *args: 1 / 0, id="raises"),
    ],
)
def test_without_a_span_the_generator_is_the_original_one(library, describer):
    with instrumented(wrapping("rows", describer=describer), reraise=False) as scout:
        with transaction("Job/a"):
            made = library.rows(1)
            assert "generator" == type(made).__name__
            assert [0] == list(made)

        assert ["SQL/Fetch", "Job/a"] == scout.operations


def test_a_span_that_is_used_for_two_generators_is_recorded_once(library):
    shared = []

    def describe(count):
        shared.append(shared[0] if shared else span("Work/call"))
        return shared[-1]

    with instrumented(wrapping("rows", describer=describe), reraise=False) as scout:
        with transaction("Job/a"):
            first, second = library.rows(1), library.rows(1)
            assert [(0, 0)] == list(zip(first, second, strict=True))

        assert 1 == scout.operations.count("Work/call")


def test_inside_an_ignored_transaction_nothing_is_described(library):
    described = []
    with instrumented(wrapping("rows", describer=lambda count: described.append(count))):
        with transaction("Job/a") as job:
            job.ignore()
            assert [0] == list(library.rows(1))

    assert [] == described


def test_two_plugins_are_two_spans_and_undone_in_any_order(library):
    before = library.rows
    with instrumented(wrapping("rows"), wrapping("rows", describer=lambda count: span("Work/outer"))) as scout:
        assert inspect.isgeneratorfunction(library.rows)
        with transaction("Job/a"):
            assert [0] == list(library.rows(1))

        assert [
            ("SQL/Fetch", "Work/call", None),
            ("Work/call", "Work/outer", None),
            ("Work/outer", "Job/a", None),
        ] == outline(scout)
    assert library.rows is before


def test_two_plugins_on_a_context_manager_are_two_spans(library):
    before = library.Client.lock
    outer = wrapping("Client.lock", describer=lambda client, name: span("Work/outer"))
    with instrumented(wrapping("Client.lock"), outer) as scout:
        with transaction("Job/a"), library.Client().lock("a") as got:
            assert "a" == got[1]

        assert [("Work/call", "Work/outer", None), ("Work/outer", "Job/a", None)] == outline(scout)
    assert library.Client.lock is before


def test_the_wrapped_function_stays_a_generator_function(library):
    with instrumented(wrapping("rows", "async_rows", "Client.scan")):
        assert inspect.isgeneratorfunction(library.rows)
        assert inspect.isasyncgenfunction(library.async_rows)
        assert inspect.isgeneratorfunction(library.Client().scan)
        assert inspect.isgeneratorfunction(library.Client.scan)
        assert library.rows is pickle.loads(pickle.dumps(library.rows))
        assert library.rows is copy.deepcopy(library.rows)
        assert "(count, fail=False)" == str(inspect.signature(library.rows))


def test_around_gets_the_generator(library):
    def describe(wrapped, instance, args, kwargs):
        return (number + 10 for number in wrapped(*args, **kwargs))

    with instrumented(lambda wrap: wrap.around("library:rows", describe)):
        assert inspect.isgeneratorfunction(library.rows)
        assert [10, 11] == list(library.rows(2))


def test_after_the_agent_has_stopped_a_generator_goes_on(library):
    with instrumented(wrapping("rows")):
        with transaction("Job/a"):
            made = library.rows(3)
            assert 0 == next(made)

    assert [1, 2] == list(made)


def test_the_result_of_a_class_is_the_object_itself_also_if_it_can_be_awaited(library):
    with instrumented(wrapping("Later", describer=lambda number: span("Work/call"))) as scout:
        with transaction("Job/a"):
            assert type(library.Later(1)) is library.Later

        (recorded,) = scout.spans
        assert ("Work/call", {}) == (recorded.operation, recorded.tags)
