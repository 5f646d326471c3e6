"""
Replace an attribute of a library by a wrapper, and put the original object back.

A target is ``module:attribute`` or ``module:Class.attribute``. An inherited attribute is set on the class that was named, and
deleted by the undo, so that no copy stays behind. A plain function is replaced by a function, a class at its constructor, everything
else by an object of wrapt.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable
from enum import Enum, auto
from types import ClassMethodDescriptorType, ModuleType
from typing import Any, Final

from attrs import define, field

from scout_core.boundary.attributes import (
    FUNCTION_TYPES,
    MISSING,
    Replacement,
    mark_of,
    put,
    raw_attribute,
    replacement_of,
    restore,
    set_mark,
)
from scout_core.boundary.bound_calls import Function, Original
from scout_core.boundary.constructors import constructing, constructor_of, original_constructor
from scout_core.boundary.guard import Guard
from scout_core.boundary.replaceable import check_replaceable, name_of
from scout_core.boundary.stand_ins import original_in_class, original_in_module, stand_in, value_given_by
from scout_core.errors import LeftAlone, TargetError

ALREADY_WRAPPED: Final = "this plugin has already wrapped it"
_PATCH: Final = "_scout_core_patch"
"""A mark of a wrapper: the patch that has put it in place, which lives as long as the wrapper."""


class PatchState(Enum):
    """The state of one target."""

    WAITING = auto()
    """Its module is not imported."""
    WRAPPED = auto()
    LEFT_ALONE = auto()
    """It exists, and must not be wrapped."""
    NOT_FOUND = auto()
    """It does not exist, or cannot be replaced."""
    LEFT_OUT = auto()
    """It is not wrapped because another target of its group does not exist."""
    UNDONE = auto()
    """The original is restored."""


@define(eq=False)
class Patch:
    """One attribute to replace."""

    target: str
    """``module:Class.attribute``; only a name for messages when there is an ``owner``."""
    wrap: Callable[[Original], Function]
    """Returns the function that is called in place of the original's function."""
    is_optional: bool = False
    """It may be missing, because only some versions of the library have it."""
    group: str | None = None
    """The targets of this name are wrapped together, or none of them; when None, together with the rest of the plugin."""
    role: str = "describer"
    """The purpose of the wrapper: one plugin wraps a call once for each role."""
    asked_by: object = None
    """The ``wrap`` of one plugin in one agent; None for a wrapper that no plugin has asked for: any number may be around a call."""
    guard: Guard | None = None
    """The guard of the describer; None for a function that changes calls."""
    owner: weakref.ref[Any] | None = None
    """The class, module or object that has the attribute, where it was given instead of its name."""
    is_late: bool = False
    """It was named after ``instrument`` had returned."""
    state: PatchState = PatchState.WAITING
    reason: str = ""
    """Why it is not wrapped, when it was not found or is left alone."""
    replaced_by: str = ""
    """A subclass that other code has put in the place of the target's class; the target is wrapped on the library's own class."""
    roles: frozenset[tuple[int, str]] = frozenset()
    """Plugin and role of its wrapper and of those beneath it."""
    _replacements: list[Replacement] = field(factory=list)
    """1, plus 1 for each reload of its module."""

    @property
    def module(self) -> str:
        """The module that must be imported first."""
        return self.target.partition(":")[0]

    @property
    def attribute(self) -> str:
        """Name of the attribute."""
        return self.target.rpartition(":")[2].rpartition(".")[2]

    @property
    def value_given(self) -> str:
        """Class of a value that reading it has given though it cannot be called, so that nothing is recorded; empty if none has."""
        return next(filter(None, (value_given_by(made.wrapper) for made in self._replacements)), "")

    def check(self, module: ModuleType | None) -> None:
        """
        Check that the target exists and can be replaced, without replacing it.

        Raises:
            TargetError: it is missing, cannot be called, or cannot be replaced.
        """
        self._place(module)

    def apply(self, module: ModuleType | None) -> None:
        """
        Put the wrapper in place; again when the module was reloaded.

        Args:
            module: the target's; None when there is an ``owner``.

        Raises:
            TargetError: the target is missing, cannot be called, or cannot be replaced.
        """
        owner, attribute = self._place(module)
        raw = raw_attribute(owner, attribute)
        if self._has_made(raw):
            return
        beneath = mark_of(raw, _PATCH)
        roles = beneath.roles if beneath is not None and beneath._has_made(raw) else frozenset()
        own = (id(self.asked_by), self.role)
        try:
            if self.asked_by is not None and own in roles:  # an alias, inherited from another target, or named twice
                raise LeftAlone(ALREADY_WRAPPED)
            wrapper = self._wrapper_of(raw, owner, attribute)
        except LeftAlone as reason:
            self.state, self.reason = PatchState.LEFT_ALONE, str(reason)
            return
        set_mark(wrapper, _PATCH, self)
        self.roles = roles | {own}
        try:
            replacement = replacement_of(owner, attribute, wrapper)
            self._replacements.append(replacement)  # first, so that it is undone even if a signal handler raises now
            put(replacement)
        except (AttributeError, TypeError) as error:
            self._replacements = [other for other in self._replacements if other.wrapper is not wrapper]
            raise TargetError(f"{name_of(owner)}.{attribute} cannot be replaced: {error}") from error
        self.state, self.reason = PatchState.WRAPPED, ""

    def undo(self, state: PatchState = PatchState.UNDONE) -> bool:
        """
        Put the original back.

        Args:
            state: its state from now on, if it was wrapped or waiting.

        Returns:
            False when other code has replaced the wrapper since. Removing that code's object would break it, so the wrapper
            stays beneath it and does nothing any more.
        """
        is_exact = True
        if self.state in (PatchState.WAITING, PatchState.WRAPPED):
            self.state = state
        while self._replacements:
            is_exact = restore(self._replacements.pop()) and is_exact
        return is_exact

    def _has_made(self, wrapper: object) -> bool:
        return any(wrapper is replacement.wrapper for replacement in self._replacements)

    def _place(self, module: ModuleType | None) -> tuple[Any, str]:
        """
        Return the owner and the name of the attribute to replace, which can be.

        Raises:
            TargetError: it is missing, or cannot be replaced.
        """
        owner, attribute = self._owner(module), self.attribute
        raw = raw_attribute(owner, attribute)
        if raw is MISSING:
            raise TargetError(f"{name_of(owner)} has no {attribute}")
        check_replaceable(raw, owner, attribute)
        if not issubclass(type(raw), type):
            return owner, attribute
        kind = self._library_class(raw, attribute)
        return kind, constructor_of(kind, name_of(kind))

    def _owner(self, module: ModuleType | None) -> Any:
        if self.owner is not None:
            return self.owner()
        owner: Any = module
        for name in self.target.rpartition(":")[2].split(".")[:-1]:
            inner = raw_attribute(owner, name)
            if inner is MISSING:
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
        if kind in (classmethod, staticmethod) and type(raw.__func__) in FUNCTION_TYPES:
            original = Original(raw, raw.__func__, has_instance=kind is classmethod)
            original.is_constructor = (
                attribute == "__new__"
            )  # Python calls `__init__` only of what is an object of the class
            return kind(self.wrap(original))
        if kind in FUNCTION_TYPES:
            return self.wrap(Original(raw, raw, has_instance=inspect.isclass(owner)))
        if kind is ClassMethodDescriptorType:  # the class methods of types written in C
            return classmethod(self.wrap(Original(raw, _function_of(raw), has_instance=True)))
        original = original_in_class(raw, owner) if inspect.isclass(owner) else original_in_module(raw)
        return stand_in(original, self.wrap(original))

    def _is_constructor(self, owner: Any, attribute: str) -> bool:
        """Whether the target names the class that owns the attribute, and not the attribute."""
        return attribute != self.attribute


def _function_of(raw: ClassMethodDescriptorType) -> Function:
    @functools.wraps(raw)
    def function(cls: type, /, *args: Any, **kwargs: Any) -> Any:
        return raw.__get__(None, cls)(*args, **kwargs)

    return function


def _package_of(owner: type) -> str:
    return str(owner.__module__).partition(".")[0]
