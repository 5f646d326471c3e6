"""One collector per data directory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from scout_dashboard.errors import StoreError
from scout_dashboard.locks import FileLock, LockHeld, UnusableLock, describe

FILE_NAME: Final = "collector.lock"


def lock_directory(directory: Path) -> FileLock:
    """
    Lock a data directory.

    Raises:
        StoreError: another collector holds the lock, or it cannot be taken; the message names the reason.
    """
    try:
        return FileLock(directory / FILE_NAME)
    except LockHeld as error:
        raise StoreError(
            f"{directory} is in use by {describe(error.holder)}; use that one, stop it, or choose another directory with --data-dir"
        ) from error
    except UnusableLock as error:
        raise StoreError(f"{error}; or choose another directory with --data-dir") from error
