"""How agents find a collector on the same machine: one private file that the collector writes and agents read.

The file is in the state directory, belongs to the user, cannot be read by other users, and holds the address for reports
and the secret that goes with them. Any other file there is not trusted.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from attrs import asdict, frozen

from scout_core.errors import ScoutError
from scout_core.private_files import private_directory, read_private_bytes, write_private
from scout_core.sending.intake import read_limit

FILE_NAME = "collector.json"


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


def announce(state_dir: Path, address: CollectorAddress) -> None:
    """Write the address of this collector into the state directory."""
    write_private(private_directory(state_dir) / FILE_NAME, json.dumps(asdict(address)))


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
        return CollectorAddress(
            url=str(facts["url"]),
            token=str(facts["token"]),
            pid=int(facts["pid"]),
            max_report_bytes=read_limit(facts),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise UnreadableAnnouncement(
            f"{path} is not an announcement of a collector; restart it: scout-core up"
        ) from error
