"""``scout_core.instruments.http``: what plugins of HTTP clients share."""

from __future__ import annotations

import gc
import http
from threading import Thread

import pytest

from scout_core import hookimpl, outermost_span, transaction
from scout_core.instruments.http import count_attempt, http_span, last_until, target_url
from scout_core.testing import hostile, recording
from tests.http_library import Response

HTTP_METHOD = getattr(http, "HTTPMethod", None)  # Python >= 3.11


class Slotted:
    __slots__ = ("parts",)


@pytest.mark.parametrize(
    "method, operation",
    [
        ("GET", "HTTP/GET"),
        ("get", "HTTP/GET"),
        ("Get", "HTTP/GET"),
        ("purge", "HTTP/PURGE"),
        (b"POST", "HTTP/POST"),
        (bytearray(b"x"), "HTTP/OTHER"),
        (None, "HTTP/OTHER"),
        (7, "HTTP/OTHER"),
        *([(HTTP_METHOD.PATCH, "HTTP/PATCH")] if HTTP_METHOD else []),
    ],
)
def test_the_operation_is_the_method(method, operation):
    span = http_span(method, "http://shop.test/a?b")

    assert (operation, {"url": "http://shop.test/a?b"}) == (span.operation, span.tags)


def test_no_method_of_a_text_of_the_application_is_called():
    """An object that ``hostile`` returns reports any use of it."""
    with recording() as scout:
        with transaction("Job/a"), http_span(hostile("put"), target_url("http", "shop.test", 80, hostile("/a"))):
            pass
        with transaction("Job/b"), http_span(hostile(b"put"), "http://shop.test:80/a"):
            pass

        assert [("HTTP/PUT", {"url": "http://shop.test:80/a"})] * 2 == [
            (span.operation, span.tags) for span in scout.spans if span.parent
        ]


@pytest.mark.parametrize(
    "scheme, host, port, target, expected",
    [
        ("http", "shop.test", 8080, "/a/b?c=d", "http://shop.test:8080/a/b?c=d"),
        ("http", "shop.test", None, "/", "http://shop.test/"),
        ("https", "shop.test", 443, "/?a", "https://shop.test:443/?a"),
        ("http", "::1", 8080, "/a", "http://[::1]:8080/a"),
        ("http", "[::1]", 8080, "/a", "http://[::1]:8080/a"),
        ("http", "shop.test", 80, "/go/http://other/a@b?c", "http://shop.test:80/go/http://other/a@b?c"),
        ("http", "shop.test", 80, "*", "http://shop.test:80*"),
        ("", "shop.test", 80, "/a", "//shop.test:80/a"),
        ("", "", None, "/a", "///a"),
        ("http", "proxy.test", 3128, "http://a:b@[::1]:80/c@d?e", "http://a:b@[::1]:80/c@d?e"),
        ("http", "proxy.test", 3128, "HTTPS://a@shop.test", "HTTPS://a@shop.test"),
        ("http", "shop.test", 80, "find?next=http://other", "http://shop.test:80find?next=http://other"),
    ],
)
def test_urls(scheme, host, port, target, expected):
    assert expected == target_url(scheme, host, port, target)


def test_a_client_on_another_one_is_one_span(scout):
    with transaction("Job/prices"), http_span("GET", "http://shop.test/"):
        with http_span("GET", "http://127.0.0.1/") as inner:
            assert inner.is_covered
        with outermost_span("SQL/Query"):
            pass

    assert ["SQL/Query", "HTTP/GET", "Job/prices"] == scout.operations


def test_attempts_are_counted_from_the_second_on(scout):
    with transaction("Job/prices"):
        with http_span("GET", "http://shop.test/") as call:
            count_attempt(call)
        for attempts in (1, 2, 3):
            with http_span("GET", "http://shop.test/"):
                for _ in range(attempts - 1):
                    with http_span("GET", "http://shop.test/") as again:
                        count_attempt(again)

    assert [None, None, 2, 3] == [span.tags.get("attempts") for span in scout.transaction.spans]


def begun(response, *methods):
    call = http_span("GET", "http://shop.test/").begin()
    with call:
        last_until(call, response, *(methods or ("release", "close")))
    return call


@pytest.mark.parametrize(
    "release", [lambda it: [it.read(), it.read()], lambda it: [it.release()], lambda it: [it.close(hard=True)]]
)
def test_a_call_lasts_until_its_response_is_released(scout, scout_clock, release):
    response = Response()
    before = dict(vars(response))
    with transaction("Job/prices") as job:
        begun(response)
        scout_clock.advance(2)
        assert job.spans == []
        result = release(response)
        scout_clock.advance(3)

        assert 1 == len(job.spans)
        assert release(Response()) == result
        assert before.keys() == vars(response).keys()
        response.close()

    assert [2.0] == [span.duration for span in scout.transaction.spans]


def test_an_error_that_passes_through_the_library_is_an_error_of_the_call(scout):
    """Not one that the application handles, whatever it calls meanwhile."""
    error = ConnectionResetError("reset")
    with transaction("Job/prices"):
        response = Response(error=error)
        begun(response)
        with pytest.raises(ConnectionResetError) as caught:
            response.read()
        assert error is caught.value
        assert None is error.__context__

    assert ["ConnectionResetError"] == [span.error for span in scout.transaction.spans]


def test_it_is_the_error_that_the_application_gets(scout):
    with transaction("Job/prices"):
        response = Response()
        begun(response)
        with pytest.raises(ConnectionResetError):
            response.read_invalid()

    assert ["ConnectionResetError"] == [span.error for span in scout.transaction.spans]


def test_an_exception_of_the_application_is_no_error_of_the_call(scout):
    with transaction("Job/prices"):
        response = Response(parts=["a"])
        begun(response)
        try:
            raise KeyError
        except KeyError:
            response.read()

    assert [None] == [span.error for span in scout.transaction.spans]


def test_a_response_that_is_dropped_ends_the_call(scout):
    with transaction("Job/prices") as job:
        response = Response()
        begun(response)
        del response

        assert [{"url": "http://shop.test/", "abandoned": True}] == [span.tags for span in job.spans]


def test_a_response_in_a_cycle_ends_the_call_when_it_is_collected(scout):
    with transaction("Job/prices") as job:
        response = Response()
        response.itself = response
        begun(response)
        del response
        gc.collect()

        assert [True] == [span.tags.get("abandoned") for span in job.spans]


def test_attributes_cannot_be_set(scout):
    with transaction("Job/prices"):
        begun(Slotted())

    (span,) = scout.transaction.spans
    assert "Slotted" == span.tags["unfollowed_body"]


def test_methods_that_the_object_has_itself_are_kept(scout):
    """As a test of the application puts them there, and as another call of the same object does."""
    response = Response()
    own = response.release = lambda: "own"
    with transaction("Job/prices") as job:
        begun(response)
        with http_span("POST", "http://shop.test/") as other:
            last_until(other, response, "release")
        assert "own" == response.release()

        assert {"HTTP/GET", "HTTP/POST"} == {span.operation for span in job.spans}
    assert own is response.release


def test_a_method_that_was_replaced_meanwhile_is_left_alone(scout):
    response = Response()
    with transaction("Job/prices") as job:
        begun(response)
        ours = response.release
        later = response.release = lambda: ours()
        assert "released" == response.release()
        assert 1 == len(job.spans)
        assert "released" == response.release()

    assert later is response.release
    assert 2 == response.released


def test_a_response_may_be_read_in_another_thread(scout):
    response = Response(parts=["a"])
    with transaction("Job/prices") as job:
        begun(response)
        reader = Thread(target=response.read)
        reader.start()
        reader.join()

        assert 1 == len(job.spans)


def test_outside_a_transaction_nothing_is_replaced(scout):
    response = Response()
    begun(response)

    assert {"parts", "error", "released"} == vars(response).keys()


def test_a_covered_call_does_not_follow_its_response(scout):
    response = Response()
    with transaction("Job/prices"), http_span("GET", "http://shop.test/"):
        begun(response)

        assert {"parts", "error", "released"} == vars(response).keys()


class Library:
    """The library of a plugin below: the call returns a response that is read later."""

    def fetch(self, url):
        return Response()


class FetchPlugin:
    @hookimpl
    def instrument(self, wrap):
        wrap(f"{__name__}:Library.fetch", self.fetch)

    @staticmethod
    def fetch(library, url):
        call = http_span("GET", url)
        response = yield call
        last_until(call, response, "release")


def test_a_describer_lets_its_span_last():
    with recording(plugins=[FetchPlugin()]) as scout:
        with transaction("Job/prices") as job:
            response = Library().fetch("http://shop.test/")
            assert job.spans == []
            with http_span("POST", "http://shop.test/"):  # the other call is not around this one
                pass
            response.release()

        assert ["HTTP/POST", "HTTP/GET", "Job/prices"] == scout.operations
