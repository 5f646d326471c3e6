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
    """Call the function, perhaps twice, when this process ends. Call this again in a child that was just forked."""
    atexit.unregister(function)
    atexit.register(function)
    util = sys.modules.get("multiprocessing.util")
    if util is None:
        return
    if is_child_of_multiprocessing():
        _finalize(function)
    # A child forgets what was registered before it begins its own work, then runs this.
    util.register_after_fork(function, _finalize)


def is_child_of_multiprocessing() -> bool:
    """Whether ``multiprocessing`` started this process, so that its parent may terminate it without notice."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


def _finalize(function: Callable[[], object]) -> None:
    sys.modules["multiprocessing.util"].Finalize(None, function, exitpriority=_LAST)
