"""A library for each shared module: a database driver, an HTTP client and a queue, which ``modules_plugin`` instruments."""

from __future__ import annotations

import sqlite3


def connect() -> sqlite3.Connection:
    """Connect to a database in memory; the driver's cursors are written in C."""
    return sqlite3.connect(":memory:")


class Client:
    """An HTTP client whose calls cost almost nothing."""

    def send(self, method: str, url: str) -> int:
        """Return the status."""
        return 200


class Worker:
    """The worker of a queue whose jobs do nothing."""

    def perform(self, task: str, task_id: str, headers: dict[str, str]) -> None:
        """Perform a job."""
