"""
The functions that replace a library's functions.

Hot code: they run at every call of the library. They call the describer through its guard, and the original so that its
exceptions pass untouched.

A new kind of function is a new factory here and a line in ``describing_wrapper``. Each wrapper begins with the same lines,
which return early where nothing is recorded: they are repeated, because calling a function for them would double their cost
(0.3 µs). ``tests/test_wrappers.py`` compares them, and each async wrapper with its plain counterpart.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any, cast

from scout_core.boundary.guard import Guard
from scout_core.boundary.patches import Function
from scout_core.errors import LeftAlone, PluginError
from scout_core.recording.abandoned import give_up, is_abandoned
from scout_core.recording.context import current
from scout_core.recording.span import Span, type_name
from scout_core.recording.transaction import Transaction

Describer = Callable[..., "Span | Generator[Span, Any, object] | None"]
Around = Callable[[Function, Any, "tuple[Any, ...]", "dict[str, Any]"], Any]

_get = current.get


def describing_wrapper(function: Function, guard: Guard, *, is_root: bool) -> Function:
    """
    Return the function that replaces this one and times it.

    Args:
        guard: of the describer.
        is_root: call the describer outside of a transaction, too.

    Raises:
        LeftAlone: functions of this kind cannot be timed.
    """
    _refuse_generator_function(function)
    if inspect.iscoroutinefunction(function):
        return (_async_with_result if guard.has_steps else _async)(function, guard, is_root)
    if inspect.iscoroutinefunction(inspect.unwrap(function)):
        raise LeftAlone("it is a plain function that returns a coroutine, so its end cannot be observed")
    return (_plain_with_result if guard.has_steps else _plain)(function, guard, is_root)


def around_wrapper(
    function: Function, around: Around, is_undone: Callable[[], bool], *, has_instance: bool
) -> Function:
    """
    Return the function that replaces this one and calls ``around``.

    Args:
        is_undone: True once ``around`` must not be called any more, when the wrapper itself cannot be removed.
        has_instance: the first argument is an instance or a class.

    Raises:
        LeftAlone: functions of this kind cannot be replaced.
    """
    _refuse_generator_function(function)

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_undone():
            return function(*args, **kwargs)
        if not has_instance or not args:
            return around(function, None, args, kwargs)
        return around(functools.partial(function, args[0]), args[0], args[1:], kwargs)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            return await call(args, kwargs)

        return async_wrapper

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    return wrapper


def _refuse_generator_function(function: Function) -> None:
    original = inspect.unwrap(function)
    if inspect.isgeneratorfunction(original) or inspect.isasyncgenfunction(original):
        raise LeftAlone("generator functions are not supported: their end cannot be observed")


def _plain(function: Function, guard: Guard, is_root: bool) -> Function:
    describe = guard.run

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        parent = _get()
        if parent is None:
            if not is_root:
                return function(*args, **kwargs)
        elif (inside := parent.transaction) is not None and (is_root or inside.ignored) and not inside.is_finished:
            if is_root and is_abandoned(inside, 1 + (inside is parent)):
                give_up(inside)
            elif inside.ignored is not None:
                return function(*args, **kwargs)
        described = describe(*args, **kwargs)
        kind = type(described)
        span = described if kind is Span or kind is Transaction or described is None else _guarded(guard, described)
        if span is None:
            if described is not None:
                _refuse(guard, described)
            return function(*args, **kwargs)
        with span:
            return function(*args, **kwargs)

    return wrapper


def _async(function: Function, guard: Guard, is_root: bool) -> Function:
    describe = guard.run

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        parent = _get()
        if parent is None:
            if not is_root:
                return await function(*args, **kwargs)
        elif (inside := parent.transaction) is not None and (is_root or inside.ignored) and not inside.is_finished:
            if is_root and is_abandoned(inside, 1 + (inside is parent)):
                give_up(inside)
            elif inside.ignored is not None:
                return await function(*args, **kwargs)
        described = describe(*args, **kwargs)
        kind = type(described)
        span = described if kind is Span or kind is Transaction or described is None else _guarded(guard, described)
        if span is None:
            if described is not None:
                _refuse(guard, described)
            return await function(*args, **kwargs)
        with span:
            return await function(*args, **kwargs)

    return wrapper


def _plain_with_result(function: Function, guard: Guard, is_root: bool) -> Function:
    begin = guard.begin

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        parent = _get()
        if parent is None:
            if not is_root:
                return function(*args, **kwargs)
        elif (inside := parent.transaction) is not None and (is_root or inside.ignored) and not inside.is_finished:
            if is_root and is_abandoned(inside, 1 + (inside is parent)):
                give_up(inside)
            elif inside.ignored is not None:
                return function(*args, **kwargs)
        begun = begin(args, kwargs)
        span = None if begun is None else begun[1]
        if span is not None and type(span) is not Transaction:
            span = _guarded(guard, span)
        if begun is None or span is None:
            _refuse_first_step(guard, begun)
            return function(*args, **kwargs)
        description, _ = begun
        with span:
            opened_in = span.transaction
            if opened_in is not None and opened_in.ignored is not None:
                guard.finish(description.close)
                return function(*args, **kwargs)
            try:
                result = function(*args, **kwargs)
            except BaseException:  # any exception passes through; the describer ends at its yield
                guard.finish(description.close)
                raise
            guard.finish(_send_result, description, result)
            return result

    return wrapper


def _async_with_result(function: Function, guard: Guard, is_root: bool) -> Function:
    begin = guard.begin

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        parent = _get()
        if parent is None:
            if not is_root:
                return await function(*args, **kwargs)
        elif (inside := parent.transaction) is not None and (is_root or inside.ignored) and not inside.is_finished:
            if is_root and is_abandoned(inside, 1 + (inside is parent)):
                give_up(inside)
            elif inside.ignored is not None:
                return await function(*args, **kwargs)
        begun = begin(args, kwargs)
        span = None if begun is None else begun[1]
        if span is not None and type(span) is not Transaction:
            span = _guarded(guard, span)
        if begun is None or span is None:
            _refuse_first_step(guard, begun)
            return await function(*args, **kwargs)
        description, _ = begun
        with span:
            opened_in = span.transaction
            if opened_in is not None and opened_in.ignored is not None:
                guard.finish(description.close)
                return await function(*args, **kwargs)
            try:
                result = await function(*args, **kwargs)
            except BaseException:  # any exception passes through; the describer ends at its yield
                guard.finish(description.close)
                raise
            guard.finish(_send_result, description, result)
            return result

    return wrapper


class _Guarded:
    """A span of a plugin's own class, as a context manager that contains what its methods raise."""

    __slots__ = ("guard", "span")

    def __init__(self, guard: Guard, span: Span) -> None:
        self.guard = guard
        self.span = span

    @property
    def transaction(self) -> Transaction | None:
        return self.span.transaction

    def __enter__(self) -> None:
        self.guard.attempt(self.span.__enter__)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.guard.attempt(self.span.__exit__, kind, error, trace)
        base = Transaction if issubclass(type(self.span), Transaction) else Span
        base.__exit__(self.span, kind, error, trace)  # does nothing if it has ended


def _guarded(guard: Guard, described: object) -> Any:  # Any: a span, or what stands for one
    """Return the context manager of a call; None when a describer returned something else than a span."""
    kind = type(described)
    if kind is Span or kind is Transaction:
        return described
    return _Guarded(guard, cast(Span, described)) if issubclass(kind, Span) else None


def _send_result(description: Generator[Span, Any, object], result: object) -> None:
    """Run the describer from its ``yield`` to its end."""
    try:
        description.send(result)
    except StopIteration:
        return
    description.close()
    raise PluginError("a describer must yield once, the span; this one yielded again")


def _refuse_first_step(guard: Guard, begun: tuple[Any, Any] | None) -> None:
    """End a describer that did not yield a span."""
    if begun is not None:
        description, span = begun
        _refuse(guard, span)
        guard.attempt(description.close)


def _refuse(guard: Guard, span: object) -> None:
    if span is not None:
        guard.refuse(f"a describer must return a span or None, got {type_name(type(span))}")
