"""Short forms of transaction names and operations."""

from __future__ import annotations

from typing import Final

from scout_core.operations import CONTROLLER, JOB, kind_of, name_of

DETAILS: Final = ("statement", "url", "name")
"""Tags that distinguish calls of one operation; the first one present is used."""


def label_of(name: str) -> str:
    """Return the name without its kind, which the page shows anyway: ``shop.home`` for ``Controller/shop.home``."""
    return (name_of(name) or name) if kind_of(name) in (CONTROLLER, JOB) else name
