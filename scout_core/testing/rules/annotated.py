"""The results that a function announces in its annotation, as far as its class is known without a call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints

from scout_core.classes import attribute_of
from scout_core.recording.naming import type_name
from scout_core.recording.stepwise.deferred import is_deferred_kind
from scout_core.recording.stepwise.unfollowed import describe_unfollowed

_ANY_CLASS: Final = (
    ("__await__", "an awaitable object", "a coroutine, a future or a task"),
    ("__enter__", "a context manager", "made by contextlib.contextmanager"),
    ("__aenter__", "an async context manager", "made by contextlib.asynccontextmanager"),
    ("__anext__", "an async iterator", "an async generator"),
    ("__next__", "an iterator", "a generator or an iterator of Python's own"),
)
"""A method by which an abstract class is recognised, the description of its objects, and those that are followed."""
_ALWAYS_FOLLOWED: Final = ("send", "asend")
"""Methods of what nearly always is a coroutine or a generator, and of Python's own types."""


class Announced(NamedTuple):
    """A result of a function whose span may not last until it is done."""

    text: str
    """``a context manager (Lock)``."""
    followed_if: str
    """For a class of which it only knows the methods: which objects of it are followed. Empty: none is."""


def announced_results(function: Any, name: str) -> Iterator[Announced]:  # Any: whatever a target names
    """Yield those of a function; nothing where its annotation cannot be read, or names nothing that is done later."""
    for kind in _kinds_in(_return_of(function)):
        if not (inspect.isabstract(kind) or getattr(kind, "_is_protocol", False)):
            text = "" if is_deferred_kind(kind) else describe_unfollowed(kind, name)
            if text:
                yield Announced(text, "")
        elif not any(attribute_of(kind, method) is not None for method in _ALWAYS_FOLLOWED):
            for method, text, followed in _ANY_CLASS:
                if attribute_of(kind, method) is not None:
                    yield Announced(f"{text} ({type_name(kind)})", followed)
                    break


def _return_of(function: Any) -> Any:
    """Return the annotation of its result, evaluated; that of an argument may name what exists for type checkers only."""
    inner = inspect.unwrap(function)
    try:
        annotation = inner.__annotations__["return"]
        found: Callable[..., None] = lambda: None  # noqa: E731  # get_type_hints reads the names that a function annotates
        found.__annotations__ = {"return": annotation}
        return get_type_hints(found, inner.__globals__)["return"]
    except Exception:  # noqa: BLE001  # annotations may be anything, and names in them exist for type checkers only
        return None


def _kinds_in(annotation: Any) -> Iterator[type]:
    """Yield the classes that an annotation names: that of a generic one, and each of a union."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for part in get_args(annotation):
            yield from _kinds_in(part)
    elif origin is Annotated:
        yield from _kinds_in(get_args(annotation)[0])
    elif isinstance(origin, type):
        yield origin
    elif isinstance(annotation, type):
        yield annotation
