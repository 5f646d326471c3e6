"""``Span.stream``: a span that ends with the body of a response, or with another object that is read bit by bit."""

from __future__ import annotations

import weakref
from functools import partial
from types import FunctionType, MemberDescriptorType, MethodType
from typing import Any, Final

from scout_core.classes import attribute_of, bases_of, own_names
from scout_core.clocks import perf_counter_ns
from scout_core.recording.naming import type_name
from scout_core.recording.span import Span
from scout_core.recording.stepwise.bodies import BodySteps, RequestSteps, SteppedBody, can_be_closed, stand_in
from scout_core.recording.stepwise.deferred import NATIVE, is_deferred, until_done
from scout_core.recording.stepwise.steps import Steps

UNFOLLOWED: Final = "unfollowed_body"
"""Tag: the class of a body whose end cannot be observed; the span has ended before it."""
_IN_MEMORY: Final = (type(None), str, bytes, bytearray, memoryview, list, tuple, set, frozenset, dict)
"""Nothing is left to do for such a body."""


def follow(span: Span, body: Any, file_wrapper: object = None) -> Any:  # Any: whatever a framework sends
    """Let an open span last until its body has been read or closed; see ``Span.stream``."""
    kind = type(body)
    if span.transaction is None or span.stop_ns > 0 or issubclass(kind, _IN_MEMORY):
        return body
    if id(kind) not in NATIVE and _is_file(body, file_wrapper):
        _follow_file(span, body)
    elif is_deferred(body):
        return until_done(span.keep_open(), body)
    elif _is_buffer(body):
        return body
    elif any(hasattr(kind, name) for name in ("__iter__", "__next__", "__aiter__", "__anext__", "__getitem__")):
        span.keep_open()
        is_of_request = span.transaction is span and span.transaction.is_web
        kind_of_steps = RequestSteps if is_of_request and can_be_closed(body) else BodySteps
        return stand_in(
            SteppedBody, kind_of_steps(span, body, inside=span, active_ns=perf_counter_ns() - span.start_ns)
        )
    else:
        span.tag(UNFOLLOWED, type_name(kind))
    return body


def _is_buffer(body: Any) -> bool:
    """Whether it is memory, such as an array or a mapped file, which is passed on by its address. Runs no code of its class."""
    if type(attribute_of(type(body), "__buffer__")) is FunctionType:
        return True
    try:
        memoryview(body).release()
    except Exception:  # noqa: BLE001  # it has no memory to show, or is closed
        return False
    return True


def _is_file(body: Any, file_wrapper: object) -> bool:
    """Whether a server may send it without reading it here, so that it must stay the same object."""
    kind = type(body)
    if isinstance(file_wrapper, type) and issubclass(kind, file_wrapper):
        return True
    try:
        return hasattr(kind, "fileno") or (hasattr(_own(body).get("filelike"), "read") and hasattr(body, "close"))
    except Exception:  # noqa: BLE001  # of an attribute of the application
        return False


def _own(body: Any) -> dict[str, Any]:
    """Return the attributes of an object itself."""
    try:
        found = object.__getattribute__(body, "__dict__")
    except Exception:  # noqa: BLE001  # it has none, or a property of this name
        return {}
    return found if issubclass(type(found), dict) else {}


def _follow_file(span: Span, body: Any) -> None:
    """End the span when the file is closed, which servers do; a file whose ``close`` cannot be replaced is not followed."""
    steps = Steps(span, None, inside=span, active_ns=None)
    try:
        body.close = _replaced_close(steps, body)
    except Exception:  # noqa: BLE001  # its class may refuse it in any way
        steps.leave()
        span.tag(UNFOLLOWED, type_name(type(body)))
    else:
        span.keep_open()


def _replaced_close(steps: Steps, body: Any) -> Any:
    """Return a function that does not refer to the file: it is an attribute of it, and a cycle would keep the file open."""
    own = _own(body).get("close")
    of_class = attribute_of(type(body), "close")
    if own is None and type(of_class) is MemberDescriptorType:
        own = body.close  # of __slots__
    elif attribute_of(type(of_class), "__set__") or attribute_of(type(body), "__setattr__") is not object.__setattr__:
        raise TypeError("its class decides what is set, and where")
    return partial(_close, steps, own or _close_of_twin(body), own is not None, weakref.ref(body))


def _close_of_twin(body: Any) -> Any:
    """
    Return the ``close`` of an object with the same attributes, for a caller that has kept only ``close`` when the file is freed.

    Werkzeug's test client is one; the method itself would have kept the file. None: only Python code can be called like that.
    """
    kind = type(body)
    close = getattr(kind, "close", None)
    if type(close) is not FunctionType or hasattr(kind, "__del__"):
        return None
    try:
        twin = object.__new__(kind)
    except TypeError:  # a base is written in C
        return None
    if kind.__dictoffset__:
        object.__getattribute__(twin, "__dict__").update(object.__getattribute__(body, "__dict__"))
    slots = (
        value for base in bases_of(kind) for value in own_names(base).values() if type(value) is MemberDescriptorType
    )
    for slot in slots:
        try:
            slot.__set__(twin, slot.__get__(body))
        except AttributeError:  # it is not set
            continue
    return MethodType(close, twin)


def _close(
    steps: Steps, close: Any, is_own: bool, file: weakref.ref[Any], /, *args: Any, **kwargs: Any
) -> Any:  # Any: as the file's own
    body = file()
    try:
        if body is not None and not is_own:
            close = _close_of_class(body)
        return None if close is None else steps.run(partial(close, *args, **kwargs))
    finally:
        steps.end()


def _close_of_class(body: Any) -> Any:
    """Return what ``body.close`` would be if it had not been replaced."""
    kind = type(body)
    found = attribute_of(kind, "close")
    if found is None:
        return kind.__getattr__(body, "close")
    get = attribute_of(type(found), "__get__")
    return found if get is None else get(found, body, kind)


def is_replaced_close(value: object) -> bool:
    """Whether it replaces the ``close`` of a file that is followed."""
    return type(value) is partial and value.func is _close
