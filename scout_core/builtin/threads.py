"""
Spans in threads belong to the transaction that gave them their work: the option ``propagate_threads``.

Two functions hand work to a thread: ``ThreadPoolExecutor.submit``, which ``map``, ``loop.run_in_executor`` and ``asyncio.to_thread``
call, and ``Thread.start``, also of ``Timer``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from scout_core import hookimpl, when_changed

if TYPE_CHECKING:
    from threading import Thread

    from scout_core import Wrap

_POOLS: Final = ("concurrent.futures.thread", "multiprocessing.pool", "scout_core.threads")
"""Modules whose threads work for everybody, not for the transaction in which they happen to start."""

Function = Callable[..., Any]  # Any, here and below: of the application


@hookimpl
@when_changed("propagate_threads")
def instrument(wrap: Wrap) -> None:
    """Wrap them only where the option is set."""
    from scout_core import propagate  # imports nothing else later, on the application's thread

    wrap.around("concurrent.futures.thread:ThreadPoolExecutor.submit", partial(submit, propagate))
    wrap.around("threading:Thread.start", partial(start, propagate))


def submit(
    propagate: Callable[[Function], Function], wrapped: Function, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Submit what carries the open span."""
    if args:
        args = (_carried(propagate, args[0]), *args[1:])
    return wrapped(*args, **kwargs)


def start(
    propagate: Callable[[Function], Function],
    wrapped: Function,
    thread: Thread,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """
    Start a thread that carries the open span.

    Subclasses define ``run`` themselves, so it is replaced on the object, until it runs: ``thread`` then refers to nothing of ours.
    """
    own = object.__getattribute__(thread, "__dict__")  # no code of a subclass runs, nor of what the thread is to call
    target = own.get("_target")
    if type(target) is FunctionType and target.__module__ in _POOLS:
        return wrapped(*args, **kwargs)
    try:
        run = thread.run
    except Exception:  # noqa: BLE001  # it is raised again in the thread, where the application expects it
        return wrapped(*args, **kwargs)
    carried = _carried(propagate, run)
    if carried is run:  # no transaction is open
        return wrapped(*args, **kwargs)
    before = {"run": own["run"]} if "run" in own else {}

    def restore() -> None:
        if own.pop("run", None) is not None:
            own.update(before)

    def run_once() -> None:
        restore()
        carried()

    own["run"] = run_once
    try:
        return wrapped(*args, **kwargs)
    except BaseException:  # it was not started, or a signal handler interrupted the wait for it
        restore()
        raise


def _carried(propagate: Callable[[Function], Function], function: Function) -> Function:
    try:
        return propagate(function)
    except TypeError:  # it cannot be called; the library has its own error for that
        return function
