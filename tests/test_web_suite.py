"""Proof of the web suite: correct middleware passes every test, and with one fault it fails those of the rules that it breaks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any

import pytest

from scout_core import current_transaction, record_error, transaction
from scout_core.instruments.wsgi import WsgiMiddleware
from scout_core.recording import context
from scout_core.testing.web import SoldOut, WebSuite
from scout_core.testing.web import bench as web_bench
from scout_core.testing.web import shop as web_shop
from tests.test_web_suite_wsgi import TestWsgiMiddleware as _Correct
from tests.test_web_suite_wsgi import name, plain_app

RULES = {rule.removeprefix("test_") for rule in dir(WebSuite) if rule.startswith("test_")}
RECORDED_AS_USUAL = {"attached_twice", "middleware_around", "stopped"}


class Suite(_Correct):
    """As that of the middleware, and a handler of the application records what it answers, as a plugin would."""

    skip: dict[str, str] = {}
    make: Any = staticmethod(plain_app)
    named: Any = staticmethod(name)
    inside: Any = staticmethod(lambda app: app)
    around: Any = staticmethod(lambda app, recorded: recorded)
    middleware: Any = WsgiMiddleware
    records: Any = staticmethod(record_error)

    def operation(self, view):
        return f"Controller/{_Correct.__module__}.{view}"

    def make_app(self, shop):
        sold_out = shop.sold_out

        def recording():
            try:
                return sold_out()
            except SoldOut as error:
                type(self).records(error)
                raise

        shop.sold_out = recording
        return type(self).make(shop)

    def attach(self, app):
        kind = type(self)
        return kind.around(app, kind.middleware(kind.inside(app), name=kind.named))


def failing(**faults: Any) -> set[str]:
    """Return the names of the tests that fail with these faults."""
    suite = type("Faulty", (Suite,), {key: staticmethod(value) for key, value in faults.items()})()
    failed = set()
    for rule in RULES:
        try:
            getattr(suite, f"test_{rule}")()
        except AssertionError as error:
            assert "expected" in str(error), error
            failed.add(rule)
    return failed


def answering(fault: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return what puts a function of the application, the environ and ``start_response`` around an application."""
    return lambda app: lambda environ, start_response: fault(app, environ, start_response)


def named_by_path(environ):
    return f"Controller{environ['PATH_INFO']}" if environ["PATH_INFO"].startswith("/article/8") else name(environ)


def named_by_unknown_path(environ):
    return f"Controller{environ['PATH_INFO']}" if environ["PATH_INFO"] == "/nothing" else name(environ)


def named_with_query(environ):
    return f"{name(environ)}?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else name(environ)


def allowing_post(shop):
    app = plain_app(shop)
    return lambda environ, start_response: app({**environ, "REQUEST_METHOD": "GET"}, start_response)


@answering
def adding_a_header(app, environ, start_response):
    def start(status, headers, *more):
        return start_response(status, [*headers, ("Server-Timing", "app")], *more)

    return app(environ, start)


@answering
def renaming_at_the_end(app, environ, start_response):
    body = app(environ, start_response)
    if current_transaction() is not None:
        current_transaction().rename(name(environ))
    return body


@answering
def on_another_thread(app, environ, start_response):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(app, environ, start_response).result()


def failing_for(*statuses):
    @answering
    def app_with_errors(app, environ, start_response):
        def start(status, *more):
            if status[:3] in statuses and current_transaction() is not None:
                current_transaction().tag("error", True)
            return start_response(status, *more)

        return app(environ, start)

    return app_with_errors


@answering
def forgetting_the_status(app, environ, start_response):
    body = app(environ, start_response)
    if current_transaction() is not None:
        current_transaction().tag("error", False)
    return body


@answering
def answering_errors(app, environ, start_response):
    try:
        return app(environ, start_response)
    except Exception:
        start_response("500 Oops", [])
        return []


@answering
def ending_before_the_stream(app, environ, start_response):
    body = app(environ, start_response)
    if current_transaction() is not None:
        current_transaction().end()
    return body


@answering
def swallowing_errors_of_streams(app, environ, start_response):
    body = app(environ, start_response)
    if isinstance(body, list):
        return body

    def parts():
        try:
            yield from body
        except Exception:
            pass
        finally:
            body.close()

    return parts()


class Unclosed:
    def __init__(self, body):
        self.body = body

    def __iter__(self):
        return iter(self.body)


@answering
def not_closing(app, environ, start_response):
    body = app(environ, start_response)
    return body if isinstance(body, list) else Unclosed(body)


@answering
def failing_when_closed(app, environ, start_response):
    web = current_transaction()
    body = app(environ, start_response)
    if isinstance(body, list) or web is None:
        return body

    def parts():
        try:
            yield from body
        except GeneratorExit as error:
            web.tag("error", True)
            body.close()
            raise error

    return parts()


@answering
def recording_again(app, environ, start_response):
    web = context.current.get()
    if web is None or web.transaction.ignored is None:
        return app(environ, start_response)
    context.current.set(None)
    try:
        with transaction(name(environ)):
            return app(environ, start_response)
    finally:
        context.current.set(web)


def without(*keys):
    def around(app, recorded):
        return lambda environ, start_response: recorded(
            {key: value for key, value in environ.items() if key not in keys}, start_response
        )

    return around


def only_get(app, recorded):
    return lambda environ, start_response: (recorded if environ["REQUEST_METHOD"] != "HEAD" else app)(
        environ, start_response
    )


def one_at_a_time(app, recorded):
    busy = Lock()

    def recording_if_idle(environ, start_response):
        if not busy.acquire(blocking=False):
            return app(environ, start_response)
        try:
            return recorded(environ, start_response)
        finally:
            busy.release()

    return recording_if_idle


def failing_once_stopped(app, recorded):
    def call(environ, start_response):
        if context.tracer is None:
            start_response("500 Oops", [])
            return []
        return recorded(environ, start_response)

    return call


def swallowing_errors(app, recorded):
    def call(environ, start_response):
        try:
            return recorded(environ, start_response)
        except Exception:
            return []

    return call


def without_length(app, recorded):
    return lambda environ, start_response: iter(recorded(environ, start_response))


def copied(app, recorded):
    def call(environ, start_response):
        body = recorded(environ, start_response)
        return tuple(body) if isinstance(body, list) else body

    return call


@answering
def without_write(app, environ, start_response):
    def start(*args):
        start_response(*args)

    return app(environ, start)


@answering
def with_three_arguments(app, environ, start_response):
    return app(environ, lambda status, headers, exc_info=None: start_response(status, headers, exc_info))


def by_hand(app, *, name, begin):
    """Return middleware that does everything else right."""
    template = WsgiMiddleware(app, name=name)

    def call(environ, start_response):
        web = begin(transaction(name(environ)), environ)

        def start(status, *more):
            if status >= "5":
                web.tag("error", True)
            return start_response(status, *more)

        with web:
            return web.stream(template.app(environ, start))

    return call


def not_around(web, environ):
    web.environ = environ
    return web


def detached(web, environ):
    web.environ = environ
    return web.detach()


FAULTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "allows POST": ({"make": allowing_post}, {"application"}),
    "a header more": ({"inside": adding_a_header}, {"answers"}),
    "an id in a name": ({"named": named_by_path}, {"names", "parallel"}),
    "its own name wins": ({"inside": renaming_at_the_end}, {"late_names"}),
    "another thread": ({"inside": on_another_thread}, {"spans", "parallel", "late_names", "handled_errors", *RECORDED_AS_USUAL}),
    "one request at a time": ({"around": one_at_a_time}, {"parallel"}),
    "no HEAD": ({"around": only_get}, {"head"}),
    "a redirect is an error": ({"inside": failing_for("302")}, {"redirects"}),
    "404 is an error": ({"inside": failing_for("404")}, {"client_errors", "unrouted"}),
    "a path as a name": ({"named": named_by_unknown_path}, {"unrouted"}),
    "no status": ({"inside": forgetting_the_status}, {"server_errors"}),
    "no exception": ({"inside": answering_errors}, {"unhandled_errors", "attached_twice", "middleware_around", "transparency"}),
    "swallows exceptions": ({"around": swallowing_errors}, {"transparency"}),
    "no write": ({"inside": without_write}, {"transparency"}),
    "always three arguments": ({"inside": with_three_arguments}, {"transparency"}),
    "lists become iterators": ({"around": without_length}, {"transparency", "disconnects"}),
    "lists become tuples": ({"around": copied}, {"transparency"}),
    "handled is failed": ({"records": partial(record_error, handled=False)}, {"handled_errors"}),
    "ends before the stream": ({"inside": ending_before_the_stream}, {"streams", "stream_errors", "disconnects", "attached_twice", "middleware_around"}),
    "no errors of streams": ({"inside": swallowing_errors_of_streams}, {"stream_errors", "transparency"}),
    "bodies are not closed": ({"inside": not_closing}, {"disconnects"}),
    "a client that leaves is an error": ({"inside": failing_when_closed}, {"disconnects"}),
    "records what is ignored": ({"inside": recording_again}, {"ignored_paths", "sampling"}),
    "a query in a name": ({"named": named_with_query}, {"queries"}),
    "no address": ({"around": without("HTTP_X_FORWARDED_FOR")}, {"addresses"}),
    "no trace": ({"around": without("HTTP_TRACEPARENT")}, {"callers"}),
    "no queue time": ({"around": without("HTTP_X_REQUEST_START")}, {"queue_times"}),
    "not around": ({"middleware": partial(by_hand, begin=not_around)}, {"attached_twice"}),
    "detached": ({"middleware": partial(by_hand, begin=detached)}, {"attached_twice", "middleware_around"}),
    "fails once stopped": ({"around": failing_once_stopped}, {"stopped"}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Wait for what will not come only as long as needed for what does."""
    monkeypatch.setattr(web_bench, "LONGEST", 0.5)
    monkeypatch.setattr(web_shop, "LONGEST", 5.0)


def test_correct_middleware_passes_every_test():
    assert set() == failing()


@pytest.mark.parametrize(("faults", "rules"), FAULTS.values(), ids=FAULTS)
def test_middleware_with_a_fault_fails_the_tests_of_its_rules(faults, rules):
    assert rules == failing(**faults)


def test_every_rule_has_a_fault():
    assert RULES == set().union(*(rules for _, rules in FAULTS.values()))


def test_a_test_is_skipped_with_its_reason_and_an_unknown_name_is_refused():
    class Skipping(Suite):
        skip = {"names": "it has none"}

    with pytest.raises(pytest.skip.Exception, match="it has none"):
        Skipping().test_names()
    with pytest.raises(
        TypeError, match="unknown test nams in skip of Mistyped; expected addresses, answers, application"
    ):
        type("Mistyped", (WebSuite,), {"skip": {"nams": "a typing error"}})
    with pytest.raises(NotImplementedError):
        type("Empty", (WebSuite,), {})().test_names()
