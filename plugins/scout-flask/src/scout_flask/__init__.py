"""Flask requests as transactions: ``Controller/<module>.<view>``; what runs before a view as ``PreprocessRequest``."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import cache
from typing import TYPE_CHECKING

from scout_core import Span, Transaction, WebRequest, hookimpl, span, transaction
from scout_core.operations import CONTROLLER
from scout_flask.extension import ScoutApm as ScoutApm

if TYPE_CHECKING:
    from flask import Flask, Request, Response

    from scout_core.boundary.wrap import Wrap


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Time every request of every application, and what is registered to run before its view."""
    wrap("flask:Flask.full_dispatch_request", dispatch, root=True)
    wrap("flask:Flask.preprocess_request", preprocess)


# Flask 3.2 hands both methods the request's context, earlier ones nothing; the request is found the same way in all.
def dispatch(app: Flask, *context: object) -> Generator[Transaction, Response, None]:
    """One request; none for a 404, a 405 or a redirect to the right spelling, where there is no view to name."""
    request = current_request()()
    rule = request.url_rule
    if rule is None or request.routing_exception is not None:
        return
    web = transaction(f"{CONTROLLER}/{view_name(app, rule.endpoint)}")
    web.request = WebRequest.from_environ(request.environ)
    response = yield web
    if response.status_code >= 500:
        web.tag("error", True)


def preprocess(app: Flask, *context: object) -> Span | None:
    """The functions of ``before_request``; None when none applies to this request."""
    functions = app.before_request_funcs
    if functions and (functions.get(None) or any(map(functions.get, current_request()().blueprints))):
        return span("PreprocessRequest")
    return None


def view_name(app: Flask, endpoint: str) -> str:
    """Module and name of a view function; the endpoint in place of a name that it has not, as a lambda, or a partial."""
    view = app.view_functions.get(endpoint)
    name = getattr(view, "__name__", None)
    if name == "<lambda>":  # all of a module would be one endpoint; Flask's own for static files is one
        name = endpoint
    return f"{view.__module__}.{name}" if name else endpoint


@cache  # importing for each request, and Flask's proxy for each attribute, would look up what never changes
def current_request() -> Callable[[], Request]:
    """What gives the request of this moment, itself and not the proxy of it."""
    from flask import request

    return request._get_current_object  # type: ignore[attr-defined, no-any-return]  # the proxy has it, the request not
