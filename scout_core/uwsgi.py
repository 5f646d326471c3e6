"""
uWSGI: it forks its workers in C, and calls the functions of ``os.register_at_fork`` only if it is configured to.

It calls ``uwsgi.post_fork_hook`` instead, which ``uwsgidecorators`` replaces when it is imported. A thread that runs while it
forks can leave the interpreter's lock taken in the worker, which then waits forever; so no thread is started before.
Without threads enabled, which is the default before 2.0.27, uWSGI never releases that lock between two requests.

When it ends a worker in the middle of a request, which is what its signals do by default, it runs no ``atexit`` there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any, Final

from scout_core.boundary.imports import ImportWatch
from scout_core.log import Log

log = Log("scout_core")

HOOK: Final = "post_fork_hook"


def watch_uwsgi(watch: ImportWatch, after_fork: Callable[[], object]) -> None:
    """
    Have a function called in each worker of uWSGI that is forked from this process; warn if no thread will run there.

    Args:
        after_fork: does nothing in a process that it was already called in.
    """
    uwsgi = _module()
    if uwsgi is None:
        return
    if getattr(uwsgi, "has_threads", True) == 0:
        log.warning(
            "uWSGI runs no threads, because enable-threads is not set: reports are sent only while requests are handled, and when "
            "a worker ends; add to its configuration: enable-threads = true"
        )
    _set_hook(uwsgi, after_fork)
    watch.when_imported("uwsgidecorators", lambda _: _set_hook(uwsgi, after_fork))


def is_process_of_uwsgi() -> bool:
    """Whether uWSGI runs this process, and may end it in the middle of a request, without notice."""
    return _module() is not None


def may_still_fork() -> bool:
    """Whether this is a process of uWSGI that its workers are forked from."""
    uwsgi = _module()
    return uwsgi is not None and not (uwsgi.worker_id() or uwsgi.mule_id() or uwsgi.i_am_the_spooler())


def _module() -> Any:
    """Return the module that uWSGI puts into each of its processes; None elsewhere, also if the application has one of that name."""
    uwsgi = sys.modules.get("uwsgi")
    return uwsgi if hasattr(uwsgi, "opt") else None


def _set_hook(uwsgi: ModuleType, after_fork: Callable[[], object]) -> None:
    before: Any = getattr(uwsgi, HOOK, None)
    if getattr(before, "func", None) is not _run:
        setattr(uwsgi, HOOK, partial(_run, after_fork, before))


def _run(after_fork: Callable[[], object], others: Any) -> None:  # Any: whatever stood there
    after_fork()
    if others is not None:
        others()
