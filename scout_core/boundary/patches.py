"""Replace an attribute of a library by a wrapper, and put the very object back.

A target is ``module:attribute`` or ``module:Class.attribute``. What is inherited is set on the class that was named and
deleted at undo, so that no copy stays behind.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from attrs import define

from scout_core.errors import TargetError

_MISSING: Final = object()

Function = Callable[..., Any]


@define(eq=False)
class Patch:
    """One replaced attribute."""

    target: str
    wrap: Callable[[Function, bool], Function]
    """Gets the original and whether its first argument is an instance or class; returns what stands in for it."""
    state: str = "waiting"
    """``waiting``, ``wrapped``, ``left alone``, ``not found`` or ``undone``."""
    reason: str = ""
    _owner: Any = None  # Any: a module or a class
    _before: Any = _MISSING  # Any: what was in the owner's own __dict__
    _after: Any = _MISSING

    @property
    def module(self) -> str:
        """The module that must be imported first."""
        return self.target.partition(":")[0]

    @property
    def attribute(self) -> str:
        """Name of what is replaced."""
        return self.target.rpartition(":")[2].rpartition(".")[2]

    def apply(self, module: ModuleType) -> None:
        """
        Put the wrapper in place.

        Raises:
            TargetError: the target does not exist, is no function, or cannot be replaced.
        """
        owner = self._resolve(module)
        raw = _raw(owner, self.attribute)
        if raw is _MISSING:
            raise TargetError(f"{_name_of(owner)} has no {self.attribute}")
        replacement = self._replacement(raw, owner)
        if replacement is None:
            self.state, self.reason = "left alone", "it is a generator function, whose end nobody could tell"
            return
        before = vars(owner).get(self.attribute, _MISSING)
        try:
            setattr(owner, self.attribute, replacement)
        except (AttributeError, TypeError) as error:
            raise TargetError(f"{_name_of(owner)}.{self.attribute} cannot be replaced: {error}") from error
        self._owner, self._before, self._after, self.state = owner, before, replacement, "wrapped"

    def undo(self) -> bool:
        """
        Put back what was there.

        Returns:
            False when somebody else has replaced it since: taking theirs away would break them, so ours stays, inert.
        """
        if self.state != "wrapped":
            self.state = "undone" if self.state == "waiting" else self.state
            return True
        self.state = "undone"
        if vars(self._owner).get(self.attribute, _MISSING) is not self._after:
            return False
        if self._before is _MISSING:
            delattr(self._owner, self.attribute)
        else:
            setattr(self._owner, self.attribute, self._before)
        return True

    def _resolve(self, module: ModuleType) -> Any:
        owner: Any = module
        for name in self.target.rpartition(":")[2].split(".")[:-1]:
            try:
                owner = getattr(owner, name)
            except AttributeError:
                raise TargetError(f"{_name_of(owner)} has no {name}") from None
        return owner

    def _replacement(self, raw: Any, owner: Any) -> Any:
        is_class = inspect.isclass(owner)
        if isinstance(raw, (classmethod, staticmethod)):
            inner = self._around(raw.__func__, isinstance(raw, classmethod))
            return None if inner is None else type(raw)(inner)
        if not callable(raw) or inspect.isclass(raw):
            raise TargetError(f"{_name_of(owner)}.{self.attribute} is no function")
        return self._around(raw, is_class)

    def _around(self, function: Function, has_self: bool) -> Function | None:
        plain = inspect.unwrap(function)
        if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
            return None
        return self.wrap(function, has_self)


def _raw(owner: Any, name: str) -> Any:
    """The attribute as it stands in a ``__dict__``, not bound."""
    if not inspect.isclass(owner):
        return vars(owner).get(name, _MISSING)
    for base in owner.__mro__:
        if name in vars(base):
            return vars(base)[name]
    return _MISSING


def _name_of(owner: Any) -> str:
    return owner.__name__ if isinstance(owner, ModuleType) else f"{owner.__module__}.{owner.__qualname__}"
