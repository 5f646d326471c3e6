"""Exceptions that are answers: ``abort(404)`` is how a view answers that something does not exist, not an error."""

from __future__ import annotations

_OK = 200


def is_answer(error: object, answer: object) -> bool:
    """
    Return whether an exception that was handled is an answer: an HTTP exception, and no status of 500 or more is involved.

    Args:
        answer: what handled it has returned: whatever a view may return. A handler can make an error of a 404.
    """
    from werkzeug.exceptions import HTTPException  # loaded by Flask

    return issubclass(type(error), HTTPException) and status_of(error) < 500 and status_of(answer) < 500


def is_page(answer: object) -> bool:
    """Return whether an answer is an HTTP exception that makes its own page, in memory; ``abort(response)`` has another."""
    from werkzeug.exceptions import HTTPException

    return issubclass(type(answer), HTTPException) and answer.response is None  # type: ignore[attr-defined]  # as below


# Only the types of the libraries are read: what an application returns may run its code when it is touched.
def status_of(answer: object) -> int:
    """Return the status of an HTTP exception, a response, or a tuple that has one; 200 where it has no status."""
    from werkzeug.exceptions import HTTPException
    from werkzeug.wrappers import Response

    kind: object = type(answer)
    if kind is tuple:
        parts: tuple[object, ...] = answer  # type: ignore[assignment]  # mypy does not connect the type with the object
        status = _number(parts[1]) if len(parts) > 1 else None
        return status_of(parts[0]) if status is None and parts else status or _OK
    if issubclass(type(answer), HTTPException):
        code = _number(answer.code)  # type: ignore[attr-defined]  # as above
        return status_of(answer.response) if code is None else code  # type: ignore[attr-defined]  # `abort(response)`
    if issubclass(type(answer), Response):
        return _number(answer.status_code) or _OK  # type: ignore[attr-defined]  # as above
    return _OK


def _number(status: object) -> int | None:
    """Return a status that is given as a number, or as a text such as ``503 SERVICE UNAVAILABLE``; None for anything else."""
    if issubclass(type(status), int):
        return int.__add__(status, 0)  # type: ignore[operator]  # as above
    if issubclass(type(status), str):
        digits = str.__getitem__(status, slice(3))  # type: ignore[index]  # as above
        return int(digits) if digits.isascii() and digits.isdigit() else None
    return None
