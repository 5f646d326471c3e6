"""``wrap(..., headers=)``: calls that send the headers of their trace, however the caller passes its own."""

from __future__ import annotations

import asyncio
import functools
import inspect
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import MappingProxyType, ModuleType

import pytest

from scout_core import current_transaction, hookimpl, span, trace_headers, transaction
from scout_core.errors import PluginError
from scout_core.instruments.http import http_span
from scout_core.recording.trace.context import read_context
from scout_core.testing import recording
from scout_core.testing.leaks import raw_target

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NONE = MappingProxyType({})
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

prices = functools.partial(cached, "http://shop.example/")

@functools.wraps(cached)
def above(url, headers=None):
    return cached(url, headers)

def own_cache(url, headers=None):
    return note(headers)

own_cache.cache_clear = lambda: None

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

    @functools.lru_cache(maxsize=None)
    def cached(self, url, headers=None):
        return note(headers)

    @classmethod
    @functools.lru_cache(maxsize=None)
    def cached_class(cls, url, headers=None):
        return note(headers)

    @staticmethod
    @functools.lru_cache(maxsize=None)
    def cached_static(url, headers=None):
        return note(headers)

    def __call__(self, url, headers=None):
        return note(headers)

class Session:
    headers = {"X-Api-Key": "k"}

    def get(self, url, headers=None):
        return note(headers or self.headers)

    async def get_async(self, url, headers=None):
        return note(self.headers if headers is None else headers)

    partial = functools.partialmethod(get, "http://shop.example/")

    @classmethod
    def of_class(cls, url, headers=None):
        return note(headers or cls.headers)

    def __call__(self, url, headers=None):
        return self.get(url, headers)

    def none(self, url, headers=None):
        return note(headers)

client = Client()

def fail(url, headers=None):
    raise ConnectionError(url)
"""


@contextmanager
def sending(*targets, describer=None, reraise=True, parameter="headers", default=NONE, root=False, **settings):
    """Run an agent with a plugin that sends headers with these targets."""
    plugin = ModuleType("sending")

    @hookimpl
    def instrument(wrap):
        for target in targets:
            wrap(f"library:{target}", describer or describe, headers=parameter, default_headers=default, root=root)

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


NOT_KNOWN = "its caller gives none, and the plugin does not name the default ones"
EMPTY = "its caller gives empty headers"


@pytest.mark.parametrize(
    "target, args, default, expected, reason",
    [
        ("get", (), None, None, NOT_KNOWN),
        ("get", (None,), None, None, NOT_KNOWN),
        ("get", ({},), None, {}, NOT_KNOWN),
        ("get", ([],), None, [], NOT_KNOWN),
        ("keyword", (), None, None, NOT_KNOWN),
        ("options", (), None, None, NOT_KNOWN),
        ("get", ({},), {"X-Api-Key": "k"}, {}, EMPTY),
        ("Session.get", ({},), "headers", {"X-Api-Key": "k"}, EMPTY),
        ("Session.get", (), None, {"X-Api-Key": "k"}, NOT_KNOWN),
        ("Session.get", ({},), None, {"X-Api-Key": "k"}, NOT_KNOWN),
        ("Session.get", (), "other", {"X-Api-Key": "k"}, "its caller gives none, and the object has no other"),
    ],
)
def test_a_call_that_may_stand_for_other_headers_is_made_as_it_is(library, target, args, default, expected, reason):
    with sending(target, default=default) as scout:
        name = target.partition(".")[2]
        function = getattr(library.Session(), name) if name else getattr(library, target)
        with transaction("Job/a"):
            assert expected == function("http://shop.example/", *args)

        assert ["HTTP/GET", "Job/a"] == scout.operations
        assert 1 == scout.agent.counters().headers_unsent
        (problem,) = status(scout).problems
    assert f"library:{target} sends no trace headers where {reason}" == problem.detail


@pytest.mark.parametrize(
    "target", ["Session.get", "Session.get_async", "Session.partial", "Session.of_class", "Session.__call__"]
)
@pytest.mark.parametrize("default", ["headers", {"X-Api-Key": "k"}])
def test_a_call_without_headers_has_the_default_ones(library, target, default):
    session, before = library.Session(), dict(library.Session.headers)
    with sending(target, default=default) as scout:
        function = session if target.endswith("__call__") else getattr(session, target.partition(".")[2])
        with transaction("Job/a"):
            found = function() if target.endswith("partial") else function("http://shop.example/")
            found = asyncio.run(found) if inspect.iscoroutine(found) else found
        assert {**before, "traceparent": found["traceparent"]} == found
        assert scout.spans[0].span_id == parts(found).parent_id
        assert 0 == scout.agent.counters().headers_unsent
    assert before == library.Session.headers


def test_the_default_headers_of_an_object_may_fail(library):
    class Failing(library.Session):
        headers = property(lambda self: 1 / 0)

    with sending("Session.none", default="headers") as scout, transaction("Job/a"):
        assert Failing().none("http://shop.example/") is None

        assert 1 == scout.agent.counters().headers_unsent


def test_headers_that_are_given_do_not_get_the_default_ones(library):
    with sending("Session.get", default="headers"), transaction("Job/a"):
        assert {"A", "traceparent"} == library.Session().get("http://shop.example/", {"A": "b"}).keys()


@pytest.mark.parametrize(
    "target, default, problem",
    [
        ("get", 5, "default_headers must be a dict of str or the name of an attribute, got 5"),
        ("get", "a.b", "default_headers must be a dict of str or the name of an attribute, got 'a.b'"),
        ("get", {"a": 5}, "default_headers must be a dict of str"),
        ("get", "headers", "default_headers is the attribute 'headers', but its calls have no object"),
        ("Client.static", "headers", "default_headers is the attribute 'headers', but its calls have no object"),
    ],
)
def test_default_headers_that_cannot_be_are_refused(library, target, default, problem):
    with pytest.raises(PluginError, match=problem), sending(target, default=default):
        pass


def test_default_headers_need_a_parameter(library):
    with pytest.raises(PluginError, match="headers must be the name"), sending("get", parameter=None, default={}):
        pass


def test_a_call_that_the_function_refuses_is_refused_by_it(library):
    with sending("required"), transaction("Job/a"), pytest.raises(TypeError, match="missing 1 required"):
        library.required("http://shop.example/")


def test_the_default_of_the_parameter_is_kept(library):
    with sending("default"), transaction("Job/a"):
        found = library.default("http://shop.example/")

    assert {"User-Agent", "traceparent"} == found.keys()
    assert {"User-Agent": "library"} == library.DEFAULTS


@pytest.mark.parametrize("target", ["Client.of_class", "Client.static", "Client.partial", "Client.__call__", "client"])
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
            calls[target]()

        (call,) = scout.spans
        assert call.span_id == parts(dict(library.sent[0])).parent_id


PRESET = {"A": "b"}


class Caller:
    """An object that a class does not bind, and its method."""

    def __call__(self, receiver, url="http://shop.example/", headers=None):
        return headers

    def fetch(self, url="http://shop.example/", headers=None):
        return headers


def fetch(url="http://shop.example/", headers=None, **options):
    return headers


def only_options(**options):
    return options["headers"]


async def fetch_async(url="http://shop.example/", headers=None):
    return headers


class Shop:
    def fetch(self, url="http://shop.example/", headers=None):
        return headers

    async def fetch_async(self, url="http://shop.example/", headers=None):
        return headers

    @classmethod
    def of_class(cls, url="http://shop.example/", headers=None):
        return headers

    def only_options(self, **options):
        return options["headers"]


PARTIALS = {
    "by keyword": functools.partial(fetch, headers=PRESET),
    "by position": functools.partial(fetch, "http://shop.example/", PRESET),
    "of a partial": functools.partial(functools.partial(fetch, headers=PRESET), "http://shop.example/"),
    "hidden by a partial": functools.partial(functools.partial(fetch, headers={"C": "d"}), headers=PRESET),
    "of options": functools.partial(only_options, headers=PRESET),
    "of a bound method": functools.partial(Caller().fetch, headers=PRESET),
    "async": functools.partial(fetch_async, headers=PRESET),
    "async by position": functools.partial(fetch_async, "http://shop.example/", PRESET),
}
PARTIAL_METHODS = {
    "by keyword": functools.partialmethod(Shop.fetch, headers=PRESET),
    "by position": functools.partialmethod(Shop.fetch, "http://shop.example/", PRESET),
    "of a partial method": functools.partialmethod(functools.partialmethod(Shop.fetch, "u"), headers=PRESET),
    "of a partial": functools.partialmethod(functools.partial(Shop.fetch, headers=PRESET)),
    "of an object": functools.partialmethod(Caller(), headers=PRESET),
    "of an object by position": functools.partialmethod(Caller(), "http://shop.example/", PRESET),
    "of options": functools.partialmethod(Shop.only_options, headers=PRESET),
    "of a class": functools.partialmethod(Shop.__dict__["of_class"], headers=PRESET),
    "async": functools.partialmethod(Shop.fetch_async, headers=PRESET),
    "async by position": functools.partialmethod(Shop.fetch_async, "http://shop.example/", PRESET),
}


def result_of(found):
    return asyncio.run(found) if inspect.iscoroutine(found) else found


@pytest.fixture(params=[*(("partial", name) for name in PARTIALS), *(("method", name) for name in PARTIAL_METHODS)])
def preset(request, library):
    """Return the name of a target whose headers are given in advance, and a function that returns what is called."""
    kind, name = request.param
    if kind == "partial":
        library.preset = PARTIALS[name]
        return "preset", lambda: library.preset
    library.Shop = type("Shop", (Shop,), {"__module__": "library", "preset": PARTIAL_METHODS[name]})
    return "Shop.preset", lambda: library.Shop().preset


@pytest.mark.parametrize("default", [None, {}, {"X-Api-Key": "k"}])
def test_headers_that_are_given_in_advance_are_sent_with_the_others(preset, default):
    target, called = preset
    with sending(target, default=default) as scout:
        with transaction("Job/a"):
            found = result_of(called()())

        assert {"A": "b", "traceparent": found["traceparent"]} == found
        assert scout.spans[0].span_id == parts(found).parent_id
        assert 0 == scout.agent.counters().headers_unsent
    assert {"A": "b"} == PRESET


def test_they_are_sent_where_nothing_is_recorded_too(preset):
    target, called = preset
    with sending(target, sample_rate=0), transaction("Job/a"):
        assert {"A", "traceparent"} == result_of(called()()).keys()


def test_a_caller_replaces_headers_that_are_given_in_advance(library):
    library.preset = PARTIALS["by keyword"]
    with sending("preset"), transaction("Job/a"):
        assert {"B", "traceparent"} == library.preset(headers={"B": "c"}).keys()
        assert {"A", "traceparent"} == library.preset("http://shop.example/").keys()
        with pytest.raises(TypeError, match="multiple values"):
            library.preset("http://shop.example/", {"B": "c"})


@pytest.mark.skipif(not hasattr(functools, "Placeholder"), reason="not on python before 3.14: no Placeholder")
def test_places_that_a_partial_keeps_for_its_caller(library):
    library.preset = functools.partial(fetch, functools.Placeholder, PRESET)
    with sending("preset"), transaction("Job/a"):
        assert {"A", "traceparent"} == library.preset("http://shop.example/").keys()
        with pytest.raises(TypeError, match="missing positional"):
            library.preset()


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
        wrap("library:get", describe, headers="headers", default_headers={})
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


@pytest.mark.parametrize(
    "target",
    ["cached", "prices", "above", "own_cache", "Client.cached", "Client.cached_class", "Client.cached_static"],
)
def test_cached_functions_are_refused_since_headers_would_be_a_part_of_the_key(library, target):
    with pytest.raises(PluginError, match="cached function, whose arguments are its key"), sending(target):
        pass

    assert "_scout_core_patch" not in getattr(raw_target(f"library:{target}"), "__dict__", {})


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
    with sending("get", describer=lambda *args: {"a": "b"}, parameter=None, default=None, reraise=False) as scout:
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
        ({"trace_hosts_exclude": "elsewhere.test"}, "http://shop.example/prices", True),
        ({"trace_hosts_exclude": "elsewhere.test"}, None, False),
        ({"trace_hosts_exclude": "elsewhere.test"}, "/prices", False),
        ({}, "http://shop.example/?X-Amz-Signature=0", False),
    ],
)
def test_the_url_of_the_span_decides_about_the_host(library, settings, url, is_sent):
    tags = {} if url is None else {"url": url}

    with sending("get", describer=lambda *args: span("HTTP/GET", **tags), **settings), transaction("Job/a"):
        assert is_sent is (library.get("x") is not None)


class Text(str):
    """Whatever is asked of it, it gives something else."""

    __slots__ = ()

    def __getitem__(self, key):
        return ""

    partition = lower = __str__ = __format__ = lambda self, *args: ""


class Octets(bytes):
    def decode(self, *args):
        return ""


@pytest.mark.parametrize("kind", [str, Text, str.encode, lambda url: Octets(url, "ascii")])
@pytest.mark.parametrize("describing", [lambda url: span("HTTP/GET", url=url), lambda url: http_span("GET", url)])
def test_a_url_of_any_class_of_texts_is_read_without_its_methods(library, kind, describing):
    url, signed = kind("http://shop.example/prices"), kind("http://shop.example/?X-Amz-Signature=0")
    for settings, expected in (
        ({}, [True, False]),
        ({"trace_hosts": "*.example"}, [True, False]),
        ({"trace_hosts": "elsewhere.test"}, [False, False]),
        ({"trace_hosts_exclude": "shop.example"}, [False, False]),
    ):
        with sending("get", describer=describing, **settings), transaction("Job/a"):
            assert expected == [library.get(to) is not None for to in (url, signed)]
            if issubclass(type(url), str):
                assert expected == [bool(trace_headers(to)) for to in (url, signed)]


class Address:
    """The URL of a library, as those of yarl and HTTPX."""

    def __str__(self):
        raise AssertionError


@pytest.mark.parametrize("url", [Address(), 5, ["http://shop.example/"], bytearray(b"//shop.example/")], ids=type)
def test_a_url_that_is_not_a_text_sends_nothing_and_is_shown(library, url):
    with sending("get", describer=lambda *args: span("HTTP/GET", url=url)) as scout:
        with transaction("Job/a"):
            assert library.get("x") is None

        assert 1 == scout.agent.counters().headers_unsent
        (problem,) = status(scout).problems
    assert f"library:get sends no trace headers where its span has a url of type {type(url).__name__}" == problem.detail


@pytest.mark.parametrize("host", ["127.0.0.256", "127%252E0.0.1", "127.0.0.1：80"])
@pytest.mark.parametrize("settings", [{"trace_hosts": "*.1"}, {"trace_hosts_exclude": "127.0.0.1"}, {}], ids=str)
def test_a_url_whose_host_cannot_be_read_sends_nothing_where_hosts_are_chosen_and_is_shown(library, host, settings):
    url = f"http://{host}/"
    with sending("get", describer=lambda to, *args: span("HTTP/GET", url=to), **settings) as scout:
        with transaction("Job/a"):
            assert bool(settings) is (library.get(url) is None) is not bool(trace_headers(url))

        assert 2 * bool(settings) == scout.agent.counters().headers_unsent
        shown = [problem.detail for problem in status(scout).problems]
    text = "library:get sends no trace headers where the host in the url of its span cannot be read"
    assert [text] * bool(settings) == shown


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


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (5, "type int"),
        ("a: b", "type str"),
        (Unreadable(a="b"), "a class whose methods raise OSError"),
        ([5], "type list with other items than pairs"),
    ],
    ids=lambda own: type(own).__name__,
)
def test_headers_that_cannot_be_read_go_to_the_library_as_they_are_and_are_shown(library, caplog, own, expected):
    caplog.set_level("INFO", "scout_core.plugins")
    with sending("get") as scout:
        with transaction("Job/a"):
            for _ in range(3):
                assert own is library.get("http://shop.example/", own)
            library.get("http://shop.example/", {"A": "b"})

        assert [*["HTTP/GET"] * 4, "Job/a"] == scout.operations
        counters = scout.agent.counters()
        assert (3, 0) == (counters.headers_unsent, counters.invalid_values)
        shown = [problem for status in scout.agent.plugin_statuses() for problem in status.problems]
    text = f"sends no trace headers where its caller gives headers of {expected}"

    (problem,) = [problem for problem in shown if problem.kind == "unsent-headers"]
    assert ("library:get", f"library:get {text}") == (problem.subject, problem.detail)
    assert 1 == len([message for message in caplog.messages if message.endswith(f"library:get {text}")])


def test_an_iterator_that_is_not_of_pairs_is_shown_once_the_library_has_read_it(library):
    with sending("get") as scout:
        with transaction("Job/a"):
            assert ["a: b"] == list(library.get("http://shop.example/", iter(["a: b"])))

        assert 1 == scout.agent.counters().headers_unsent


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
