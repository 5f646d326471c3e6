"""
Probes below and above a plugin's wrapper: the arguments and results on both sides of the plugin's part of a call.

The lower probe replaces the library's function before the agent starts; the upper probe is put around the plugin's wrapper. Any
difference between the two comes from the plugin, whatever the library does.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any, Final

from attrs import define, field, frozen

from scout_core.boundary.bound_calls import Function, Original
from scout_core.boundary.patches import Patch
from scout_core.errors import TargetError
from scout_core.recording.context import current
from scout_core.recording.record import Record
from scout_core.recording.safety.abandoned import calibrate
from scout_core.recording.span import Span
from scout_core.recording.stepwise.generator_functions import replace_in_kind
from scout_core.testing.hostility import in_plugin
from scout_core.testing.rules.effort import Meter
from scout_core.testing.rules.targets import Target
from scout_core.tracebacks import frames_of


@frozen(eq=False)
class Raised:
    """An exception as it was at one side."""

    error: BaseException
    context: BaseException | None
    cause: BaseException | None
    suppress: bool
    attributes: dict[str, Any]
    notes: tuple[str, ...]
    frames: list[tuple[CodeType, int]]
    """Outermost first, from the probe down."""

    @classmethod
    def now(cls, error: BaseException) -> Raised:
        """Take a snapshot of an exception."""
        frames = frames_of(error.__traceback__)
        attributes = dict(vars(error))
        notes = tuple(attributes.pop("__notes__", ()))
        return cls(error, error.__context__, error.__cause__, error.__suppress_context__, attributes, notes, frames)


@define(eq=False)
class Side:
    """A call as one probe recorded it."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    span: Span | None
    """The innermost span at the start of the call."""
    result: object = None
    raised: Raised | None = None


@define(eq=False)
class Passage:
    """A call of a target from above, and each time that it reached the library."""

    target: Target
    above: Side
    below: list[Side] = field(factory=list)
    created: list[Span] = field(factory=list)
    """Spans that the plugin's part created."""
    meter: Meter | None = None
    was_in_plugin: bool = False
    """The call was made by the plugin's part of another call."""

    @property
    def objects(self) -> list[object]:
        """Objects that the plugin's part receives."""
        return [*self.above.args, *self.above.kwargs.values(), *(side.result for side in self.below)]


_passages: Final[ContextVar[tuple[Passage, ...]]] = ContextVar("scout_core_passages", default=())
"""The open passages, the outermost first."""


class Probes:
    """Probes around all targets of one plugin."""

    def __init__(self, targets: Iterable[Target], *, meter: type[Meter] | None = None) -> None:
        self.passages: list[Passage] = []
        """In order of their start."""
        self._targets = [target for target in targets if target.module in sys.modules]
        self._meter = meter

    @contextmanager
    def beneath(self) -> Iterator[None]:
        """Put the lower probes in place."""
        with self._placed(self._lower):
            yield

    @contextmanager
    def above(self) -> Iterator[None]:
        """Put the upper probes in place."""
        with self._placed(self._upper):
            yield

    @contextmanager
    def _placed(self, probe: Callable[[Target, Original], Function]) -> Iterator[None]:
        asked_by = object()  # an attribute that is inherited from a probed target is left alone
        with ExitStack() as stack:
            for target in self._targets:
                patch = Patch(target.name, functools.partial(probe, target), asked_by=asked_by)
                try:
                    patch.apply(sys.modules[target.module])
                except TargetError:  # the rule `targets` reports it
                    continue
                stack.callback(patch.undo)
            yield

    def _enter(self, target: Target, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Passage:
        meter = self._meter() if self._meter else None
        passage = Passage(target, Side(args, kwargs, current.get()), meter=meter, was_in_plugin=in_plugin.get())
        self.passages.append(passage)
        _passages.set((*_passages.get(), passage))
        return passage

    def _forget(self, passage: Passage) -> None:
        in_plugin.set(passage.was_in_plugin)
        _passages.set(_passages.get()[:-1])

    def _upper(self, target: Target, original: Original) -> Function:
        return replace_in_kind(original.function, functools.partial(self._upper_of, target, original))

    def _upper_of(self, target: Target, original: Original, function: Function) -> Function:
        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            passage = self._enter(target, original.arguments(args), kwargs)
            try:
                self._begin(passage)
                passage.above.result = await function(*args, **kwargs)
            except BaseException as error:
                self._end(passage)
                passage.above.raised = Raised.now(error)
                raise
            else:
                self._end(passage)
                return passage.above.result
            finally:
                self._forget(passage)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            passage = self._enter(target, original.arguments(args), kwargs)
            try:
                self._begin(passage)
                passage.above.result = function(*args, **kwargs)
            except BaseException as error:
                self._end(passage)
                passage.above.raised = Raised.now(error)
                raise
            else:
                self._end(passage)
                return passage.above.result
            finally:
                self._forget(passage)

        return awaited if inspect.iscoroutinefunction(function) else called

    def _lower(self, target: Target, original: Original) -> Function:
        return replace_in_kind(original.function, functools.partial(self._lower_of, target, original))

    def _lower_of(self, target: Target, original: Original, function: Function) -> Function:
        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            passage = _innermost(target)
            if passage is None:  # called by a name that the plugin does not wrap
                return await function(*args, **kwargs)
            side = self._reach(passage, original.arguments(args), kwargs)
            try:
                side.result = await function(*args, **kwargs)
            except BaseException as error:
                self._leave(passage, side, error)
                raise
            self._leave(passage, side, None)
            return side.result

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            passage = _innermost(target)
            if passage is None:
                return function(*args, **kwargs)
            side = self._reach(passage, original.arguments(args), kwargs)
            try:
                side.result = function(*args, **kwargs)
            except BaseException as error:
                self._leave(passage, side, error)
                raise
            self._leave(passage, side, None)
            return side.result

        return awaited if inspect.iscoroutinefunction(function) else called

    def _begin(self, passage: Passage) -> None:
        in_plugin.set(True)
        if passage.meter is not None:
            passage.meter.resume(passage.objects)

    def _end(self, passage: Passage) -> None:
        if passage.meter is not None:
            passage.meter.pause()
        in_plugin.set(False)

    def _reach(self, passage: Passage, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Side:
        self._end(passage)
        side = Side(args, kwargs, current.get())
        passage.below.append(side)
        return side

    def _leave(self, passage: Passage, side: Side, error: BaseException | None) -> None:
        side.raised = None if error is None else Raised.now(error)
        self._begin(passage)


@contextmanager
def watching_spans() -> Iterator[list[tuple[Span, bool]]]:
    """Collect every span that is created meanwhile, and whether that was outside a transaction; passages get theirs."""
    created: list[tuple[Span, bool]] = []
    calibrate()

    def collecting(init: Callable[..., None]) -> Any:  # Any: mypy takes it for no method
        @functools.wraps(init)
        def collect(self: Span, operation: str, /, **tags: Any) -> None:
            init(self, operation, **tags)
            created.append((self, current.get() is None))
            if in_plugin.get() and _passages.get():
                _passages.get()[-1].created.append(self)

        return collect

    of_spans, of_transactions = Span.__init__, Record.__init__  # which does not call the other
    Span.__init__, Record.__init__ = collecting(of_spans), collecting(of_transactions)  # type: ignore[method-assign]
    try:
        yield created
    finally:
        Span.__init__, Record.__init__ = of_spans, of_transactions  # type: ignore[method-assign]


def _innermost(target: Target) -> Passage | None:
    passages = _passages.get()
    return passages[-1] if passages and passages[-1].target is target else None
