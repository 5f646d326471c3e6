"""
``WsgiMiddleware``: records each request of a WSGI application that it is put around by hand.

Hot code: nothing is copied, and the body of a response is the application's own object wherever it is in memory or a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from scout_core.classes import can_be_iterated
from scout_core.instruments.middleware import Middleware, name_for
from scout_core.instruments.statuses import NO_RESPONSE as NO_RESPONSE
from scout_core.instruments.statuses import SERVER_ERROR, status_number
from scout_core.log import Log
from scout_core.operations import UNNAMED as UNNAMED
from scout_core.recording import context
from scout_core.recording.transaction import Transaction

_Environ = dict[str, Any]  # Any: PEP 3333, as below
_StartResponse = Callable[..., Any]
_App = Callable[[_Environ, _StartResponse], Iterable[bytes]]

log = Log("scout_core.wsgi")


class WsgiMiddleware(Middleware[_App, _Environ]):
    """
    A WSGI application that records the requests of another one: ``app = WsgiMiddleware(app, name="Controller/shop")``.

    A request lasts until its body has been sent. Where the plugin of a web framework records the same request, there is a single
    transaction, which has the plugin's name. ``Middleware`` has the arguments.
    """

    _protocol = "WSGI"
    _log = log

    def __call__(self, environ: _Environ, start_response: _StartResponse) -> Iterable[bytes]:
        """Pass a request on to the application, and record it."""
        if not self._first.is_over:
            self._first.enter()
        if context.tracer is None:
            return self.app(environ, start_response)
        name = self._name
        web = Transaction(name if type(name) is str else name_for(name, environ))
        with web.around(environ):
            response = _Response(start_response, web)
            body = self.app(environ, response.start)
            kind = type(body)
            if kind is list or kind is tuple:
                if response.is_error is None:
                    response.mark()
                return body
            if response.is_error is None or not can_be_iterated(kind):
                response.mark()
            return web.stream(body, file_wrapper=environ.get("wsgi.file_wrapper"))


class _Response:
    """The response of an application, from its calls of ``start_response``."""

    __slots__ = ("start_response", "web", "is_error", "marks")

    def __init__(self, start_response: _StartResponse, web: Transaction) -> None:
        self.start_response = start_response
        self.web = web
        self.is_error: bool | None = None
        """Whether its status is an error; None until it has one. A second call replaces it until the first part has been sent."""
        self.marks: tuple[str, ...] = ()
        """Tags that only hold while it has none."""

    # The third argument is passed on only where it is given.
    def start(self, *args: Any, **kwargs: Any) -> Any:
        """Pass everything on, and read the status once the server has accepted it."""
        write = self.start_response(*args, **kwargs)
        status = args[0] if args else kwargs.get("status")
        is_plain = type(status) is str and "1" <= status < "5"  # `99 X` is read below
        is_error = not is_plain and status_number(status) >= SERVER_ERROR
        for mark in self.marks:
            self.web.own_tags.pop(mark, None)
        self.marks = ()
        if is_error or self.is_error:
            self.web.tag("error", is_error)
        self.is_error = is_error
        if len(args) > 2 or kwargs:
            raised = args[2] if len(args) > 2 else kwargs.get("exc_info")
            if type(raised) is tuple and len(raised) == 3:  # the exception that this response answers
                self.web.record_error(raised[1], handled=not is_error)
        return write

    def mark(self) -> None:
        """Make the request fail, as servers do, unless a body that is made later starts the response."""
        tags = self.web.own_tags
        self.marks = tuple(mark for mark in (NO_RESPONSE, "error") if mark not in tags)
        for mark in self.marks:
            self.web.tag(mark, True)
