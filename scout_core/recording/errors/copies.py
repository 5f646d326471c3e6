"""
Copies of exceptions that print the same text, made on the application's thread without running code of the exception.

``__str__`` may raise ``KeyboardInterrupt``, query a database or sleep, and a message may have megabytes. What a built-in ``__str__``
prints is copied, cut, into a new built-in exception. An exception with a ``__str__`` of its own is copied without its traceback, so
that the local variables of its frames are freed in time and on their own thread. Only one that cannot be copied, because it has
slots or is written in C, is kept itself.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from typing import Any, Final

from scout_core.classes import bases_of, own_names
from scout_core.recording.limits.bounds import bounded_container
from scout_core.tag_values import LARGEST

LONGEST: Final = 2_000
"""Characters of a message, and of each of its parts, that are read; 300 of them leave the process."""
_MOST_ARGUMENTS: Final = 10
_DEEPEST: Final = 3
"""Exceptions within the arguments of exceptions that are copied."""

# The descriptors themselves: an attribute of a class or an object may be foreign code.
_BUILT_IN: Final = (BaseException, KeyError, OSError, AttributeError, NameError, ImportError, SyntaxError)
"""Classes with a ``__str__`` written in C that prints their arguments and fields."""
_SHORT: Final = (UnicodeDecodeError, UnicodeEncodeError, UnicodeTranslateError)
"""Those whose ``__str__`` prints plain texts and one character."""
_LAYOUTS: Final = (
    OSError,
    ImportError,
    SyntaxError,
    AttributeError,
    NameError,
    StopIteration,
    SystemExit,
    BaseException,
)
"""Classes from which the others inherit how their objects are laid out; the others have nothing besides their arguments."""

_arguments: Final[Callable[[BaseException], tuple[Any, ...]]] = BaseException.__dict__["args"].__get__
_set_arguments: Final[Callable[[BaseException, tuple[Any, ...]], None]] = BaseException.__dict__["args"].__set__
attributes_of: Final[Callable[[BaseException], dict[str, Any]]] = BaseException.__dict__["__dict__"].__get__

_fields: Final[dict[type, tuple[Any, ...]]] = {  # Any: member descriptors
    kind: tuple(kind.__dict__[name] for name in names)
    for kind, names in {
        OSError: ("errno", "strerror", "filename", "filename2"),
        ImportError: ("msg", "name", "path"),
        SyntaxError: ("msg", "filename", "lineno"),
    }.items()
}
Group: Final[Any] = getattr(builtins, "BaseExceptionGroup", None)  # Python >= 3.11
_group_message: Final[Callable[[BaseException], object]] = Group.__dict__["message"].__get__ if Group else str


def copy_of(error: BaseException, depth: int = _DEEPEST) -> tuple[BaseException, bool]:
    """Return an exception with the same text, or the same one, and whether it keeps nothing of the application's alive."""
    if not depth:
        return BaseException("…"), True
    kind = type(error)
    printer = _printer(kind)
    if _is_among(printer, _BUILT_IN):
        return _built_in_copy(error, printer, depth)
    if _is_among(printer, _SHORT) or (printer is Group and type(_group_message(error)) is str):
        return BaseException(own_names(printer)["__str__"](error)[:LONGEST]), True
    if Group is None and printer is backport_group():
        return BaseException(_text_of_backport(error)), True
    return _own_copy(error, kind, depth), False


def backport_group() -> type | None:
    """Return the class of exception groups of the library ``exceptiongroup``, for Python 3.10; None while nothing has imported it."""
    group: type | None = getattr(sys.modules.get("exceptiongroup"), "BaseExceptionGroup", None)
    return group


def _text_of_backport(error: BaseException) -> str:
    message, members = _arguments(error)[:1], attributes_of(error).get("_exceptions")
    of: object = type(members)
    count = len(members) if members is not None and (of is tuple or of is list) else 0
    text = message[0][:LONGEST] if message and type(message[0]) is str else ""
    return f"{text} ({count} sub-exception{'' if count == 1 else 's'})"


def _printer(kind: type) -> type:
    """Return the class whose ``__str__`` it has."""
    for owner in bases_of(kind):
        if "__str__" in own_names(owner):
            return owner
    return BaseException


def _is_among(kind: type, kinds: tuple[type, ...]) -> bool:
    """Whether it is one of them; ``in`` would call the ``__eq__`` of a metaclass."""
    for known in kinds:  # noqa: SIM110  # not a generator: an exception of a signal handler that arrives when it is freed is lost
        if kind is known:
            return True
    return False


def _built_in_copy(error: BaseException, printer: type, depth: int) -> tuple[BaseException, bool]:
    """Return what a ``__str__`` written in C prints, of the parts that it prints."""
    arguments = _arguments(error)[:_MOST_ARGUMENTS]
    parts = [_part(argument, depth) for argument in arguments]
    is_ours = False not in [is_plain for _, is_plain in parts]
    copy = _new(printer)
    _set_arguments(copy, tuple([part for part, _ in parts]))
    for descriptor in _fields.get(printer, ()):
        part, is_plain = _part(descriptor.__get__(error), depth)
        if part is not None:  # None that was set is printed
            descriptor.__set__(copy, part)
        is_ours = is_ours and is_plain
    return copy, is_ours


def _own_copy(error: BaseException, kind: type[BaseException], depth: int) -> BaseException:
    """Return an exception that prints itself without its traceback; if it cannot be copied, itself."""
    classes = bases_of(kind)
    layout: type = BaseException
    for owner in classes:
        if _is_among(owner, _LAYOUTS):
            layout = owner
            break
        namespace = own_names(owner)
        if namespace.get("__slots__") or "__del__" in namespace:
            return error
    try:
        copy = _new(kind, layout)
    except TypeError:  # its objects are laid out in C
        return error
    _set_arguments(copy, tuple([_part(argument, depth)[0] for argument in _arguments(error)]))
    for descriptor in _fields.get(layout, ()):
        value = descriptor.__get__(error)
        if value is not None:
            descriptor.__set__(copy, _part(value, depth)[0])
    attributes_of(copy).update({name: _part(value, depth)[0] for name, value in attributes_of(error).items()})
    return copy


def _new(
    kind: Any, layout: Any = None
) -> BaseException:  # Any: mypy takes the constructor of `type` for that of the class
    return (layout or kind).__new__(kind)  # type: ignore[no-any-return]


def _part(value: Any, depth: int) -> tuple[Any, bool]:
    """Return a part of an exception as it is kept, and whether it is plain: nothing of the application's."""
    kind = type(value)
    if kind is str or kind is bytes:
        return (value if len(value) <= LONGEST else value[:LONGEST]), True
    if value is None or kind is bool or kind is float:
        return value, True
    if kind is int:
        return (value if -LARGEST < value < LARGEST else "<int>"), True
    if issubclass(kind, BaseException):
        return copy_of(value, depth - 1)
    short = bounded_container(value)
    return short, short is not value


def size_of(copy: BaseException) -> int:
    """Return how many bytes of text a copy holds, about."""
    size = 0
    for parts in _arguments(copy), () if _is_among(type(copy), _BUILT_IN) else attributes_of(copy).values():
        for part in parts:
            if type(part) is str or type(part) is bytes:
                size += len(part)
    return size
