"""How agents find a collector on the same machine: one private file that the collector writes and agents read.

The file is in the state directory, belongs to the user, cannot be read by other users, and holds the address for reports
and the secret that goes with them. Any other file there is not trusted.

The file of a collector that was killed stays, and its port may be another program's by now. The collector therefore holds a lock
as long as it runs, which the operating system releases.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import asdict, field, filters, frozen

from scout_core.errors import ScoutError
from scout_core.fork_lock import importing
from scout_core.private_files import irregularity, is_own_file, private_directory, read_private_bytes, write_private
from scout_core.sending.intake import read_limit

FILE_NAME = "collector.json"
LOCK_NAME = "announcement.lock"
"""The collector that holds it announces itself."""
_URL: Final = re.compile(r"http://(?:127\.0\.0\.1|\[::1\]):([0-9]{1,5})")
_TOKEN: Final = re.compile(r"[ -~]+")
_MOST_PORT: Final = 65_535
_MOST_PID: Final = 2**31
_MOST_SHOWN: Final = 100


class UnreadableAnnouncement(ScoutError):
    """A collector has announced itself, but its announcement cannot be understood."""


@frozen(kw_only=True)
class CollectorAddress:
    """The address of a collector."""

    url: str
    """``http://127.0.0.1:7600``, without a path."""
    token: str
    """Sent with each report as ``Authorization: Bearer …``."""
    pid: int
    max_report_bytes: int | None = None
    """The largest report that it accepts; None from a collector of an earlier version, or if it is unusable."""
    private_socket: str | None = None
    """Path of a Unix socket with the same server, to which only processes of its user can connect; None if it has none."""
    has_ended: bool = field(default=False, eq=False)
    """Nobody holds its lock any more, so nothing may be sent to its address."""


def announce(state_dir: Path, address: CollectorAddress) -> None:
    """Write the address of this collector into the state directory."""
    write_private(
        private_directory(state_dir) / FILE_NAME, json.dumps(asdict(address, filter=filters.exclude("has_ended")))
    )


def discard(state_dir: Path) -> None:
    """Remove the announcement of an earlier collector, for the one that holds the lock now."""
    with suppress(OSError):
        (state_dir / FILE_NAME).unlink()


def withdraw(state_dir: Path, address: CollectorAddress) -> None:
    """Remove the announcement, unless another collector has replaced it, or it cannot be read."""
    with suppress(OSError, UnreadableAnnouncement):
        found = locate(state_dir)
        if found is not None and (found.url, found.token, found.pid) == (address.url, address.token, address.pid):
            (state_dir / FILE_NAME).unlink(missing_ok=True)


def locate(state_dir: Path) -> CollectorAddress | None:
    """
    Return the address of this state directory's collector; None if there is no file, or it is not trusted.

    Raises:
        OSError: it cannot be seen whether there is one: too many open files, no permission, a disk that fails.
        UnreadableAnnouncement: there is one, but half of it is missing, or something else has written it.
    """
    path = state_dir / FILE_NAME
    content = read_private_bytes(path)
    if content is None:
        return None
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError):
        facts = None
    try:
        return _read(facts, has_ended=_is_lock_free(state_dir / LOCK_NAME))
    except ValueError as error:
        text = f"{path} is not an announcement of a collector: {error}; restart it: scout-core up"
        raise UnreadableAnnouncement(text) from error


def describe_absence(state_dir: Path) -> str:
    """Return why ``locate`` finds no collector, and what to do."""
    path = state_dir / FILE_NAME
    try:
        fault = irregularity(path)
    except OSError as error:
        fault = error.strerror
    if fault is None and os.path.lexists(path):
        fault = "other users can read or write it"
    if fault is None:
        return f"no collector has announced itself in {state_dir}; start one with: scout-core up"
    return f"the announcement {path} is not trusted: {fault}; move it away, and restart the collector: scout-core up"


def _read(facts: Any, *, has_ended: bool) -> CollectorAddress:  # Any: JSON
    """
    Raises:
        ValueError: the reason why it is not an announcement.
    """
    if not isinstance(facts, dict):
        raise ValueError("it is not a JSON object")
    url, token, pid, private = (facts.get(name) for name in ("url", "token", "pid", "private_socket"))
    if not isinstance(url, str) or not (found := _URL.fullmatch(url)) or not 0 < int(found[1]) <= _MOST_PORT:
        raise ValueError(f"its url is {_shown(url)}, not such as http://127.0.0.1:7600 on this machine")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ValueError("its token is not a text of ASCII characters")
    if not isinstance(pid, int) or isinstance(pid, bool) or not 0 < pid < _MOST_PID:
        raise ValueError(f"its pid is {_shown(pid)}, not a positive whole number")
    if not (private is None or (isinstance(private, str) and _is_path(private))):
        raise ValueError(f"its private_socket is {_shown(private)}, not a path")
    return CollectorAddress(
        url=url,
        token=token,
        pid=pid,
        max_report_bytes=read_limit(facts),
        private_socket=private or None,
        has_ended=has_ended,
    )


def _is_path(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _shown(value: object) -> str:
    return ascii(value)[:_MOST_SHOWN]


def _is_lock_free(path: Path) -> bool:
    """Return whether it is certain that nobody holds the lock; a collector without this file may be one of another kind."""
    with importing:  # on the thread of an exporter
        import fcntl
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not is_own_file(handle):
            return False
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        # A process that was forked meanwhile has the same lock, which closing would not release.
        fcntl.flock(handle, fcntl.LOCK_UN)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
