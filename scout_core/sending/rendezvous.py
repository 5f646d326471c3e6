"""How agents find a collector on the same machine: one private file that the collector writes and agents read.

The file lies in the state directory, belongs to the user, is readable by nobody else, and holds where to send reports
and the secret that goes with them. Whatever else is found there is not trusted.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from attrs import asdict, frozen

from scout_core.errors import ScoutError

FILE_NAME = "collector.json"


@frozen(kw_only=True)
class CollectorAddress:
    """Where a collector listens."""

    url: str
    """``http://127.0.0.1:7600``, without a path."""
    token: str
    """Goes into ``Authorization: Bearer …`` of each report."""
    pid: int


def private_directory(path: Path) -> Path:
    """
    The directory, made if need be with mode 0700.

    Raises:
        ScoutError: it cannot be made, is a link, belongs to somebody else, or others can write to it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = path.lstat()
    except OSError as error:
        raise ScoutError(f"cannot use {path}: {error.strerror}; choose another with SCOUT_STATE_DIR") from error
    if not stat.S_ISDIR(facts.st_mode):
        raise ScoutError(f"cannot use {path}: it is not a directory of its own; choose another with SCOUT_STATE_DIR")
    if facts.st_uid != os.geteuid():
        raise ScoutError(f"cannot use {path}: it belongs to another user; choose another with SCOUT_STATE_DIR")
    if stat.S_IMODE(facts.st_mode) & 0o022:
        raise ScoutError(f"cannot use {path}: others can write to it; run: chmod 700 {path}")
    return path


def write_private(path: Path, text: str) -> None:
    """Put the text into a file that only this user can read, all of it or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, 0o600)  # whatever the umask takes away
            file.write(text)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)  # there when something failed


def read_private(path: Path) -> str | None:
    """The text of a file that belongs to this user and that nobody else can read; None for any other."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
        os.close(handle)
        return None
    with os.fdopen(handle, encoding="utf-8") as file:
        try:
            return file.read(65_536)
        except (OSError, UnicodeDecodeError):
            return None


def announce(state_dir: Path, address: CollectorAddress) -> None:
    """Write where this collector listens."""
    write_private(private_directory(state_dir) / FILE_NAME, json.dumps(asdict(address)))


def withdraw(state_dir: Path, address: CollectorAddress) -> None:
    """Remove the announcement, unless another collector has replaced it."""
    if locate(state_dir) == address:
        (state_dir / FILE_NAME).unlink(missing_ok=True)


def locate(state_dir: Path) -> CollectorAddress | None:
    """Where the collector of this state directory listens; None when none was announced or the file is not to be trusted."""
    text = read_private(state_dir / FILE_NAME)
    if text is None:
        return None
    try:
        facts = json.loads(text)
        return CollectorAddress(url=str(facts["url"]), token=str(facts["token"]), pid=int(facts["pid"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
