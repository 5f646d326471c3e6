"""
Whether Python's garbage collector is running on this thread. Before Python 3.12 nothing is recorded while it is.

There a collection starts wherever an object is allocated, also within ``ContextVar.set``. Python code that runs during that
collection (a destructor, or a signal handler that interrupts one) and sets the same variable frees what the outer call
is still walking: the interpreter crashes. Holding a copy of the context does not help. Since 3.12 a collection starts
between bytecodes only, so nothing is watched and ``collecting`` stays empty.
"""

from __future__ import annotations

import gc
import sys
from threading import local
from typing import Final

IS_NEEDED: Final = sys.version_info < (3, 12)

collecting: Final[dict[str, object]] = {}
"""Empty, and so false, while no collection runs on any thread."""
_here: Final = local()
"""Has the attribute ``start`` on the thread that the collection runs on."""

# Written in C: no signal handler and no other thread can run before they have done their work.
_MARKS: Final = (collecting.__setitem__, _here.__setattr__)


def is_collecting_here() -> bool:
    """Whether the collection that runs, runs on this thread. Ask only while ``collecting`` is not empty."""
    return hasattr(_here, "start")


def watch() -> None:
    """Follow the collector from now on. Repeating it does no harm."""
    if IS_NEEDED and _note_phase not in gc.callbacks:
        gc.callbacks[:0] = _MARKS  # before other people's callbacks, which may be interrupted, too
        gc.callbacks.append(_note_phase)  # and after them


def unwatch() -> None:
    """Take the callbacks out again; during a collection they stay, since they would miss its end."""
    if not collecting and _note_phase in gc.callbacks:
        for callback in (*_MARKS, _note_phase):
            gc.callbacks.remove(callback)


def forget_other_threads() -> None:
    """In a forked child: a collection that another thread of the parent had begun never ends here."""
    if collecting and not is_collecting_here():
        collecting.clear()


def _note_phase(phase: str, _: object) -> None:
    if phase == "stop":
        # No call from here to the end: a signal handler could run after it, when the marks are gone and the collection is not.
        collecting["start"] = collecting["stop"] = _here.start = _here.stop = None
        del collecting["stop"]
        del collecting["start"]
        del _here.stop
        del _here.start
