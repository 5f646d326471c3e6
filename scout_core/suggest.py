"""``did you mean …?`` for a name that somebody mistyped."""

from __future__ import annotations

from collections.abc import Iterable


def closest(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """
    Return the known name that is most like the given one.

    Args:
        cutoff: how similar they must be, from 0 to 1.

    Returns:
        None when none is similar enough.
    """
    from difflib import get_close_matches  # 1 ms, and only when somebody mistyped

    return next(iter(get_close_matches(name, list(known), n=1, cutoff=cutoff)), None)


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """``did you mean enable?``; empty when nothing is similar enough."""
    near = closest(name, known, cutoff=cutoff)
    return f"did you mean {near}?" if near is not None else ""
