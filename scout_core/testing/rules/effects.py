"""Detects side effects of the plugin's part of a call on the objects that it is given: changed attributes, called methods."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from types import FrameType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from scout_core.recording.stepwise.deferred import is_ending
from scout_core.recording.stepwise.released import is_release
from scout_core.recording.stepwise.stepped import original_of
from scout_core.recording.stepwise.streams import is_replaced_close
from scout_core.testing.rules.effort import Meter

_PLAIN: Final = (str, bytes, bytearray, int, float, complex, list, tuple, dict, set, frozenset, type, ModuleType)
"""Methods of these types do no I/O. Classes and modules are compared by the rule `undo`."""
_GETTERS: Final = ("get", "is_", "has_", "as_", "to_")
"""Prefixes of methods that usually only return a fact. If one does more, other rules find that it waits or calls the library."""
_READS: Final[dict[type, Callable[[Any], Iterable[object]]]] = {  # Any: an instance of the key
    list: list.__iter__,
    deque: deque.__iter__,
    set: set.__iter__,
    dict: lambda mapping: (part for item in dict.items(mapping) for part in item),
}
"""The base class's own way to iterate, which a subclass cannot override."""

_OF_FUTURES: Final = frozenset({"_state", "_result", "_exception", "_waiters", "the items of _waiters"})
"""Attributes of a future that change whenever another thread completes it or waits for it."""


class Effect(NamedTuple):
    """One side effect."""

    is_call: bool
    """A method was called; otherwise an attribute or its items changed."""
    name: str
    """Name of the method or attribute."""
    owner: str
    """Class of the object."""

    def __str__(self) -> str:
        return f"{'calls' if self.is_call else 'changes'} {self.name} of a {self.owner}"

    @property
    def advice(self) -> str:
        """The fix."""
        if self.is_call:
            return (
                "read attributes instead: a method may ask a server, and would do so for each call of the application"
            )
        return "describe the call and leave its arguments as they are: facts are tags of the span"


class EffectMeter(Meter):
    """Collects side effects."""

    def __init__(self) -> None:
        super().__init__()
        self.effects: list[Effect] = []
        self._objects: Sequence[object] = ()
        self._snapshots: list[tuple[object, dict[str, object]]] = []

    def resume(self, objects: Sequence[object]) -> None:
        """Take a snapshot of the objects, and watch calls."""
        super().resume(objects)
        self._objects = [subject for subject in objects if not issubclass(type(subject), (type, ModuleType))]
        self._snapshots = [(subject, _snapshot(subject)) for subject in self._objects]
        sys.setprofile(self._profile)

    def pause(self) -> None:
        """Compare the objects with their snapshots."""
        super().pause()
        for subject, before in self._snapshots:
            now = _snapshot(subject)
            own = _OF_FUTURES if issubclass(type(subject), Future) else ()
            for name in {**before, **now}.keys() - own:
                if not _same(before.get(name, self), now.get(name, self)) and not _is_cached(type(subject), name):
                    self.effects.append(Effect(False, name, type(subject).__name__))
        self._snapshots = []

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and _top(frame) != "scout_core":  # the core waits for futures
            self._add_call(getattr(argument, "__self__", None), getattr(argument, "__name__", ""))
        elif event == "call" and frame.f_code.co_argcount and frame.f_back is not None:
            callee, caller = _top(frame), _top(frame.f_back)
            if callee in ("scout_core", caller) or caller == "scout_core":
                return
            subject = frame.f_locals.get(frame.f_code.co_varnames[0])
            method = _class_attribute(type(subject), frame.f_code.co_name)
            if isinstance(method, FunctionType) and method.__code__ is frame.f_code:  # properties do not count
                self._add_call(subject, frame.f_code.co_name)

    def _add_call(self, subject: object, name: str) -> None:
        if name.startswith(("_", *_GETTERS)) or issubclass(type(subject), _PLAIN):
            return
        if any(subject is given for given in self._objects):
            self.effects.append(Effect(True, name, type(subject).__name__))


def _snapshot(subject: object) -> dict[str, object]:
    """Attributes to values, and the items of those that are containers; calls no method of the object."""
    values: dict[str, object] = {}
    if (items := _items(subject)) is not None:
        values["the items"] = items
    try:
        attributes = object.__getattribute__(subject, "__dict__")
    except AttributeError:
        return values
    for name, value in tuple(attributes.items()):
        values[name] = value
        if (items := _items(value)) is not None:
            values[f"the items of {name}"] = items
    return values


def _items(value: object) -> tuple[object, ...] | None:
    for kind, read in _READS.items():
        if issubclass(type(value), kind):
            return tuple(item for item in read(value) if not _is_ending(item))
    return None


def _same(before: object, now: object) -> bool:
    if type(before) is tuple is type(now):
        return len(before) == len(now) and all(old is new for old, new in zip(before, now, strict=True))
    if is_replaced_close(now) or is_release(now):  # by `Span.stream` or `last_until`
        return True
    return before is now or original_of(now) is original_of(before)


def _is_ending(item: object) -> bool:
    """Whether it is the callback that the core itself adds to a future; asyncio keeps one with its context."""
    return is_ending(item[0] if type(item) is tuple and item else item)


def _is_cached(kind: type, name: str) -> bool:
    """Whether the class itself stores the value at first use, like ``functools.cached_property``."""
    raw = _class_attribute(kind, name.removeprefix("the items of "))
    is_cached = hasattr(type(raw), "__get__") and not hasattr(type(raw), "__set__")
    return is_cached and not isinstance(raw, (FunctionType, staticmethod, classmethod))


def _class_attribute(kind: type, name: str) -> object:
    return next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)


def _top(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
