"""Django's cache framework as spans, ``Cache/Get``, whatever the backend; no key and no value is recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from scout_core import Span, outermost_span

if TYPE_CHECKING:
    from scout_core import Wrap

METHODS: Final = {
    "add": "Cache/Add",
    "clear": "Cache/Clear",
    "decr": "Cache/Decr",
    "delete": "Cache/Delete",
    "delete_many": "Cache/DeleteMany",
    "get": "Cache/Get",
    "get_many": "Cache/GetMany",
    "get_or_set": "Cache/GetOrSet",
    "has_key": "Cache/HasKey",
    "incr": "Cache/Incr",
    "set": "Cache/Set",
    "set_many": "Cache/SetMany",
    "touch": "Cache/Touch",
}
"""Methods of a cache; its asynchronous ones call these in a thread."""


def instrument_caches(wrap: Wrap) -> None:
    """Time the methods of each class of caches, also of other distributions: of those that exist, and when the first cache is made."""
    describers = {name: _describer_of(operation) for name, operation in METHODS.items()}

    known: WeakSet[type] = WeakSet()

    def follow(kind: type) -> None:
        if kind in known:  # each thread has caches of its own
            return
        known.add(kind)
        for name, describer in describers.items():
            owner = next((base for base in kind.__mro__ if name in vars(base)), None)
            if owner is not None:
                wrap.object(owner, name, describer)

    def create(wrapped: Callable[..., Any], instance: object, args: Any, kwargs: Any) -> Any:
        cache = wrapped(*args, **kwargs)
        follow(type(cache))
        return cache

    # Its class is known only then, also outside of transactions, where nothing can be described.
    wrap.around("django.core.cache:CacheHandler.create_connection", create)
    loaded = sys.modules.get("django.core.cache.backends.base")
    for kind in () if loaded is None else _below(loaded.BaseCache):
        follow(kind)


def _below(kind: type[Any]) -> Iterator[type[Any]]:  # Any: whatever it makes
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)


def _describer_of(operation: str) -> Callable[..., Span]:
    # One method calls others of the same cache, as `get_or_set` does, or of the class that it inherits from.
    def describe(cache: Any, /, *args: object, **kwargs: object) -> Span:  # Any: of whatever class
        return outermost_span(operation, backend=type(cache).__name__)

    return describe
