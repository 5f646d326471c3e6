"""
Stand-ins for generators, async generators and coroutines: each step runs within a span that ends when they do.

They have the methods and attributes of the originals, pass every value and exception on unchanged, and are instances of the same
classes. The originals run in them, so warnings and the event loop's hooks are their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from scout_core.recording.stepwise.steps import Steps

_STEPS: Final = "_scout_core_steps"
"""The one attribute that is not the original's."""
_steps_of: Final[Callable[[object, str], Steps]] = object.__getattribute__
_set_own: Final = object.__setattr__


class Stepped:
    """An object that asks the original for everything but its steps."""

    __slots__ = (_STEPS, "__weakref__")

    _scout_core_steps: Steps

    def __init__(self, steps: Steps) -> None:
        _set_own(self, _STEPS, steps)

    @property  # type: ignore[misc]  # isinstance() falls back on it
    def __class__(self) -> Any:
        return self._scout_core_steps.body.__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(_steps_of(self, _STEPS).body, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._scout_core_steps.body, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._scout_core_steps.body, name)

    def __dir__(self) -> Any:
        return dir(self._scout_core_steps.body)

    def __repr__(self) -> str:
        return repr(self._scout_core_steps.body)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._scout_core_steps.body.__reduce_ex__(protocol)


def original_of(found: Any) -> Any:  # Any: whatever a function returned
    """Return the object that a stand-in is for; anything else is returned itself."""
    while issubclass(type(found), Stepped):
        found = found._scout_core_steps.body
    return found


class GeneratorSteps(Steps):
    """Those of a generator; one that is called while it runs raises, and can continue."""

    __slots__ = ()

    def is_over(self, error: BaseException | None) -> bool:
        """Whether it has no frame any more."""
        return getattr(self.body, "gi_frame", None) is None


class AsyncGeneratorSteps(Steps):
    """Those of an async generator, which raises ``StopIteration`` with each value."""

    __slots__ = ()

    def is_over(self, error: BaseException | None) -> bool:
        """Whether it has no frame any more."""
        return getattr(self.body, "ag_frame", None) is None


class CoroutineSteps(Steps):
    """Those of a coroutine; it has no consumer, so the time of its steps is not tagged."""

    __slots__ = ()

    def is_over(self, error: BaseException | None) -> bool:
        """Whether it has no frame any more."""
        return getattr(self.body, "cr_frame", None) is None


class IterableCoroutineSteps(CoroutineSteps):
    """Those of a coroutine that is a generator."""

    __slots__ = ()

    def is_over(self, error: BaseException | None) -> bool:
        """Whether it has no frame any more."""
        return getattr(self.body, "gi_frame", None) is None


class _InBlock(Steps):
    """Those of a context manager."""

    __slots__ = ()

    has_pauses = False
    """The block between the first step and the last belongs to the span."""
    run = Steps.run_in_block

    def __del__(self) -> None:
        self.inside = None  # nobody has entered it, and the span must not become current wherever it is freed
        super().__del__()


class BlockSteps(_InBlock, GeneratorSteps):
    """Those of the generator in a context manager."""

    __slots__ = ()


class AsyncBlockSteps(_InBlock, AsyncGeneratorSteps):
    """Those of the async generator in an async context manager."""

    __slots__ = ()


class SteppedGenerator(Stepped):
    """A generator."""

    __slots__ = ()

    def __iter__(self) -> SteppedGenerator:
        return self

    def __next__(self) -> Any:
        steps = self._scout_core_steps
        steps.turns += 1
        try:  # as `run_turn`, without calling it: each level of a recursion has one frame less
            return steps.run(steps.body.__next__)
        finally:
            steps.turns -= 1
            if not steps.turns:
                steps.pause()

    def send(self, value: Any, /) -> Any:
        """Resume it with a value."""
        steps = self._scout_core_steps
        return steps.run_turn(steps.body.send, value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception in it. One that has not begun has no span, and never will have one."""
        steps = self._scout_core_steps
        if not steps.has_begun:
            steps.leave()
        return steps.run_turn(steps.body.throw, *error)

    def close(self) -> Any:
        """Close it; what is returned is what Python's own ``close`` returns."""
        return close(self._scout_core_steps, self._scout_core_steps.body.close)


class SteppedIterableCoroutine(SteppedGenerator):
    """A coroutine that ``types.coroutine`` has made of a generator."""

    __slots__ = ()

    def __await__(self) -> SteppedIterableCoroutine:
        return self


class SteppedCoroutine(Stepped):
    """A coroutine."""

    __slots__ = ()

    def __await__(self) -> Turn:
        return Turn(self._scout_core_steps, self._scout_core_steps.body.__await__())

    def send(self, value: Any, /) -> Any:
        """Resume it."""
        steps = self._scout_core_steps
        return steps.run(steps.body.send, value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception in it."""
        steps = self._scout_core_steps
        return steps.run(steps.body.throw, *error)

    def close(self) -> None:
        """Close it."""
        close(self._scout_core_steps, self._scout_core_steps.body.close)


class SteppedAsyncGenerator(Stepped):
    """An async generator."""

    __slots__ = ()

    def __aiter__(self) -> SteppedAsyncGenerator:
        return self

    def __anext__(self) -> Turn:
        return Turn(self._scout_core_steps, self._scout_core_steps.body.__anext__())

    def asend(self, value: Any, /) -> Turn:
        """Resume it with a value."""
        return Turn(self._scout_core_steps, self._scout_core_steps.body.asend(value))

    def athrow(self, *error: Any) -> Any:
        """Raise an exception in it. One that has not begun has no span, and never will have one."""
        steps = self._scout_core_steps
        return Turn(steps, steps.body.athrow(*error), may_begin=False)

    def aclose(self) -> Any:
        """Close it."""
        steps = self._scout_core_steps
        return Turn(steps, steps.body.aclose(), may_begin=False)


class Turn:
    """
    One turn of an async generator, or the whole of a coroutine, while it is awaited: itself a sequence of steps.

    Args:
        may_begin: False: if nothing has begun before, the span never will.
    """

    __slots__ = ("steps", "awaited", "may_begin")

    def __init__(self, steps: Steps, awaited: Any, *, may_begin: bool = True) -> None:
        self.steps = steps
        self.awaited = awaited
        self.may_begin = may_begin

    def __await__(self) -> Turn:
        return self

    def __iter__(self) -> Turn:
        return self

    def __next__(self) -> Any:
        return self._run(self.awaited.__next__)

    def send(self, value: Any, /) -> Any:
        """Resume what it waits for."""
        return self._run(self.awaited.__next__) if value is None else self._run(self.awaited.send, value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception where it waits."""
        return self._run(self.awaited.throw, *error)

    def close(self) -> None:
        """Stop waiting."""
        self._run(self.awaited.close)
        self.steps.pause()
        if self.steps.is_over(None):
            self.steps.end()

    def _run(self, step: Callable[..., Any], *args: Any) -> Any:
        steps = self.steps
        if not (self.may_begin or steps.has_begun):
            steps.leave()
        try:
            return steps.run(step, *args)
        except BaseException:  # any exception passes; also the one that brings the result
            steps.pause()
            raise


def close(steps: Steps, method: Callable[[], Any]) -> Any:
    """Close a body by its own method; the span ends with it."""
    if not steps.has_begun:
        steps.leave()
    result = steps.run_turn(method)
    steps.end()
    return result
