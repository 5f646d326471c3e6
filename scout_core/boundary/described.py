"""Spans that describers return, and everything else that they return by mistake, which must not be entered."""

from __future__ import annotations

from collections.abc import Generator
from types import CoroutineType, TracebackType
from typing import Any, Final, cast

from scout_core.boundary.guard import Guard
from scout_core.errors import PluginError
from scout_core.recording.context import KEPT_OPEN, around
from scout_core.recording.naming import type_name
from scout_core.recording.span import Span
from scout_core.recording.transaction import Transaction

_slots: Final[Any] = Span  # Any: mypy takes a slot for its value
_start_ns: Final = _slots.start_ns.__get__
_stop_ns: Final = _slots.stop_ns.__get__
_transaction: Final = _slots.transaction.__get__
"""The values themselves, whatever a plugin's class does with attributes."""
_NEVER_MADE: Final = -1


class GuardedSpan:
    """A span of a plugin's own class, as a context manager that contains what its methods raise."""

    __slots__ = ("guard", "span", "start_ns")

    def __init__(self, guard: Guard, span: Span) -> None:
        self.guard = guard
        self.span = span
        try:
            self.start_ns = _start_ns(span)
        except AttributeError:  # its class does not call Span.__init__
            self.start_ns = _NEVER_MADE

    @property
    def transaction(self) -> Transaction | None:
        """The transaction that it belongs to; None while not recorded."""
        try:
            return _transaction(self.span)  # type: ignore[no-any-return]
        except AttributeError:  # its class sets some attributes instead of calling Span.__init__
            return None

    def __enter__(self) -> None:
        self.guard.attempt(self._enter)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.guard.attempt(self._leave, kind, error, trace)
        self.guard.attempt(self._end, kind, error, trace)

    def begin(self) -> None:
        """Start it."""
        self.__enter__()

    def keep_open(self) -> None:
        """Let it outlive its call."""
        self.guard.attempt(self.span.keep_open)

    def tag(self, key: str, value: object) -> None:
        """Set a tag."""
        self.guard.attempt(self.span.tag, key, value)

    def end(self, error: BaseException | None = None) -> None:
        """End it."""
        self.guard.attempt(self.span.end, error)
        base = Transaction if issubclass(type(self.span), Transaction) else Span
        if _start_ns(self.span) and _stop_ns(self.span) <= 0:
            self.guard.attempt(base.end, self.span, error)

    def _enter(self) -> None:
        self.span.__enter__()

    def _leave(self, *problem: Any) -> None:  # Any: what __exit__ gets
        self.span.__exit__(*problem)

    def _end(self, *problem: Any) -> None:
        """End it if its own method has not."""
        if _start_ns(self.span) and not _stop_ns(self.span):
            (Transaction if issubclass(type(self.span), Transaction) else Span).__exit__(self.span, *problem)


def guarded(guard: Guard, described: object) -> Any:  # Any: a span, or what stands for one
    """Return the context manager of a call; None when a describer returned something else than a span."""
    kind = type(described)
    if kind is Span or kind is Transaction:
        return described
    return GuardedSpan(guard, cast(Span, described)) if issubclass(kind, Span) else None


def is_used(span: Any, parent: Span | None) -> bool:  # Any: a span, or a GuardedSpan
    """
    Whether a span that has started must not be entered: it has ended, or belongs to somebody else, who would find it ended.

    A span that the describer itself has entered is a new one.

    Args:
        parent: the innermost span before the describer was called.
    """
    found = span.span if type(span) is GuardedSpan else span
    if span.start_ns == _NEVER_MADE or _stop_ns(found) not in (0, KEPT_OPEN):
        return True
    while parent is not None:
        if parent is found:
            return True
        parent = around(parent) if hasattr(parent, "parent") else None  # the application can have set anything
    return False


def refuse(guard: Guard, described: object, span: Any = None) -> None:  # Any: a span, or a GuardedSpan
    """
    Count a call whose describer returned something that cannot be entered; None declines, which is not an error.

    Args:
        span: the same as a context manager; None: it is not a span.
    """
    if described is None:
        return
    if type(described) is CoroutineType:
        described.close()  # nobody is warned that it was never awaited
    if span is None:
        guard.refuse(f"a describer must return a span or None, got {type_name(type(described))}")
    elif getattr(span, "start_ns", _NEVER_MADE) == _NEVER_MADE:
        guard.refuse(f"{type_name(type(described))}.__init__ must call super().__init__(operation)")
    else:
        guard.refuse("a describer must return a new span, got one that has started before")


def refuse_first_step(guard: Guard, begun: tuple[Any, Any] | None, span: Any) -> None:
    """End a describer that did not yield a new span."""
    if begun is not None:
        description, described = begun
        refuse(guard, described, span)
        guard.attempt(description.close)


def send_result(description: Generator[Span, Any, object], result: object) -> None:
    """Run the describer from its ``yield`` to its end."""
    try:
        description.send(result)
    except StopIteration:
        return
    description.close()
    raise PluginError("a describer must yield once, the span; this one yielded again")
