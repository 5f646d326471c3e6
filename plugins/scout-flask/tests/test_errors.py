"""Errors of requests, handled by the application in every way that Flask has, over real sockets."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import flask
import pytest
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound, ServiceUnavailable

from scout_core import record_error
from scout_core.sending.wire import encode
from scout_core.testing import hostile


class OutOfStock(Exception):
    """An error of the application."""


class TooMany(OutOfStock):
    pass


@pytest.fixture
def app() -> flask.Flask:
    app = flask.Flask("shop")
    app.logger.disabled = True

    @app.get("/out")
    def out():
        try:
            {}["tea"]
        except KeyError as missing:
            raise OutOfStock("no 'tea'") from missing

    @app.get("/abort/<int:status>")
    def abort(status):
        flask.abort(status)

    return app


def recorded(scout) -> list[tuple[str, bool]]:
    """Return class and ``handled`` of each error of the only transaction."""
    return [(error.exception.rpartition(".")[2], error.handled) for error in scout.transaction.errors]


def test_no_setting_leaves_with_an_error(scout, app, serve):
    """Scout's agent sends the whole configuration of the application with each error."""
    app.config.update(SECRET_KEY="key-of-the-shop", MAIL_PASSWORD="letters", OWNER="ada@shop.test")
    serve(app)("GET", "/out")

    report = scout.report()
    assert (1, 1) == (len(report.traces), len(report.error_groups))
    sent = encode(report)
    assert b"OutOfStock" in sent
    for secret in (b"key-of-the-shop", b"letters", b"ada@shop.test"):
        assert secret not in sent


def test_an_error_that_a_handler_answers_is_recorded_and_the_request_has_not_failed(scout, app, serve):
    app.register_error_handler(OutOfStock, lambda error: "sold out")

    answer = serve(app)("GET", "/out")

    assert (200, b"sold out") == (answer.status, answer.body)
    assert ([("OutOfStock", True)], False) == (recorded(scout), scout.transaction.is_error)
    (error,) = scout.transaction.errors
    assert ("no ?", [("cause", "'tea'")]) == (
        error.message,
        [(related.relation, related.message) for related in error.related],
    )
    assert (__file__, "out") == (error.place[0], error.place[2])
    assert [frame[0] == __file__ for frame in error.frames] == list(error.in_app)
    assert () == scout.transaction.spans


@pytest.mark.parametrize(
    ("answer", "status", "is_error"),
    [
        ("sold out", 200, False),
        (("sold out", 404), 404, False),
        (("sold out", 500), 500, True),
        (("sold out", "503 Closed"), 503, True),
        (("sold out", HTTPStatus.BAD_GATEWAY), 502, True),
        (("sold out", 500, {"X": "y"}), 500, True),
        (flask.Response("sold out", status=500), 500, True),
        (InternalServerError(), 500, True),
        (NotFound(), 404, False),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_status_of_the_answer_decides_whether_the_request_has_failed(scout, app, serve, answer, status, is_error):
    app.register_error_handler(OutOfStock, lambda error: answer)

    assert status == serve(app)("GET", "/out").status
    assert ([("OutOfStock", True)], is_error) == (recorded(scout), scout.transaction.is_error)


def test_an_error_that_nothing_handles_leaves_the_request_and_is_recorded_once(scout, app, serve):
    assert 500 == serve(app)("GET", "/out").status
    assert ([("OutOfStock", False)], True) == (recorded(scout), scout.transaction.is_error)


@pytest.mark.parametrize("registered_for", [500, InternalServerError])
def test_a_handler_for_500_answers_an_error_that_nothing_has_handled(scout, app, serve, registered_for):
    app.register_error_handler(registered_for, lambda error: ("sorry", 500))

    assert b"sorry" == serve(app)("GET", "/out").body
    assert ([("OutOfStock", False)], True) == (recorded(scout), scout.transaction.is_error)


def test_a_handler_for_every_exception_handles_it(scout, app, serve):
    app.register_error_handler(Exception, lambda error: ("sorry", 500))

    assert 500 == serve(app)("GET", "/out").status
    assert ([("OutOfStock", True)], True) == (recorded(scout), scout.transaction.is_error)


def test_a_handler_that_raises_the_error_again_has_not_handled_it(scout, app, serve):
    @app.errorhandler(OutOfStock)
    def handle(error):
        raise error

    assert 500 == serve(app)("GET", "/out").status
    assert ([("OutOfStock", False)], True) == (recorded(scout), scout.transaction.is_error)


def test_a_handler_that_raises_another_error_fails_with_that_one(scout, app, serve):
    """The first one is its context, or its cause."""

    @app.errorhandler(OutOfStock)
    def handle(error):
        raise ValueError("broken handler") from error

    assert 500 == serve(app)("GET", "/out").status
    (error,) = scout.transaction.errors
    assert ("broken handler", False) == (error.message, error.handled)
    assert [("cause", "no ?"), ("cause", "'tea'")] == [(related.relation, related.message) for related in error.related]


def test_handlers_are_found_by_subclass_and_blueprint(scout, app, serve):
    stock = flask.Blueprint("stock", "stock", url_prefix="/stock")

    @stock.get("/many")
    def many():
        raise TooMany

    stock.register_error_handler(OutOfStock, lambda error: "of the blueprint")
    app.register_blueprint(stock)

    assert b"of the blueprint" == serve(app)("GET", "/stock/many").body
    assert [("TooMany", True)] == recorded(scout)


@pytest.mark.parametrize("status", [400, 401, 404, 405, 418, 429])
def test_an_http_exception_below_500_is_an_answer(scout, app, serve, status):
    assert status == serve(app)("GET", f"/abort/{status}").status
    assert ([], False) == (recorded(scout), scout.transaction.is_error)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_an_http_exception_of_500_or_more_is_an_error(scout, app, serve, status):
    assert status == serve(app)("GET", f"/abort/{status}").status
    ((_, handled),) = recorded(scout)
    assert (True, True) == (handled, scout.transaction.is_error)


def test_a_handler_for_http_exceptions_decides_by_the_status_of_its_answer(scout, app, serve):
    app.register_error_handler(HTTPException, lambda error: ("page", 500 if error.code == 404 else error.code))
    ask = serve(app)

    assert [500, 403, 503] == [ask("GET", f"/abort/{status}").status for status in (404, 403, 503)]
    assert [1, 0, 1] == [len(seen.errors) for seen in scout.transactions]
    assert [True, False, True] == [seen.is_error for seen in scout.transactions]


@pytest.mark.parametrize(("status", "errors"), [(403, 0), (503, 1)])
def test_abort_with_a_response_is_judged_by_its_status(scout, app, serve, status, errors):
    @app.get("/response")
    def response():
        flask.abort(flask.Response("no", status=status))

    assert status == serve(app)("GET", "/response").status
    assert errors == len(scout.transaction.errors)


def test_trapped_http_exceptions_leave_the_request(scout, app, serve):
    app.config["TRAP_HTTP_EXCEPTIONS"] = True

    assert 500 == serve(app)("GET", "/abort/404").status
    assert ([("NotFound", False)], True) == (recorded(scout), scout.transaction.is_error)


def test_a_redirect_while_routing_and_an_unknown_path_are_not_errors(scout, app, serve):
    app.add_url_rule("/folder/", "folder", lambda: "folder")
    ask = serve(app)

    assert [308, 404] == [ask("GET", path).status for path in ("/folder", "/nothing")]
    assert [] == scout.transactions


def test_an_error_in_before_request_and_after_request(scout, app, serve):
    @app.before_request
    def before():
        if flask.request.args.get("where") == "before":
            raise OutOfStock("before")

    @app.after_request
    def after(response):
        if flask.request.args.get("where") == "after":
            raise OutOfStock("after")
        return response

    app.add_url_rule("/", "home", lambda: "home")
    app.register_error_handler(OutOfStock, lambda error: "handled")
    ask = serve(app)

    assert [200, 500] == [ask("GET", f"/?where={where}").status for where in ("before", "after")]
    assert [[("before", True)], [("after", False)]] == [
        [(error.message, error.handled) for error in seen.errors] for seen in scout.transactions
    ]


def test_teardown_functions_see_the_same_exception_and_it_is_recorded_once(scout, app, serve):
    seen = []

    @app.teardown_request
    def teardown(error):
        seen.append(type(error).__name__)
        if error is not None:
            record_error(error)  # the transaction has ended

    assert 500 == serve(app)("GET", "/out").status
    assert (["OutOfStock"], [("OutOfStock", False)]) == (seen, recorded(scout))


def test_an_error_of_an_async_view_and_an_async_handler(scout, app, serve):
    @app.get("/later")
    async def later():
        await asyncio.sleep(0)
        raise OutOfStock("later")

    @app.errorhandler(OutOfStock)
    async def handle(error):
        await asyncio.sleep(0)
        return "handled", 202

    assert 202 == serve(app)("GET", "/later").status
    assert ([("OutOfStock", True)], False) == (recorded(scout), scout.transaction.is_error)


def test_what_the_application_records_itself_is_not_recorded_twice(scout, app, serve):
    @app.errorhandler(OutOfStock)
    def handle(error):
        record_error(error)
        return "handled"

    assert 200 == serve(app)("GET", "/out").status
    assert [("OutOfStock", True)] == recorded(scout)


def test_one_exception_object_that_is_raised_in_every_request_is_recorded_in_each(scout, app, serve):
    same = ServiceUnavailable()

    @app.get("/same")
    def always():
        raise same

    ask = serve(app)

    assert [503, 503] == [ask("GET", "/same").status for _ in range(2)]
    assert [1, 1] == [len(seen.errors) for seen in scout.transactions]


def test_what_a_handler_returns_is_not_touched(scout, app, serve):
    """A handler of HTTP exceptions, whose answer is looked at for a status: only values of Flask's own types are."""
    app.register_error_handler(404, lambda error: hostile("page"))
    app.register_error_handler(403, lambda error: (hostile("page"), 200))
    ask = serve(app)

    assert [b"page", b"page"] == [ask("GET", f"/abort/{status}").body for status in (404, 403)]
    assert [(), ()] == [seen.errors for seen in scout.transactions]


def test_errors_are_counted_for_requests_that_failed_only(scout, app, serve):
    app.register_error_handler(TooMany, lambda error: "handled")

    @app.get("/maybe")
    def maybe():
        if flask.request.args["n"] == "0":
            raise OutOfStock
        if flask.request.args["n"] == "1":
            raise TooMany
        return "fine"

    ask = serve(app)

    assert [500, 200, 200] == [ask("GET", f"/maybe?n={n}").status for n in range(3)]
    (figures,) = scout.report().transactions
    assert (3, 1) == (figures.count, figures.errors)


def test_without_the_agent_handlers_are_flask_s_own(app):
    app.register_error_handler(OutOfStock, lambda error: "sold out")

    assert b"sold out" == app.test_client().get("/out").data
    assert not hasattr(flask.Flask.handle_user_exception, "__wrapped__")
