"""The agent's thread from its start to its end, whatever it works on: turns, the last work, ``on_stop``."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from threading import Event, Thread
from typing import Final
from weakref import WeakSet

from attrs import define, field

from scout_core.boundary.busy import busy_part, wait_until
from scout_core.clocks import monotonic
from scout_core.log import Log
from scout_core.sending.loops import contained, repeat
from scout_core.threads import NoThread, lock_factory, seconds_left, start_thread

log = Log("scout_core")

TICK: Final = 0.25
"""Seconds between two looks into the inbox. Nobody wakes this thread: waking costs the application's thread more than the append."""
BUSY_TICK: Final = 0.05
"""The same after a look that found many: what waits is memory of the application's process."""


_threads: Final[WeakSet[AgentThread]] = WeakSet()


def _forget_all() -> None:
    """In a forked child, also of an agent that is stopping, which has no other notice of the fork."""
    for thread in list(_threads):
        thread.is_in_child = True


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_all)


@define(eq=False)
class AgentThread:
    """
    The thread, which may never have started.

    Args:
        turn: one look into the inbox; returns whether it found many. Raises nothing.
        finish: the work up to now, whatever the period. Raises nothing.
        on_end: called when this thread ends although it was not asked to, so that the next transaction starts another one: threads
            were patched since it was started, or a fault has ended it.
        on_fault: called while the exception of a fault is being handled that ended neither a turn nor the thread.
    """

    _turn: Callable[[], bool]
    _finish: Callable[[], None]
    _on_end: Callable[[], None]
    _on_fault: Callable[[], None]
    thread: Thread | None = None
    """None: never started, or to be started again."""
    is_in_child: bool = False
    """In a forked child: if a hook on this thread has forked, the copy of the thread ends with what it is doing."""
    turns: int = 0
    is_working: bool = False
    """It is in a turn."""
    _pause: float = BUSY_TICK
    _stopping: Event = field(factory=Event)
    _finished: Event = field(factory=Event)
    """Set when the last report has been handed over."""
    _may_end: Event = field(factory=Event)
    """Set when the exporters have had their time."""
    _flushes: deque[Event] = field(factory=deque)
    """Each is set when the work up to now is done."""
    _last_step: Callable[[], None] = lambda: None
    _locks_made_by: object = field(factory=lock_factory)

    def __attrs_post_init__(self) -> None:
        _threads.add(self)

    def begin(self) -> NoThread | None:
        """Start the thread, unless it runs; return why it does not run."""
        if self.thread is not None:
            return None
        if self._locks_made_by is not lock_factory():
            self._locks_made_by = lock_factory()
            self._stopping, self._finished, self._may_end = Event(), Event(), Event()
        self._finished.clear()
        started = start_thread(contained(self._run, self._give_up), "scout-core", self._keep)
        return started if isinstance(started, NoThread) else None

    def _keep(self, thread: Thread | None) -> None:
        self.thread = thread

    def finish(self, deadline: float) -> None:
        """Do the last work, on the thread where there is one; wait until the deadline (monotonic seconds) at most."""
        is_in_time = deadline > monotonic()
        self._stopping.set()
        if self.thread is None:
            self._finish()
        # It finishes on its own thread: whatever a plugin does, the application waits until the deadline at most.
        elif not wait_until(self._finished, deadline) and is_in_time:
            log.warning("%s did not return in time; the last period is lost", busy_part(self.thread))

    def flush(self, deadline: float) -> None:
        """Do the work up to now as at the end, on the thread where there is one; wait until the deadline at most, then continue."""
        if self.thread is None:
            self._finish()
        elif not self._stopping.is_set():
            is_done = Event()
            self._flushes.append(is_done)
            wait_until(is_done, deadline)

    def end(self, on_stop: Callable[[], None] | None, deadline: float, *, in_test: bool) -> None:
        """
        Call ``on_stop`` on this thread, or on another one if it was never started; wait until the deadline.

        Args:
            on_stop: raises nothing.
            in_test: ``on_stop`` is called right here if the thread was never started.
        """
        has_ended = Event()

        def last_step() -> None:
            if on_stop is not None:
                on_stop()
            has_ended.set()

        thread: Thread | NoThread | None = self.thread
        if isinstance(thread, Thread):
            self._last_step = last_step
            is_finished = wait_until(self._finished, deadline)
            self._may_end.set()
            if (
                not is_finished
            ):  # it calls `on_stop` when it returns from the plugin, which was logged, if the process still runs
                return
        elif on_stop is None:
            return
        else:
            thread = None if in_test else start_thread(last_step, "scout-core")
            if not isinstance(thread, Thread):  # the interpreter is ending (Python >= 3.12)
                on_stop()
                return
        if wait_until(has_ended, deadline):
            thread.join(seconds_left(deadline))
        elif on_stop is not None:
            log.warning("%s did not return in time; the process does not wait for it", busy_part(thread))

    def _run(self) -> None:
        self._pause = BUSY_TICK
        locks_made_by = self._locks_made_by
        thread = self.thread
        repeat(lambda: self._round(locks_made_by), self._on_fault)
        if self.is_in_child or self.thread is not thread:
            return
        self._finish()
        self._end()

    def _end(self) -> None:
        if self.is_in_child:  # a hook has forked, and this is the copy of the thread in the child
            return
        self._finished.set()
        self._may_end.wait()
        self._last_step()

    def _round(self, locks_made_by: object) -> bool:
        """Pause, then work once; return whether there is another round."""
        self.is_working = False
        if self._stopping.wait(self._pause) or self.is_in_child:
            return False
        if locks_made_by is not lock_factory():
            self._leave()
            return False
        self.turns += 1
        self.is_working = True
        flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
        try:
            if flushes:
                self._finish()
        finally:
            for is_done in flushes:
                is_done.set()
        self._pause = BUSY_TICK if self._turn() else TICK
        return True

    def _leave(self) -> None:
        self.thread = None
        self._on_end()

    def _give_up(self) -> None:
        """End because of a fault outside of a round, and let the next transaction start another thread."""
        self._finished.set()
        try:
            self._on_fault()
        finally:
            self._leave()
