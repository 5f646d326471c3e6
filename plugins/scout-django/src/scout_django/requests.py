"""Requests as transactions, from Django's handlers: the application would see a middleware."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Final

from scout_core import Transaction, current_transaction, transaction
from scout_core.instruments.asgi import current_request, record_request
from scout_core.operations import UNNAMED
from scout_django.names import operation_of
from scout_django.users import username_of

if TYPE_CHECKING:
    from scout_core import Wrap

HANDLER: Final = "django.core.handlers.base:BaseHandler"
NO_ROUTE: Final = "no route"
"""Reason why a request is ignored that no view answers."""
_SERVER_ERROR: Final = 500


def instrument_requests(wrap: Wrap, *, usernames: bool) -> None:
    """Record every request, whichever server or test client it comes from, and name it where its view is found."""

    def respond(handler: object, request: Any) -> Generator[Transaction, Any, None]:
        """Describe one request, until its response has been made, or has been sent if it is streamed."""
        web = transaction(UNNAMED)
        web.environ = getattr(request, "environ", None) or getattr(request, "scope", None)
        unnamed[id(request)] = web
        is_unnamed = False
        try:
            response = yield web
        finally:
            is_unnamed = unnamed.pop(id(request), None) is not None
            if usernames:
                tag_user(web, request)
        if response.status_code >= _SERVER_ERROR:
            web.tag("error", True)
        elif is_unnamed and web.operation == UNNAMED and web.transaction is web:
            web.ignore(NO_ROUTE)
        if response.streaming:
            follow(web, response)

    def respond_async(handler: object, request: Any) -> Generator[Transaction | None, Any, None]:
        """Describe one request that ``call`` does not record: of the asynchronous test client, or in Django 3.2."""
        served = current_request()
        if served is None:
            yield from respond(handler, request)
        elif usernames:
            yield None
            tag_user(served.transaction, request)

    wrap(f"{HANDLER}.get_response", respond, root=True)
    # The messages of the response are seen as they pass, so describing the call is not enough.
    wrap.around("django.core.handlers.asgi:ASGIHandler.handle", call, optional=True)  # not in Django 3.2
    wrap(f"{HANDLER}.get_response_async", respond_async, root=True)
    wrap(f"{HANDLER}.resolve_request", resolve)


# Any, here and below: of Django, which has no types.
def call(
    wrapped: Callable[..., Any], handler: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Coroutine[Any, Any, Any]:
    """Answer a request of an ASGI server."""
    return record_request(wrapped, *args, needs_name=True, **kwargs)


def follow(web: Transaction, response: Any) -> None:
    """Let a request last until its streamed response has been sent, or closed."""
    if web.transaction is None:
        return
    stream = response._iterator
    if not (hasattr(stream, "close") or hasattr(stream, "__anext__")):
        stream = (part for part in stream)  # one that can be closed
    body = response._iterator = web.stream(stream)
    # First of all: what the application does when its stream is closed belongs to the request.
    close = getattr(body, "close", web.end)
    response._resource_closers.insert(0, close)


def resolve(handler: object, request: Any) -> Generator[None, Any, None]:
    """Name a request after its view before that is called, so that the view may give another name."""
    match = yield
    web = unnamed.pop(id(request), None)
    operation = operation_of(match.func, request.method, match.route)
    if web is not None:
        web.rename(operation)
        return
    served = current_request()
    if served is not None:
        served.name(operation)
        return
    web = current_transaction()
    if web is not None and web.operation == UNNAMED:  # middleware has passed on another object
        web.rename(operation)


def tag_user(web: Transaction, request: Any) -> None:
    """Tag a request with the name of its user, if the application has asked for the user."""
    username = username_of(request)
    if username is not None:
        web.tag("username", username)


unnamed: Final[dict[int, Transaction]] = {}
"""``id()`` of each request that is being answered and has no name yet."""
