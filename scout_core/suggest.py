"""``did you mean …?`` for a name that somebody mistyped."""

from __future__ import annotations

from collections.abc import Iterable


def similar(name: str, known: Iterable[str], *, count: int = 3, cutoff: float = 0.6) -> list[str]:
    """
    Return the known names that are most like the given one, the most similar first.

    Args:
        cutoff: how similar they must be, from 0 to 1.
    """
    from difflib import get_close_matches  # 1 ms, and only when somebody mistyped

    return get_close_matches(name, list(known), n=count, cutoff=cutoff)


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6, prefix: str = "") -> str:
    """
    ``did you mean enable?``; empty when nothing is similar enough.

    Args:
        prefix: a beginning that all names have, which therefore does not make them similar.
    """
    near = similar(name.removeprefix(prefix), (key.removeprefix(prefix) for key in known), count=1, cutoff=cutoff)
    return f"did you mean {prefix}{near[0]}?" if near else ""
