"""Locks on files that describe their holder. The operating system releases them when the process ends, however it ends."""

from __future__ import annotations

import fcntl
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from attrs import asdict, frozen

from scout_core.errors import ScoutError
from scout_core.private_files import irregularity, is_own_file

_MOST_READ = 16_384
_ATTEMPTS = 5
_PAUSE = 0.01


@frozen(kw_only=True)
class Holder:
    """The collector that holds a lock."""

    pid: int
    since: int
    """Unix time of its start."""
    url: str = ""
    """Empty while it does not serve."""
    data_dir: str = ""
    retention_days: int = 0
    trace_retention_days: int = 0

    def __str__(self) -> str:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.since))
        return f"the collector with pid {self.pid}{f' at {self.url}' if self.url else ''}, started {since}"


class LockHeld(ScoutError):
    """Another process holds the lock."""

    def __init__(self, path: Path, holder: Holder | None) -> None:
        super().__init__(f"{path} is locked by {describe(holder)}")
        self.holder = holder
        """None when it has not described itself yet."""


class UnusableLock(ScoutError):
    """The file cannot be locked; the message has the reason and the next step."""


class FileLock:
    """Held from construction until ``release``."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            LockHeld: another process holds it.
            UnusableLock: it cannot be opened, or something else is in its place.
        """
        self._path = path
        self._handle = _open(path)
        try:
            _lock(self._handle)
        except BlockingIOError as error:
            holder = _read_holder(self._handle)
            os.close(self._handle)
            raise LockHeld(path, holder) from error
        except OSError as error:
            os.close(self._handle)
            raise UnusableLock(f"cannot lock {path}: {error.strerror}") from error
        self.describe(Holder(pid=os.getpid(), since=int(time.time())))

    def describe(self, holder: Holder) -> None:
        """Write the holder into the file."""
        text = json.dumps(asdict(holder)).encode()
        try:
            os.pwrite(self._handle, text, 0)
            os.ftruncate(self._handle, len(text))
        except OSError:
            return  # disk full: the lock still holds, but nobody can name its holder

    def release(self) -> None:
        """Release it for another process."""
        os.close(self._handle)


def wait_for_release(path: Path) -> None:
    """
    Block until no process holds the lock.

    Raises:
        OSError: it cannot be opened.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)  # shared: many may wait, and none delays the others
    finally:
        os.close(handle)


def describe(holder: Holder | None) -> str:
    """Return the holder for a message."""
    return "another collector" if holder is None else str(holder)


def _lock(handle: int) -> None:
    """Lock a file; an agent that checks whether the lock is free has it for a moment."""
    for _ in range(_ATTEMPTS):
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_PAUSE)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _open(path: Path) -> int:
    try:
        # Not blocking: a pipe in its place would wait for its other end.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    except OSError as error:
        reason = irregularity(path) if os.path.lexists(path) else None
        raise UnusableLock(_refusal(path, reason or str(error.strerror), is_removable=reason is not None)) from error
    if not is_own_file(handle):
        os.close(handle)
        raise UnusableLock(_refusal(path, irregularity(path) or "it was replaced", is_removable=True))
    return handle


def _refusal(path: Path, reason: str, *, is_removable: bool) -> str:
    return f"cannot lock {path}: {reason}" + ("; move it away" if is_removable else "")


def _read_holder(handle: int) -> Holder | None:
    try:
        facts = json.loads(os.pread(handle, _MOST_READ, 0))
        time.localtime(int(facts["since"]))  # raises for a time that cannot be shown
        return Holder(
            pid=int(facts["pid"]),
            since=int(facts["since"]),
            url=str(facts["url"]),
            data_dir=str(facts["data_dir"]),
            retention_days=int(facts["retention_days"]),
            trace_retention_days=int(facts["trace_retention_days"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError):
        return None  # it is being written
