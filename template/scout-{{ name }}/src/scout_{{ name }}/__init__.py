"""Calls of {{ library }} as spans: ``{{ name | capitalize }}/Call``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scout_core import Span, hookimpl, span

if TYPE_CHECKING:
    from scout_core import Wrap


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Time every call."""
    wrap("{{ library }}:Client.call", call)


def call(client: Any, *args: Any, **kwargs: Any) -> Span:  # Any: the arguments are the library's affair
    """One call, whatever it is asked for."""
    return span("{{ name | capitalize }}/Call")
