"""Results that stand for work to come and are not followed: each class is noted once, and shown."""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType
from typing import Any, Final

from scout_core.recording import context
from scout_core.recording.context import KEPT_OPEN
from scout_core.recording.naming import type_name
from scout_core.recording.stepwise.bodies import has
from scout_core.recording.stepwise.deferred import outlast

Follow = Callable[[Any, Any], "tuple[type, Any]"]
"""Lets a span outlast its call if the result is not done yet; see ``outlast``."""
_MOST_SEEN: Final = 100
"""Classes of results that are looked at for one function."""
MOST_FUNCTIONS: Final = 100
"""Decorated functions, each with a class of results, that are noted in one process."""
_FUTURE: Final = (("add_done_callback",), "a future")
_KINDS: Final = (
    (("__await__",), "an awaitable object"),
    (("__enter__",), "a context manager"),
    (("__aenter__",), "an async context manager"),
    (("__anext__",), "an async iterator"),
    (("__next__",), "an iterator"),
    (("_set", "ready", "wait", "get"), "a pending result"),  # of a pool of multiprocessing, whose threads set it
)
"""Methods by which a class is recognised, and how it is described."""
_ENTERING: Final = ("__enter__", "__aenter__")
_module: Final = type.__dict__["__module__"].__get__


def noting(note: Callable[[str], object], name: str, *, is_constructor: bool = False) -> Follow:
    """
    Return the ``outlast`` of one function, which notes each class of results that it does not follow.

    Args:
        note: called with a description of such a class: ``a context manager (Lock)``.
        name: of the function, with its class or not.
        is_constructor: the result is a new object, and must be that object, so nothing is followed.
    """
    known: set[int] = set()

    def follow(opened: Any, result: Any) -> tuple[type, Any]:
        plain, result = (type(result), result) if is_constructor else outlast(opened, result)
        if plain is not NoneType and id(plain) not in known and len(known) < _MOST_SEEN:
            known.add(id(plain))
            text = "" if _is_own_affair(opened) else describe_unfollowed(plain, name, is_constructor=is_constructor)
            if text:
                note(text)
        return plain, result

    return follow


def noting_decorated(function: object) -> Callable[[Any, Any], Any]:
    """Return what gives the result of a decorated function, or its stand-in, once its span may outlast the call."""
    name = getattr(function, "__qualname__", None)
    name = name if type(name) is str else type_name(type(function))
    is_constructor = name.rpartition(".")[2] == "__new__"  # Python calls `__init__` only of an object of the class
    following: tuple[object, Follow] | None = None

    def note(text: str) -> None:
        tracer = context.tracer
        if tracer is not None and len(tracer.unfollowed) < MOST_FUNCTIONS:
            tracer.unfollowed[f"{name} returns {text}"] = False

    def followed(opened: Any, result: Any) -> Any:
        nonlocal following
        tracer = context.tracer
        if tracer is None:
            return result
        known = following  # one object, because other threads replace it
        if known is None or known[0] is not tracer:
            known = following = tracer, noting(note, name, is_constructor=is_constructor)
        return known[1](opened, result)[1]

    return followed


def describe_unfollowed(kind: type, name: str, *, is_constructor: bool = False) -> str:
    """
    Return ``a context manager (Lock)``; empty for a class whose objects are done. An iterator of a list or a dict is.

    Args:
        name: of the function that returns it: the object that ``__enter__`` returns to be used in the block is done, too.
    """
    method = name.rpartition(".")[2]
    if method in _ENTERING and has(kind, method):
        return ""
    kinds = (_FUTURE, *_KINDS) if is_constructor else _KINDS
    found = next((text for names, text in kinds if all(has(kind, needed) for needed in names)), "")
    return f"{found} ({type_name(kind)})" if found and _module(kind) != "builtins" else ""


def _is_own_affair(opened: Any) -> bool:
    """Whether the describer ends the span itself, or has none."""
    if opened.transaction is None:
        return bool(opened.start_ns)
    found: Any = getattr(opened, "span", opened)  # within a GuardedSpan
    return getattr(found, "stop_ns", 0) == KEPT_OPEN
