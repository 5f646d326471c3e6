"""Frames of an exception as shown: the application's own, and those of libraries folded in between."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from attrs import frozen

Frame = dict[str, Any]
"""As in the JSON: ``file``, ``line``, ``function`` and ``in_app``, which is None where it is not known."""

RELATIONS: Final = {
    "cause": "Caused by",
    "context": "Raised while handling",
    "member": "In the group",
}


@frozen
class Fold:
    """Consecutive frames."""

    frames: list[Frame]
    is_folded: bool
    """They are of libraries: shown as their number until they are opened."""


def folds(frames: Sequence[Frame]) -> list[Fold]:
    """Return all frames in their order; none is folded where no frame is the application's own."""
    has_own = any(frame["in_app"] for frame in frames)
    return [
        Fold(list(group), is_library)
        for is_library, group in groupby(frames, key=lambda frame: has_own and frame["in_app"] is False)
    ]


def place(frames: Sequence[Frame]) -> Frame | None:
    """Return the innermost frame that is the application's own; the innermost one where none is; None without frames."""
    return next((frame for frame in frames if frame["in_app"]), frames[0] if frames else None)


def relation(name: str) -> str:
    """Return how an exception is related to the one before, in words; the name itself for one that is not known."""
    return RELATIONS.get(name, name)
