"""Results that stand for work which is not done yet: the span of the call that returned one ends when it is."""

from __future__ import annotations

from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from scout_core.recording.collecting import collecting, is_collecting_here
from scout_core.recording.context import current

if TYPE_CHECKING:
    from scout_core.recording.span import Span

_get = current.get
_set = current.set
_bases: Final = type.__dict__["__mro__"].__get__  # a metaclass may raise for `kind.__mro__`
_names: Final = type.__dict__["__dict__"].__get__


def is_deferred(result: object) -> bool:
    """Whether it is a coroutine or a future. Asks the class only, without running code of it."""
    kind = type(result)
    return _has(kind, "add_done_callback") or _is_coroutine(kind)


def until_done(opened: Span, result: Any) -> Any:  # Any: a coroutine or a future
    """
    Let an open span last until the result is done; meanwhile it is not the current span of the caller.

    Returns:
        A future is returned itself. A coroutine is replaced by one that gives the same result.
    """
    if opened.transaction is None:  # not recorded
        return result
    if _get() is opened:
        _set(opened.parent)
    if _is_coroutine(type(result)):
        resumed: Any = _resume(opened, result)
        resumed.__name__ = str(
            getattr(result, "__name__", resumed.__name__)
        )  # named in the warning that it was never awaited
        resumed.__qualname__ = str(getattr(result, "__qualname__", resumed.__qualname__))
        return resumed
    try:
        result.add_done_callback(partial(_end, opened))
    except Exception:  # noqa: BLE001  # a class of its own, or a loop that is closed
        opened.__exit__(None, None, None)
    return result


async def _resume(opened: Span, coroutine: Coroutine[Any, Any, Any]) -> Any:
    before = _get()
    _set(opened)
    try:
        with opened:
            return await coroutine
    finally:
        # Not where another context closes it, nor where the collector does.
        if _get() is opened.parent and before is not opened.parent and not (collecting and is_collecting_here()):
            _set(before)


def _end(opened: Span, future: Any) -> None:
    error = getattr(
        future, "_exception", None
    )  # `exception()` would count as reading it, so that nobody would be warned
    if isinstance(error, BaseException):
        opened.__exit__(type(error), error, error.__traceback__)
    else:
        opened.__exit__(None, None, None)


def _is_coroutine(kind: type) -> bool:
    return _has(kind, "__await__") and _has(kind, "send")


def _has(kind: type, name: str) -> bool:
    return any(name in _names(base) for base in _bases(kind))
