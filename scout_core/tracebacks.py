"""The frames of a traceback as data, which keeps no local variable alive."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from types import CodeType, TracebackType
from typing import Final

Frame = tuple[str, int, str]
"""File, line and function."""

MAX_FRAMES: Final = 50
"""Frames kept of one exception: the innermost ones."""
_NOT_IN_THE_MODULE: Final = (
    "<frozen ",
    importlib.__file__,
    os.path.join(os.path.dirname(__file__), "boundary", ""),
)


def steps_of(trace: TracebackType | None) -> list[TracebackType]:
    """
    Return the parts of a traceback, one for each frame, the innermost last; empty for None.

    A list: a signal handler's exception that arrives while a generator is freed would be lost.
    """
    steps = []
    while trace is not None:
        steps.append(trace)
        trace = trace.tb_next
    return steps


def frames_of(trace: TracebackType | None) -> list[tuple[CodeType, int]]:
    """Return code and line of each frame, the innermost last; empty for None."""
    return [(step.tb_frame.f_code, step.tb_lineno) for step in steps_of(trace)]


def as_frames(calls: Iterable[tuple[CodeType, int | None]], *, without: str | tuple[str, ...]) -> tuple[Frame, ...]:
    """
    Return file, line and function of calls; 0 for a line that is unknown.

    Args:
        without: beginnings of the files whose calls are left out.
    """
    return tuple(
        [
            (code.co_filename, line or 0, code.co_name)
            for code, line in calls
            if not code.co_filename.startswith(without)
        ]
    )


def frames_of_load(error: BaseException) -> tuple[Frame, ...]:
    """
    Return where the import of a module failed, innermost first: without the import system and without our own code.

    A syntax error is raised by no frame of the module, so its line comes first.
    """
    frames = list(as_frames(reversed(frames_of(error.__traceback__)), without=_NOT_IN_THE_MODULE))
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        frames.insert(0, (error.filename, error.lineno, "<module>"))
    return tuple(frames[:MAX_FRAMES])
