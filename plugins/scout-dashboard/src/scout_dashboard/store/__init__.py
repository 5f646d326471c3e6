"""SQLite files, one per day, in a directory with one writing collector."""

from scout_dashboard.store.store import Store

__all__ = ["Store"]
