"""``did you mean …?`` for a name that somebody mistyped."""

from __future__ import annotations

from collections.abc import Iterable


def similar(name: str, known: Iterable[str], *, count: int = 3, cutoff: float = 0.6) -> list[str]:
    """
    Return the known names that are most like the given one in upper or lower case, the most similar first.

    Args:
        cutoff: how similar they must be, from 0 to 1.
    """
    from difflib import get_close_matches  # 1 ms, and only when somebody mistyped

    spellings: dict[str, list[str]] = {}
    for spelling in known:
        spellings.setdefault(spelling.lower(), []).append(spelling)
    near = get_close_matches(name.lower(), list(spellings), n=count, cutoff=cutoff)
    return [spelling for found in near for spelling in spellings[found]][:count]


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6, prefix: str = "") -> str:
    """
    ``did you mean enable?``; empty when nothing is similar enough.

    Args:
        prefix: a beginning that all names have, which therefore does not make them similar.
    """
    near = similar(name.removeprefix(prefix), (key.removeprefix(prefix) for key in known), count=1, cutoff=cutoff)
    return f"did you mean {prefix}{near[0]}?" if near else ""
