"""The frames of a traceback as data, which keeps no local variable alive."""

from __future__ import annotations

from traceback import walk_tb
from types import CodeType, TracebackType
from typing import Final

MAX_FRAMES: Final = 50
"""Frames kept of one exception: the innermost ones."""


def frames_of(trace: TracebackType | None) -> list[tuple[CodeType, int]]:
    """Return code and line of each frame, the innermost last; empty for None."""
    return [(frame.f_code, line) for frame, line in walk_tb(trace)]
