"""
The functions that replace a library's functions.

Hot code: they run at every call of the library. They call the describer through its guard, and the original so that its
exceptions pass untouched.

A new kind of function is a new factory and a line in ``describing_wrapper``; those for generator functions are in
``generator_wrappers.py``. Each wrapper begins with the same lines, which return early where nothing is recorded: they are repeated,
because calling a function for them would double their cost (0.3 µs). ``tests/test_wrappers.py`` compares them, and each async wrapper
with its plain counterpart.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from types import NoneType
from typing import Any

from scout_core.boundary.bound_calls import Around, Function
from scout_core.boundary.described import guarded, is_used, refuse, refuse_first_step
from scout_core.boundary.generator_wrappers import generator_wrapper
from scout_core.boundary.guard import Guard
from scout_core.recording.context import current
from scout_core.recording.outermost import OutermostSpan
from scout_core.recording.safety.abandoned import give_up, is_abandoned
from scout_core.recording.safety.contain import lose
from scout_core.recording.span import Span
from scout_core.recording.stepwise.coroutine_functions import checked
from scout_core.recording.stepwise.function_like import FunctionLike
from scout_core.recording.stepwise.generator_functions import is_generator_function
from scout_core.recording.stepwise.unfollowed import Follow, noting
from scout_core.recording.transaction import Transaction

Describer = Callable[..., "Span | dict[str, str] | Generator[Span | None, Any, object] | None"]

_get = current.get


def describing_wrapper(function: Function, guard: Guard, *, is_root: bool, is_constructor: bool = False) -> Function:
    """
    Return the function that replaces this one and times it.

    Args:
        guard: of the describer.
        is_root: call the describer outside of a transaction, too.
        is_constructor: its result is a new object, and must be that object, also if it can be awaited.
    """
    follow = noting(guard.note_unfollowed, guard.place, is_constructor=is_constructor)
    stepped = generator_wrapper(function, guard, is_root)
    if stepped is not None:
        return stepped
    if inspect.iscoroutinefunction(function):
        return checked(function, (_async_with_result if guard.has_steps else _async)(function, guard, is_root, follow))
    return (_plain_with_result if guard.has_steps else _plain)(function, guard, is_root, follow)


def around_wrapper(
    function: Function, around: Around, is_undone: Callable[[], bool], *, has_instance: bool
) -> Function:
    """
    Return the function that replaces this one and calls ``around``.

    Args:
        is_undone: True once ``around`` must not be called any more, when the wrapper itself cannot be removed.
        has_instance: the first argument is an instance or a class.
    """

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if is_undone():
            return function(*args, **kwargs)
        if not has_instance or not args:
            return around(function, None, args, kwargs)
        return around(functools.partial(function, args[0]), args[0], args[1:], kwargs)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def async_wrapper(*args: Any, **kwargs: Any) -> Any:
            if is_undone() or not has_instance or not args:
                return await call(args, kwargs)
            # As `call`, without calling it: every request of a web framework comes through here.
            return await around(functools.partial(function, args[0]), args[0], args[1:], kwargs)

        return checked(function, async_wrapper)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    return FunctionLike(function, wrapper) if is_generator_function(function) else wrapper


def _plain(function: Function, guard: Guard, is_root: bool, follow: Follow) -> Function:
    describe = guard.describe
    plain: type = NoneType

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal plain
        parent = _get()
        try:
            if parent is None:
                is_off = not is_root
            elif (inside := parent.transaction) is None or not (is_root or inside.ignored) or inside.is_finished:
                is_off = False
            elif is_root and is_abandoned(inside, 1 + (inside is parent)):
                give_up(inside)
                is_off = False
            else:
                is_off = inside.ignored is not None
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            lose(parent, error)
            is_off = False
        if is_off:
            return function(*args, **kwargs)
        described = describe(args, kwargs)
        if described is None:
            return function(*args, **kwargs)
        kind = type(described)  # the span is described, or a GuardedSpan
        span: Any = described
        if kind is not Span and kind is not OutermostSpan and kind is not Transaction:
            span = guarded(guard, described)
        try:
            is_refused = span is None or (span.start_ns and is_used(span, parent))
        except AttributeError:  # Span.__new__ without Span.__init__
            is_refused = True
        if is_refused:
            refuse(guard, described, span)
            return function(*args, **kwargs)
        with span:
            result = function(*args, **kwargs)
            if type(result) is not plain:
                plain, result = follow(span, result)
            return result

    return wrapper


def _async(function: Function, guard: Guard, is_root: bool, follow: Follow) -> Function:
    describe = guard.describe
    plain: type = NoneType

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal plain
        parent = _get()
        try:
            if parent is None:
                is_off = not is_root
            elif (inside := parent.transaction) is None or not (is_root or inside.ignored) or inside.is_finished:
                is_off = False
            elif is_root and is_abandoned(inside, 1 + (inside is parent)):
                give_up(inside)
                is_off = False
            else:
                is_off = inside.ignored is not None
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            lose(parent, error)
            is_off = False
        if is_off:
            return await function(*args, **kwargs)
        described = describe(args, kwargs)
        if described is None:
            return await function(*args, **kwargs)
        kind = type(described)  # the span is described, or a GuardedSpan
        span: Any = described
        if kind is not Span and kind is not OutermostSpan and kind is not Transaction:
            span = guarded(guard, described)
        try:
            is_refused = span is None or (span.start_ns and is_used(span, parent))
        except AttributeError:  # Span.__new__ without Span.__init__
            is_refused = True
        if is_refused:
            refuse(guard, described, span)
            return await function(*args, **kwargs)
        with span:
            result = await function(*args, **kwargs)
            if type(result) is not plain:
                plain, result = follow(span, result)
            return result

    return wrapper


def _plain_with_result(function: Function, guard: Guard, is_root: bool, follow: Follow) -> Function:
    begin = guard.begin
    plain: type = NoneType

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal plain
        parent = _get()
        try:
            if parent is None:
                is_off = not is_root
            elif (inside := parent.transaction) is None or not (is_root or inside.ignored) or inside.is_finished:
                is_off = False
            elif is_root and is_abandoned(inside, 1 + (inside is parent)):
                give_up(inside)
                is_off = False
            else:
                is_off = inside.ignored is not None
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            lose(parent, error)
            is_off = False
        if is_off:
            return function(*args, **kwargs)
        begun = begin(args, kwargs)
        if begun is None:
            return function(*args, **kwargs)
        description, span = begun
        if type(span) is not Transaction and span is not None:
            span = guarded(guard, span)
        try:
            is_refused = span is None or (span.start_ns and is_used(span, parent))
        except AttributeError:  # Span.__new__ without Span.__init__
            is_refused = True
        if is_refused:
            refuse_first_step(guard, begun, span)
            return function(*args, **kwargs)
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
            guard.send(description, result)
            if type(result) is not plain:
                plain, result = follow(span, result)
            return result

    return wrapper


def _async_with_result(function: Function, guard: Guard, is_root: bool, follow: Follow) -> Function:
    begin = guard.begin
    plain: type = NoneType

    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal plain
        parent = _get()
        try:
            if parent is None:
                is_off = not is_root
            elif (inside := parent.transaction) is None or not (is_root or inside.ignored) or inside.is_finished:
                is_off = False
            elif is_root and is_abandoned(inside, 1 + (inside is parent)):
                give_up(inside)
                is_off = False
            else:
                is_off = inside.ignored is not None
        except Exception as error:  # noqa: BLE001  # see `contain.py`
            lose(parent, error)
            is_off = False
        if is_off:
            return await function(*args, **kwargs)
        begun = begin(args, kwargs)
        if begun is None:
            return await function(*args, **kwargs)
        description, span = begun
        if type(span) is not Transaction and span is not None:
            span = guarded(guard, span)
        try:
            is_refused = span is None or (span.start_ns and is_used(span, parent))
        except AttributeError:  # Span.__new__ without Span.__init__
            is_refused = True
        if is_refused:
            refuse_first_step(guard, begun, span)
            return await function(*args, **kwargs)
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
            guard.send(description, result)
            if type(result) is not plain:
                plain, result = follow(span, result)
            return result

    return wrapper
