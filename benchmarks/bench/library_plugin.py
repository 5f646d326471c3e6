"""Calls of ``library.Store`` as spans: ``Store/fetch``, with the key as a tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import Span, hookimpl, span

if TYPE_CHECKING:
    from bench.library import Store
    from scout_core.boundary.wrap import Wrap


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Wrap its only method."""
    wrap("bench.library:Store.fetch", fetch)


def fetch(store: Store, key: str) -> Span:
    """Describe one call."""
    return span("Store/fetch", key=key)
