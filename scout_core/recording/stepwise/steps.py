"""
A span whose work is done in steps, while others run in between: a generator, a coroutine, the body of a response.

Each step runs with the current span that the step before it left, and afterwards the caller's own is current again. The context
variable is only read and set: a token could not be used from the next thread, task or callback.

Hot code: ``run`` is called for each step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from scout_core.clocks import perf_counter_ns
from scout_core.recording.context import KEPT_OPEN, around, current, has_ended
from scout_core.recording.outermost import OutermostSpan
from scout_core.recording.safety.collecting import collecting, is_collecting_here
from scout_core.recording.safety.contain import lose
from scout_core.recording.safety.never_ended import let_go
from scout_core.recording.span import Span
from scout_core.recording.stepwise.pauses import note_pause, note_pause_within, span_of
from scout_core.recording.transaction import Transaction

ACTIVE_TIME: Final = "active_time"
"""Tag: the seconds that the steps took, without the pauses between them."""
ABANDONED: Final = "abandoned"
"""Tag: nobody has run the steps to their end, nor closed what they belong to; the span ended when that was freed."""

_get = current.get
_set = current.set


class Timed(Protocol):
    """A span, or what contains the faults of one of a plugin's own class."""

    start_ns: int
    """0 before it begins, and where it is unknown."""

    @property
    def transaction(self) -> Transaction | None:
        """None while not recorded."""

    def tag(self, key: str, value: Any, /) -> None:
        """Set a tag."""

    def __enter__(self) -> object:
        """Start it."""

    def keep_open(self) -> object:
        """Let it outlive its ``with`` block."""

    def end(self, error: BaseException | None = None) -> None:
        """End it."""


class EndedSteps:
    """
    One span and its body; the class of those whose span has ended, or is not recorded.

    Args:
        span: begins with the first step, unless it is open.
        body: what the steps belong to.
        inside: the span that is current in the first step, of a span that has begun; None: it begins with that step.
        active_ns: nanoseconds that the span has worked before the first step; None: do not tag the time of the steps.
        on_used: called if somebody else has begun the span before the first step, so that these steps have none.
    """

    __slots__ = (
        "span", "body", "inside", "has_begun", "active_ns", "turn_ns", "turns", "paused_ns", "is_entered", "on_used",
        "next_index", "__weakref__",
    )  # fmt: skip

    span: Timed | None
    """None once it has ended, and when it is not recorded."""
    body: Any
    inside: Span | None
    """The current span at the end of the last step."""
    turn_ns: int
    """When the body was resumed; 0 while it pauses."""
    turns: int
    """Threads in ``run_turn``: several may share a lazy iterator, and it pauses when the last one has left."""
    paused_ns: int
    """When the last pause began; 0 before the first."""
    is_entered: bool
    """The first step of a context manager has begun."""
    next_index: int  # unset until a body is read by index
    has_pauses = True
    """The time between steps is the consumer's."""
    is_complete = False
    """Nothing is left to do, so nothing is abandoned."""

    def __init__(
        self,
        span: Timed,
        body: Any,
        *,
        inside: Span | None = None,
        active_ns: int | None = 0,
        on_used: Callable[[], object] | None = None,
    ) -> None:
        self.span = span
        self.body = body
        self.inside = inside
        self.has_begun = inside is not None
        self.active_ns = active_ns
        self.turn_ns = self.turns = self.paused_ns = 0
        self.is_entered = False
        self.on_used = on_used

    def run(self, step: Callable[..., Any], /, *args: Any) -> Any:
        """
        Run one step; its result or its exception is the caller's.

        The nested ``finally`` has no call between its beginning and the ``try`` in it, so whatever a signal handler raises, the caller's
        span becomes current again.
        """
        if self.span is None:
            return step(*args)
        if collecting and is_collecting_here():
            return self._run_in_collection(step, args)
        before = _get()
        try:
            if self.has_begun:
                _set(self.inside)
            else:
                self._begin(before)
            if not self.turn_ns:
                self.turn_ns = perf_counter_ns()
                if self.inside is not self.span and self.paused_ns and self.has_pauses:
                    note_pause_within(self.span, self.inside, self.turn_ns - self.paused_ns)
            return step(*args)
        except BaseException as error:  # any exception passes
            self.settle(error)
            raise
        finally:
            try:
                self.inside = None if self.span is None else _get()
            finally:
                _set(before)

    def run_in_block(self, step: Callable[..., Any], /, *args: Any) -> Any:
        """
        Run one step of a context manager, whose ``with`` block belongs to the span: the span stays current until it ends.

        A step in a context that is not within the block, as where another thread leaves it, has no effect on that context.

        A class of steps has it as its ``run``.
        """
        if self.span is None:
            return step(*args)
        if collecting and is_collecting_here():
            return self._run_in_collection(step, args)
        before = _get()
        is_elsewhere = self.is_entered and not _is_within(before, self.span)
        try:
            if not self.has_begun:
                self._begin(before)
            elif self.inside is not None and (is_elsewhere or not self.is_entered):  # or it has begun before the block
                _set(self.inside)
            self.is_entered = True
            self.turn_ns = self.turn_ns or perf_counter_ns()
            return step(*args)
        except BaseException as error:  # any exception passes
            self.settle(error)
            raise
        finally:
            try:
                self.inside = None if self.span is None else _get()
            finally:
                if is_elsewhere:
                    _set(before)

    def run_turn(self, step: Callable[..., Any], /, *args: Any) -> Any:
        """Run a step after which the body pauses until its consumer wants more."""
        self.turns += 1
        try:
            return self.run(step, *args)
        finally:
            self.turns -= 1
            if not self.turns:
                self.pause()

    def pause(self) -> None:
        """Count the time since the body was resumed."""
        # The clock first, as another thread may resume the body at any call; then in one step, so that only one counts the time.
        paused_ns = perf_counter_ns()
        turn_ns, self.turn_ns = self.turn_ns, 0
        if turn_ns and self.active_ns is not None:
            self.paused_ns = paused_ns
            self.active_ns += paused_ns - turn_ns

    def settle(self, error: BaseException) -> None:
        """End the span if an exception that has left a step is the end of the body."""
        if self.is_over(error):
            self.end(None if isinstance(error, (StopIteration, StopAsyncIteration)) else error)

    def is_over(self, error: BaseException | None) -> bool:
        """Whether the body has ended, with an exception that has left a step or without one."""
        return error is not None

    def end(self, error: BaseException | None = None) -> None:
        """End the span, unless it has ended or not begun."""
        span = self.span
        if span is None:
            return
        try:
            if self.has_begun:
                self.pause()
                if self.active_ns is not None:
                    span.tag(ACTIVE_TIME, self.active_ns / 1e9)
                    if self.has_pauses and span.start_ns > 0:
                        note_pause(span, perf_counter_ns() - span.start_ns - self.active_ns)
                _end(span, error)
        finally:
            self.leave()

    def leave(self) -> None:
        """Have no span any more; steps run as they would without one."""
        self.span = self.inside = None
        self.__class__ = EndedSteps  # an exception of a signal handler is lost in a `__del__`, so have none

    def _begin(self, before: Span | None) -> None:
        span = self.span
        self.has_begun = True
        if span is None:
            return
        if span.transaction is not None:
            self.leave()
            if self.on_used is not None:
                self.on_used()
            return
        span.__enter__()
        if _get() is before:  # there is nothing to record it in
            self.leave()

    def _run_in_collection(self, step: Callable[..., Any], args: tuple[Any, ...]) -> Any:
        """The same where the variable must not be set; see ``collecting.py``."""
        try:
            return step(*args)
        except BaseException as error:
            self.settle(error)
            raise

    def _drop(self) -> None:
        self.body = None


class Steps(EndedSteps):
    """The same while the span has not ended."""

    __slots__ = ()

    def __del__(self) -> None:
        """
        End the span of a body that nobody has closed.

        The last reference to the body is dropped in a step, so that what it runs when it is freed belongs to the span.
        """
        if self.span is None or not self.has_begun:
            return
        if not (collecting and is_collecting_here()):
            self.run(self._drop)
        if self.span is not None:
            if not self.is_complete:
                self.span.tag(ABANDONED, True)
            self.end()


def _is_within(innermost: Span | None, timed: Timed) -> bool:
    """Whether a span is the innermost one, or around it."""
    span = span_of(timed)
    while innermost is not None and innermost is not span:
        innermost = around(innermost)
    return innermost is not None


def force_end(span: Span, error: BaseException | None) -> None:
    """End a span whose own class has failed to."""
    if not span.start_ns or has_ended(span):
        return
    if span.stop_ns == KEPT_OPEN:
        span.stop_ns = 0
    let_go(span)
    base = Transaction if issubclass(type(span), Transaction) else Span
    base.__exit__(span, None if error is None else type(error), error, getattr(error, "__traceback__", None))


def _end(span: Any, error: BaseException | None) -> None:  # Any: a span, or a Timed of another kind
    kind = type(span)
    if kind in (Span, OutermostSpan, Transaction) or not issubclass(kind, Span):
        span.end(error)
        return
    try:
        span.end(error)
    except Exception as fault:  # noqa: BLE001  # of its own class; see `contain.py`
        lose(span, fault)
    finally:
        force_end(span, error)
