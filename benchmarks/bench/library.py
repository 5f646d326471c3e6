"""A library that ``library_plugin`` instruments, for the workloads of wrapped calls."""

from __future__ import annotations

from collections.abc import Iterator


class Store:
    """A client whose calls cost almost nothing."""

    def fetch(self, key: str) -> str:
        """Return the key."""
        return key

    def scan(self, length: int) -> Iterator[int]:
        """Yield numbers."""
        yield from range(length)
