"""Files that only this user can read or write, and files that are replaced in one step."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from scout_core.errors import ScoutError
from scout_core.problems import Problem

STATE_DIR_ADVICE: Final = "choose another with SCOUT_STATE_DIR"

_ROOT: Final = 0
MOST_READ: Final = 65_536
_NOT_THERE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG})
"""No such file, a file in place of its directory, a link, a socket, a name that no file can have. Any other error is temporary."""


def private_directory(path: Path, *, advice: str = STATE_DIR_ADVICE, may_be_link: bool = False) -> Path:
    """
    Return the directory, after creating it with mode 0700 if it is missing.

    Args:
        advice: how to choose another one.
        may_be_link: it may be a link of this user, or of root, to a directory, which is checked instead.

    Raises:
        ScoutError: it cannot be created or written, is a link, belongs to another user, or other users can write to it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        reason = "it is a link that leads nowhere" if path.is_symlink() and not os.path.exists(path) else error.strerror
        raise ScoutError(f"cannot use {path}: {reason}; {advice}") from error
    problem = directory_problem(path, advice=advice, may_be_link=may_be_link)
    if problem is None and not os.access(path, os.W_OK | os.X_OK):
        problem = Problem("not-writable", str(path), f"cannot use {path}: it is not writable", advice)
    if problem is not None:
        raise ScoutError(str(problem))
    return path


def directory_problem(path: Path, *, advice: str = STATE_DIR_ADVICE, may_be_link: bool = False) -> Problem | None:
    """Return why a directory is not private, with the arguments of ``private_directory``; None when it is, or does not exist."""
    try:
        own = path.lstat()
        facts = path.stat() if may_be_link else own
    except FileNotFoundError:
        return None
    except OSError as error:
        return Problem("unusable-directory", str(path), f"cannot use {path}: {error.strerror}", advice)
    if not stat.S_ISDIR(facts.st_mode):
        kind, detail = "not-a-directory", "it is not a directory of its own"
    elif facts.st_uid != os.geteuid() or own.st_uid not in (os.geteuid(), _ROOT):
        kind, detail = "other-user", "it belongs to another user"
    elif stat.S_IMODE(facts.st_mode) & 0o022:
        kind, detail = "writable-by-others", "others can write to it"
        if not facts.st_mode & stat.S_ISVTX:  # /tmp and the like are shared on purpose
            advice = f"run: chmod 700 {path}"
    else:
        return None
    return Problem(kind, str(path), f"cannot use {path}: {detail}", advice)


def irregularity(path: Path) -> str | None:
    """
    Return why a file must not be opened; None when it is a regular file of this user, or missing.

    Opening a pipe blocks, a link may lead to a file of another program, and the owner of a file may change it at any time.

    Raises:
        OSError: it cannot be examined.
    """
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(facts.st_mode):
        return "it is a link"
    if stat.S_ISDIR(facts.st_mode):
        return "it is a directory"
    if not stat.S_ISREG(facts.st_mode):
        return "it is not a regular file"
    if facts.st_uid != os.geteuid():
        return "it belongs to another user"
    return None


def is_own_file(handle: int) -> bool:
    """Whether an open file is a regular file of this user."""
    facts = os.fstat(handle)
    return stat.S_ISREG(facts.st_mode) and facts.st_uid == os.geteuid()


def is_writable_by_anyone(path: Path) -> bool:
    """Whether every user of this machine can change a file; False when it cannot be examined."""
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o002)
    except OSError:
        return False


def replace_file(path: Path, text: str, *, mode: int) -> None:
    """
    Replace a file, or create it: readers see the old text or the new one, never a part.

    Raises:
        OSError: it cannot be written; the old file is still there. ``filename`` is set.
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
    except OSError as error:
        if error.filename is None:  # of a write, as on a full disk
            error.filename = str(path)
        raise
    finally:
        draft.unlink(missing_ok=True)  # still there if something failed


def write_private(path: Path, text: str) -> None:
    """Replace a file with one that only this user can read; raises as ``replace_file``."""
    replace_file(path, text, mode=0o600)


def read_private(path: Path) -> str | None:
    """
    Return the first 65,536 characters of a file that belongs to this user and that nobody else can read; None for any other.

    Raises:
        OSError: it cannot be read, or it is not known whether it exists.
    """
    content = read_private_bytes(path)
    if content is None:
        return None
    try:
        return content.decode("utf-8")[:MOST_READ]
    except UnicodeDecodeError:
        return None


def read_private_bytes(path: Path) -> bytes | None:
    """Return the same as bytes, four for each character; raises as ``read_private``."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return None
        raise
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o077:
            return None
        content = b""
        while len(content) < 4 * MOST_READ and (part := os.read(handle, 4 * MOST_READ - len(content))):
            content += part
        return content
    finally:
        os.close(handle)
