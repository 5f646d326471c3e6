"""
One request, one transaction: middleware around an application begins it, and the plugin of the framework inside names it.

Both begin a web transaction for the same request. The inner one is then no span: it joins the outer one, which takes its name, its
tags and its errors, and lasts as long as the middleware decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from scout_core.clocks import perf_counter_ns
from scout_core.operations import UNNAMED
from scout_core.recording.context import KEPT_OPEN
from scout_core.recording.errors.recorded import record_in
from scout_core.recording.safety.contain import lose
from scout_core.recording.web import read_environ

if TYPE_CHECKING:
    from scout_core.recording.transaction import Transaction

_PASSED_ON: Final = ("wsgi.input", "headers")
"""Keys of an environ and of a scope whose objects only a single request has; copies, as of a mounted application, have them too."""
_NO_HEADERS: Final = ()  # Python has only one empty tuple, which many requests may share


def join(inner: Transaction, outer: Transaction) -> bool:
    """
    Make a web transaction that begins a part of the open one, if that was begun around the same request.

    The first one that is not itself around an application is the last one that may join.

    Args:
        outer: the open transaction; it has ``served``.

    Returns:
        Whether it has joined. Then nothing begins, and nothing is current that was not before.
    """
    environ = inner.environ
    if inner.start_ns or inner.is_detached or environ is None or not (inner.is_web and outer.start_ns):
        return False
    if not read_environ(lambda served: _is_same(served, environ), outer.served):  # type: ignore[arg-type]  # it has one
        return False
    is_around = inner.served is not None
    inner.transaction = outer
    inner.start_ns = outer.start_ns
    inner.own_request = outer.own_request
    inner.environ = inner.served = None
    inner.has_joined = True
    if inner.own_operation != UNNAMED:
        outer.own_operation = inner.own_operation
    if not is_around:
        outer.served = None
    outer.own_tags.update(inner.own_tags)
    inner.own_tags = outer.own_tags
    return True


def end_joined(inner: Transaction, error: BaseException | None) -> None:
    """End a transaction that has joined another one, which stays open; an exception that leaves it makes that one fail."""
    try:
        if inner.stop_ns > 0 or (inner.stop_ns == KEPT_OPEN and error is None):
            return
        stop_ns = perf_counter_ns()
        ended, inner.stop_ns = inner.stop_ns, stop_ns  # in one step: see `Transaction.__exit__`
        if ended > 0:
            inner.stop_ns = ended
            return
        if error is not None:
            record_in(inner, error, handled=False)
    except Exception as fault:  # noqa: BLE001  # see `contain.py`
        lose(inner, fault)


def _is_same(served: Mapping[str, Any], environ: Mapping[str, Any]) -> bool:  # Any: whatever a server has put there
    if served is environ:
        return True
    for key in _PASSED_ON:
        own = environ.get(key)
        if own is not None and own is served.get(key) and own is not _NO_HEADERS:
            return True
    return False
