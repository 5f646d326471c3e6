"""Flask requests as transactions: ``Controller/<module>.<view>``; what runs before a view as ``PreprocessRequest``."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from scout_core import Span, Transaction, hookimpl, record_error, span, transaction
from scout_core.endpoints import EndpointOperations
from scout_flask.answers import is_answer, is_page
from scout_flask.extension import ScoutApm as ScoutApm

if TYPE_CHECKING:
    from flask import Flask, Request, Response

    from scout_core.boundary.wrap import Wrap


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Time every request of every application and the functions that run before its view, and record the errors that it handles."""
    # The module that defines the class: `flask.Flask` may be a subclass that another agent has put there.
    wrap("flask.app:Flask.full_dispatch_request", dispatch, root=True)
    wrap("flask.app:Flask.preprocess_request", preprocess)
    wrap("flask.app:Flask.handle_user_exception", handle)


# Flask 3.2 passes the request's context to both methods, earlier versions pass nothing; the request is found the same way in all.
def dispatch(app: Flask, *context: object) -> Generator[Transaction, Response, None]:
    """Describe one request; decline a 404, a 405 and a redirect to the canonical URL, which have no view to name."""
    request = current[0]()
    rule = request.url_rule
    if rule is None or request.routing_exception is not None:
        return
    web = transaction(operation(app, rule.endpoint))
    web.environ = request.environ
    response = yield web
    if response.status_code >= 500:
        web.tag("error", True)
    body = response.response
    # A list is the body of nearly every response. It and an error page are in memory as a whole, so nothing of them is made later.
    if type(body) is not list and request not in answered_by_page:
        response.response = web.stream(body, file_wrapper=request.environ.get("wsgi.file_wrapper"))


def preprocess(app: Flask, *context: object) -> Span | None:
    """Describe the functions of ``before_request``; None without a function that applies to this request."""
    functions = app.before_request_funcs
    if functions and (functions.get(None) or any(map(functions.get, current[0]().blueprints))):
        return span("PreprocessRequest")
    return None


def handle(app: Flask, *arguments: object, **named: object) -> Generator[None, object, None]:
    """
    Record an exception that a handler, or Flask itself, has answered; one without a handler is raised again, and leaves the request.

    Args:
        arguments: the exception comes last; Flask 3.2 passes the request's context before it.
    """
    answer = yield
    if is_page(answer):
        answered_by_page.add(current[0]())
    error = named.get("e", arguments[-1] if arguments else None)
    if not is_answer(error, answer):
        record_error(error)  # type: ignore[arg-type]  # anything else is counted


answered_by_page: Final[WeakSet[Request]] = WeakSet()
"""Requests whose response is the page of an HTTP exception, which Werkzeug gives as an iterator; its test client does not read it."""

_operations: Final[EndpointOperations[Flask]] = EndpointOperations(lambda app: app.view_functions)
operation: Final = _operations.of
"""Returns ``Controller/<module>.<view>``, or the endpoint where different views would share that name."""


def first_request() -> Request:
    """Return the current request itself, not its proxy, and put the function that does so into ``current``."""
    from flask import request

    current[0] = request._get_current_object  # type: ignore[attr-defined]  # a method of the proxy
    return current[0]()


# Saves an import for each request, a lookup by Flask's proxy for each attribute, and the work of `functools.cache`.
current: Final[list[Callable[[], Request]]] = [first_request]
"""One item: returns the current request."""
