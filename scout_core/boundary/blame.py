"""Decide whether the plugin or the application raised an exception that came out of a plugin's function."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Final

from scout_core.tracebacks import steps_of

_CORE: Final = __name__.partition(".")[0]
_NOT_EVALUATION: Final = frozenset(
    {"__init__", "__new__", "__call__", "__enter__", "__exit__", "__post_init__", "__attrs_post_init__"}
)
"""Special methods that run because a plugin calls its own objects, and not because it looks at one of the application's."""
_NEARLY_FULL: Final = 50
"""Frames: a function that used fewer when the stack was full did not fill it."""

Culprit = tuple[str, int, str]
"""File, first line and name of a function."""


def culprit_in_application(error: BaseException, *, plugin: str, target: str) -> Culprit | None:
    """
    Return the first function of the application that the exception passed; None: the plugin is at fault.

    The application's are functions outside the plugin, the library that it instruments, the core and the standard library; and in a
    module of the application that is a plugin itself, what an object does when it is looked at, as ``__getattr__``.

    Args:
        plugin: the plugin's module.
        target: what is described, ``module:Class.method``, or the name of a hook.
    """
    frames = [
        step.tb_frame
        for step in steps_of(error.__traceback__)
        if _top(step.tb_frame) != _CORE or _module(step.tb_frame).startswith(_BUILTIN)
    ]
    if isinstance(error, (RecursionError, MemoryError)) and len(frames) < _NEARLY_FULL:
        return "", 0, type(error).__name__
    first = _module(frames[0]) if frames else ""
    libraries = {_CORE, target.partition(":")[0].partition(".")[0]} | sys.stdlib_module_names
    for frame in frames[1:]:
        module, code = _module(frame), frame.f_code
        if module in (first, plugin) or module.startswith(f"{plugin}."):
            is_evaluation = code.co_name.startswith("__") and code.co_name.endswith("__")
            if is_evaluation and code.co_name not in _NOT_EVALUATION:
                return code.co_filename, code.co_firstlineno, code.co_name
        elif _top(frame) not in libraries:
            return code.co_filename, code.co_firstlineno, code.co_name
    return None


_BUILTIN: Final = f"{_CORE}.builtin."


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if type(name) is str else ""


def _top(frame: FrameType) -> str:
    return _module(frame).partition(".")[0]
