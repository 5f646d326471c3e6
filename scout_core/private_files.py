"""Files that only this user can read or write, and files that are replaced in one step."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from scout_core.errors import ScoutError


def private_directory(path: Path) -> Path:
    """
    Return the directory, after creating it with mode 0700 if it is missing.

    Raises:
        ScoutError: it cannot be created, is a link, belongs to another user, or other users can write to it.
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


def replace_file(path: Path, text: str, *, mode: int) -> None:
    """
    Replace a file, or create it: readers see the old text or the new one, never a part.

    Raises:
        OSError: it cannot be written; the old file is still there.
        UnicodeEncodeError: the text has lone surrogates; the same.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            os.fchmod(handle, mode)  # whatever the umask is
            file.write(text)
            file.flush()
            os.fsync(handle)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)  # still there if something failed


def write_private(path: Path, text: str) -> None:
    """Replace a file with one that only this user can read; raises as ``replace_file``."""
    replace_file(path, text, mode=0o600)


def read_private(path: Path) -> str | None:
    """Return the first 65,536 characters of a file that belongs to this user and that nobody else can read; None for any other."""
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
