"""Regular expressions that are compiled when they are first used, or on the agent's thread when it starts.

Compiling those of this package takes 20 ms, and the application's first response should not wait for that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, cast

_METHODS: Final = ("search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")
_not_compiled: Final[list[_Lazy]] = []


class _Lazy:
    """Looks like a compiled pattern. Its first use compiles it, and copies the methods, so that later uses call them directly."""

    def __init__(self, source: str, flags: int) -> None:
        self.source = source
        self.flags = flags
        _not_compiled.append(self)

    def __getattr__(self, name: str) -> Any:  # Any: whatever a pattern has under that name
        compiled = re.compile(self.source, self.flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)


def pattern(source: str, flags: int = 0) -> re.Pattern[str]:
    """Return a pattern as ``re.compile`` does; an invalid one raises when it is first used."""
    return cast("re.Pattern[str]", _Lazy(source, flags))


def compile_all(between: Callable[[], None] = lambda: None) -> None:
    """
    Compile the patterns that have not been used. On the agent's thread, so that the application's first error need not wait.

    Args:
        between: called after each, which may take 5 ms.
    """
    while _not_compiled:
        _not_compiled.pop().search  # noqa: B018  # looking up a method compiles
        between()
