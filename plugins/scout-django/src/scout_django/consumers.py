"""Consumers of Django Channels: web sockets by option, ``WebSocket/<module>.<class>``, and HTTP requests."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from scout_core.instruments.asgi import record_request
from scout_core.operations import CONTROLLER

if TYPE_CHECKING:
    from scout_core import Wrap

KINDS: Final = {"http": CONTROLLER, "websocket": "WebSocket"}
"""Type of a connection to the kind of its transaction; a consumer of another type is a worker, which never ends."""
_ARGUMENTS: Final = 3


def instrument_consumers(wrap: Wrap, *, sockets: bool) -> None:
    """Record each connection to a consumer."""

    # Any: of Channels, which has no types. The messages of a response are seen as they pass, so describing the call is not enough.
    def connect(
        wrapped: Callable[..., Any], consumer: object, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Coroutine[Any, Any, Any]:
        kind = KINDS.get(args[0]["type"]) if len(args) == _ARGUMENTS else None  # Channels 2 has two
        if kind is None:
            return wrapped(*args, **kwargs)  # type: ignore[no-any-return]  # as above
        owner = type(consumer)
        return record_request(wrapped, *args, name=f"{kind}/{owner.__module__}.{owner.__qualname__}", sockets=sockets)

    wrap.around("channels.consumer:AsyncConsumer.__call__", connect)
