"""Find the plugin's function that a thread of the agent is in: from its stack, so that no call costs anything."""

from __future__ import annotations

import sys
from threading import Thread

from scout_core.boundary import guard as guards
from scout_core.boundary.guard import Guard


def busy_guard(thread: Thread) -> Guard | None:
    """Return the innermost guard on the stack of a thread; None when it runs no plugin's function, or is a greenlet."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        if frame.f_code.co_filename == guards.__file__:
            guard = frame.f_locals.get("self")
            if isinstance(guard, Guard):
                return guard
        frame = frame.f_back
    return None
