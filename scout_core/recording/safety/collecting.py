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
from collections.abc import Callable
from functools import partial
from threading import local
from typing import Any, Final

IS_NEEDED: Final = sys.version_info < (3, 12)

collecting: Final[dict[str, object]] = {}
"""Empty, and so false, while no collection runs on any thread."""
_here: Final = local()
"""Its attribute ``mark`` is that of the start on the thread that the collection runs on."""


def _at(phase: str, action: Callable[[Any], object]) -> partial[object]:  # Any: the mark
    """
    Return a callback for ``gc`` that calls an action with a mark at the start or at the stop of a collection.

    It is written in C, and so must the action be: then no signal handler and no other thread can run before it has done its
    work. What a handler raises within a callback in Python would be lost, and the work left undone.
    """
    kind = type("_Mark", (), {"__slots__": (), phase: property(action)})
    return partial(getattr, kind())  # called with the phase, and a default that is returned at the other phase


_BEFORE_OTHERS: Final = (
    _at("start", partial(collecting.__setitem__, "mark")),
    _at("start", partial(_here.__setattr__, "mark")),
)
_AFTER_OTHERS: Final = (_at("stop", partial(_here.__setattr__, "mark")), _at("stop", partial(collecting.pop, "mark")))
_STARTED: Final = _BEFORE_OTHERS[1].args[0]


def is_collecting_here() -> bool:
    """Whether the collection that runs, runs on this thread. Ask only while ``collecting`` is not empty."""
    return getattr(_here, "mark", None) is _STARTED


def watch() -> None:
    """Follow the collector from now on. Repeating it does no harm."""
    if IS_NEEDED and _AFTER_OTHERS[0] not in gc.callbacks:
        gc.callbacks[:0] = _BEFORE_OTHERS  # other people's callbacks may be interrupted during a collection, too
        gc.callbacks.extend(_AFTER_OTHERS)


def unwatch() -> None:
    """Take the callbacks out again; during a collection they stay, since they would miss its end."""
    if not collecting and _AFTER_OTHERS[0] in gc.callbacks:
        for callback in (*_BEFORE_OTHERS, *_AFTER_OTHERS):
            gc.callbacks.remove(callback)


def forget_other_threads() -> None:
    """In a forked child: a collection that another thread of the parent had begun never ends here."""
    if collecting and not is_collecting_here():
        collecting.clear()
