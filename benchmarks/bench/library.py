"""A library for ``library_plugin`` to wrap: the workloads of wrapped calls."""

from __future__ import annotations


class Store:
    """A client whose call costs nearly nothing."""

    def fetch(self, key: str) -> str:
        """The key."""
        return key
