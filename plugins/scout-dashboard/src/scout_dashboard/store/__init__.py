"""SQLite files, one a day, in a directory that one collector writes."""

from scout_dashboard.store.store import Store

__all__ = ["Store"]
