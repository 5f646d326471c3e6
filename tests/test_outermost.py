"""``outermost_span``: of two plugins that time the same work, the outer one is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from types import ModuleType

import pytest

from scout_core import OutermostSpan, Transaction, hookimpl, outermost_span, propagate, span, trace_headers, transaction
from scout_core.recording import context
from scout_core.recording.outermost import records
from scout_core.testing import recording


def operations(scout) -> list[tuple[str, str | None]]:
    return [(found.operation, found.parent) for found in scout.spans if found.parent is not None]


def in_thread(function):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_one_inside_another_of_its_kind_is_not_recorded(scout):
    with transaction("Job/report"), outermost_span("SQL/Query", statement="outer") as outer:
        with outermost_span("SQL/Many", statement="inner") as inner:
            inner.tag("rows", 3)
            assert context.current.get() is outer

        assert inner.is_covered
        assert outer is inner.parent
        assert 0.0 == inner.duration
        assert not outer.is_covered

    assert [("SQL/Query", "Job/report")] == operations(scout)


def test_one_alone_is_recorded(scout):
    with transaction("Job/report"), pytest.raises(KeyError):
        with outermost_span("SQL/Query", statement="select 1"):
            pass
        with outermost_span("SQL/Query"):
            raise KeyError

    assert [("select 1", None), (None, "KeyError")] == [
        (found.tags.get("statement"), found.error) for found in scout.transaction.spans
    ]


@contextmanager
def ended(operation: str) -> Iterator[None]:
    with outermost_span(operation) as found:
        found.end()
        yield


@contextmanager
def ignored() -> Iterator[None]:
    with transaction("Job/ignored") as found:
        found.ignore()
        yield


@pytest.mark.parametrize(
    ("blocks", "is_recorded"),
    [
        ([], False),
        ([partial(outermost_span, "SQL/Query")], False),
        ([ignored], False),
        ([ignored, partial(span, "Pool/Checkout")], False),
        ([partial(transaction, "Job/report")], True),
        ([partial(transaction, "Job/report"), partial(span, "SQL/Query")], True),
        ([partial(transaction, "Job/report"), partial(outermost_span, "HTTP/GET")], True),
        ([partial(transaction, "Job/report"), partial(outermost_span, "SQL")], False),
        ([partial(transaction, "Job/report"), partial(outermost_span, "SQL/Many")], False),
        ([partial(transaction, "Job/report"), partial(outermost_span, "SQL/Query"), partial(span, "Pool/Checkout")], False),
        ([partial(transaction, "Job/report"), partial(ended, "SQL/Query")], True),
        ([partial(transaction, "Job/report"), partial(outermost_span, "SQL/Query"), partial(transaction, "Job/x")], True),
    ],
)  # fmt: skip
def test_a_driver_can_ask_first(scout, blocks, is_recorded):
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block())
        answer = records("SQL")
        with outermost_span("SQL/Query") as found:
            is_open = found.transaction is not None and found.transaction.ignored is None

    assert (is_recorded, is_recorded) == (answer, is_open)


def test_spans_in_between_do_not_uncover_it(scout):
    with transaction("Job/report"), outermost_span("SQL/Query"), span("Pool/Checkout"), span("Wire/Send"):
        with outermost_span("SQL/Query"), span("Wire/Read"):
            pass

    assert [
        ("Wire/Read", "Wire/Send"),
        ("Wire/Send", "Pool/Checkout"),
        ("Pool/Checkout", "SQL/Query"),
        ("SQL/Query", "Job/report"),
    ] == operations(scout)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (outermost_span("SQL/Query"), outermost_span("HTTP/GET")),
        (span("SQL/Query"), outermost_span("SQL/Query")),
        (outermost_span("SQL/Query"), span("SQL/Query")),
    ],
    ids=["other kind", "plain outside", "plain inside"],
)
def test_other_kinds_and_plain_spans_neither_cover_nor_are_covered(outer, inner, scout):
    with transaction("Job/report"), outer, inner:
        pass

    assert [(inner.operation, outer.operation), (outer.operation, "Job/report")] == operations(scout)


def test_one_that_has_ended_covers_nothing_more(scout):
    with transaction("Job/report"):
        outer = outermost_span("SQL/Query").begin()
        in_thread(outer.end)
        assert context.current.get() is outer  # it was ended in another context
        with outermost_span("SQL/Query"):
            pass

    assert 2 == len(operations(scout))


def test_one_that_is_kept_open_covers_what_begins_in_its_block_only(scout):
    with transaction("Job/report"):
        with outermost_span("SQL/Query", number=1) as outer:
            outer.keep_open()
            with outermost_span("SQL/Query", number=2):
                pass
        with outermost_span("SQL/Query", number=3):
            pass
        outer.end()

    assert [3, 1] == [found.tags["number"] for found in scout.transaction.spans]


def test_a_transaction_inside_is_not_covered(scout):
    """As tests do, and a client whose transport calls a WSGI or ASGI application: its own calls are other calls."""
    with transaction("Job/report"), outermost_span("HTTP/GET"), transaction("Controller/prices"):
        with outermost_span("HTTP/POST"):
            pass

    assert [
        ("HTTP/POST", "Controller/prices"),
        ("Controller/prices", "HTTP/GET"),
        ("HTTP/GET", "Job/report"),
    ] == operations(scout)


def test_a_detached_transaction_is_not_covered(scout):
    with transaction("Job/report"), outermost_span("SQL/Query"):
        other = transaction("Job/other").detach()
        with other, outermost_span("SQL/Query"):
            pass

    assert [("SQL/Query", "Job/other"), ("SQL/Query", "Job/report")] == operations(scout)


def test_it_covers_in_threads_and_tasks_that_inherit_its_context(scout):
    def inner():
        with outermost_span("SQL/Query", number=2):
            pass

    async def task():
        inner()

    with transaction("Job/report"), outermost_span("SQL/Query", number=1):
        in_thread(propagate(inner))
        asyncio.run(task())

    assert [1] == [found.tags["number"] for found in scout.transaction.spans]


def test_as_a_decorator_it_covers_functions_that_call_each_other(scout):
    @outermost_span("Disk/Walk")
    def walk(depth):
        return depth and 1 + walk(depth - 1)

    with transaction("Job/report"):
        assert 3 == walk(3)

    assert [("Disk/Walk", "Job/report")] == operations(scout)


def test_a_covered_one_may_be_begun_again_later(scout):
    with transaction("Job/report"):
        with outermost_span("SQL/Query", number=1):
            late = outermost_span("SQL/Query", number=2).begin()
        late.end()
        with late:
            assert not late.is_covered

    assert [1, 2] == [found.tags["number"] for found in scout.transaction.spans]


def test_outside_a_transaction_nothing_is_recorded_and_nothing_covers(scout):
    with outermost_span("SQL/Query") as outer, outermost_span("SQL/Query") as inner:
        assert not outer.is_covered
        assert not inner.is_covered
        assert context.current.get() is None

    assert [] == scout.spans


def test_a_parent_that_the_application_has_broken_does_not_reach_it(scout):
    with transaction("Job/report") as job, span("Cart/Checkout") as broken:
        broken.own_parent = 7
        with outermost_span("SQL/Query"):
            pass
        broken.own_parent = job

    assert "SQL/Query" not in scout.operations


SOURCE = """
from types import coroutine

sent = []

def execute(statement):
    return driver_execute(statement)

def driver_execute(statement):
    return ("result", statement)

async def aexecute(statement):
    return await driver_aexecute(statement)

async def driver_aexecute(statement):
    return ("result", statement)

def stream(statement):
    yield from driver_stream(statement)

def driver_stream(statement):
    yield statement
    yield statement

def get(url, headers=None):
    return driver_get(url, headers=headers)

def driver_get(url, headers=None):
    sent.append(headers)
    return 200
"""
CALLS = {
    "execute": lambda library: library.execute("select 1"),
    "aexecute": lambda library: asyncio.run(library.aexecute("select 1")),
    "stream": lambda library: list(library.stream("select 1")),
}


@pytest.fixture
def library(monkeypatch):
    module = ModuleType("layered_library")
    exec(SOURCE, vars(module))
    monkeypatch.setitem(__import__("sys").modules, "layered_library", module)
    return module


def describing(*targets: str, returned: bool = True) -> ModuleType:
    module = ModuleType("layers_plugin")

    def described(layer):
        def describe(statement):
            return outermost_span("SQL/Query", layer=layer)

        def describe_in_steps(statement):
            yield outermost_span("SQL/Query", layer=layer)

        return describe if returned else describe_in_steps

    def instrument(wrap):
        for target in targets:
            wrap(f"layered_library:{target}", described("driver" if "driver" in target else "orm"))

    module.instrument = hookimpl(instrument)  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("returned", [True, False], ids=["return", "yield"])
@pytest.mark.parametrize("call", CALLS)
def test_of_two_wrapped_layers_the_outer_one_is_recorded(call, returned, library):
    both = describing(call, f"driver_{call}", returned=returned)
    with recording(plugins=[both]) as scout, transaction("Job/report"):
        CALLS[call](library)

    assert ["orm"] == [found.tags["layer"] for found in scout.spans if found.parent is not None]

    driver = describing(f"driver_{call}", returned=returned)
    with recording(plugins=[driver]) as scout, transaction("Job/report"):
        CALLS[call](library)

    assert ["driver"] == [found.tags["layer"] for found in scout.spans if found.parent is not None]


@pytest.mark.parametrize("returned", [True, False], ids=["return", "yield"])
def test_a_covered_call_still_sends_headers_and_names_the_outer_span(returned, library):
    module = ModuleType("clients_plugin")

    def outer(url, headers=None):
        return outermost_span("HTTP/GET", url=url, layer="outer")

    def inner(url, headers=None):
        return outermost_span("HTTP/GET", url=url, layer="inner")

    def inner_in_steps(url, headers=None):
        yield outermost_span("HTTP/GET", url=url, layer="inner")

    def instrument(wrap):
        wrap("layered_library:get", outer)
        wrap("layered_library:driver_get", inner if returned else inner_in_steps, headers="headers", default_headers={})

    module.instrument = hookimpl(instrument)  # type: ignore[attr-defined]
    with recording(plugins=[module]) as scout, transaction("Job/report"):
        assert 200 == library.get("http://127.0.0.1/")

    (client,) = (found for found in scout.spans if found.parent is not None)
    (headers,) = library.sent
    assert "outer" == client.tags["layer"]
    assert client.span_id == headers["traceparent"].split("-")[2]


def test_the_outer_call_sends_its_own_headers_only_once(library):
    module = ModuleType("clients_plugin")

    def describe(url, headers=None):
        return outermost_span("HTTP/GET", url=url)

    def instrument(wrap):
        wrap("layered_library:get", describe, headers="headers", default_headers={})
        wrap("layered_library:driver_get", describe, headers="headers", default_headers={})

    module.instrument = hookimpl(instrument)  # type: ignore[attr-defined]
    with recording(plugins=[module]) as scout, transaction("Job/report"):
        expected = trace_headers()["traceparent"].split("-")[1]
        library.get("http://127.0.0.1/", {"x": "1"})

    assert 1 == len([found for found in scout.spans if found.parent is not None])
    assert [(["traceparent", "x"], expected)] == [
        (sorted(headers), headers["traceparent"].split("-")[1]) for headers in library.sent
    ]


def test_its_class_is_public_and_a_transaction_is_none():
    assert outermost_span is OutermostSpan
    assert not issubclass(Transaction, OutermostSpan)
