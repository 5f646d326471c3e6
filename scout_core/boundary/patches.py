"""
Replace an attribute of a library by a wrapper, and put the very object back.

A target is ``module:attribute`` or ``module:Class.attribute``. What is inherited is set on the class that was named and
deleted at undo, so that no copy stays behind.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import FunctionType, MethodDescriptorType, ModuleType, WrapperDescriptorType
from typing import Any, Final, NamedTuple

from attrs import define, field

from scout_core.errors import LeftAlone, TargetError

_MISSING: Final = object()
_BELOW: Final = "_scout_core_below"
_OURS: Final = (FunctionType, classmethod, staticmethod)
"""Types of what is put in place; nothing else is asked for anything."""
_CALLED_WITH_INSTANCE: Final = (FunctionType, MethodDescriptorType, WrapperDescriptorType)
"""Types whose call with the instance as first argument is the call of the method."""
_CACHED: Final[type] = type(functools.lru_cache(abs))

Function = Callable[..., Any]


class _Place(NamedTuple):
    """Where a wrapper was put."""

    owner: Any  # Any: a module or a class
    before: Any  # Any: what was in the owner's own __dict__
    after: Any


@define(eq=False)
class Patch:
    """One replaced attribute."""

    target: str
    wrap: Callable[[Function, bool], Function]
    """Gets the original and whether its first argument is an instance or class; returns what stands in for it."""
    is_optional: bool = False
    """It may be missing, as what only some versions of the library have."""
    state: str = "waiting"
    """``waiting``, ``wrapped``, ``left alone``, ``not found`` or ``undone``."""
    reason: str = ""
    _places: list[_Place] = field(factory=list)
    """One, and a further one for each time that its module was reloaded."""

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
        Put the wrapper in place; again when the module was reloaded.

        Raises:
            TargetError: the target does not exist, is no function, or cannot be replaced.
        """
        owner = self._resolve(module)
        raw = _raw(owner, self.attribute)
        if raw is _MISSING:
            raise TargetError(f"{_name_of(owner)} has no {self.attribute}")
        if any(raw is place.after for place in self._places):
            return
        try:
            replacement = self._replacement(raw, owner)
        except LeftAlone as reason:
            self.state, self.reason = "left alone", str(reason)
            return
        before = vars(owner).get(self.attribute, _MISSING)
        try:
            setattr(owner, self.attribute, replacement)
        except (AttributeError, TypeError) as error:
            raise TargetError(f"{_name_of(owner)}.{self.attribute} cannot be replaced: {error}") from error
        self._places.append(_Place(owner, before, replacement))
        self.state, self.reason = "wrapped", ""

    def undo(self) -> bool:
        """
        Put back what was there.

        Returns:
            False when somebody else has replaced it since: taking theirs away would break them, so ours stays, inert.
        """
        is_exact = True
        while self._places:
            owner, before, after = self._places.pop()
            before = _uncovered(before)
            if vars(owner).get(self.attribute, _MISSING) is not after:
                is_exact = False
                if type(after) in _OURS:
                    vars(after)[_BELOW] = (after, before)
            elif before is _MISSING:
                delattr(owner, self.attribute)
            else:
                setattr(owner, self.attribute, before)
        if self.state in ("waiting", "wrapped"):
            self.state = "undone"
        return is_exact

    def _resolve(self, module: ModuleType) -> Any:
        owner: Any = module
        for name in self.target.rpartition(":")[2].split(".")[:-1]:
            inner = _raw(owner, name)
            if inner is _MISSING:
                raise TargetError(f"{_name_of(owner)} has no {name}")
            if not isinstance(inner, (type, ModuleType)):
                raise TargetError(f"{_name_of(owner)}.{name} is no class")
            owner = inner
        return owner

    def _replacement(self, raw: Any, owner: Any) -> Any:
        kind = type(raw)
        if issubclass(kind, (classmethod, staticmethod)):
            self._check(raw.__func__, owner)
            return kind(self.wrap(raw.__func__, issubclass(kind, classmethod)))
        self._check(raw, owner)
        if not inspect.isclass(owner):
            return self.wrap(raw, False)
        return self.wrap(raw if kind in _CALLED_WITH_INSTANCE else _bound(raw), True)

    def _check(self, function: Any, owner: Any) -> None:
        """
        Refuse what a function could not stand in for.

        Raises:
            TargetError: it is something else.
            LeftAlone: it is a function that must not be wrapped.
        """
        name = f"{_name_of(owner)}.{self.attribute}"
        if not callable(function) or isinstance(function, (type, classmethod, staticmethod)):
            raise TargetError(f"{name} is no function")
        if not inspect.isroutine(function) or isinstance(function, _CACHED):
            raise TargetError(
                f"{name} is an object of {_name_of(type(function))}: a function could not stand in for it"
            )
        if inspect.isclass(owner) and not hasattr(type(function), "__get__"):
            raise TargetError(f"{name} is no method: its instance is not handed to it")
        plain = inspect.unwrap(function)
        if inspect.isgeneratorfunction(plain) or inspect.isasyncgenfunction(plain):
            raise LeftAlone("it is a generator function, whose end nobody could tell")


def _uncovered(before: Any) -> Any:
    """What is below wrappers of ours that were undone while another of ours stood on them."""
    while type(before) in _OURS and (mark := vars(before).get(_BELOW)) is not None and mark[0] is before:
        before = mark[1]  # functools.wraps copies the mark to what others make, which is why it names its owner
    return before


def _bound(raw: Any) -> Function:
    """A function that binds as the raw object itself would: somebody else's wrapper wants to know its instance."""
    if inspect.iscoroutinefunction(raw):

        @functools.wraps(raw)
        async def awaited(instance: Any, /, *args: Any, **kwargs: Any) -> Any:
            return await raw.__get__(instance, type(instance))(*args, **kwargs)

        return awaited

    @functools.wraps(raw)
    def called(instance: Any, /, *args: Any, **kwargs: Any) -> Any:
        return raw.__get__(instance, type(instance))(*args, **kwargs)

    return called


def _raw(owner: Any, name: str) -> Any:
    """The attribute as it stands in a ``__dict__``, not bound. What every object inherits is nobody's."""
    if not inspect.isclass(owner):
        return vars(owner).get(name, _MISSING)
    for base in owner.__mro__:
        if base is not object and name in vars(base):
            return vars(base)[name]
    return _MISSING


def _name_of(owner: Any) -> str:
    return owner.__name__ if isinstance(owner, ModuleType) else f"{owner.__module__}.{owner.__qualname__}"
