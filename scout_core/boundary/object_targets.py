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
from scout_core.boundary.describers import has_steps
from scout_core.boundary.guard import Guard
from scout_core.boundary.patches import ALREADY_WRAPPED, Patch, PatchState
from scout_core.errors import LeftAlone
from scout_core.problems import Problem

if TYPE_CHECKING:
    from scout_core.boundary.header_places import HeaderParameter
    from scout_core.boundary.wrap import Describer, Wrap

MOST_OBJECTS: Final = 10_000
"""Objects of one class whose calls of one method are described."""

_Shape = tuple[bool, bool, "HeaderParameter | None"]
"""Whether a describer begins transactions, whether it yields, the parameter for headers."""
_Key = tuple[int, str, "_Shape | None"]
"""Id of the owner, name of the method, and the shape of the describers of single objects; None for that of the owner itself."""


class _Chosen:
    """The objects of one class whose calls of a method are described, each with its describer."""

    def __init__(self, known: set[int]) -> None:
        self._describers: dict[int, tuple[weakref.ref[Any], Describer]] = {}
        self._known = known
        """Ids of all objects that have a describer of their own for a method of this name."""

    def add(self, instance: object, describer: Describer) -> bool:
        """
        Add an object, unless it is there.

        Returns:
            False when there are too many.

        Raises:
            TypeError: there are no weak references to such objects.
        """
        key, describers, known = id(instance), self._describers, self._known

        def forget(_: object) -> None:
            describers.pop(key, None)
            known.discard(key)

        if key not in describers:
            if len(describers) >= MOST_OBJECTS:
                return False
            describers.setdefault(key, (weakref.ref(instance, forget), describer))
            known.add(key)
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


class _Others:
    """The objects of a class that have no describer of their own for a method, whose calls are described by that of the class."""

    def __init__(self, known: set[int], describer: Describer) -> None:
        self._known = known
        self._describer = describer

    def describe(self, *args: Any, **kwargs: Any) -> Any:
        """Describe a call, unless its object does."""
        return None if args and id(args[0]) in self._known else self._describer(*args, **kwargs)

    def describe_steps(self, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        """Do the same for describers that yield."""
        if not args or id(args[0]) not in self._known:
            steps: Any = self._describer(*args, **kwargs)  # Any: a generator, as the describer has steps
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
        self._known: dict[str, set[int]] = {}
        """Name of a method to the ids of the objects with a describer of their own for it."""
        self._waiting: list[tuple[object, str, Describer, bool, HeaderParameter | None]] | None = []
        """Objects that were given before anything may be wrapped; None afterwards."""

    def begin(self) -> None:
        """Wrap at once from now on, and what was given before."""
        waiting, self._waiting = self._waiting or [], None
        for owner, name, describer, is_root, headers in waiting:
            self.add(owner, name, describer, is_root=is_root, headers=headers)

    def add(
        self, owner: object, name: str, describer: Describer, *, is_root: bool, headers: HeaderParameter | None
    ) -> None:
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

    def leave_to_objects(self, name: str, guard: Guard) -> None:
        """Let the describer of a class leave the calls of single objects to theirs, if there are any for methods of this name."""
        known = self._known.get(name)
        if known is not None and type(getattr(guard.function, "__self__", None)) not in (_Others, _Chosen):
            others = _Others(known, guard.function)
            guard.function = others.describe_steps if guard.has_steps else others.describe

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

    def _add_owner(
        self, owner: Any, name: str, describer: Describer, *, is_root: bool, headers: HeaderParameter | None
    ) -> None:
        key = (id(owner), name, None)
        if key not in self._entries and self._wrap.has_room():
            guard = self._wrap.make_guard(_place(owner, name), describer)
            self.leave_to_objects(name, guard)
            self._apply(key, owner, Patch(guard.place, self._wrap.describing(guard, is_root, headers), guard=guard))

    def _add_instance(
        self, instance: object, name: str, describer: Describer, *, is_root: bool, headers: HeaderParameter | None
    ) -> None:
        kind, shape = type(instance), (is_root, has_steps(describer), headers)
        if (id(kind), name, shape) not in self._entries:  # a class that inherits a method with such a wrapper shares it
            owner = next((base for base in kind.__mro__ if name in vars(base)), kind)
            kind = owner if (id(owner), name, shape) in self._entries else kind
        key = (id(kind), name, shape)
        is_known = key in self._entries
        if not is_known and not self._wrap.has_room():
            return
        chosen = self._chosen.get(key) or self._chosen.setdefault(key, _Chosen(self._known_as(name)))
        if not chosen.add(instance, describer):
            self._wrap.refused += 1
        if not is_known:
            guard = self._wrap.make_guard(_place(kind, name), describer)
            guard.function = chosen.describe_steps if guard.has_steps else chosen.describe
            make = partial(_of_instances, self._wrap.describing(guard, is_root, headers))
            role = f"describer of objects, {is_root}, {guard.has_steps}, {headers}"
            self._apply(key, kind, Patch(guard.place, make, role=role, guard=guard))

    def _known_as(self, name: str) -> set[int]:
        """Return the ids of objects with a describer of their own for methods of a name; those of classes leave them out from now on."""
        known = self._known.get(name)
        if known is None:
            known = self._known.setdefault(name, set())
            for patch in [*self._wrap.patches, *self.patches()]:
                if patch.guard is not None and patch.attribute == name:
                    self.leave_to_objects(name, patch.guard)
        return known

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
