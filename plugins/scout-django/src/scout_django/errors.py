"""Exceptions that Django, a REST library or the application answers; any other leaves the transaction, and is recorded by the core."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Final

from scout_core import record_error

if TYPE_CHECKING:
    from scout_core import Wrap

_SERVER_ERROR: Final = 500
_ANSWERS: Final = frozenset(
    (
        "django.BadRequest", "django.Http404", "django.MultiPartParserError", "django.PermissionDenied", "django.SuspiciousOperation",
        "ninja.HttpError", "ninja.ValidationError", "rest_framework.APIException",
    )
)  # fmt: skip
"""Library and class of the exceptions that stand for a status."""


def instrument_errors(wrap: Wrap) -> None:
    """Record exceptions where Django answers them."""
    wrap("django.core.handlers.exception:handle_uncaught_exception", answer_uncaught)
    wrap("django.core.handlers.base:BaseHandler.process_exception_by_middleware", handle)


def instrument_handlers(wrap: Wrap) -> None:
    """Record exceptions where the handlers of Django REST framework and Django Ninja answer them."""
    wrap("rest_framework.views:APIView.handle_exception", handle_by_view)
    wrap("ninja.main:NinjaAPI.on_exception", handle_by_api)


# Any, here and below: responses of Django, which has no types.
def handle(handler: object, error: Exception, request: object) -> Generator[None, Any, None]:
    """Record an exception of a view that middleware of the application has answered."""
    record_answered(error, (yield))


def handle_by_view(view: object, exc: Exception) -> Generator[None, Any, None]:
    """Record an exception that the handler of Django REST framework has answered; one that it cannot answer leaves the view."""
    record_answered(exc, (yield))


def handle_by_api(api: object, request: object, exc: Exception) -> Generator[None, Any, None]:
    """Record an exception that a handler of Django Ninja has answered."""
    record_answered(exc, (yield))


def answer_uncaught(request: object, resolver: object, raised: Any) -> None:
    """Record an exception that Django answers with status 500."""
    record_error(raised[1], handled=False)


def record_answered(error: Exception, response: Any) -> None:
    """Record an exception with this response, unless it is the answer itself, with a status below 500; None: nothing has answered it."""
    if response is not None and (response.status_code >= _SERVER_ERROR or not is_answer(error)):
        record_error(error)


def is_answer(error: Exception) -> bool:
    """Return whether an exception is of a class that stands for a status."""
    return any(f"{kind.__module__.partition('.')[0]}.{kind.__name__}" in _ANSWERS for kind in type(error).__mro__)
