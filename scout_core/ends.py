"""
Send the last report before a server or pool ends the process without running Python's exit handlers.

uvicorn 0.29 and later raise the signal that ended the server once more, for the default handler, which runs no ``atexit``.
``multiprocessing.Pool`` ends its workers with SIGTERM when it is terminated, as its ``with`` block does. No signal handler is ours.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from functools import partial
from inspect import signature
from threading import current_thread
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from scout_core.boundary.bound_calls import Function
from scout_core.boundary.imports import ImportWatch
from scout_core.boundary.patches import Patch
from scout_core.clocks import monotonic
from scout_core.errors import TargetError
from scout_core.log import Log

if TYPE_CHECKING:
    from scout_core.config.config import Config

log = Log("scout_core")

UVICORN: Final = "uvicorn.server:Server.shutdown"
"""Runs when all requests have been answered and the application has shut down; the signal follows."""
POOL: Final = "multiprocessing.pool:Pool._terminate_pool"
GRACE: Final = 0.5
"""Seconds that a worker of a pool needs to end, besides sending its last report."""


class Ends:
    """
    Wrapped functions that precede the end of a process, until ``undo``.

    Args:
        watch: reports imports.
        flush: sends what was recorded until now. Raises nothing.
    """

    def __init__(self, watch: ImportWatch, flush: Callable[[], None], config: Config) -> None:
        self._patches = (
            Patch(UVICORN, lambda original: _flushing(original.function, flush)),
            Patch(POOL, lambda original: _letting_workers_end(original.function, config)),
        )
        for patch in self._patches:
            watch.when_imported(patch.module, partial(_apply, patch))

    def undo(self) -> None:
        """Put the originals back."""
        for patch in self._patches:
            patch.undo()


def _apply(patch: Patch, module: ModuleType) -> None:
    try:
        patch.apply(module)
    except TargetError as error:
        log.info("the end of this process may not be detected, and its last period may be lost: %s", error)


def _flushing(shutdown: Callable[..., Awaitable[Any]], flush: Callable[[], None]) -> Function:
    @functools.wraps(shutdown)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        import asyncio  # the server has imported it

        result = await shutdown(*args, **kwargs)
        try:
            # In a thread: a program may do other things in this loop, also after it has ended its server.
            await asyncio.get_running_loop().run_in_executor(None, flush)
        except RuntimeError:  # no thread can be started any more
            flush()
        return result

    return wrapper


def _letting_workers_end(terminate_pool: Function, config: Config) -> Function:
    """
    Let the workers of a pool that has nothing left to do end by themselves, as ``Pool.close`` does; then terminate it.

    This stays in pools that were made while the agent ran: an open pool is terminated when the process ends, perhaps after the agent.
    """
    parameters = signature(terminate_pool)

    @functools.wraps(terminate_pool)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            given = parameters.bind(*args, **kwargs).arguments
            _close(given, config.get("shutdown_timeout_seconds") + GRACE)
        except Exception:  # another Python's pool; the application's call follows in any case
            log.error("workers of a pool are terminated before they have sent their last report", exc_info=True)
        return terminate_pool(*args, **kwargs)

    return wrapper


def _close(given: dict[str, Any], timeout: float) -> None:
    from multiprocessing import connection, pool  # the caller is in it

    handlers = (given["worker_handler"], given["task_handler"], given["result_handler"])
    workers = [worker for worker in given["pool"] if hasattr(worker, "terminate") and worker.exitcode is None]
    if given["cache"] or not workers or current_thread() in handlers:  # tasks are left, or these are threads
        return
    if handlers[0]._state == pool.RUN:
        handlers[0]._state = pool.CLOSE
        given["change_notifier"].put(None)
    deadline = monotonic() + timeout
    sentinels = {worker.sentinel for worker in workers}
    while sentinels and (left := deadline - monotonic()) > 0:
        sentinels.difference_update(connection.wait(list(sentinels), left))
