"""
Functions for ``wrap.around`` that send what a worker has recorded before its process ends without Python's exit handlers.

A child that is forked for each job ends with ``os._exit``, and so does one that is replaced after some jobs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, NoReturn

from scout_core.running import flush

LONGEST_EXIT: Final = 1.0
"""Seconds by which the end of a process is delayed at most."""


def flush_after(
    wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:  # Any: a call of the library
    """
    Send what was recorded when a call is over, within a second: for the call with which a library shuts a worker down.

    ``wrap.around("huey.consumer:Worker.shutdown", flush_after)``
    """
    try:
        return wrapped(*args, **kwargs)
    finally:
        flush(LONGEST_EXIT)


def end_child(wrapped: Callable[..., Any], instance: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """
    Let the process send what was recorded when it calls ``os._exit``, within a second: for the call that a forked child makes.

    ``wrap.around("rq.worker.base:BaseWorker.main_work_horse", end_child)``. Only this process is changed.
    """
    flush_at_exit()
    return wrapped(*args, **kwargs)


def flush_at_exit() -> None:
    """Replace ``os._exit`` in this process, once: it sends the last report first."""
    if getattr(os._exit, "__globals__", None) is not globals():  # otherwise a child has started this one
        os._exit = _flushing(os._exit)


def _flushing(end: Callable[..., NoReturn]) -> Callable[..., NoReturn]:
    """Return what replaces ``os._exit`` and looks like it; a call with the wrong arguments raises what the original raises."""

    @wraps(end)
    def _exit(*args: Any, **kwargs: Any) -> NoReturn:
        try:
            flush(LONGEST_EXIT)
        finally:  # a signal handler may raise meanwhile
            end(*args, **kwargs)

    _exit.__module__ = "os"  # pickle finds it there by its name; `posix._exit` is the original
    return _exit
