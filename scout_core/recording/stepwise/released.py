"""
A span that lasts until an object is released: a response that its library reads by calls of its own methods.

The object stays the same object. The methods that release it are replaced by attributes of this one object, until one is called.
"""

from __future__ import annotations

import sys
import weakref
from functools import partial
from types import FrameType
from typing import Any, Final

from scout_core.recording.naming import type_name
from scout_core.recording.span import Span
from scout_core.recording.stepwise.steps import ABANDONED
from scout_core.recording.stepwise.streams import UNFOLLOWED

_traceback: Final = BaseException.__dict__["__traceback__"].__get__


def end_when_released(span: Span, subject: Any, methods: tuple[str, ...]) -> None:  # Any: of whatever library
    """
    Let an open span last until one of the methods of an object has been called, or the object is freed.

    Args:
        subject: the span ends without it, and has the tag ``unfollowed_body``, if attributes of the object cannot be set.
        methods: names. The library itself calls the first when the object was used up, and when that has failed: an exception that
            passes through the method which calls it is the span's error. Calls of the others by the library do not count.
    """
    if span.transaction is None or span.stop_ns > 0:
        return
    try:
        attributes: dict[str, Any] = object.__getattribute__(subject, "__dict__")
        released = _Released(span, weakref.ref(subject), attributes, methods)
    except (AttributeError, TypeError):  # it has slots, or takes no weak reference
        span.tag(UNFOLLOWED, type_name(type(subject)))
        return
    span.keep_open()
    for name in methods:
        attributes[name] = partial(_release, released, name, name == methods[0])


def is_release(value: object) -> bool:
    """Whether it replaces a method that releases an object."""
    return type(value) is partial and value.func is _release


class _Released:
    """
    The span of one object.

    It has no reference to the object, which it is an attribute of: a cycle would keep the connection of a dropped response open.
    """

    __slots__ = ("span", "subject", "own", "__weakref__")

    def __init__(
        self, span: Span, subject: weakref.ref[Any], attributes: dict[str, Any], methods: tuple[str, ...]
    ) -> None:
        self.span: Span | None = span
        self.subject = subject
        self.own: dict[str, Any] = {name: attributes.get(name) for name in methods}  # Any: as above
        """Attributes that the object had before; None: the method of its class."""

    def end(self, error: BaseException | None = None) -> None:
        """End the span, and put the methods back, once."""
        span, self.span = self.span, None
        if span is None:
            return
        subject = self.subject()
        attributes = {} if subject is None else object.__getattribute__(subject, "__dict__")
        for name, own in self.own.items():
            replaced: Any = attributes.get(name)  # Any: as somebody has set it
            if not is_release(replaced) or replaced.args[0] is not self:  # somebody else has replaced it since
                continue
            while is_release(own) and own.args[0].span is None:  # of another span, which has ended meanwhile
                own = own.args[0].own[name]
            if own is None:
                del attributes[name]
            else:
                attributes[name] = own
        span.end(error)

    def __del__(self) -> None:
        """End the span of an object that nobody has released."""
        if self.span is not None:
            self.span.tag(ABANDONED, True)
            self.end()


def _release(released: _Released, name: str, is_first: bool, /, *args: Any, **kwargs: Any) -> Any:
    subject = released.subject()
    # The garbage collector clears the reference before it frees the object.
    method = None if subject is None else getattr(type(subject), name)
    caller = sys._getframe(1)
    is_library = caller.f_globals.get("__name__") == getattr(method, "__module__", "")
    error = _passing_through(caller) if is_library and is_first else None
    own = released.own[name]
    try:
        if own is not None:
            return own(*args, **kwargs)
        return None if method is None else method(subject, *args, **kwargs)
    finally:
        if is_first or not is_library:
            released.end(error)


def _passing_through(caller: FrameType) -> BaseException | None:
    """Return the exception that passes through a function; None for any that its caller handles."""
    error = sys.exc_info()[1]
    trace = None if error is None else _traceback(error)
    return error if trace is not None and trace.tb_frame is caller else None
