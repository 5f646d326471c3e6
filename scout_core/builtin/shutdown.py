"""
Send the last report before a server, a pool or a child of ``multiprocessing`` ends the process without Python's exit handlers.

uvicorn 0.29 and later raise the signal that ended the server once more, for the default handler, which runs no ``atexit``.
``multiprocessing.Pool`` ends its workers with SIGTERM when it is terminated, as its ``with`` block does. No signal handler is ours.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import signature
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import scout_core
from scout_core import hookimpl
from scout_core.instruments.exits import end_child
from scout_core.log import Log

if TYPE_CHECKING:
    from scout_core import Config, Wrap

log = Log("scout_core.shutdown")

GRACE: Final = 0.5
"""Seconds that a worker of a pool needs to end, besides sending its last report."""


@hookimpl
def instrument(wrap: Wrap, config: Config) -> None:
    """Optional: each is the business of another library, and what is missing must not cost the others."""
    # These calls are changed, not described: something must happen after or before them.
    wrap.around("uvicorn.server:Server.shutdown", end_server, optional=True)
    wrap.around("multiprocessing.process:BaseProcess._bootstrap", end_child, optional=True)
    wrap.around("multiprocessing.pool:Pool.__init__", partial(begin_pool, config), optional=True)


async def end_server(
    wrapped: Callable[..., Awaitable[Any]], server: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """All requests have been answered and the application has shut down; the signal follows."""
    import asyncio  # the server has imported it

    result = await wrapped(*args, **kwargs)
    try:
        # In a thread: a program may do other things in this loop, also after it has ended its server.
        await asyncio.get_running_loop().run_in_executor(None, scout_core.flush)
    except RuntimeError:  # no thread can be started any more
        scout_core.flush()
    return result


def begin_pool(
    config: Config, wrapped: Callable[..., Any], pool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """
    Let the workers of this pool end by themselves before they are terminated, if they have nothing left to do.

    The pool keeps this: one that is still open is terminated when the process ends, perhaps after the agent.
    """
    wrapped(*args, **kwargs)
    finalizer: Any = getattr(pool, "_terminate", None)
    terminate = getattr(finalizer, "_callback", None)
    if terminate is None:
        log.info(
            "workers of pools are terminated before they have sent their last report: this Python's pools are unknown"
        )
    else:
        finalizer._callback = partial(_terminate_politely, config, terminate)


def _terminate_politely(config: Config, terminate: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    try:
        parts = signature(terminate).bind(*args, **kwargs).arguments
        _close(parts, config.get("shutdown_timeout_seconds") + GRACE)
    except Exception:  # another Python's pool; the application's call follows in any case
        log.error("workers of a pool are terminated before they have sent their last report", exc_info=True)
    return terminate(*args, **kwargs)


def _close(parts: dict[str, Any], timeout: float) -> None:
    """Do what ``Pool.close`` does, and wait for the workers."""
    from multiprocessing import connection, pool  # the caller is in it
    from threading import current_thread

    handlers = (parts["worker_handler"], parts["task_handler"], parts["result_handler"])
    present = list(parts["pool"])  # a copy: the pool's own thread removes workers that have ended meanwhile
    workers = [worker for worker in present if hasattr(worker, "terminate") and worker.exitcode is None]
    if parts["cache"] or not workers or current_thread() in handlers:  # tasks are left, or these are threads
        return
    if handlers[0]._state == pool.RUN:
        handlers[0]._state = pool.CLOSE
        parts["change_notifier"].put(None)
    deadline = monotonic() + timeout
    sentinels = {worker.sentinel for worker in workers}
    while sentinels and (left := deadline - monotonic()) > 0:
        sentinels.difference_update(connection.wait(list(sentinels), left))
