"""
Replace an attribute of a library by a wrapper, and put the original object back.

A target is ``module:attribute`` or ``module:Class.attribute``. An inherited attribute is set on the class that was named, and
deleted by the undo, so that no copy stays behind.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import Enum, auto
from types import FunctionType, MethodDescriptorType, ModuleType, WrapperDescriptorType
from typing import Any, Final, NamedTuple

from attrs import define, field

from scout_core.boundary.replaceable import check_replaceable, name_of
from scout_core.errors import LeftAlone, TargetError
from scout_core.recording.generator_functions import GeneratorFunction

_MISSING: Final = object()
_WRAPPER_TYPES: Final = (FunctionType, GeneratorFunction, classmethod, staticmethod)
"""Types of the objects that a patch puts in place. No other object is asked for ``_REMOVED``: it could have a ``__getattr__``."""
_REMOVED: Final = "_scout_core_removed"
"""
Attribute of a wrapper whose patch was undone while something else covered it: ``(the wrapper, the original)``.

A patch that is undone later and finds such a wrapper beneath puts the original back instead of it.
"""
_CALLED_WITH_INSTANCE: Final = (FunctionType, GeneratorFunction, MethodDescriptorType, WrapperDescriptorType)
"""Types whose objects, in a class, may be called with the instance as the first argument; others must be bound to it first."""

Function = Callable[..., Any]


class _Replacement(NamedTuple):
    """One attribute of one owner, before and after."""

    owner: Any  # Any: a module or a class
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
    wrap: Callable[[Function, bool], Function]
    """Takes the original, and whether its first argument is an instance or class; returns the wrapper."""
    is_optional: bool = False
    """It may be missing, because only some versions of the library have it."""
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
            TargetError: the target is missing, is not a function, or cannot be replaced.
        """
        owner = self._owner(module)
        raw = _raw_attribute(owner, self.attribute)
        if raw is _MISSING:
            raise TargetError(f"{name_of(owner)} has no {self.attribute}")
        if any(raw is replacement.wrapper for replacement in self._replacements):
            return
        try:
            wrapper = self._wrapper_of(raw, owner)
        except LeftAlone as reason:
            self.state, self.reason = PatchState.LEFT_ALONE, str(reason)
            return
        original = vars(owner).get(self.attribute, _MISSING)
        try:
            setattr(owner, self.attribute, wrapper)
        except (AttributeError, TypeError) as error:
            raise TargetError(f"{name_of(owner)}.{self.attribute} cannot be replaced: {error}") from error
        self._replacements.append(_Replacement(owner, original, wrapper))
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
            owner, original, wrapper = self._replacements.pop()
            original = _skip_removed(original)
            if vars(owner).get(self.attribute, _MISSING) is not wrapper:
                is_exact = False
                if type(wrapper) in _WRAPPER_TYPES:
                    vars(wrapper)[_REMOVED] = (wrapper, original)
            elif original is _MISSING:
                delattr(owner, self.attribute)
            else:
                setattr(owner, self.attribute, original)
        if self.state in (PatchState.WAITING, PatchState.WRAPPED):
            self.state = PatchState.UNDONE
        return is_exact

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

    def _wrapper_of(self, raw: Any, owner: Any) -> Any:
        kind = type(raw)
        if issubclass(kind, (classmethod, staticmethod)):
            check_replaceable(raw.__func__, owner, self.attribute)
            return kind(self.wrap(raw.__func__, issubclass(kind, classmethod)))
        check_replaceable(raw, owner, self.attribute)
        if not inspect.isclass(owner):
            return self.wrap(raw, False)
        return self.wrap(raw if kind in _CALLED_WITH_INSTANCE else _binding_function(raw), True)


def _skip_removed(original: Any) -> Any:
    """The original beneath our wrappers that were undone out of order."""
    while type(original) in _WRAPPER_TYPES and (removed := vars(original).get(_REMOVED)) is not None:
        wrapper, beneath = removed
        if wrapper is not original:  # functools.wraps has copied the attribute to somebody else's wrapper
            break
        original = beneath
    return original


def _binding_function(raw: Any) -> Function:
    """A function that binds the raw object to its instance and calls it: another library's wrapper may need its instance."""
    if inspect.iscoroutinefunction(raw):

        @functools.wraps(raw)
        async def async_function(instance: Any, /, *args: Any, **kwargs: Any) -> Any:
            return await raw.__get__(instance, type(instance))(*args, **kwargs)

        return async_function

    @functools.wraps(raw)
    def function(instance: Any, /, *args: Any, **kwargs: Any) -> Any:
        return raw.__get__(instance, type(instance))(*args, **kwargs)

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
