"""``wrap(..., headers=)``: calls that send the headers of their trace, however the caller passes its own."""

from __future__ import annotations

import asyncio
import functools
import inspect
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType

import pytest

from scout_core import current_transaction, hookimpl, span, trace_headers, transaction
from scout_core.errors import PluginError
from scout_core.recording.trace.context import read_context
from scout_core.testing import recording
from scout_core.testing.leaks import raw_target

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-00"
SOURCE = """
import functools

sent = []

def note(headers):
    sent.append(headers)
    return headers

def get(url, headers=None, *, timeout=1):
    return note(headers)

def keyword(url, *, headers=None):
    return note(headers)

def options(url, **options):
    return note(options.get("headers"))

def required(url, headers):
    return note(headers)

def positional(url, headers=None, /):
    return note(headers)

DEFAULTS = {"User-Agent": "library"}

def default(url, headers=DEFAULTS):
    return note(headers)

def nothing(url):
    return url

async def get_async(url, headers=None):
    return note(headers)

@functools.wraps(get_async)
def hidden(url, headers=None):
    return get_async(url, headers)

class Request:
    def __init__(self, url, headers=None):
        note(headers)

class Made:
    __slots__ = ()

    def __new__(cls, url, headers=None):
        note(headers)
        return object.__new__(cls)

def lines(url, headers=None):
    yield note(headers)

def again(url, headers=None):
    return get(url, headers)

@functools.lru_cache(maxsize=None)
def cached(url, headers=None):
    return note(headers)

class Client:
    def get(self, url, headers=None):
        return note(headers)

    @classmethod
    def of_class(cls, url, headers=None):
        return note(headers)

    @staticmethod
    def static(url, headers=None):
        return note(headers)

    partial = functools.partialmethod(get, "http://shop.example/")

    def __call__(self, url, headers=None):
        return note(headers)

client = Client()

def fail(url, headers=None):
    raise ConnectionError(url)
"""


@contextmanager
def sending(*targets, describer=None, reraise=True, parameter="headers", root=False, **settings):
    """Run an agent with a plugin that sends headers with these targets."""
    plugin = ModuleType("sending")

    @hookimpl
    def instrument(wrap):
        for target in targets:
            wrap(f"library:{target}", describer or describe, headers=parameter, root=root)

    plugin.instrument = instrument
    with recording(plugins=[plugin], plugins_reraise=reraise, **settings) as scout:
        yield scout


def describe(*args, **kwargs):
    return span("HTTP/GET", url="http://shop.example/prices")


def status(scout):
    (found,) = [status for status in scout.agent.plugin_statuses() if status.name == "sending"]
    return found


def parts(headers):
    return read_context(headers["traceparent"])


ARGUMENTS = [
    ((), {}),
    ((None,), {}),
    (({"A": "b"},), {}),
    ((), {"headers": None}),
    ((), {"headers": {"A": "b"}}),
    ((), {"headers": [("A", "b")]}),
]


ALLOWED = {
    "get": ARGUMENTS,
    "Client.get": ARGUMENTS,
    "required": ARGUMENTS[1:],
    "keyword": [(args, options) for args, options in ARGUMENTS if not args],
    "options": [(args, options) for args, options in ARGUMENTS if not args],
    "positional": [(args, options) for args, options in ARGUMENTS if not options],
}
"""Target to the ways in which it can be called."""


@pytest.mark.parametrize(
    "target, args, options", [(target, *given) for target, ways in ALLOWED.items() for given in ways], ids=str
)
def test_headers_are_added_wherever_the_caller_passes_its_own(library, target, args, options):
    own = next((given for given in (*args, *options.values()) if given is not None), None)
    before = dict(own) if own is not None else None

    with sending(target) as scout:
        function = library.client.get if target == "Client.get" else getattr(library, target)
        with transaction("Job/a") as job:
            found = function("http://shop.example/", *args, **options)

        (call,) = scout.spans
        assert job.trace_id == parts(dict(found)).trace_id
        assert call.span_id == parts(dict(found)).parent_id
    assert {**(before or {}), "traceparent": dict(found)["traceparent"]} == dict(found)
    assert own is None or before == dict(own)
    assert 1 == len(library.sent)


@pytest.mark.parametrize(
    "own",
    [{"A": "b"}.items(), iter([("A", "b")]), (pair for pair in [("A", "b")]), (("A", "b"),), {("A", "b")}],
    ids=lambda own: type(own).__name__,
)
def test_the_library_gets_pairs_of_every_kind_whole(library, own):
    with sending("get") as scout:
        with transaction("Job/a"):
            found = dict(library.get("http://shop.example/", own))

        assert {"A", "traceparent"} == found.keys()
        assert scout.spans[0].span_id == parts(found).parent_id
        assert 0 == scout.agent.tracer.invalid_values


def test_a_call_that_the_function_refuses_is_refused_by_it(library):
    with sending("required"), transaction("Job/a"), pytest.raises(TypeError, match="missing 1 required"):
        library.required("http://shop.example/")


def test_the_default_of_the_parameter_is_kept(library):
    with sending("default"), transaction("Job/a"):
        found = library.default("http://shop.example/")

    assert {"User-Agent", "traceparent"} == found.keys()
    assert {"User-Agent": "library"} == library.DEFAULTS


@pytest.mark.parametrize(
    "target", ["Client.of_class", "Client.static", "Client.partial", "Client.__call__", "client", "cached"]
)
def test_every_kind_of_target(library, target):
    calls = {
        "Client.of_class": lambda: library.Client.of_class("http://shop.example/", {"A": "b"}),
        "Client.static": lambda: library.Client.static("http://shop.example/", {"A": "b"}),
        "Client.partial": lambda: library.client.partial({"A": "b"}),
        "Client.__call__": lambda: library.client("http://shop.example/", {"A": "b"}),
        "client": lambda: library.client("http://shop.example/", {"A": "b"}),
    }
    with sending(target) as scout:
        with transaction("Job/a"):
            if target == "cached":  # its arguments must be hashable, so the headers are
                library.cached("http://shop.example/", (("A", "b"),))
            else:
                calls[target]()

        (call,) = scout.spans
        assert call.span_id == parts(dict(library.sent[0])).parent_id


@pytest.mark.parametrize("target", ["Request", "Made"])
def test_an_object_that_is_constructed(library, target):
    with sending(target) as scout:
        with transaction("Job/a"):
            made = getattr(library, target)("http://shop.example/", {"A": "b"})

        assert type(made) is getattr(library, target)
        assert scout.spans[0].span_id == parts(library.sent[0]).parent_id


def test_a_plain_function_that_returns_a_coroutine(library):
    async def main():
        with transaction("Job/a"):
            return await library.hidden("http://shop.example/")

    with sending("hidden") as scout:
        found = asyncio.run(main())

        assert scout.spans[0].span_id == parts(found).parent_id


def test_a_function_around_the_same_target_gets_the_headers_of_the_caller(library):
    got = []
    plugin = ModuleType("sending")

    @hookimpl
    def instrument(wrap):
        wrap("library:get", describe, headers="headers")
        wrap.around("library:get", around)

    def around(wrapped, instance, args, kwargs):
        got.append((args, dict(kwargs)))
        return wrapped(*args, **kwargs)

    plugin.instrument = instrument
    with recording(plugins=[plugin]) as scout:
        with transaction("Job/a"):
            found = library.get("http://shop.example/", headers=None)

        assert scout.spans[0].span_id == parts(found).parent_id
    assert [(("http://shop.example/",), {"headers": None})] == got


def test_async_functions(library):
    async def main():
        with transaction("Job/a"):
            return await asyncio.gather(*(library.get_async("http://shop.example/") for _ in range(3)))

    with sending("get_async") as scout:
        assert inspect.iscoroutinefunction(library.get_async)
        found = asyncio.run(main())

        assert {call.span_id for call in scout.spans} == {parts(headers).parent_id for headers in found}
        assert 3 == len(scout.spans)


def test_generator_functions_are_refused_since_their_span_begins_later(library):
    with pytest.raises(PluginError, match="generator function; wrap the function that sends"), sending("lines"):
        pass

    assert [None] == list(library.lines("http://shop.example/"))


def test_a_describer_that_yields_gets_the_result(library):
    got = []

    def describing(url, *args, **kwargs):
        result = yield span("HTTP/GET", url=url)
        got.append(result)

    with sending("get", describer=describing) as scout:
        with transaction("Job/a"):
            found = library.get("http://shop.example/")

        assert scout.spans[0].span_id == parts(found).parent_id
    assert got == [found]


def test_a_describer_can_return_only_headers(library):
    def describing(url, *args, **kwargs):
        return {**trace_headers(url), "X-Shop": "tea"}

    with sending("get", describer=describing) as scout:
        with transaction("Job/a") as job, span("HTTP/GET") as call:
            found = library.get("http://shop.example/", {"x-shop": "mine"})
        assert ["HTTP/GET", "Job/a"] == scout.operations

    assert {"x-shop", "traceparent"} == found.keys()
    assert (job.trace_id, call.span_id) == parts(found)[:2]


@pytest.mark.parametrize("headers", [{"traceparent": 5}, {b"a": "b"}, {"a": None}], ids=str)
def test_headers_that_are_not_texts_are_an_error_of_the_describer(library, headers):
    with sending("get", describer=lambda *args: headers, reraise=False) as scout:
        with transaction("Job/a"):
            assert library.get("http://shop.example/") is None

        assert 1 == status(scout).errors
        assert "dict of str to str" in status(scout).last_error


def test_a_dict_without_a_parameter_for_it_is_an_error_of_the_describer(library):
    with sending("get", describer=lambda *args: {"a": "b"}, parameter=None, reraise=False) as scout:
        with transaction("Job/a"):
            assert library.get("http://shop.example/") is None

        assert 1 == status(scout).errors


@pytest.mark.parametrize("answer", [None, 5, "x"])
def test_without_a_span_nothing_is_sent(library, answer):
    with sending("get", describer=lambda *args: answer, reraise=False), transaction("Job/a"), span("HTTP/GET"):
        assert library.get("http://shop.example/") is None


def test_a_describer_that_fails_sends_nothing(library):
    def describing(*args):
        raise KeyError("plan")

    with sending("get", describer=describing, reraise=False), transaction("Job/a"):
        assert library.get("http://shop.example/") is None


def test_outside_a_transaction_and_after_the_agent_nothing_is_sent(library):
    before = raw_target("library:get")
    with sending("get"):
        assert library.get("http://shop.example/") is None
        during = library.get
    assert before is library.get
    with recording(), transaction("Job/a"):
        assert during("http://shop.example/") is None


def test_a_transaction_that_is_not_recorded_sends_the_trace_without_the_flag(library):
    def describing(url, *args):
        yield span("HTTP/GET", url=url)

    for describer in (None, describing, lambda url, *args: trace_headers(url)):
        with sending("get", "get_async", describer=describer) as scout:
            with transaction("Job/a").continue_from({"traceparent": PARENT[:-1] + "1"}) as job:
                job.ignore()
                found = [library.get("http://shop.example/"), asyncio.run(library.get_async("http://shop.example/"))]
            assert [] == scout.transactions

        assert [(TRACE, 0)] * 2 == [(parts(headers).trace_id, parts(headers).flags) for headers in found]
        assert 2 == len({parts(headers).parent_id for headers in found} - {PARENT[36:52]})


@pytest.mark.parametrize(
    "settings, url, is_sent",
    [
        ({}, "http://shop.example/prices", True),
        ({}, None, True),
        ({"trace_hosts": "*.example"}, "http://shop.example/prices", True),
        ({"trace_hosts": "*.example"}, "http://elsewhere.test/", False),
        ({"trace_hosts": "*.example"}, None, False),
        ({"trace_hosts_exclude": "shop.example"}, "http://shop.example/prices", False),
        ({}, "http://shop.example/?X-Amz-Signature=0", False),
    ],
)
def test_the_url_of_the_span_decides_about_the_host(library, settings, url, is_sent):
    tags = {} if url is None else {"url": url}

    with sending("get", describer=lambda *args: span("HTTP/GET", **tags), **settings), transaction("Job/a"):
        assert is_sent is (library.get("x") is not None)


@pytest.mark.parametrize(
    "own", [{"Traceparent": PARENT}, {"tracestate": "a=1"}, {"Authorization": "AWS4-HMAC-SHA256 x"}], ids=str
)
def test_what_the_caller_has_decided_stays_the_same_object(library, own):
    with sending("get"), transaction("Job/a"):
        assert own is library.get("http://shop.example/", own)
        assert own is library.get("http://shop.example/", headers=own)


def test_one_client_on_top_of_another_sends_the_headers_once(library):
    with sending("again", "get") as scout:
        with transaction("Job/a"):
            found = library.again("http://shop.example/", [("A", "b")])

        inner, outer = scout.spans
        assert 1 == sum(name == "traceparent" for name, _ in found)
        assert outer.span_id == parts(dict(found)).parent_id
        assert "HTTP/GET" == inner.parent


def test_each_attempt_sends_its_own_span(library):
    with sending("get") as scout:
        with transaction("Job/a"):
            own = {"A": "b"}
            attempts = [parts(library.get("http://shop.example/", own)).parent_id for _ in range(3)]

        assert attempts == [call.span_id for call in scout.spans]
        assert {"A": "b"} == own


class Unreadable(dict):
    def items(self):
        raise OSError("headers")


@pytest.mark.parametrize("own", [5, "a: b", Unreadable(a="b"), [5]], ids=lambda own: type(own).__name__)
def test_headers_that_cannot_be_read_go_to_the_library_as_they_are(library, own):
    with sending("get") as scout:
        with transaction("Job/a"):
            assert own is library.get("http://shop.example/", own)

        assert ["HTTP/GET", "Job/a"] == scout.operations
        assert 1 == scout.agent.tracer.invalid_values


def test_what_a_signal_handler_raises_while_headers_are_read_passes(library):
    class Interrupting(dict):
        def items(self):
            signal.raise_signal(signal.SIGUSR1)

    def handler(number, frame):
        raise TimeoutError("request")

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        with sending("get") as scout:
            with pytest.raises(TimeoutError), transaction("Job/a"):
                library.get("http://shop.example/", Interrupting())
            with transaction("Job/b"):
                library.get("http://shop.example/")
            assert ["HTTP/GET", "Job/a", "HTTP/GET", "Job/b"] == scout.operations
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_the_exception_of_the_call_passes(library):
    with sending("fail"), transaction("Job/a"), pytest.raises(ConnectionError) as caught:
        library.fail("http://shop.example/")

    assert caught.value.__context__ is None


def test_a_missing_parameter_is_a_problem_of_the_target(library):
    problem = "library:nothing: it has no parameter 'headers' for headers; it takes url"
    with pytest.raises(PluginError, match=problem), sending("nothing"):
        pass


@pytest.mark.parametrize("parameter", ["", "no name", 5])
def test_a_parameter_that_is_not_a_name_is_refused(library, parameter):
    with pytest.raises(PluginError, match="must be the name of a parameter"), sending("options", parameter=parameter):
        pass


def test_a_root_describer_begins_the_trace_that_is_sent(library):
    def describing(url, *args):
        return transaction("Job/poll", url=url)

    with sending("get", describer=describing, root=True) as scout:
        found = library.get("http://shop.example/")

        assert (scout.transaction.trace_id, scout.transaction.span_id) == parts(found)[:2]


def test_threads_do_not_share_headers(library):
    def work(number):
        with transaction(f"Job/{number}") as job:
            return [(parts(library.get("http://shop.example/")).trace_id, job.trace_id) for _ in range(50)]

    with sending("get"), ThreadPoolExecutor(4) as pool:
        pairs = [pair for found in pool.map(work, range(8)) for pair in found]

    assert all(sent == own for sent, own in pairs)


def test_while_a_hook_runs_nothing_is_sent(library):
    found = []
    plugin = ModuleType("hooking")
    plugin.on_span = hookimpl(functools.partial(lambda span: None))

    @hookimpl
    def on_span(span):
        if span.operation == "SQL/Query":
            found.append((library.get("http://shop.example/"), current_transaction()))

    plugin.on_span = on_span
    with sending("get") as scout:
        scout.agent.plugins.add_object(plugin, "hooking")
        scout.agent.freeze()
        with transaction("Job/a"), span("SQL/Query"):
            pass

    assert [None] == [headers for headers, _ in found]
