"""
Stand-ins for objects of any class that are iterated or awaited: the body of a response, what a library returns to be awaited.

Whatever is asked of one, the original answers: it has the same attributes and class, and the special methods that the original has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Final

from scout_core.recording.stepwise.stepped import (
    Stepped,
    SteppedAsyncGenerator,
    SteppedCoroutine,
    SteppedGenerator,
    Turn,
)
from scout_core.recording.stepwise.steps import Steps

_bases: Final = type.__dict__["__mro__"].__get__  # a metaclass may raise for `kind.__mro__`
_names: Final[Callable[[type], dict[str, Any]]] = type.__dict__["__dict__"].__get__
_COMPLETE: Final = frozenset(
    map(
        id,
        (GeneratorType, AsyncGeneratorType, CoroutineType, SteppedGenerator, SteppedAsyncGenerator, SteppedCoroutine),
    )
)
"""Ids of the types whose special methods the stand-ins have anyway."""
_OF_THE_CLASS: Final = frozenset(
    {
        *vars(Stepped),
        "__new__",
        "__getattribute__",
        "__del__",
        "__init_subclass__",
        "__subclasshook__",
        "__class_getitem__",
    }
)
"""Methods that a stand-in has itself, or that are about its class."""


def has(kind: type, name: str) -> bool:
    """Whether a class has an attribute. Runs no code of the class."""
    return any(name in _names(base) for base in _bases(kind))


class BodySteps(Steps):
    """Those of a body; each value of an async one arrives as ``StopIteration``."""

    __slots__ = ()

    def is_over(self, error: BaseException | None) -> bool:
        """Whether an exception is the end of it."""
        if isinstance(error, StopIteration) and has(type(self.body), "__aiter__"):
            return False
        return error is not None


class SteppedBody(Stepped):
    """A body; it ends when its values do, or when it is closed."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        value = super().__getattr__(name)
        if name == "close":
            return _Closing(self._scout_core_steps, value)
        if name == "aclose":
            return _AsyncClosing(self._scout_core_steps, value)
        return value


class _Closing:
    """The method that closes a body: the span ends with it."""

    __slots__ = ("steps", "method")

    def __init__(self, steps: Steps, method: Callable[..., Any]) -> None:
        self.steps = steps
        self.method = method

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        steps = self.steps
        result = steps.run_turn(lambda: self.method(*args, **kwargs))
        if has(type(result), "__await__"):  # the method is async, or an async library returns a future
            return _close_later(steps, result)
        steps.end()
        return result


class _AsyncClosing(_Closing):
    """The same for a method that is always awaited."""

    __slots__ = ()

    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return await _close_later(self.steps, self.method(*args, **kwargs))


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
    special = {
        name: method
        for owner in reversed(_bases(kind)[:-1])
        for name, method in _names(owner).items()
        if name[:2] == "__"
    }
    names = {name for name, method in special.items() if name[-2:] == "__" and (callable(method) or method is None)}
    return _class_with(base, frozenset(names - _OF_THE_CLASS))(steps)  # type: ignore[arg-type]  # mypy: no class with slots is hashable


@lru_cache(maxsize=64)
def _class_with(base: type[Stepped], names: frozenset[str]) -> type[Stepped]:
    methods = {name: _MAKING_STEPS.get(name) or _forwarding(name) for name in names if name not in vars(base)}
    return type(base.__name__, (base,), {"__slots__": (), **methods})


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
    return steps.run_turn(steps.body.__next__)


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
        return self.steps.run_turn(self.iterator.__next__)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "iterator"), name)


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
