"""One collector per data directory: a lock that the operating system releases when the process ends."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path
from typing import Final

from scout_dashboard.errors import StoreError

FILE_NAME: Final = "collector.lock"


class DirectoryLock:
    """Held from construction until ``release``; the file names the holder."""

    def __init__(self, directory: Path) -> None:
        """
        Raises:
            StoreError: another collector holds the lock; the message names it.
        """
        path = directory / FILE_NAME
        try:
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StoreError(f"cannot lock {path}: {error.strerror}; choose another with --data-dir") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _describe_holder(self._handle)
            os.close(self._handle)
            raise StoreError(
                f"{directory} is in use by {holder}; use that one, stop it, or choose another directory with --data-dir"
            ) from error
        self.record_holder(None)

    def record_holder(self, url: str | None) -> None:
        """Write the process id and the collector's URL into the file."""
        text = json.dumps({"pid": os.getpid(), "url": url, "since": int(time.time())}).encode()
        try:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, text, 0)
        except OSError:
            return  # disk full: the lock still holds, but the next collector cannot name its holder

    def release(self) -> None:
        """Release the directory for another collector."""
        os.close(self._handle)


def _describe_holder(handle: int) -> str:
    try:
        facts = json.loads(os.pread(handle, 4_096, 0))
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(int(facts["since"])))
        at = f" at {facts['url']}" if facts["url"] else ""
        return f"the collector with pid {int(facts['pid'])}{at}, started {since}"
    except (ValueError, KeyError, TypeError, OverflowError):
        return "another collector"
