"""Calls of ``library.Store`` as spans: ``Store/fetch``, with the key as a tag, and ``Store/scan``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scout_core import Span, hookimpl, span

if TYPE_CHECKING:
    from bench.library import Store
    from scout_core.boundary.wrap import Wrap


@hookimpl
def instrument(wrap: Wrap) -> None:
    """Wrap both of its methods."""
    wrap("bench.library:Store.fetch", fetch)
    wrap("bench.library:Store.scan", scan)


def fetch(store: Store, key: str) -> Span:
    """Describe one call."""
    return span("Store/fetch", key=key)


def scan(store: Store, length: int) -> Span:
    """Describe a generator, from its first step to its end."""
    return span("Store/scan")
