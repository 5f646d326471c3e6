"""When this process ends: as Python ends it, and as ``multiprocessing`` ends its children, which skips ``atexit``.

Nothing of ``multiprocessing`` is imported for that; a process that has to do with it has it loaded.
"""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable
from typing import Final

_LAST: Final = -100
"""Priority among what ``multiprocessing`` runs at its end: after its queues have sent what was put into them."""


def at_exit(function: Callable[[], object]) -> None:
    """Call the function when this process ends, and when a child ends that is forked from it and called ``in_child``."""
    atexit.unregister(function)
    atexit.register(function)
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _finalize(function)


def in_child(function: Callable[[], object]) -> None:
    """In a child that was just forked: have the function called at its end, too, if that is left to ``multiprocessing``."""
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        # It is about to forget what its parent had registered, and runs this afterwards.
        util.register_after_fork(function, _finalize)


def _finalize(function: Callable[[], object]) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, function, exitpriority=_LAST)
