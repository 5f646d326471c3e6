"""
The exception that propagated out of a transaction: its class, where it was raised, and what its message is made of.

On the application's thread no code of the exception runs, and its message is neither built nor masked: ``__str__`` may raise
``KeyboardInterrupt``, query a database or sleep, and a message may have megabytes. What a built-in ``__str__`` prints is copied
there, cut, into a new built-in exception. An exception with a ``__str__`` of its own is copied without its traceback, so that
the local variables of its frames are freed in time and on their own thread. Only one that cannot be copied, because
it has slots or is written in C, is kept itself. Each is kept until the agent's thread has read its text, with the next look into the
inbox, and at most ``MOST_UNREAD`` at a time: of further ones the message is missing.
"""

from __future__ import annotations

import builtins
from collections import deque
from collections.abc import Callable
from types import CodeType, TracebackType
from typing import Any, Final

from scout_core.recording.bounds import bounded_container
from scout_core.signals import is_from_signal_handler
from scout_core.tag_values import LARGEST
from scout_core.tracebacks import MAX_FRAMES, frames_of

MOST_UNREAD: Final = 100
"""Exceptions that wait for the agent's thread at the same time."""
_LONGEST: Final = 2_000
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

_mro: Final[Callable[[type], tuple[type, ...]]] = type.__dict__["__mro__"].__get__
_namespace: Final[Callable[[type], dict[str, Any]]] = type.__dict__["__dict__"].__get__
_arguments: Final[Callable[[BaseException], tuple[Any, ...]]] = BaseException.__dict__["args"].__get__
_set_arguments: Final[Callable[[BaseException, tuple[Any, ...]], None]] = BaseException.__dict__["args"].__set__
_attributes: Final[Callable[[BaseException], dict[str, Any]]] = BaseException.__dict__["__dict__"].__get__

_fields: Final[dict[type, tuple[Any, ...]]] = {  # Any: member descriptors
    kind: tuple(kind.__dict__[name] for name in names)
    for kind, names in {
        OSError: ("errno", "strerror", "filename", "filename2"),
        ImportError: ("msg", "name", "path"),
        SyntaxError: ("msg", "filename", "lineno"),
    }.items()
}
_Group: Final[Any] = getattr(builtins, "BaseExceptionGroup", None)  # Python >= 3.11
_group_message: Final[Callable[[BaseException], object]] = _Group.__dict__["message"].__get__ if _Group else str
_exit_code: Final[Callable[[SystemExit], object]] = SystemExit.__dict__["code"].__get__


class Raised:
    """An exception that propagated out of a transaction, as data."""

    __slots__ = ("kind", "frames", "_source", "_message")

    kind: type[BaseException]
    frames: list[tuple[CodeType, int]]
    """Code and line, innermost first, at most 50."""

    def __init__(self, kind: type[BaseException], frames: list[tuple[CodeType, int]]) -> None:
        self.kind = kind
        self.frames = frames
        self._source: BaseException | None = None
        """Prints the text; None when it has been read, or will not be."""
        self._message: str | None = None

    @property
    def message(self) -> str:
        """Literals masked; see ``text/message.py``. Built when it is first read: on the agent's thread."""
        from scout_core.text.message import UNREADABLE  # loaded by start()

        source = self._source
        if source is not None:
            self._message = _text_of(source, self.kind)
            self._source = None
        return UNREADABLE if self._message is None else self._message


def note_raised(error: BaseException, trace: TracebackType | None, unread: deque[Raised]) -> Raised:
    """
    Note an exception on the application's thread. Runs no code of the exception.

    Args:
        unread: those that the agent's thread still has to read; it is added to them if it keeps objects of the application.
    """
    raised = Raised(type(error), frames_of(trace)[: -MAX_FRAMES - 1 : -1])
    try:
        source, is_ours = _copy(error, _DEEPEST)
    except Exception as problem:  # whatever an exception is made of, the application's must not be replaced
        if is_from_signal_handler(problem):
            raise
        return raised
    if is_ours:
        raised._source = source
    elif len(unread) < MOST_UNREAD:
        raised._source = source
        unread.append(raised)
    return raised


def is_failure(kind: type[BaseException], error: BaseException | None) -> bool:
    """
    Whether what left a span is an error: any ``Exception``, and the end of the process with a status other than 0.

    A server ends a request that exceeds its time limit with ``SystemExit(1)``. Ctrl-C, a cancelled task, a closed generator
    and ``sys.exit()`` are not errors.
    """
    if issubclass(kind, Exception):
        return True
    if error is None or not issubclass(kind, SystemExit):
        return False
    code = _exit_code(error)  # type: ignore[arg-type]  # mypy does not connect the class with the object
    of: object = type(code)  # compared by identity: a metaclass may raise
    return code is not None and not ((of is int or of is bool) and code == 0)


def _copy(error: BaseException, depth: int) -> tuple[BaseException, bool]:
    """Return an exception with the same text, or the same one, and whether it keeps nothing of the application's alive."""
    if not depth:
        return BaseException("…"), True
    kind = type(error)
    printer = _printer(kind)
    if _is_among(printer, _BUILT_IN):
        return _built_in_copy(error, printer, depth)
    if _is_among(printer, _SHORT) or (printer is _Group and type(_group_message(error)) is str):
        return BaseException(_namespace(printer)["__str__"](error)[:_LONGEST]), True
    return _own_copy(error, kind, depth), False


def _printer(kind: type) -> type:
    """Return the class whose ``__str__`` it has."""
    for owner in _mro(kind):
        if "__str__" in _namespace(owner):
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
    classes = _mro(kind)
    layout: type = BaseException
    for owner in classes:
        if _is_among(owner, _LAYOUTS):
            layout = owner
            break
        namespace = _namespace(owner)
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
    _attributes(copy).update({name: _part(value, depth)[0] for name, value in _attributes(error).items()})
    return copy


def _new(
    kind: Any, layout: Any = None
) -> BaseException:  # Any: mypy takes the constructor of `type` for that of the class
    return (layout or kind).__new__(kind)  # type: ignore[no-any-return]


def _part(value: Any, depth: int) -> tuple[Any, bool]:
    """Return a part of an exception as it is kept, and whether it is plain: nothing of the application's."""
    kind = type(value)
    if kind is str or kind is bytes:
        return (value if len(value) <= _LONGEST else value[:_LONGEST]), True
    if value is None or kind is bool or kind is float:
        return value, True
    if kind is int:
        return (value if -LARGEST < value < LARGEST else "<int>"), True
    if issubclass(kind, BaseException):
        return _copy(value, depth - 1)
    short = bounded_container(value)
    return short, short is not value


def _text_of(error: BaseException, kind: type[BaseException]) -> str:
    from scout_core.text.message import UNREADABLE, masked_message

    try:
        return masked_message(str(error), kind)
    except BaseException:  # noqa: BLE001  # foreign code, whatever it raises; on the agent's thread there is no Ctrl-C
        return UNREADABLE
