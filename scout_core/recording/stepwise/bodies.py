"""
Stand-ins for objects of any class that are iterated: the body of a response, the lazy iterators of Python's own.

Whatever is asked of one, the original answers: it has the same attributes and class, and the special methods that the original has.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable
from functools import lru_cache, partial
from inspect import iscoroutinefunction
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final

from scout_core.classes import bases_of, own_names
from scout_core.recording.stepwise.stepped import (
    Stepped,
    SteppedAsyncGenerator,
    SteppedCoroutine,
    SteppedGenerator,
    SteppedIterableCoroutine,
    Turn,
)
from scout_core.recording.stepwise.steps import Steps
from scout_core.special_methods import hides, special_names

_COMPLETE: Final = frozenset(
    map(
        id,
        (
            GeneratorType,
            AsyncGeneratorType,
            CoroutineType,
            SteppedGenerator,
            SteppedIterableCoroutine,
            SteppedAsyncGenerator,
            SteppedCoroutine,
        ),
    )
)
"""Ids of the types whose special methods the stand-ins have anyway."""
_MOST_MADE: Final = 64
_NOTHING: Final = (lambda: None, None, SteppedCoroutine)
_made: Final[dict[int, tuple[Callable[[], type | None], type[Stepped] | None, Any]]] = {}  # Any: a class of stand-ins
"""The id of a class to the class itself, and its stand-ins' base and class. A metaclass may have a ``__hash__`` of its own, so the id."""


def has(kind: type, name: str) -> bool:
    """Whether a class has an attribute. Runs no code of the class."""
    return any(name in own_names(base) for base in bases_of(kind))


class BodySteps(Steps):
    """Those of a body; each value of an async one arrives as ``StopIteration``."""

    __slots__ = ()

    def is_over(self, error: BaseException | None) -> bool:
        """Whether an exception is the end of it."""
        if isinstance(error, StopIteration) and has(type(self.body), "__aiter__"):
            return False
        return error is not None

    def settle(self, error: BaseException) -> None:
        """End the span with the last value; ``IndexError`` is the end of a body that is read by index."""
        super().settle(StopIteration() if self.is_past_last(error) else error)

    def is_past_last(self, error: BaseException) -> bool:
        """Whether an exception is the end of a body that is read by index: its class has only ``__getitem__``."""
        return isinstance(error, IndexError) and _is_read_by_index(type(self.body))


class RequestSteps(BodySteps):
    """
    Those of the body of a request, which WSGI servers close after its last part, and after an exception.

    The work of its ``close`` belongs to the request.
    """

    __slots__ = ()

    def settle(self, error: BaseException) -> None:
        """Wait for the close after the last part; an exception is recorded at once, as holding it would keep its frames."""
        if isinstance(error, Exception) and self.span is not None and self.is_over(error):
            if not (isinstance(error, (StopIteration, StopAsyncIteration)) or self.is_past_last(error)):
                self.span.record_error(error, handled=False)  # type: ignore[attr-defined]  # of a transaction
            self.__class__ = UnclosedSteps
        else:
            super().settle(error)


class UnclosedSteps(RequestSteps):
    """Those of one that has been read to its end, and not been closed; if nobody ever does, it ends when it is freed."""

    __slots__ = ()

    is_complete = True


class SteppedBody(Stepped):
    """A body; it ends when its values do, or when it is closed."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        if (name == "close" or name == "aclose") and callable(value):
            close = _close_async if iscoroutinefunction(value) else _close
            return partial(close, self._scout_core_steps, value)  # `iscoroutinefunction` looks into it
        return value


def _close(steps: Steps, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Close a body: the span ends with it."""
    _let_end(steps)
    result = steps.run_turn(partial(method, *args, **kwargs))
    if has(type(result), "__await__"):  # an async library returns a future
        return _close_later(steps, result)
    steps.end()
    return result


async def _close_async(steps: Steps, method: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """The same for a method that is always awaited."""
    _let_end(steps)
    return await _close_later(steps, method(*args, **kwargs))


def _let_end(steps: Steps) -> None:
    if isinstance(steps, RequestSteps):
        steps.__class__ = BodySteps  # type: ignore[assignment]  # an exception ends it from now on


async def _close_later(steps: Steps, closing: Any) -> Any:
    result = await Turn(steps, awaiting(closing))
    steps.end()
    return result


def stand_in(base: type[Stepped], steps: Steps) -> Any:
    """
    Return the stand-in of an object.

    Args:
        base: has the methods that make steps.
    """
    kind = type(steps.body)
    if id(kind) in _COMPLETE:
        return base(steps)
    reference, known, made = _made.get(id(kind), _NOTHING)
    if known is not base or reference() is not kind:
        names = special_names(kind)
        hidden = frozenset(name for name in names if hides(kind, name))
        made = _class_with(base, names, hidden)  # type: ignore[arg-type]  # mypy: no class with slots is hashable
        if len(_made) >= _MOST_MADE:
            _made.clear()
        _made[id(kind)] = weakref.ref(kind), base, made
    return made(steps)


def can_be_closed(body: Any) -> bool:
    """Whether a body may work when it is closed after its last value; a generator cannot."""
    if id(type(body)) in _COMPLETE:
        return False
    try:
        return callable(getattr(body, "close", None))
    except Exception:  # noqa: BLE001  # of an attribute of the application
        return False


@lru_cache(maxsize=64)
def _class_with(base: type[Stepped], names: frozenset[str], hidden: frozenset[str]) -> type[Stepped]:
    own = vars(Stepped).keys() | vars(base).keys()
    methods = {name: _MAKING_STEPS.get(name) or _forwarding(name) for name in names - own}
    return type(base.__name__, (base,), {"__slots__": (), **methods, **dict.fromkeys(hidden - own)})


def _is_read_by_index(kind: type) -> bool:
    """Whether Python iterates over an object by ``__getitem__``, with 0, 1, 2 and so on."""
    return not any(has(kind, name) for name in ("__iter__", "__next__", "__aiter__", "__anext__"))


def _getitem(self: Stepped, key: Any, /) -> Any:
    steps = self._scout_core_steps
    body = steps.body
    # Iterating asks for 0, 1, 2 and so on; any other key is looked up by the application itself.
    if type(key) is int and key in (0, getattr(steps, "next_index", 0)) and _is_read_by_index(type(body)):
        value = steps.run_turn(operator.getitem, body, key)
        steps.next_index = key + 1
        return value
    return body[key]


def _forwarding(name: str) -> Callable[..., Any]:
    def forward(self: Stepped, /, *args: Any, **kwargs: Any) -> Any:
        body = self._scout_core_steps.body
        return getattr(type(body), name)(body, *args, **kwargs)

    forward.__name__ = name
    return forward


def _iter(self: Stepped) -> Any:
    steps = self._scout_core_steps
    iterator = steps.run_turn(iter, steps.body)
    return self if iterator is steps.body else _Iterator(steps, iterator)


def _next(self: Stepped) -> Any:
    steps = self._scout_core_steps
    return _next_of(steps, steps.body)


def _next_of(steps: Steps, iterator: Any) -> Any:
    try:
        return steps.run_turn(iterator.__next__)
    except StopIteration:
        if steps.span is not None:
            steps.settle(StopAsyncIteration())  # of a body that can also be read by `async for`
        raise


def _aiter(self: Stepped) -> Any:
    steps = self._scout_core_steps
    iterator = steps.run_turn(aiter, steps.body)
    return self if iterator is steps.body else _AsyncIterator(steps, iterator)


def _anext(self: Stepped) -> Turn:
    return _turn(self._scout_core_steps, self._scout_core_steps.body.__anext__)


def _await(self: Stepped) -> Turn:
    steps = self._scout_core_steps
    return Turn(steps, steps.run(awaiting, steps.body))


def _aenter(self: Stepped) -> Turn:
    return _turn(self._scout_core_steps, self._scout_core_steps.body.__aenter__)


_MAKING_STEPS: Final = {
    "__iter__": _iter,
    "__getitem__": _getitem,
    "__next__": _next,
    "__aiter__": _aiter,
    "__anext__": _anext,
    "__await__": _await,
    "__aenter__": _aenter,
}


class _Iterator:
    """The result of ``iter`` of a body, where that is another object."""

    __slots__ = ("steps", "iterator")

    def __init__(self, steps: Steps, iterator: Any) -> None:
        self.steps = steps
        self.iterator = iterator

    def __iter__(self) -> _Iterator:
        return self

    def __next__(self) -> Any:
        return _next_of(self.steps, self.iterator)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "iterator"), name)

    def __del__(self) -> None:
        """Drop the iterator in a step: what it runs when it is freed belongs to the span."""
        if self.steps.span is not None:
            self.steps.run_turn(object.__delattr__, self, "iterator")


class _AsyncIterator(_Iterator):
    """The same for ``aiter``."""

    __slots__ = ()

    def __aiter__(self) -> _AsyncIterator:
        return self

    def __anext__(self) -> Turn:
        return _turn(self.steps, self.iterator.__anext__)


def _turn(steps: Steps, make: Callable[[], Any]) -> Turn:
    """Return a turn of what a method returns to be awaited."""
    return Turn(steps, steps.run(lambda: awaiting(make())))


def awaiting(awaitable: Any) -> Any:
    """Return the iterator by which Python awaits an object."""
    method = getattr(type(awaitable), "__await__", None)
    return awaitable if method is None else method(awaitable)
