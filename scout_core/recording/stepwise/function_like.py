"""The replacement of a generator function or a coroutine function, which must look like one although it is called as a plain function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

Function = Callable[..., Any]


class FunctionLike:
    """
    An object that ``inspect`` takes for a function of the original's kind, and whose calls are those of another function.

    Those that ask for the kind (pytest, FastAPI, ``contextlib``) read the flags of the code, which a plain function could not have.
    It is bound to instances as a function is, and pickled and copied by its name.
    """

    __slots__ = ("__call__", "__dict__", "__weakref__")

    __call__: Function  # Python finds the function in the slot, so a call has no frame of this class

    def __init__(self, original: Function, call: Function) -> None:
        functools.update_wrapper(self, original)
        self.__call__ = call

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    @property  # type: ignore[misc]  # isinstance() falls back on it
    def __class__(self) -> Any:
        return FunctionType

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["__wrapped__"], name)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce_ex__(self, protocol: Any) -> str:
        return self.__qualname__  # type: ignore[no-any-return]  # update_wrapper() has set it
