"""A web transaction begun around an application: the one that begins inside for the same request joins it."""

from __future__ import annotations

import io

import pytest

from scout_core import current_transaction, span, transaction
from scout_core.operations import UNNAMED
from scout_core.recording import context

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def environ(path="/cart"):
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "wsgi.input": io.BytesIO()}


def scope(path="/cart"):
    return {"type": "http", "path": path, "query_string": b"", "headers": [(b"traceparent", CALLER.encode())]}


def inside(request, operation="Controller/shop.cart", **tags):
    """Begin the transaction of a plugin."""
    web = transaction(operation, **tags)
    web.environ = request
    return web


@pytest.mark.parametrize("request_of", [environ, scope])
@pytest.mark.parametrize("copied", [lambda request: request, dict], ids=["the same", "a copy"])
def test_a_transaction_for_the_same_request_gives_its_name_and_tags(scout, request_of, copied):
    request = request_of()
    with transaction("Controller/shop", server="a").around(request) as outer:
        with span("Middleware/Session"), inside(copied(request), plan="gold") as web:
            assert (outer, outer) == (current_transaction(), web.transaction)
            assert (outer.span_id, outer.trace_id, outer.request) == (web.span_id, web.trace_id, web.request)
            web.tag("error", True)
            with span("SQL/Query"):
                pass
        with span("Middleware/Save"):
            pass

    assert ["SQL/Query", "Middleware/Session", "Middleware/Save", "Controller/shop.cart"] == scout.operations
    assert {"server": "a", "plan": "gold", "error": True, "path": "/cart"} == scout.transaction.tags
    assert ["Middleware/Session", "Controller/shop.cart", "Controller/shop.cart"] == [s.parent for s in scout.spans]
    assert scout.transaction.is_error


def test_a_request_that_the_application_makes_to_another_one_is_a_span(scout):
    with transaction("Controller/shop").around(environ()), inside(environ()):
        pass

    assert ["Controller/shop.cart", "Controller/shop"] == scout.operations


@pytest.mark.parametrize("headers", [(), [], None], ids=repr)
def test_scopes_that_share_nothing_of_their_own_are_two_requests(scout, headers):
    first, other = ({"type": "http", "path": "/", "headers": headers} for _ in range(2))
    if headers == []:
        other["headers"] = []
    with transaction("Controller/shop").around(first), inside(other):
        pass

    assert 1 == len(scout.spans)


def test_only_the_first_one_joins_a_later_one_for_the_same_request_is_a_span(scout):
    request = environ()
    with transaction("Controller/shop").around(request), inside(request, "Controller/gateway"), inside(request):
        pass

    assert ["Controller/shop.cart", "Controller/gateway"] == scout.operations


def test_where_nothing_was_begun_around_the_application_one_for_the_same_request_is_a_span(scout):
    request = environ()
    with inside(request, "Controller/gateway"), inside(request):
        pass

    assert ["Controller/shop.cart", "Controller/gateway"] == scout.operations


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Controller/outer", "Controller/inner"], "Controller/inner"),
        (["Controller/outer", UNNAMED], "Controller/outer"),
        ([UNNAMED, "Controller/inner"], "Controller/inner"),
        ([UNNAMED, UNNAMED], UNNAMED),
    ],
)
@pytest.mark.parametrize("has_plugin", [True, False])
def test_two_around_the_same_application_are_a_single_transaction(scout, names, expected, has_plugin):
    request = environ()
    with transaction(names[0]).around(request), transaction(names[1]).around(request):
        if has_plugin:
            with inside(request):
                pass

    assert ["Controller/shop.cart" if has_plugin else expected] == scout.operations


def test_jobs_and_detached_transactions_do_not_join(scout):
    request = environ()
    with transaction("Controller/shop").around(request):
        with inside(request, "Job/mail"):
            pass
        with inside(request).detach():
            pass

    assert ["Controller/shop.cart", "Job/mail", "Controller/shop"] == scout.operations


def test_an_exception_that_leaves_the_inner_one_makes_the_request_fail_once(scout):
    request, error = environ(), LookupError("no such article")
    with transaction("Controller/shop").around(request):  # the framework answers with an error page
        with pytest.raises(LookupError) as caught, inside(request):
            raise error

    assert caught.value is error
    assert ("LookupError", True) == (scout.transaction.error, scout.transaction.is_error)
    assert 1 == len(scout.transaction.errors)


@pytest.mark.parametrize("error", [SystemExit, GeneratorExit])
def test_what_is_no_error_of_a_request_is_none_of_an_inner_one(scout, error):
    request = environ()
    with transaction("Controller/shop").around(request), pytest.raises(error), inside(request):
        raise error

    assert not scout.transaction.is_error


def test_the_inner_one_ends_the_request_no_earlier_and_no_later(scout, scout_clock):
    request = environ()
    outer = transaction("Controller/shop").around(request).begin()
    inner = inside(request).keep_open().begin()
    assert inner.stream([b"a"].__iter__()).__class__ is type(iter([]))
    scout_clock.advance(1)
    outer.end()
    scout_clock.advance(1)
    inner.end(LookupError())
    inner.rename("Controller/late")

    assert 1.0 == scout.transaction.duration
    assert context.current.get() is None


def test_renaming_and_ignoring_the_inner_one_is_renaming_and_ignoring_the_request(scout):
    for method, argument in (("rename", "Controller/better"), ("ignore", "a probe")):
        request = environ()
        with transaction("Controller/shop").around(request), inside(request) as web:
            getattr(web, method)(argument)

    assert ["Controller/better"] == scout.operations
    assert [("Controller/shop.cart", "a probe")] == scout.ignored


@pytest.mark.parametrize("broken", [{"headers": 5}, 5, None], ids=repr)
def test_environs_that_cannot_be_read_interrupt_nothing(scout, broken):
    with transaction("Controller/shop").around(broken), inside(environ()):
        pass
    with transaction("Controller/shop").around(environ()), inside(broken):
        pass

    assert ["Controller/shop.cart", "Controller/shop"] * 2 == scout.operations


def test_the_request_is_not_kept_after_its_end(scout):
    web = transaction("Controller/shop").around(environ())
    with web:
        assert web.served is not None

    assert (None, None) == (web.served, web.environ)


@pytest.mark.parametrize("settings", [{}, {"ignore": ["/cart"]}, {"sample_rate": 0}], ids=str)
def test_the_caller_of_an_asgi_scope_is_followed_also_where_the_request_is_ignored(settings):
    from scout_core.testing import recording

    with recording(plugins_disable=["collector"], **settings):
        web = inside(scope())
        with web:
            assert CALLER[3:35] == web.trace_id


def test_a_transaction_without_a_name_keeps_that_of_the_outer_one(scout):
    request = environ()
    with transaction("Controller/shop").around(request), inside(request, UNNAMED) as web:
        web.tag("plan", "gold")

    assert ["Controller/shop"] == scout.operations
    assert "gold" == scout.transaction.tags["plan"]
