"""
Probes beneath and above what a plugin wraps: what goes in and comes out on either side of the plugin's part of a call.

The lower probe takes the place of the library's function before the agent starts, the upper one stands around the
plugin's wrapper. What differs between the two is the plugin's doing, whatever the library does.
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

from scout_core.boundary.patches import Patch
from scout_core.errors import LeftAlone, TargetError
from scout_core.recording.context import current
from scout_core.recording.span import Span
from scout_core.testing.effort import Meter
from scout_core.testing.hostility import in_plugin
from scout_core.testing.targets import Target
from scout_core.tracebacks import frames_of

Function = Callable[..., Any]


@frozen(eq=False)
class Raised:
    """An exception at one side, as it was there."""

    error: BaseException
    context: BaseException | None
    cause: BaseException | None
    suppress: bool
    facts: dict[str, Any]
    notes: tuple[str, ...]
    frames: list[tuple[CodeType, int]]
    """Outermost first, from the probe down."""

    @classmethod
    def now(cls, error: BaseException) -> Raised:
        """As it is at this moment."""
        frames = frames_of(error.__traceback__)
        facts = dict(vars(error))
        notes = tuple(facts.pop("__notes__", ()))
        return cls(error, error.__context__, error.__cause__, error.__suppress_context__, facts, notes, frames)


@define(eq=False)
class Side:
    """One call as one probe saw it."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    span: Span | None
    """The innermost one when it began."""
    span_at_end: Span | None = None
    result: object = None
    raised: Raised | None = None


@define(eq=False)
class Passage:
    """One call of a target from above, and how often it reached the library."""

    target: Target
    above: Side
    below: list[Side] = field(factory=list)
    built: list[Span] = field(factory=list)
    """Spans that the plugin's part made."""
    meter: Meter | None = None
    was_in_plugin: bool = False
    """A plugin's part called the library."""

    @property
    def objects(self) -> list[object]:
        """What the plugin's part is given."""
        return [*self.above.args, *self.above.kwargs.values(), *(side.result for side in self.below)]


_passages: Final[ContextVar[tuple[Passage, ...]]] = ContextVar("scout_core_passages", default=())
"""Those that we are in, the outermost first."""


class Probes:
    """Around all targets of one plugin."""

    def __init__(self, targets: Iterable[Target], *, meter: type[Meter] | None = None) -> None:
        self.passages: list[Passage] = []
        """In order of their begin."""
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
    def _placed(self, probe: Callable[[Function, Target], Function]) -> Iterator[None]:
        made: list[Function] = []

        def once(target: Target, function: Function, has_self: bool) -> Function:
            if any(function is one for one in made):  # inherited from a target: it is probed there
                raise LeftAlone("it is probed already")
            made.append(probe(function, target))
            return made[-1]

        with ExitStack() as stack:
            for target in self._targets:
                patch = Patch(target.name, functools.partial(once, target))
                try:
                    patch.apply(sys.modules[target.module])
                except TargetError:  # the rule `targets` tells of it
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

    def _upper(self, function: Function, target: Target) -> Function:
        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            passage = self._enter(target, args, kwargs)
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
            passage = self._enter(target, args, kwargs)
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

    def _lower(self, function: Function, target: Target) -> Function:
        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            passage = _innermost(target)
            if passage is None:  # called past the plugin, by a name that it does not wrap
                return await function(*args, **kwargs)
            side = self._reach(passage, args, kwargs)
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
            side = self._reach(passage, args, kwargs)
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
        side.span_at_end = current.get()
        side.raised = None if error is None else Raised.now(error)
        self._begin(passage)


@contextmanager
def building() -> Iterator[list[tuple[Span, bool]]]:
    """Every span that is made meanwhile, and whether it was outside of a transaction; passages get theirs."""
    built: list[tuple[Span, bool]] = []
    init = Span.__init__

    @functools.wraps(init)
    def noting(self: Span, operation: str, /, **tags: Any) -> None:
        init(self, operation, **tags)
        built.append((self, current.get() is None))
        if in_plugin.get() and _passages.get():
            _passages.get()[-1].built.append(self)

    Span.__init__ = noting  # type: ignore[method-assign]  # put back below
    try:
        yield built
    finally:
        Span.__init__ = init  # type: ignore[method-assign]


def _innermost(target: Target) -> Passage | None:
    passages = _passages.get()
    return passages[-1] if passages and passages[-1].target is target else None
