"""Transaction names as people read them."""

from __future__ import annotations

from typing import Final

DETAILS: Final = ("statement", "url", "name")
"""The tag that tells calls of one operation apart, first that is there."""
_PREFIXES: Final = ("Controller/", "Job/")


def label_of(name: str) -> str:
    """The name without the kind that the page tells already: ``shop.home`` for ``Controller/shop.home``."""
    for prefix in _PREFIXES:
        if name.startswith(prefix) and len(name) > len(prefix):
            return name[len(prefix) :]
    return name


def kind_of(operation: str) -> str:
    """``SQL`` for ``SQL/Query``."""
    return operation.partition("/")[0]
