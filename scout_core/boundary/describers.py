"""Check what plugins pass to ``wrap``: the target's form, and the function that describes it."""

from __future__ import annotations

import inspect
from typing import Any

from scout_core.problems import Problem


def has_steps(describer: Any) -> bool:  # Any: whatever can be called
    """Whether a describer is a generator function, or an object that is called like one."""
    return any(map(inspect.isgeneratorfunction, _called(describer)))


def why_invalid(target: object, function: object, role: str) -> Problem | None:
    """
    Return what is invalid in a call of ``wrap``; None when nothing is.

    Args:
        role: ``describer``, or another word for a function that may be async.
    """
    module, colon, path = target.partition(":") if isinstance(target, str) else ("", "", "")
    if not colon or not all(name.isidentifier() for name in (*module.split("."), *path.split("."))):
        detail = f"invalid target {target!r}; expected 'module:Class.method' or 'module:function'"
        return Problem("invalid-target", str(target), detail)
    if not callable(function):
        return Problem("invalid-describer", str(target), f"{role} for {target} must be callable, got {function!r}")
    kinds = (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    if role == "describer" and any(kind(called) for kind in kinds for called in _called(function)):
        detail = f"describer for {target} must be a plain function, got an async function"
        return Problem("invalid-describer", str(target), detail, "it describes async calls as well, and must not wait")
    return None


def _called(function: Any) -> tuple[Any, Any]:  # Any: whatever can be called
    """Return a function, and the one that runs when it is called."""
    return function, function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
