"""Results that stand for work which is not done yet: the span of the call that returned one ends when it is."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from scout_core.recording.stepped import (
    AsyncBlockSteps,
    AsyncGeneratorSteps,
    BlockSteps,
    CoroutineSteps,
    GeneratorSteps,
    SteppedAsyncGenerator,
    SteppedCoroutine,
    SteppedGenerator,
)
from scout_core.recording.steps import Steps, Timed

_bases: Final = type.__dict__["__mro__"].__get__  # a metaclass may raise for `kind.__mro__`
_names: Final = type.__dict__["__dict__"].__get__
_KINDS: Final = (
    (("asend", "athrow", "aclose"), SteppedAsyncGenerator, AsyncGeneratorSteps, AsyncBlockSteps),
    (("__await__", "send"), SteppedCoroutine, CoroutineSteps, CoroutineSteps),
    (("__next__", "send", "throw", "close"), SteppedGenerator, GeneratorSteps, BlockSteps),
)
"""Methods by which a class is recognised; the stand-in of its objects, their steps, and those where it makes a context manager."""


def is_deferred(result: object) -> bool:
    """Whether it is a generator, a coroutine or a future. Asks the class only, without running code of it."""
    kind = type(result)
    return _has(kind, "add_done_callback") or _kind_of(kind) is not None


def stepped(span: Timed, result: Any, *, is_open: bool = False, is_block: bool = False) -> Any:  # Any: of these kinds
    """
    Return the stand-in of a generator, an async generator or a coroutine, whose steps are the work of a span.

    Args:
        is_open: the span has begun and is current; else it begins with the first step.
        is_block: the generator makes a context manager, whose ``with`` block belongs to the span.
    """
    found = _kind_of(type(result))
    if found is None:
        return result
    _, stand_in, pausing, in_block = found
    steps = in_block if is_block else pausing
    return stand_in(steps(span, result, is_open=is_open, active_ns=None if steps is CoroutineSteps else 0))


def until_done(opened: Timed, result: Any) -> Any:  # Any: as above, or a future
    """
    Let an open span last until the result is done.

    Returns:
        A future is returned itself, everything else is replaced.
    """
    if opened.transaction is None:  # not recorded
        return result
    if not _has(type(result), "add_done_callback"):
        return stepped(opened, result, is_open=True)
    try:
        result.add_done_callback(partial(_end, opened))
    except Exception:  # noqa: BLE001  # a class of its own, or a loop that is closed
        opened.__exit__(None, None, None)
    return result


def _end(opened: Timed, future: Any) -> None:
    error = getattr(
        future, "_exception", None
    )  # `exception()` would count as reading it, so that nobody would be warned
    if isinstance(error, BaseException):
        opened.__exit__(type(error), error, error.__traceback__)
    else:
        opened.__exit__(None, None, None)


def _kind_of(kind: type) -> tuple[tuple[str, ...], Any, type[Steps], type[Steps]] | None:
    for found in _KINDS:
        if all(_has(kind, name) for name in found[0]):
            return found
    return None


def _has(kind: type, name: str) -> bool:
    return any(name in _names(base) for base in _bases(kind))
