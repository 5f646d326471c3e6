"""What the plugin's part of a call does with the objects that it is given: whether it changes them, or has them do something."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType, FunctionType, ModuleType
from typing import Any, Final

from scout_core.testing.effort import Meter

_PLAIN: Final = (str, bytes, bytearray, int, float, complex, list, tuple, dict, set, frozenset, type, ModuleType)
"""Of these no method asks a server; classes and modules are compared by the rule `undo`."""
_ANSWERS: Final = ("get", "is_", "has_", "as_", "to_")
"""What only tells of an object is mostly named so. Where it does more the rules see that it waits or that the library is called."""
_READS: Final[dict[type, Callable[[Any], Iterable[object]]]] = {  # Any: an instance of the key
    list: list.__iter__,
    deque: deque.__iter__,
    set: set.__iter__,
    dict: lambda one: (part for item in dict.items(one) for part in item),
}
"""How the base class gives its items, whatever a subclass makes of that."""


class Asking(Meter):
    """Notes what is changed and called."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[str, str]] = []
        """``changes`` or ``calls``, and an attribute or method with the class of its object."""
        self._objects: Sequence[object] = ()
        self._held: list[tuple[object, dict[str, object]]] = []

    def resume(self, objects: Sequence[object]) -> None:
        """Look at them."""
        super().resume(objects)
        self._objects = [one for one in objects if not issubclass(type(one), (type, ModuleType))]
        self._held = [(one, _held(one)) for one in self._objects]
        sys.setprofile(self._profile)

    def pause(self) -> None:
        """Look once more."""
        super().pause()
        for one, before in self._held:
            now = _held(one)
            for name in {**before, **now}:
                if not _same(before.get(name, self), now.get(name, self)) and not _is_kept(type(one), name):
                    self.done.append(("changes", f"{name} of a {type(one).__name__}"))
        self._held = []

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call":
            self._note(getattr(argument, "__self__", None), getattr(argument, "__name__", ""))
        elif event == "call" and frame.f_code.co_argcount and frame.f_back is not None:
            callee, caller = _top(frame), _top(frame.f_back)
            if callee in ("scout_core", caller) or caller == "scout_core":
                return
            one = frame.f_locals.get(frame.f_code.co_varnames[0])
            method = _looked_up(type(one), frame.f_code.co_name)
            if isinstance(method, FunctionType) and method.__code__ is frame.f_code:  # a property is none
                self._note(one, frame.f_code.co_name)

    def _note(self, one: object, name: str) -> None:
        if name.startswith(("_", *_ANSWERS)) or issubclass(type(one), _PLAIN):
            return
        if any(one is given for given in self._objects):
            self.done.append(("calls", f"{name} of a {type(one).__name__}"))


def _held(one: object) -> dict[str, object]:
    """Attribute to value, and to the items where that is a list or the like; not a method of the object is asked."""
    held: dict[str, object] = {}
    if (items := _items(one)) is not None:
        held["the items"] = items
    try:
        attributes = object.__getattribute__(one, "__dict__")
    except AttributeError:
        return held
    for name, value in tuple(attributes.items()):
        held[name] = value
        if (items := _items(value)) is not None:
            held[f"the items of {name}"] = items
    return held


def _items(value: object) -> tuple[object, ...] | None:
    for kind, read in _READS.items():
        if issubclass(type(value), kind):
            return tuple(read(value))
    return None


def _same(before: object, now: object) -> bool:
    if type(before) is tuple is type(now):
        return len(before) == len(now) and all(one is other for one, other in zip(before, now, strict=True))
    return before is now


def _is_kept(kind: type, name: str) -> bool:
    """A value that the class itself keeps at its first use, as ``functools.cached_property`` does."""
    raw = _looked_up(kind, name.removeprefix("the items of "))
    is_kept = hasattr(type(raw), "__get__") and not hasattr(type(raw), "__set__")
    return is_kept and not isinstance(raw, (FunctionType, staticmethod, classmethod))


def _looked_up(kind: type, name: str) -> object:
    return next((vars(one)[name] for one in kind.__mro__ if name in vars(one)), None)


def _top(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def with_advice(done: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield each action once, with the advice on it."""
    for verb, thing in dict.fromkeys(done):
        if verb == "calls":
            advice = (
                "read attributes only: a method, which may ask a server, would run for each call of the application"
            )
        else:
            advice = "do not change what the call is given: put facts into tags of the span"
        yield f"{verb} {thing}", advice
