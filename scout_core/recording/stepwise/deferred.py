"""
Results that stand for work which is not done yet: the span of the call that returned one ends when it is.

Generators, coroutines and lazy iterators of Python's own types, and those of compilers, are replaced by stand-ins: they are used once,
by the one who gets them. An object of any other class stays itself, because its library may know it again; see ``unfollowed.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import CO_ITERABLE_COROUTINE
from types import (
    AsyncGeneratorType,
    CoroutineType,
    GeneratorType,
    MethodDescriptorType,
    NoneType,
    WrapperDescriptorType,
)
from typing import Any, Final
from weakref import ref

from scout_core.classes import attribute_of
from scout_core.clocks import perf_counter_ns
from scout_core.recording.context import current
from scout_core.recording.span import Span
from scout_core.recording.stepwise.bodies import BodySteps, SteppedBody, has, stand_in
from scout_core.recording.stepwise.lasting import BLOCKS, LAZY
from scout_core.recording.stepwise.stepped import (
    AsyncBlockSteps,
    AsyncGeneratorSteps,
    BlockSteps,
    CoroutineSteps,
    GeneratorSteps,
    IterableCoroutineSteps,
    SteppedAsyncGenerator,
    SteppedCoroutine,
    SteppedGenerator,
    SteppedIterableCoroutine,
)
from scout_core.recording.stepwise.steps import Steps, Timed

PLAIN: Final = frozenset(map(id, (NoneType, bool, int, float, str, bytes, list, dict, tuple, set)))
"""Ids of the types of most results, none of which is deferred. Comparing types could run code of a metaclass."""
_KINDS: Final = (
    (("asend", "athrow", "aclose"), SteppedAsyncGenerator, AsyncGeneratorSteps, AsyncBlockSteps),
    (("__await__", "send", "throw", "close"), SteppedCoroutine, CoroutineSteps, CoroutineSteps),
    (("__next__", "send", "throw", "close"), SteppedGenerator, GeneratorSteps, BlockSteps),
)
"""Methods by which a type is recognised; the stand-in of its objects, their steps, and those where it makes a context manager."""
_COMPILED: Final = (MethodDescriptorType, WrapperDescriptorType)
"""Types of the methods of a type that is written in C, as compilers write it. A class of Python code has functions."""
_ITERABLE_COROUTINE: Final = ((), SteppedIterableCoroutine, IterableCoroutineSteps, BlockSteps)
"""The same for a generator that can be awaited; its class does not show that."""
NATIVE: Final = {
    id(kind): found
    for kind, found in (
        (AsyncGeneratorType, _KINDS[0]),
        (CoroutineType, _KINDS[1]),
        (GeneratorType, _KINDS[2]),
        (SteppedAsyncGenerator, _KINDS[0]),
        (SteppedCoroutine, _KINDS[1]),
        (SteppedGenerator, _KINDS[2]),
        (SteppedIterableCoroutine, _ITERABLE_COROUTINE),
    )
} | dict.fromkeys(LAZY, ((), SteppedBody, BodySteps, BodySteps))
"""Ids of Python's own types and of their stand-ins, which are most."""
MOST_KNOWN: Final = 500
"""Classes of results that are remembered as not deferred: a function may return many, and looking at one takes some µs."""
_known_plain: Final[dict[int, ref[type]]] = {}
"""By ``id()``, as comparing classes could run code of a metaclass."""

_get = current.get


def is_deferred(result: object) -> bool:
    """
    Whether it is a generator, a coroutine, a lazy iterator or a context manager of Python's own, or a future.

    Asks the class only, without running code of it.
    """
    kind = type(result)
    number = id(kind)
    if number in PLAIN or ((known := _known_plain.get(number)) is not None and known() is kind):
        return False
    if is_deferred_kind(kind):
        return True
    if len(_known_plain) >= MOST_KNOWN:
        _known_plain.clear()
    _known_plain[number] = ref(kind)
    return False


def is_deferred_kind(kind: type) -> bool:
    """Whether objects of a class are."""
    return id(kind) in NATIVE or id(kind) in BLOCKS or _is_future(kind) or _kind_of(kind) is not None


def outlast(opened: Timed, result: Any) -> tuple[type, Any]:  # Any: whatever a function returns
    """
    Let the open span of a call last until a deferred result is done.

    Returns:
        A type of results that are not deferred, and what to return instead of the result.
    """
    if not is_deferred(result):
        return type(result), result
    if opened.transaction is not None:  # it is recorded
        opened.keep_open()
        result = until_done(opened, result)
    return NoneType, result


def until_done(opened: Timed, result: Any) -> Any:  # Any: as above
    """
    Let a span that is kept open last until a deferred result is done.

    Returns:
        A future and a context manager are returned themselves, everything else is replaced.
    """
    if id(type(result)) in BLOCKS:
        return _until_left(opened, result)
    if id(type(result)) in NATIVE or not _is_future(type(result)):
        return stepped(opened, result, inside=_get())
    try:
        result.add_done_callback(partial(_end, opened))
    except Exception:  # noqa: BLE001  # a class of its own, or a loop that is closed
        opened.end()
    return result


def _until_left(opened: Timed, block: Any) -> Any:
    """Let the generator in a context manager of ``contextlib`` be a stand-in, so that the ``with`` block belongs to the span."""
    generator = block.gen
    is_entered = getattr(generator, "gi_suspended", False) or getattr(generator, "ag_suspended", False)
    block.gen = stepped(opened, generator, inside=_get(), is_block=not is_entered)
    if block.gen is generator:  # other code has replaced the generator
        opened.end()
    return block


def stepped(
    span: Timed,
    result: Any,  # Any: as above, no future
    *,
    inside: Span | None = None,
    is_block: bool = False,
    on_used: Callable[[], object] | None = None,
) -> Any:  # Any: as above
    """
    Return the stand-in of a generator or a coroutine, whose steps are the work of a span; an object of another class itself.

    Args:
        inside: the span that is current in the first step, of a span that has begun; None: it begins with that step.
        is_block: the generator makes a context manager, whose ``with`` block belongs to the span.
        on_used: called if somebody else has begun the span before the first step.
    """
    found = _kind_of(type(result))
    if found is None:
        return result
    if type(result) is GeneratorType and result.gi_code.co_flags & CO_ITERABLE_COROUTINE:
        found = _ITERABLE_COROUTINE
    _, base, pausing, in_block = found
    steps = in_block if is_block else pausing
    active_ns = perf_counter_ns() - span.start_ns if span.start_ns > 0 else 0
    made = steps(
        span, result, inside=inside, active_ns=None if issubclass(steps, CoroutineSteps) else active_ns, on_used=on_used
    )
    return stand_in(base, made)


def _end(opened: Timed, future: Any) -> None:
    error = getattr(
        future, "_exception", None
    )  # `exception()` would count as reading it, so that nobody would be warned
    opened.end(error if isinstance(error, BaseException) else None)


def is_ending(callback: object) -> bool:
    """Whether a callback of a future is the one that ends a span."""
    return type(callback) is partial and callback.func is _end


def _is_future(kind: type) -> bool:
    return has(kind, "add_done_callback")


def _kind_of(kind: type) -> tuple[tuple[str, ...], Any, type[Steps], type[Steps]] | None:
    native = NATIVE.get(id(kind))
    if native is not None:
        return native
    for found in _KINDS:
        if all(type(attribute_of(kind, name)) in _COMPILED for name in found[0]):
            return found
    return None
