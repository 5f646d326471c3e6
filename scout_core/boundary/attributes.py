"""Attributes of modules, classes and objects: read as they are, replaced, and put back."""

from __future__ import annotations

import inspect
import weakref
from types import FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from scout_core.boundary.stand_ins import is_stand_in
from scout_core.recording.stepwise.function_like import FunctionLike

MISSING: Final = object()
FUNCTION_TYPES: Final = (FunctionType, FunctionLike)
_WRAPPER_TYPES: Final = (*FUNCTION_TYPES, classmethod, staticmethod)
"""Types of wrappers, besides stand-ins. No other object is asked for a mark: it could have a ``__getattr__``."""
_REMOVED: Final = "_scout_core_removed"
"""
A mark of a wrapper that was taken away while something else covered it: ``(the wrapper, the original)``.

When the object above it is removed later, the original is put back instead of it.
"""


class Replacement(NamedTuple):
    """One attribute of one owner, before and after."""

    owner: weakref.ref[Any]  # Any: a module, a class, or an object whose own attribute it is
    attribute: str
    original: Any  # Any: what the owner's own __dict__ had, or MISSING
    wrapper: Any


def raw_attribute(owner: Any, name: str) -> Any:
    """The attribute in a ``__dict__``, not bound; for a class also an inherited one, but not what every object inherits."""
    if not inspect.isclass(owner):
        return vars(owner).get(name, MISSING)
    for base in owner.__mro__:
        if base is not object and name in vars(base):
            return vars(base)[name]
    return MISSING


def mark_of(raw: Any, name: str) -> Any:  # Any: whatever was marked
    """Return a mark of a wrapper; None for objects of other code, and without one."""
    if type(raw) in _WRAPPER_TYPES:
        return getattr(raw, name, None)
    try:  # the mark of a stand-in itself, not that of what it stands for
        return object.__getattribute__(raw, f"_self{name}") if is_stand_in(raw) else None
    except AttributeError:
        return None


def set_mark(wrapper: Any, name: str, value: object) -> None:  # Any: a wrapper
    """Mark a wrapper. ``functools.wraps`` copies marks to other functions."""
    setattr(wrapper, f"_self{name}" if is_stand_in(wrapper) else name, value)


def replacement_of(owner: Any, attribute: str, wrapper: Any) -> Replacement:  # Any: as in Replacement
    """
    Return what ``put`` will do.

    Raises:
        TypeError: there are no weak references to the owner.
    """
    return Replacement(weakref.ref(owner), attribute, vars(owner).get(attribute, MISSING), wrapper)


def put(replacement: Replacement) -> None:
    """
    Put a wrapper in place.

    Raises:
        AttributeError: the owner refuses it.
        TypeError: the same.
    """
    _set(replacement.owner(), replacement.attribute, replacement.wrapper)


def restore(replacement: Replacement) -> bool:
    """
    Put the original back, if the owner still exists.

    Returns:
        False when other code has replaced the wrapper since: the wrapper stays beneath it, and is marked as removed.
    """
    reference, attribute, original, wrapper = replacement
    owner = reference()
    if owner is None:
        return True
    while (removed := mark_of(original, _REMOVED)) is not None and removed[0] is original:
        original = removed[1]
    if vars(owner).get(attribute, MISSING) is not wrapper:
        set_mark(wrapper, _REMOVED, (wrapper, original))
        return False
    if original is not MISSING:
        _set(owner, attribute, original)
    elif isinstance(owner, (type, ModuleType)):
        delattr(owner, attribute)
    else:
        del vars(owner)[attribute]
    return True


def _set(owner: Any, attribute: str, value: Any) -> None:
    if isinstance(owner, (type, ModuleType)):
        setattr(owner, attribute, value)
    else:  # without the object's own __setattr__
        vars(owner)[attribute] = value
