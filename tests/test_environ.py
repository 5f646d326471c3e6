"""The WSGI environ of a request that starts: read only for what is recorded, readable for hooks, and never kept."""

from __future__ import annotations

import gc
import signal

import pytest

from scout_core import WebRequest, current_transaction, span, transaction
from scout_core.testing import recording
from tests.workbench import plugin, running

ONLY_THESE = {"plugins_autoload": False, "plugins_enable": ["ignoring", "sampling"]}


class Environ(dict):
    """Notes which keys are read."""

    def __init__(self, **keys):
        super().__init__(PATH_INFO="/cart", QUERY_STRING="page=2", REMOTE_ADDR="192.0.2.1", **keys)
        self.read = []

    def get(self, key, default=None):
        self.read.append(key)
        return super().get(key, default)


def visit(environ, operation="Controller/cart"):
    web = transaction(operation)
    web.environ = environ
    with web, span("SQL/Query"):
        pass
    return web


def test_a_recorded_request_has_all_its_facts():
    environ = Environ(HTTP_X_FORWARDED_FOR="198.51.100.7")
    with recording(**ONLY_THESE) as scout:
        web = visit(environ)
        assert WebRequest("/cart", "page=2", "198.51.100.7", "", "192.0.2.1", "", "") == web.request
        assert (None, "/cart") == (web.environ, web.path)
        assert {"path": "/cart?page=2", "user_ip": "198.51.100.7"} == scout.transactions[0].tags


@pytest.mark.parametrize(
    "settings, read",
    [
        ({"sample_rate": 0}, []),
        ({"endpoint_sample_rate": 0}, []),
        ({"ignore": "/cart"}, ["SCRIPT_NAME", "PATH_INFO"]),
        ({"ignore": "/cart", "sample_rate": 0}, ["SCRIPT_NAME", "PATH_INFO"]),
    ],
    ids=str,
)
def test_only_what_decides_is_read_for_a_request_that_is_not_recorded(settings, read):
    environ = Environ()
    with running(threaded=False, **ONLY_THESE, **settings) as agent:
        web = visit(environ)
        assert (read, None, None) == (environ.read, web.environ, web.request)
        assert (0, 1) == (len(agent.tracer.inbox), sum(agent.counters().dropped.values()))


@pytest.mark.parametrize("settings", [{"sample_rate": 0}, {"ignore": "/cart"}], ids=str)
def test_the_hook_on_ignore_gets_the_facts_of_the_request(settings):
    seen = []
    curious = plugin("curious", on_ignore=lambda transaction: seen.append(transaction.request.query))
    with recording(**ONLY_THESE, plugins=[curious], **settings) as scout:
        web = visit(Environ())
        assert (["/cart"], 1) == ([web.path], len(scout.ignored))
    assert ["page=2"] == seen


def test_a_hook_of_the_start_can_read_headers_and_facts():
    seen = []

    def on_request_start(transaction):
        seen.append((transaction.path, transaction.environ["HTTP_X_DEBUG"], transaction.request.remote_address))
        transaction.ignore("debug")

    with recording(**ONLY_THESE, plugins=[plugin("debugging", on_request_start=on_request_start)]) as scout:
        visit(Environ(HTTP_X_DEBUG="1"))
        assert [("Controller/cart", "debug")] == scout.ignored
    assert [("/cart", "1", "192.0.2.1")] == seen


@pytest.mark.parametrize("settings", [{}, {"sample_rate": 0}, {"ignore": "/cart"}], ids=str)
@pytest.mark.parametrize("when", ["before", "nested", "after"])
def test_nothing_of_the_environ_is_kept(settings, when):
    class Body:
        """Something that a server puts into an environ."""

    def serve():
        web = transaction("Controller/cart")
        environ = Environ(**{"wsgi.input": Body()})
        if when == "after":
            with web:
                web.environ = environ
        elif when == "nested":
            web.environ = environ
            with transaction("Job/outer"), web:
                pass
        else:
            web.environ = environ
            with web:
                pass
        return web

    with recording(**ONLY_THESE, **settings):
        web = serve()
        gc.collect()
        assert [] == [found for found in gc.get_objects() if type(found) is Body]
        assert None is web.environ


def test_a_path_that_is_set_late_counts_at_the_end():
    with recording(**ONLY_THESE, ignore="/cart") as scout:
        with transaction("Controller/cart") as web:
            web.environ = Environ()
        assert [("Controller/cart", "by plugin ignoring")] == scout.ignored


@pytest.mark.parametrize("environ", [3, "environ", {"PATH_INFO": 3}, {"SCRIPT_NAME": None}, {"PATH_INFO": b"/cart"}])
@pytest.mark.parametrize("settings", [{}, {"ignore": "/cart"}], ids=str)
def test_what_is_not_an_environ_is_counted_and_does_not_reach_the_application(environ, settings):
    with recording(**ONLY_THESE, **settings) as scout:
        web = visit(environ)
        assert (None, None) == (web.request, web.path)
        assert ["SQL/Query", "Controller/cart"] == scout.operations
        assert scout.agent.counters().invalid_values == 1 + len(settings)


def test_a_signal_handler_that_raises_while_the_environ_is_read_reaches_the_application():
    class Alarm(Exception):
        pass

    def time_out(number, frame):
        raise Alarm

    class Slow(Environ):
        def get(self, key, default=None):
            signal.raise_signal(signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, time_out)
    try:
        with recording(**ONLY_THESE), pytest.raises(Alarm):
            visit(Slow())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert None is current_transaction()
