"""
The functions that replace generator functions: a call describes, and the span begins with the first step.

They begin with the same lines as those in ``wrappers.py``; ``tests/test_wrappers.py`` compares them.
"""

from __future__ import annotations

import functools
from typing import Any

from scout_core.boundary.bound_calls import Function
from scout_core.boundary.described import (
    USED,
    end_begun,
    follow_begun,
    guarded,
    is_used,
    refuse,
    refuse_first_step,
)
from scout_core.boundary.guard import Guard
from scout_core.recording.context import current
from scout_core.recording.outermost import OutermostSpan
from scout_core.recording.safety.abandoned import give_up, is_abandoned
from scout_core.recording.safety.contain import lose
from scout_core.recording.span import Span
from scout_core.recording.stepwise.deferred import stepped
from scout_core.recording.stepwise.function_like import FunctionLike
from scout_core.recording.stepwise.generator_functions import (
    is_block_function,
    is_generator_function,
    replace_block_function,
)
from scout_core.recording.transaction import Transaction

_get = current.get


def generator_wrapper(function: Function, guard: Guard, is_root: bool) -> Function | None:
    """Return the replacement of a generator function, or of a context manager that is made of one; None for any other function."""
    factory = _stepped_with_result if guard.has_steps else _stepped
    if is_block_function(function):
        return replace_block_function(function, lambda inner: factory(inner, guard, is_root, True))
    if is_generator_function(function):
        return FunctionLike(function, factory(function, guard, is_root, False))
    return None


def _stepped(function: Function, guard: Guard, is_root: bool, is_block: bool) -> Function:
    describe = guard.describe
    on_used = functools.partial(guard.refuse, USED)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
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
        try:
            result = function(*args, **kwargs)
        except BaseException as error:  # any exception passes through
            if span.transaction is not None:
                end_begun(span, parent, error)
            raise
        if span.transaction is not None:
            return follow_begun(span, parent, result, is_block=is_block)
        return stepped(span, result, is_block=is_block, on_used=on_used)

    return wrapper


def _stepped_with_result(function: Function, guard: Guard, is_root: bool, is_block: bool) -> Function:
    begin = guard.begin
    on_used = functools.partial(guard.refuse, USED)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
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
        try:
            result = function(*args, **kwargs)
        except BaseException as error:  # any exception passes through; the describer ends at its yield
            guard.finish(description.close)
            if span.transaction is not None:
                end_begun(span, parent, error)
            raise
        guard.send(description, result)
        if span.transaction is not None:
            return follow_begun(span, parent, result, is_block=is_block)
        return stepped(span, result, is_block=is_block, on_used=on_used)

    return wrapper
