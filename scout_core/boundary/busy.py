"""Find the plugin's function that a thread of the agent is in: from its stack, so that no call costs anything."""

from __future__ import annotations

from threading import Event, Thread
from time import monotonic

from scout_core.boundary import guard as guards
from scout_core.boundary.guard import Guard
from scout_core.threads import frame_of


def busy_guard(thread: Thread) -> Guard | None:
    """Return the innermost guard on the stack of a thread; None when it runs no plugin's function."""
    frame = frame_of(thread)
    while frame is not None:
        if frame.f_code.co_filename == guards.__file__:
            guard = frame.f_locals.get("self")
            if isinstance(guard, Guard):
                return guard
        frame = frame.f_back
    return None


def wait_until(event: Event, deadline: float) -> bool:
    """Wait for an event until the deadline (monotonic seconds); in steps, because after a late patch nothing may wake us."""
    while not event.is_set() and (left := deadline - monotonic()) > 0:
        event.wait(min(left, 0.05))
    return event.is_set()


def busy_part(thread: Thread) -> str:
    """Return the plugin's function that a thread is in, as messages name it."""
    guard = busy_guard(thread)
    return "the agent's thread" if guard is None else f"plugin {guard.plugin!r}: {guard.place}"
