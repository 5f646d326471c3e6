"""A day's file that cannot grow, as on a full disk, until a write has failed."""

from __future__ import annotations

from scout_dashboard.store import Store
from scout_dashboard.store.files import Kind


def fill_up(store: Store, kind: Kind, day: int) -> None:
    """Let the next write that needs space fail; after a failure the store opens the file again."""
    with store._connections.to(kind, day) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
