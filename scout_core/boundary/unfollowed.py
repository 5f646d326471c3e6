"""Results that stand for work to come and are not followed: each is noted once for each target and class, and shown."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, Final

from scout_core.boundary.guard import Guard
from scout_core.recording.context import KEPT_OPEN
from scout_core.recording.naming import type_name
from scout_core.recording.stepwise.bodies import has
from scout_core.recording.stepwise.deferred import outlast

MOST_NOTED: Final = 5
"""Classes of results that are shown for one target."""
_MOST_SEEN: Final = 100
"""Classes of results that are looked at for one target."""
_KINDS: Final = (
    ("__enter__", "a context manager"),
    ("__aenter__", "an async context manager"),
    ("__anext__", "an async iterator"),
    ("__next__", "an iterator"),
)
_module: Final = type.__dict__["__module__"].__get__


def noting(guard: Guard) -> Callable[[Any, Any], tuple[type, Any]]:
    """
    Return the ``outlast`` of one target, which notes in its guard what it does not follow.

    A wrapper calls it when a result is of another class than the last one, so a target that always returns the same does not pay.
    """
    known: set[int] = set()

    def follow(opened: Any, result: Any) -> tuple[type, Any]:
        plain, result = outlast(opened, result)
        if plain is not NoneType and id(plain) not in known and len(known) < _MOST_SEEN:
            known.add(id(plain))
            if not _is_own_affair(opened) and (kind := _kind_of(plain)) and len(guard.unfollowed) < MOST_NOTED:
                guard.unfollowed = (*guard.unfollowed, f"{kind} ({type_name(plain)})")
        return plain, result

    return follow


def _is_own_affair(opened: Any) -> bool:
    """Whether the describer ends the span itself, or has none."""
    if opened.transaction is None:
        return bool(opened.start_ns)
    found: Any = getattr(opened, "span", opened)  # within a GuardedSpan
    return getattr(found, "stop_ns", 0) == KEPT_OPEN


def _kind_of(kind: type) -> str:
    """``a context manager``; empty for a result that is done. An iterator of a list or a dict is."""
    found = next((text for name, text in _KINDS if has(kind, name)), "")
    return "" if found and _module(kind) == "builtins" else found
