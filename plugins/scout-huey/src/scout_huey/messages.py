"""
The headers of a message: which span has published it, and when.

A message of Huey is a pickled tuple without room for them. ``pickle.loads`` ignores what follows the pickle, so they are written
there: a consumer without this plugin reads the message as before. They are inside the signature and the compression of a serializer,
and a serializer that does not pickle has none.
"""

from __future__ import annotations

from threading import local
from typing import TYPE_CHECKING, Any, Final

from scout_core import current_transaction
from scout_core.instruments.jobs import message_headers

if TYPE_CHECKING:
    from collections.abc import Callable

HEADERS: Final = "_scout_headers"
"""Attribute of a task that was read from a message, which Huey does not store."""
_END: Final = b"\nscout-headers"
_LENGTH: Final = 4
"""Bytes before the end: the length of the headers."""

_here: Final = local()

Arguments = tuple[Any, ...]
Named = dict[str, Any]


def send(wrapped: Callable[..., bytes], huey: Any, args: Arguments, kwargs: Named) -> bytes:
    """Publish a task. A scheduler, which has no transaction, moves on the headers with which the task was published."""
    task = args[0] if args else kwargs.get("task")
    received = None if current_transaction() is not None else getattr(task, HEADERS, None)
    _here.sent = received or message_headers()
    try:
        return wrapped(*args, **kwargs)
    finally:
        _here.sent = None


def serialize(wrapped: Callable[..., bytes], serializer: Any, args: Arguments, kwargs: Named) -> bytes:
    """Put the headers behind the pickle of a message; a result has none."""
    data = wrapped(*args, **kwargs)
    headers = getattr(_here, "sent", None)
    if not headers:
        return data
    text = "\n".join(f"{name}:{value}" for name, value in headers.items()).encode()
    return data + text + len(text).to_bytes(_LENGTH, "big") + _END


def receive(wrapped: Callable[..., Any], huey: Any, args: Arguments, kwargs: Named) -> Any:  # Any: a task
    """Read a task, and keep the headers of its message with it."""
    _here.received = None
    task = wrapped(*args, **kwargs)
    if task is not None and _here.received:
        setattr(task, HEADERS, _here.received)
    return task


def deserialize(wrapped: Callable[..., Any], serializer: Any, args: Arguments, kwargs: Named) -> Any:  # Any: a message
    """Read the headers behind a pickle, which the call itself ignores."""
    data = args[0] if args else kwargs.get("data")
    if type(data) is bytes and data.endswith(_END):
        end = len(data) - len(_END) - _LENGTH
        begin = end - int.from_bytes(data[end : end + _LENGTH], "big")
        lines = data[max(begin, 0) : end].decode(errors="replace").split("\n")
        _here.received = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return wrapped(*args, **kwargs)
