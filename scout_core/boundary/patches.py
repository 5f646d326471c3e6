"""
Replace an attribute of a library by a wrapper, and put the original object back.

A target is ``module:attribute`` or ``module:Class.attribute``. An inherited attribute is set on the class that was named, and
deleted by the undo, so that no copy stays behind. A plain function is replaced by a function, a class at its constructor, everything
else by an object of wrapt.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import Enum, auto
from types import ClassMethodDescriptorType, FunctionType, ModuleType
from typing import Any, Final, NamedTuple

from attrs import define, field

from scout_core.boundary.bound_calls import Function, Original
from scout_core.boundary.constructors import constructing, constructor_of, original_constructor
from scout_core.boundary.replaceable import check_replaceable, name_of
from scout_core.boundary.stand_ins import (
    REMOVED,
    is_stand_in,
    original_in_class,
    original_in_module,
    own_attribute,
    stand_in,
)
from scout_core.errors import LeftAlone, TargetError
from scout_core.recording.generator_functions import GeneratorFunction

_MISSING: Final = object()
_FUNCTION_TYPES: Final = (FunctionType, GeneratorFunction)
_WRAPPER_TYPES: Final = (*_FUNCTION_TYPES, classmethod, staticmethod)
"""Types of the objects that a patch puts in place, besides stand-ins. No other is asked for its mark: it could have a ``__getattr__``."""


class _Replacement(NamedTuple):
    """One attribute of one owner, before and after."""

    owner: Any  # Any: a module or a class
    attribute: str
    original: Any  # Any: what the owner's own __dict__ had, or _MISSING
    wrapper: Any


class PatchState(Enum):
    """The state of one target."""

    WAITING = auto()
    """Its module is not imported."""
    WRAPPED = auto()
    LEFT_ALONE = auto()
    """It exists, and must not be wrapped."""
    NOT_FOUND = auto()
    """It does not exist, or cannot be replaced."""
    UNDONE = auto()
    """The original is restored."""


@define(eq=False)
class Patch:
    """One attribute to replace."""

    target: str
    wrap: Callable[[Original], Function]
    """Returns the function that is called in place of the original's function."""
    is_optional: bool = False
    """It may be missing, because only some versions of the library have it."""
    role: str = "describer"
    """The purpose of the wrapper: one plugin wraps a call once for each role."""
    placed: dict[int, frozenset[str]] = field(factory=dict)
    """The id of each wrapper of a plugin, to its role and the roles of those beneath it."""
    state: PatchState = PatchState.WAITING
    reason: str = ""
    """Why it is not wrapped, when it was not found or is left alone."""
    replaced_by: str = ""
    """A subclass that other code has put in the place of the target's class; the target is wrapped on the library's own class."""
    _replacements: list[_Replacement] = field(factory=list)
    """1, plus 1 for each reload of its module."""

    @property
    def module(self) -> str:
        """The module that must be imported first."""
        return self.target.partition(":")[0]

    @property
    def attribute(self) -> str:
        """Name of the attribute."""
        return self.target.rpartition(":")[2].rpartition(".")[2]

    def apply(self, module: ModuleType) -> None:
        """
        Put the wrapper in place; again when the module was reloaded.

        Raises:
            TargetError: the target is missing, cannot be called, or cannot be replaced.
        """
        owner, attribute = self._place(module)
        raw = _raw_attribute(owner, attribute)
        if any(raw is replacement.wrapper for replacement in self._replacements):
            return
        beneath = self.placed.get(id(raw), frozenset())
        try:
            if self.role in beneath:  # an alias, inherited from another target, or named twice
                raise LeftAlone("this plugin has already wrapped it")
            wrapper = self._wrapper_of(raw, owner, attribute)
        except LeftAlone as reason:
            self.state, self.reason = PatchState.LEFT_ALONE, str(reason)
            return
        original = vars(owner).get(attribute, _MISSING)
        try:
            setattr(owner, attribute, wrapper)
        except (AttributeError, TypeError) as error:
            raise TargetError(f"{name_of(owner)}.{attribute} cannot be replaced: {error}") from error
        self._replacements.append(_Replacement(owner, attribute, original, wrapper))
        self.placed[id(wrapper)] = beneath | {self.role}
        self.state, self.reason = PatchState.WRAPPED, ""

    def undo(self) -> bool:
        """
        Put the original back.

        Returns:
            False when other code has replaced the wrapper since. Removing that code's object would break it, so the wrapper
            stays beneath it and does nothing any more.
        """
        is_exact = True
        while self._replacements:
            owner, attribute, original, wrapper = self._replacements.pop()
            self.placed.pop(id(wrapper), None)
            original = _skip_removed(original)
            if vars(owner).get(attribute, _MISSING) is not wrapper:
                is_exact = False
                setattr(wrapper, own_attribute(wrapper, REMOVED), (wrapper, original))
            elif original is _MISSING:
                delattr(owner, attribute)
            else:
                setattr(owner, attribute, original)
        if self.state in (PatchState.WAITING, PatchState.WRAPPED):
            self.state = PatchState.UNDONE
        return is_exact

    def _place(self, module: ModuleType) -> tuple[Any, str]:
        """
        Return the owner and the name of the attribute to replace, which can be.

        Raises:
            TargetError: it is missing, or cannot be replaced.
        """
        owner, attribute = self._owner(module), self.attribute
        raw = _raw_attribute(owner, attribute)
        if raw is _MISSING:
            raise TargetError(f"{name_of(owner)} has no {attribute}")
        check_replaceable(raw, owner, attribute)
        if not issubclass(type(raw), type):
            return owner, attribute
        kind = self._library_class(raw, attribute)
        return kind, constructor_of(kind, name_of(kind))

    def _owner(self, module: ModuleType) -> Any:
        owner: Any = module
        for name in self.target.rpartition(":")[2].split(".")[:-1]:
            inner = _raw_attribute(owner, name)
            if inner is _MISSING:
                raise TargetError(f"{name_of(owner)} has no {name}")
            if not isinstance(inner, (type, ModuleType)):
                raise TargetError(f"{name_of(owner)}.{name} is not a class")
            owner = self._library_class(inner, name)
        return owner

    def _library_class(self, owner: Any, name: str) -> Any:
        """
        Return the class, or the library's own of that name when the class is a subclass of it from another package.

        Other agents do that: OpenTelemetry puts a subclass under ``flask.Flask``, and objects of the application's ``Flask`` would
        not be recorded.
        """
        package = self.module.partition(".")[0]
        if not inspect.isclass(owner) or _package_of(owner) == package:
            return owner
        for base in owner.__mro__[1:]:
            if base.__name__ == name and _package_of(base) == package:
                self.replaced_by = name_of(owner)
                return base
        return owner

    def _wrapper_of(self, raw: Any, owner: Any, attribute: str) -> Any:
        kind = type(raw)
        if self._is_constructor(owner, attribute):
            original = original_constructor(raw)
            return constructing(original, self.wrap(original), attribute)
        if kind in (classmethod, staticmethod) and type(raw.__func__) in _FUNCTION_TYPES:
            return kind(self.wrap(Original(raw, raw.__func__, has_instance=kind is classmethod)))
        if kind in _FUNCTION_TYPES:
            return self.wrap(Original(raw, raw, has_instance=inspect.isclass(owner)))
        if kind is ClassMethodDescriptorType:  # the class methods of types written in C
            return classmethod(self.wrap(Original(raw, _function_of(raw), has_instance=True)))
        original = original_in_class(raw, owner) if inspect.isclass(owner) else original_in_module(raw)
        return stand_in(original, self.wrap(original))

    def _is_constructor(self, owner: Any, attribute: str) -> bool:
        """Whether the target names the class that owns the attribute, and not the attribute."""
        return attribute != self.attribute


def _skip_removed(original: Any) -> Any:
    """The original beneath our wrappers that were undone out of order."""
    while is_stand_in(original) or type(original) in _WRAPPER_TYPES:
        removed = getattr(original, own_attribute(original, REMOVED), None)
        if (
            removed is None or removed[0] is not original
        ):  # functools.wraps copies the attribute to somebody else's wrapper
            break
        original = removed[1]
    return original


def _function_of(raw: ClassMethodDescriptorType) -> Function:
    @functools.wraps(raw)
    def function(cls: type, /, *args: Any, **kwargs: Any) -> Any:
        return raw.__get__(None, cls)(*args, **kwargs)

    return function


def _raw_attribute(owner: Any, name: str) -> Any:
    """The attribute in a ``__dict__``, not bound; for a class also an inherited one, but not what every object inherits."""
    if not inspect.isclass(owner):
        return vars(owner).get(name, _MISSING)
    for base in owner.__mro__:
        if base is not object and name in vars(base):
            return vars(base)[name]
    return _MISSING


def _package_of(owner: type) -> str:
    return str(owner.__module__).partition(".")[0]
