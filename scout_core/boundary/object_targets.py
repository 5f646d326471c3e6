"""
Targets that are given as objects: classes that appear while the application runs, and single objects.

Nothing here keeps such an object alive. Its wrapper keeps the patch, which has a weak reference to the object, and everything goes
with the object. The calls of a single object are described by a wrapper of its class, because a wrapper among the object's own
attributes would have to hold the object in a circle, which only the garbage collector could free.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from scout_core.boundary.bound_calls import Function, Original
from scout_core.boundary.guard import Guard
from scout_core.boundary.patches import ALREADY_WRAPPED, Patch, PatchState
from scout_core.errors import LeftAlone
from scout_core.problems import Problem

if TYPE_CHECKING:
    from scout_core.boundary.wrap import Describer, Wrap

MOST_OBJECTS: Final = 10_000
"""Objects of one class whose calls of one method are described."""

_Key = tuple[int, str, bool, bool, "str | None"]
"""Id of the owner, name of the method, whether the describer begins transactions, whether it yields, the parameter for headers."""


class _Chosen:
    """The objects of one class whose calls of a method are described, each with its describer."""

    def __init__(self) -> None:
        self._describers: dict[int, tuple[weakref.ref[Any], Describer]] = {}

    def add(self, instance: object, describer: Describer) -> bool:
        """
        Add an object, unless it is there.

        Returns:
            False when there are too many.

        Raises:
            TypeError: there are no weak references to such objects.
        """
        key, describers = id(instance), self._describers
        if key not in describers:
            if len(describers) >= MOST_OBJECTS:
                return False
            describers.setdefault(key, (weakref.ref(instance, lambda _: describers.pop(key, None)), describer))
        return True

    def describe(self, instance: object, /, *args: Any, **kwargs: Any) -> Any:
        """Describe a call, if it is one of a chosen object."""
        chosen = self._describers.get(id(instance))
        return None if chosen is None else chosen[1](instance, *args, **kwargs)

    def describe_steps(self, instance: object, /, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        """Do the same for describers that yield."""
        chosen = self._describers.get(id(instance))
        if chosen is not None:
            steps: Any = chosen[1](instance, *args, **kwargs)  # Any: a generator, as the describer has steps
            yield from steps


class _Entry:
    """The patch of an object or of a class, which lives as long as its wrapper."""

    def __init__(self, owner: Any, patch: Patch, forget: Callable[[weakref.ref[Any]], None]) -> None:
        self.failed: Patch | None = patch
        """The patch itself if it could not be applied, so that its state can be shown."""
        self._patch = weakref.ref(patch)
        self._owner = weakref.ref(owner, forget)  # called before another object can have the same id

    @property
    def patch(self) -> Patch | None:
        """None when the wrapper was replaced by other code, and freed."""
        return self._patch()


class ObjectTargets:
    """The objects that one plugin wraps."""

    def __init__(self, wrap: Wrap) -> None:
        self._wrap = wrap
        self._entries: dict[_Key, _Entry] = {}
        self._chosen: dict[_Key, _Chosen] = {}
        self._waiting: list[tuple[object, str, Describer, bool, str | None]] | None = []
        """Objects that were given before anything may be wrapped; None afterwards."""

    def begin(self) -> None:
        """Wrap at once from now on, and what was given before."""
        waiting, self._waiting = self._waiting or [], None
        for owner, name, describer, is_root, headers in waiting:
            self.add(owner, name, describer, is_root=is_root, headers=headers)

    def add(self, owner: object, name: str, describer: Describer, *, is_root: bool, headers: str | None) -> None:
        """Wrap a method or function of an object."""
        if self._waiting is not None:
            self._waiting.append((owner, name, describer, is_root, headers))
            return
        try:
            if issubclass(type(owner), (type, ModuleType)) or name in getattr(owner, "__dict__", ()):
                self._add_owner(owner, name, describer, is_root=is_root, headers=headers)
            else:
                self._add_instance(owner, name, describer, is_root=is_root, headers=headers)
        except TypeError as error:  # there are no weak references to such objects
            self._wrap.add_problem(Problem("unsupported-target", name, f"{_place(owner, name)}: {error}"))

    def patches(self) -> list[Patch]:
        """Return the patches of all objects that still exist, except where the same plugin had wrapped the method before."""
        patches = [entry.patch for entry in self._snapshot()]
        return [patch for patch in patches if patch is not None and patch.reason != ALREADY_WRAPPED]

    def undo(self) -> None:
        """Put every original back."""
        for patch in self.patches():
            patch.undo()
            if patch.guard is not None:
                patch.guard.close()

    def _snapshot(self) -> list[_Entry]:
        while True:
            try:
                return list(self._entries.values())
            except RuntimeError:  # another thread has added one, or the garbage collector has freed one
                continue

    def _add_owner(self, owner: Any, name: str, describer: Describer, *, is_root: bool, headers: str | None) -> None:
        key = (id(owner), name, False, False, None)
        if key not in self._entries and self._wrap.has_room():
            guard = self._wrap.make_guard(_place(owner, name), describer)
            self._apply(key, owner, Patch(guard.place, self._wrap.describing(guard, is_root, headers), guard=guard))

    def _add_instance(
        self, instance: object, name: str, describer: Describer, *, is_root: bool, headers: str | None
    ) -> None:
        kind = type(instance)
        guard = self._wrap.make_guard(_place(kind, name), describer)
        key = (id(kind), name, is_root, guard.has_steps, headers)
        is_known = key in self._entries
        if not is_known and not self._wrap.has_room():
            return
        chosen = self._chosen.setdefault(key, _Chosen())
        if not chosen.add(instance, describer):
            self._wrap.refused += 1
        if not is_known:
            guard.function = chosen.describe_steps if guard.has_steps else chosen.describe
            make = partial(_of_instances, self._wrap.describing(guard, is_root, headers))
            role = f"describer of objects, {is_root}, {guard.has_steps}, {headers}"
            self._apply(key, kind, Patch(guard.place, make, role=role, guard=guard))

    def _apply(self, key: _Key, owner: Any, patch: Patch) -> None:
        patch.asked_by, patch.owner, patch.is_optional = self._wrap, weakref.ref(owner), True
        entry = _Entry(owner, patch, partial(self._forget, key, patch.guard))
        if self._entries.setdefault(key, entry) is not entry:  # another thread is about to
            return
        self._wrap.add(patch)
        if patch.state is PatchState.WRAPPED:
            entry.failed = None

    def _forget(self, key: _Key, guard: Guard | None, _: object) -> None:
        """Called when an object is freed, in the middle of anything."""
        self._entries.pop(key, None)
        self._chosen.pop(key, None)
        if guard is not None:
            self._wrap.forget(guard)


def _of_instances(make: Any, original: Original) -> Function:  # Any: what Wrap.describing gives
    if not original.has_instance or isinstance(original.raw, classmethod):
        raise LeftAlone("its calls have no object; wrap the class")
    return make(original)  # type: ignore[no-any-return]


def _place(owner: Any, name: str) -> str:  # Any: a class, a module or an object
    """Return the name of a target for messages. It is not a valid target, so nobody looks for it in a module of that name."""
    if isinstance(owner, ModuleType):
        return f"object {owner.__name__}:{name}"
    kind = owner if isinstance(owner, type) else type(owner)
    return f"object {kind.__module__}:{kind.__qualname__}.{name}"
