"""Transaction names as people read them."""

from __future__ import annotations

from typing import Final

from scout_core.operations import CONTROLLER, JOB, kind_of, name_of

DETAILS: Final = ("statement", "url", "name")
"""The tag that tells calls of one operation apart, first that is there."""


def label_of(name: str) -> str:
    """Return the name without its kind, which the page shows already: ``shop.home`` for ``Controller/shop.home``."""
    return (name_of(name) or name) if kind_of(name) in (CONTROLLER, JOB) else name
