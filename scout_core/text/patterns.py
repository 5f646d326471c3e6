"""Regular expressions that are compiled when they are first used, or by the agent's thread when it begins.

Compiling those of this group takes 20 ms, which an application's first response should not wait for.
"""

from __future__ import annotations

import re
from typing import Any, Final, cast

_METHODS: Final = ("search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")
_not_compiled: Final[list[_Lazy]] = []


class _Lazy:
    """Stands in for a compiled pattern. Once it is compiled, its methods are found without coming by here."""

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
    """As ``re.compile``; a mistake in it shows when it is first used."""
    return cast("re.Pattern[str]", _Lazy(source, flags))


def compile_all() -> None:
    """Compile what was not used yet. On the agent's thread, so that no error of the application's has to wait for it."""
    while _not_compiled:
        _not_compiled.pop().search  # noqa: B018  # asking for a method compiles
