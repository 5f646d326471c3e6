"""``@span(...)`` and ``@transaction(...)`` on functions."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from scout_core.recording.span import Span

_Function = TypeVar("_Function", bound=Callable[..., Any])


def decorated(function: _Function, kind: type[Span], operation: str, tags: dict[str, Any]) -> _Function:
    """
    Wrap the function: each call becomes a new span of that kind.

    Raises:
        TypeError: it is a generator function, which returns before its work is done.
    """
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        name = getattr(function, "__qualname__", function)
        raise TypeError(f"{name} is a generator function: open a span inside it instead")
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            with kind(operation, **tags):
                return await function(*args, **kwargs)

        return awaited  # type: ignore[return-value]  # mypy cannot see that the signature is the same

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        with kind(operation, **tags):
            return function(*args, **kwargs)

    return called  # type: ignore[return-value]
