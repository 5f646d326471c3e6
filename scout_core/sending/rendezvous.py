"""How agents find a collector on the same machine: one private file that the collector writes and agents read.

The file is in the state directory, belongs to the user, cannot be read by other users, and holds the address for reports
and the secret that goes with them. Any other file there is not trusted.
"""

from __future__ import annotations

import json
from pathlib import Path

from attrs import asdict, frozen

from scout_core.private_files import private_directory, read_private, write_private

FILE_NAME = "collector.json"


@frozen(kw_only=True)
class CollectorAddress:
    """The address of a collector."""

    url: str
    """``http://127.0.0.1:7600``, without a path."""
    token: str
    """Sent with each report as ``Authorization: Bearer …``."""
    pid: int


def announce(state_dir: Path, address: CollectorAddress) -> None:
    """Write the address of this collector into the state directory."""
    write_private(private_directory(state_dir) / FILE_NAME, json.dumps(asdict(address)))


def withdraw(state_dir: Path, address: CollectorAddress) -> None:
    """Remove the announcement, unless another collector has replaced it."""
    if locate(state_dir) == address:
        (state_dir / FILE_NAME).unlink(missing_ok=True)


def locate(state_dir: Path) -> CollectorAddress | None:
    """Return the address of this state directory's collector; None if there is no file, or it is not trusted."""
    text = read_private(state_dir / FILE_NAME)
    if text is None:
        return None
    try:
        facts = json.loads(text)
        return CollectorAddress(url=str(facts["url"]), token=str(facts["token"]), pid=int(facts["pid"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
