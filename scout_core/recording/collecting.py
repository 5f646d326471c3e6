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
from threading import get_ident
from typing import Final

IS_NEEDED: Final = sys.version_info < (3, 12)

collecting: Final[dict[str, object]] = {}
"""Empty, and so false, while no collection runs; otherwise ``thread`` is the one that it runs on, once that is known."""

# Written in C, so that no signal handler can run before it has done its work.
_mark_start: Final = collecting.__setitem__


def is_collecting_here() -> bool:
    """Whether the collection that runs, runs on this thread. Ask only while ``collecting`` is not empty."""
    here = get_ident()
    return collecting.get("thread", here) == here


def watch() -> None:
    """Follow the collector from now on. Repeating it does no harm."""
    if IS_NEEDED and _note_phase not in gc.callbacks:
        gc.callbacks.insert(0, _mark_start)  # before other people's callbacks, which may be interrupted, too
        gc.callbacks.append(_note_phase)  # and after them


def unwatch() -> None:
    """Take the callbacks out again; during a collection they stay, since they would miss its end."""
    if not collecting and _note_phase in gc.callbacks:
        gc.callbacks.remove(_note_phase)
        gc.callbacks.remove(_mark_start)


def forget_other_threads() -> None:
    """In a forked child: a collection that another thread of the parent had begun never ends here."""
    if collecting and not is_collecting_here():
        collecting.clear()


def _note_phase(phase: str, _: object) -> None:
    if phase == "start":
        collecting["thread"] = get_ident()
    else:
        # No call from here to the end: a signal handler could run after it, when the mark is gone and the collection is not.
        collecting["start"] = collecting["stop"] = collecting["thread"] = None
        del collecting["thread"]
        del collecting["stop"]
        del collecting["start"]
