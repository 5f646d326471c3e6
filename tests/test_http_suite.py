"""The suite for plugins of HTTP clients: a right plugin passes, and for each rule a wrong one fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from requests.structures import CaseInsensitiveDict

from scout_core import hookimpl, span, trace_headers
from scout_core.instruments.http import http_span, last_until, target_url
from scout_core.testing.http_clients import HttpClientSuite
from tests.http_library import Client

CLIENT = "tests.http_library:Client"
OTHER = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b8-01"


class Right:
    """A plugin for the client."""

    @hookimpl
    def instrument(self, wrap):
        wrap(f"{CLIENT}.hop", self.hop)
        wrap(f"{CLIENT}.send", self.send, headers="headers", default_headers={})

    def hop(self, client, method, url, headers):
        call = self.begin(method, url)
        response = yield call
        call.tag("status", response.status)
        self.follow(call, response)

    def begin(self, method, url):
        return http_span(method, url)

    def follow(self, call, response):
        last_until(call, response, "release", "close")

    def send(self, client, connection, method, target, headers):
        return trace_headers(target_url("", connection.host, connection.port, target))


class Suite(HttpClientSuite):
    refused = ConnectionRefusedError
    plugin = Right

    @property
    def settings(self):
        return {"plugins": [self.plugin()]}

    def call(self, method, url, headers=None):
        answer = Client().request(method, url, headers)
        return answer.status, answer.read()

    def call_with_retries(self, url):
        answer = Client().request("GET", url, retry=True)
        return answer.status, answer.read()

    def call_with_default_headers(self, url, headers):
        answer = Client(headers).request("GET", url)
        return answer.status, answer.read()

    def kinds_of_headers(self, headers):
        return [headers, CaseInsensitiveDict(headers)]

    def stream(self, url) -> Iterator[bytes]:
        answer = Client().request("GET", url)
        try:
            while part := answer.read(100):
                yield part
        finally:
            answer.close()


class TestRight(Suite):
    pass


class TestRightAsync(Suite):
    """The same client called by coroutines, as those of an async client are."""

    parallel = 1

    async def call(self, method, url, headers=None):
        return super().call(method, url, headers)

    async def stream(self, url):
        for part in super().stream(url):
            yield part


class PathInName(Right):
    def begin(self, method, url):
        call = http_span(method, url)
        call.rename(f"HTTP/{url.rpartition('/')[2]}")
        return call


class ExtraHeader(Right):
    @hookimpl
    def instrument(self, wrap):
        super().instrument(wrap)
        wrap.around(f"{CLIENT}.hop", self.add)

    def add(self, wrapped, client, args, kwargs):
        method, url, headers = args
        return wrapped(method, url, {**(headers or {}), "X-Agent": "scout"})


class AlwaysSends(Right):
    """Sends a ``traceparent`` of its own with everything."""

    @hookimpl
    def instrument(self, wrap):
        wrap(f"{CLIENT}.hop", self.hop)
        wrap.around(f"{CLIENT}.send", self.add)

    def add(self, wrapped, client, args, kwargs):
        *others, headers = args
        kept = {name: value for name, value in (headers or {}).items() if name.lower() != "traceparent"}
        return wrapped(*others, {**kept, "traceparent": OTHER})


class ChangesHeaders(Right):
    @hookimpl
    def instrument(self, wrap):
        wrap(f"{CLIENT}.hop", self.hop)
        wrap.around(f"{CLIENT}.send", self.add)

    def add(self, wrapped, client, args, kwargs):
        connection, method, target, headers = args
        headers = {} if headers is None else headers
        headers.update(trace_headers(f"//{connection.host}:{connection.port}{target}"))
        return wrapped(connection, method, target, headers)


class ErrorStatus(Right):
    def hop(self, client, method, url, headers):
        call = http_span(method, url)
        response = yield call
        call.tag("status", response.status)
        call.tag("error", response.status >= 400)
        last_until(call, response, "release", "close")


class OtherException(Right):
    @hookimpl
    def instrument(self, wrap):
        super().instrument(wrap)
        wrap.around(f"{CLIENT}.hop", self.convert)

    def convert(self, wrapped, client, args, kwargs):
        try:
            return wrapped(*args, **kwargs)
        except OSError:
            raise ConnectionRefusedError("the plugin's own") from None


class TagsFragment(Right):
    def begin(self, method, url):
        call = http_span(method, url)
        call.tag("part", url.partition("#")[2])
        return call


class TagsHeader(Right):
    def hop(self, client, method, url, headers):
        call = http_span(method, url)
        call.tag("given", (headers or {}).get("Cookie", "")[3:])
        yield call


class EndsAtHeaders(Right):
    def follow(self, call, response):
        pass


class EndsAtRelease(Right):
    def follow(self, call, response):
        last_until(call, response, "release")


class EndsAtClose(Right):
    def follow(self, call, response):
        last_until(call, response, "close")


class FirstHeaders(Right):
    def __init__(self):
        self.first = None

    def send(self, client, connection, method, target, headers):
        self.first = self.first or super().send(client, connection, method, target, headers)
        return self.first


class PlainSpan(Right):
    def begin(self, method, url):
        return span(f"HTTP/{method}", url=url)


class TwoSpans(Right):
    """The whole call is a span too, which covers nothing."""

    @hookimpl
    def instrument(self, wrap):
        super().instrument(wrap)
        wrap(f"{CLIENT}.request", lambda client, method, url, headers=None, retry=False: span("HTTP/call", url=url))


class LosesCase(Right):
    """Replaces headers that are found in any case by a dict that has them in one."""

    @hookimpl
    def instrument(self, wrap):
        super().instrument(wrap)
        wrap.around(f"{CLIENT}.hop", self.replace)

    def replace(self, wrapped, client, args, kwargs):
        method, url, headers = args
        return wrapped(method, url, None if headers is None else dict(headers.items()))


class HeadersOfTheWholeCall(Right):
    @hookimpl
    def instrument(self, wrap):
        wrap(f"{CLIENT}.hop", self.hop)
        wrap(f"{CLIENT}.request", self.whole, headers="headers", default_headers={})

    def whole(self, client, method, url, *args, **kwargs):
        return trace_headers(url)


class LosesDefaults(HeadersOfTheWholeCall):
    """Sends headers with a call that stands for those of the client."""


class AnyHost(Right):
    def send(self, client, connection, method, target, headers):
        return trace_headers()


class SeesReports(Right):
    @hookimpl
    def instrument(self, wrap):
        wrap(
            "http.client:HTTPConnection.request",
            lambda connection, method, url, *args, **kwargs: http_span(method, url),
        )


class NeverUndone(Right):
    original = staticmethod(Client.hop)

    @hookimpl
    def instrument(self, wrap):
        def hop(client, method, url, headers):
            return self.original(client, method, url, {**(headers or {}), "traceparent": OTHER})

        Client.hop = hop


WRONG = {
    "names": PathInName,
    "answers": ExtraHeader,
    "outside": AlwaysSends,
    "error_responses": ErrorStatus,
    "refused": OtherException,
    "query": TagsFragment,
    "credentials": TagsHeader,
    "streaming": EndsAtHeaders,
    "closing": EndsAtRelease,
    "broken_body": EndsAtClose,
    "parallel": FirstHeaders,
    "outermost": PlainSpan,
    "other_spans": TwoSpans,
    "headers": ChangesHeaders,
    "header_cases": LosesCase,
    "default_headers": LosesDefaults,
    "redirects": HeadersOfTheWholeCall,
    "retries": HeadersOfTheWholeCall,
    "own_headers": AlwaysSends,
    "signed": AlwaysSends,
    "hosts": AnyHost,
    "ignored": AlwaysSends,
    "reports": SeesReports,
    "attached_twice": TwoSpans,
    "stopped": NeverUndone,
}


def test_each_rule_has_a_wrong_plugin():
    assert {name.removeprefix("test_") for name in dir(HttpClientSuite) if name.startswith("test_")} == WRONG.keys()


@pytest.mark.parametrize("rule", WRONG)
def test_a_wrong_plugin_fails(rule, monkeypatch):
    class Wrong(Suite):
        plugin = WRONG[rule]
        parallel = 5

    monkeypatch.setattr(Client, "hop", Client.hop)  # one of them does not undo what it does

    with pytest.raises(AssertionError) as caught:
        getattr(Wrong(), f"test_{rule}")()

    assert ": expected " in str(caught.value)


def test_a_client_that_is_incomplete():
    class Incomplete(HttpClientSuite):
        pass

    for rule, method in (
        ("names", "call"),
        ("retries", "call_with_retries"),
        ("default_headers", "call_with_default_headers"),
        ("streaming", "stream"),
    ):
        with pytest.raises(NotImplementedError, match=f"{method} must"):
            getattr(Incomplete(), f"test_{rule}")()
