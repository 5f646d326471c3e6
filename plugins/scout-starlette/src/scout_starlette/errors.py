"""Exceptions that are not errors: answers on purpose, and reports that the client has disconnected."""

from __future__ import annotations

from typing import Any

_SERVER_ERROR = 500


def is_answer(error: Any) -> bool:  # Any: it has a status if it is of Starlette's class
    """Return whether an exception is an answer: an HTTP exception below 500, or FastAPI's refusal of a request that is not valid."""
    from starlette.exceptions import HTTPException  # loaded by Starlette

    if isinstance(error, HTTPException):
        return error.status_code < _SERVER_ERROR
    return any(
        kind.__name__ in ("RequestValidationError", "WebSocketRequestValidationError", "WebSocketException")
        and kind.__module__ in ("fastapi.exceptions", "starlette.exceptions")
        for kind in type(error).__mro__
    )


def is_disconnect(error: BaseException) -> bool:
    """Return whether an exception only reports that the client has disconnected."""
    from starlette.requests import ClientDisconnect
    from starlette.websockets import WebSocketDisconnect

    return isinstance(error, (ClientDisconnect, WebSocketDisconnect))
