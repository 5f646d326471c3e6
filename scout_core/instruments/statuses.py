"""The status of a response as a number, whatever an application has given its server as one."""

from __future__ import annotations

from typing import Final

from scout_core.recording.safety.contain import count_invalid

SERVER_ERROR: Final = 500
"""The first status that is an error."""
NO_RESPONSE: Final = "no_response"
"""Tag: true when the application has returned without a response, and the client was still there; servers answer with status 500."""
_DIGITS: Final = slice(3)


def status_number(status: object) -> int:
    """
    Return the number of a status: of an integer, or of a text such as ``500`` and ``500 Internal Server Error``.

    Runs no code of the object's own class.

    Returns:
        0 if it has none, which is counted as an invalid value.
    """
    kind = type(status)
    try:
        if issubclass(kind, int):
            return int.__index__(status)  # type: ignore[arg-type]  # it is one
        if issubclass(kind, str):
            return int(str.__getitem__(status, _DIGITS))  # type: ignore[index]
        if issubclass(kind, bytes):
            return int(bytes.__getitem__(status, _DIGITS))  # type: ignore[call-overload]
    except ValueError:  # other words
        pass
    count_invalid()
    return 0
