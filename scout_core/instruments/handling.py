"""Whether an exception is handled by the task of a request, or around the loop that runs the task."""

from __future__ import annotations

from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from types import FrameType
from typing import Final

_STEPS: Final = CO_COROUTINE | CO_GENERATOR | CO_ASYNC_GENERATOR
"""Flags of the code of what is awaited, and of what it is awaited by."""
_STEPPED: Final = ("scout_core.recording.stepwise.stepped", "scout_core.recording.stepwise.steps")
"""Modules whose functions run the steps of a coroutine that is recorded."""


def is_handled_in_task(error: BaseException, frame: FrameType | None) -> bool:
    """
    Whether the task of this frame is handling an exception, and not what runs its loop.

    True where no frame is known to handle it: the traceback was removed, or Python made none, as for the group of an ``except*``.
    """
    trace = error.__traceback__
    handling = None if trace is None else trace.tb_frame
    is_in_task = True
    while frame is not None:
        is_in_task = is_in_task and _is_step(frame)
        if frame is handling:
            return is_in_task
        frame = frame.f_back
    return True


def _is_step(frame: FrameType) -> bool:
    """Whether a frame runs what is awaited: also the method of an awaitable class, which a coroutine calls. Loops take more frames."""
    if frame.f_code.co_flags & _STEPS or frame.f_globals.get("__name__") in _STEPPED:
        return True
    return frame.f_back is not None and bool(frame.f_back.f_code.co_flags & _STEPS)
