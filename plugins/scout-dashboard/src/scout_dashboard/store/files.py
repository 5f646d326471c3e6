"""The files of the data directory: one per kind and UTC day, so that expired data is deleted file by file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from scout_core.errors import ScoutError
from scout_core.private_files import irregularity, private_directory
from scout_dashboard.errors import StoreError

Kind = Literal["metrics", "traces"]
KINDS: Final[tuple[Kind, ...]] = ("metrics", "traces")
DAY: Final = 86_400
AHEAD: Final = 3_600
"""Seconds by which the clock of an application may be ahead; files of days that begin later are those of a clock that was wrong."""
_EPOCH: Final = date(1970, 1, 1)
_NAME: Final = re.compile(r"(metrics|traces)-(\d{4}-\d\d-\d\d)\.sqlite")
SUFFIXES: Final = ("-wal", "-shm", "-journal", "")
"""Of SQLite's own files and, last, of the database: a log without its database is harmless, a database without its log lacks data."""


def default_data_directory(state_dir: Path) -> Path:
    """Return the data directory of a collector without ``--data-dir``."""
    return state_dir / "data"


def private_data_directory(path: Path) -> Path:
    """
    Return the directory after creating it with mode 0700 if it is missing.

    It may be a link, whose target is returned: what the link leads to later has no effect.

    Raises:
        StoreError: it cannot be created or written, belongs to another user, or other users can write to it.
    """
    try:
        found = private_directory(path, advice="choose another with --data-dir", may_be_link=True)
        return Path(os.path.realpath(found))
    except ScoutError as error:
        raise StoreError(str(error)) from error


def day_of(moment: float) -> int:
    """Return the UTC day as days since 1970."""
    return int(moment // DAY)


def path_of(directory: Path, kind: Kind, day: int) -> Path:
    """Return the path of a day's file, such as ``metrics-2026-11-21.sqlite``."""
    return directory / f"{kind}-{_EPOCH + timedelta(days=day)}.sqlite"


def days(directory: Path, kind: Kind) -> list[int]:
    """Return the days with a file of this kind, oldest first."""
    return sorted(file[1] for name in os.listdir(directory) if (file := _file_of(name)) is not None and file[0] == kind)


@lru_cache(maxsize=4_096)
def _file_of(name: str) -> tuple[str, int] | None:
    """Return the kind and the day of a file; None if it is not one of ours. Cached, as every page lists the files several times."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        return match[1], (date.fromisoformat(match[2]) - _EPOCH).days
    except ValueError:
        return None  # an impossible date


def remove(directory: Path, kind: Kind, day: int) -> None:
    """Delete the file of a day, which must not be open."""
    path = path_of(directory, kind, day)
    for suffix in SUFFIXES:
        remove_regular(path.with_name(path.name + suffix))


def remove_regular(path: Path) -> bool:
    """Delete a file; return False for anything else, such as a link or a directory, which stays."""
    if irregularity(path) is not None:
        return False
    path.unlink(missing_ok=True)
    return True


def sizes(directory: Path) -> Iterator[int]:
    """Yield the size of each data file in bytes."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if ".sqlite" not in entry.name:
                continue
            try:
                yield entry.stat(follow_symlinks=False).st_size
            except FileNotFoundError:
                continue  # SQLite has removed its log in the meantime
