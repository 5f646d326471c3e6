"""Long tables, one page after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from attrs import frozen

from scout_dashboard.errors import BadQuery
from scout_dashboard.views.links import Links

ROWS = 500
"""Rows of a page."""
_T = TypeVar("_T")


@frozen(kw_only=True)
class Page(Generic[_T]):
    """Some of the rows of a table."""

    rows: Sequence[_T]
    first: int
    """Number of the first row, from 1."""
    last: int
    total: int
    previous: str | None
    """Link to the page before; None on the first page."""
    next: str | None
    """Link to the page after; None on the last page."""

    @property
    def is_part(self) -> bool:
        """Whether there are other pages."""
        return len(self.rows) < self.total


def page_of(rows: Sequence[_T], links: Links, size: int = ROWS) -> Page[_T]:
    """
    Return the page that the query parameter ``page`` selects, from 1; the last one for a larger number.

    Args:
        size: rows of a page.

    Raises:
        BadQuery: it is not a number from 1.
    """
    text = links.query.get("page", "1")
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text)):
        raise BadQuery(f"invalid page {text[:20]!r}; expected a number from 1")
    pages = max(1, -(-len(rows) // size))
    number = min(int(text), pages)
    first = (number - 1) * size
    shown = rows[first : first + size]
    return Page(
        rows=shown,
        first=first + 1,
        last=first + len(shown),
        total=len(rows),
        previous=links.this_page(page=str(number - 1)) if number > 1 else None,
        next=links.this_page(page=str(number + 1)) if number < pages else None,
    )
