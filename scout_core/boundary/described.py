"""Spans that describers return, and everything else that they return by mistake, which must not be entered."""

from __future__ import annotations

from types import CoroutineType, TracebackType
from typing import Any, Final, cast

from scout_core.boundary.guard import Guard
from scout_core.recording.context import KEPT_OPEN, around, current, leave
from scout_core.recording.naming import type_name
from scout_core.recording.outermost import OutermostSpan
from scout_core.recording.safety.collecting import collecting, is_collecting_here
from scout_core.recording.span import Span
from scout_core.recording.stepwise.deferred import stepped
from scout_core.recording.stepwise.steps import force_end
from scout_core.recording.transaction import Transaction, known_kinds

_slots: Final[Any] = Span  # Any: mypy takes a slot for its value
_start_ns: Final = _slots.start_ns.__get__
_stop_ns: Final = _slots.stop_ns.__get__
_transaction: Final = _slots.transaction.__get__
"""The values themselves, whatever a plugin's class does with attributes."""
_NEVER_MADE: Final = -1
USED: Final = "a describer must return a new span, got one that has started before"


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

    def keep_open(self) -> None:
        """Let it outlive its call."""
        self.guard.attempt(self.span.keep_open)

    def tag(self, key: str, value: object) -> None:
        """Set a tag."""
        self.guard.attempt(self.span.tag, key, value)

    def end(self, error: BaseException | None = None) -> None:
        """End it."""
        self.guard.attempt(self._stop, error)
        if _start_ns(self.span) and _stop_ns(self.span) <= 0:
            self.guard.attempt(force_end, self.span, error)

    def _enter(self) -> None:
        self.span.__enter__()

    def _leave(self, *problem: Any) -> None:  # Any: what __exit__ gets
        self.span.__exit__(*problem)

    def _end(self, *problem: Any) -> None:
        """End it if its own method has not; one that is kept open only when an exception has left its call."""
        if not _start_ns(self.span) or _stop_ns(self.span) > 0:
            return
        if _stop_ns(self.span) == 0 or problem[1] is not None:
            force_end(self.span, problem[1])
        else:
            leave(self.span)

    def _stop(self, error: BaseException | None) -> None:
        self.span.end(error)


def guarded(guard: Guard, described: object) -> Any:  # Any: a span, or what stands for one
    """Return the context manager of a call; None when a describer returned something else than a span."""
    kind = type(described)
    if kind is Span or kind is Transaction or kind is OutermostSpan or id(kind) in known_kinds:
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
        parent = around(parent) if hasattr(parent, "own_parent") else None  # the application can have set anything
    return False


def follow_begun(
    span: Any,  # Any: a span, or a GuardedSpan
    parent: Span | None,
    result: Any,  # Any: a generator, or an async one
    *,
    is_block: bool,
) -> Any:  # Any: its stand-in
    """
    Let a span that a describer has begun itself pause until the first step of a generator, and end with the last.

    Args:
        parent: the innermost span before the describer was called; it becomes current again.
    """
    found = span.span if type(span) is GuardedSpan else span
    inside = current.get()
    _return_to(parent)
    if _stop_ns(found) not in (0, KEPT_OPEN):  # the describer has ended it, too
        return result
    if inside is None or inside is parent:  # it has begun elsewhere
        inside = found
    followed = stepped(span, result, inside=inside, is_block=is_block)
    if followed is result:  # another plugin has replaced the generator
        span.end()
    return followed


def end_begun(span: Any, parent: Span | None, error: BaseException) -> None:  # Any: as above
    """End a span that a describer has begun itself, where the call that it describes has raised; ``parent`` as above."""
    span.end(error)
    _return_to(parent)


def _return_to(parent: Span | None) -> None:
    if not (collecting and is_collecting_here()):
        current.set(parent)


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
        guard.refuse(USED)


def refuse_first_step(guard: Guard, begun: tuple[Any, Any], span: Any) -> None:
    """End a describer that did not yield a new span."""
    description, described = begun
    refuse(guard, described, span)
    guard.attempt(description.close)
