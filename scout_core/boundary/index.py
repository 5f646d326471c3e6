"""What the last start found in the folders of ``sys.path``, so that the next one need not look into each distribution.

The index says where to look and never what to import: names and modules of plugins are read from their own metadata at
every start. A wrong index, whoever wrote it, can hide a plugin; it cannot add one.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from collections.abc import Mapping
from typing import Final

from attrs import frozen

SCHEMA: Final = 1
LARGEST: Final = 1_000_000
"""Bytes; ten thousand distributions are half of it."""
MOST_FOLDERS: Final = 16
MOST_ENVIRONMENTS: Final = 32
SETTLED_NS: Final = 10_000_000_000
"""
A folder that has changed more recently may change again without a trace: clocks of file systems tick as slowly as every
two seconds (FAT), and an installer makes the folder of the metadata before the files in it.
"""
_MAY_BE_CHANGED_BY_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH


@frozen
class Listing:
    """The metadata in one folder, and the state that the folder was in."""

    state: tuple[int, ...]
    names: tuple[str, ...]
    """Folders of metadata, in alphabetical order."""
    telling: frozenset[str]
    """Those of them that are to be read at every start."""


def state_of(folder: str) -> tuple[int, ...] | None:
    """
    What changes whenever something is put into the folder or taken out of it; None when there is no such folder.

    ``st_mtime`` can be set back, as by whoever unpacks an image, and ``st_ctime`` cannot; the inode tells one folder
    from another that was put in its place.
    """
    try:
        facts = os.stat(folder)
    except (OSError, ValueError):  # ValueError: a NUL in it
        return None
    return (facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino) if stat.S_ISDIR(facts.st_mode) else None


def is_settled(state: tuple[int, ...], now_ns: int | None = None) -> bool:
    """Whether a folder in this state would be in another one after the next change."""
    return state[0] < (time.time_ns() if now_ns is None else now_ns) - SETTLED_NS


def cache_folder() -> str | None:
    """The user's folder for what can be made anew; None when that is not known."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):  # as the specification wants it: anything else counts as not set
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "scout-core") if os.path.isabs(base) else None


def read_index(cache: str) -> dict[str, Listing]:
    """Folder to its listing, as the last start with this Python left them; empty when they are not to be trusted."""
    try:
        text = _read_own(_file(cache))
        facts = json.loads(text) if text is not None else None
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(facts, dict) or {key: facts.get(key) for key in ("schema", *_environment())} != {
        "schema": SCHEMA,
        **_environment(),
    }:
        return {}
    folders = facts.get("folders")
    if not isinstance(folders, dict):
        return {}
    listings = {folder: _listing(item) for folder, item in folders.items()}
    return {folder: listing for folder, listing in listings.items() if listing is not None}


def write_index(cache: str, listings: Mapping[str, Listing]) -> None:
    """Leave the listings for the next start; the first sixteen. Where that is not possible nothing happens."""
    folders = {
        folder: {
            "state": listing.state,
            "names": "/".join(listing.names),  # one text is read in a fifth of the time of as many
            "telling": sorted(listing.telling),
        }
        for folder, listing in list(listings.items())[:MOST_FOLDERS]
    }
    text = json.dumps({"schema": SCHEMA, **_environment(), "folders": folders}, separators=(",", ":"))
    if len(text) > LARGEST:
        return
    try:
        if not _is_own_folder(cache):
            _make_folder(cache)
        if _is_own_folder(cache):
            _replace(_file(cache), text)
            _forget_oldest(cache)
    except (
        OSError,
        ValueError,
    ):  # a full disk, a read-only home, a race with another process: the next start looks again
        return


def _environment() -> dict[str, str]:
    return {"prefix": sys.prefix, "python": sys.version}


def _file(cache: str) -> str:
    # Not hashlib, whose import costs more than all that is read here. Equal numbers do no harm: the prefix is in the file.
    number = int.from_bytes(os.fsencode(sys.prefix), "big") % (2**61 - 1)
    return os.path.join(cache, f"plugins-{sys.implementation.cache_tag}-{number:016x}.json")


def _listing(item: object) -> Listing | None:
    if not isinstance(item, dict):
        return None
    state, names, telling = item.get("state"), item.get("names"), item.get("telling")
    if not isinstance(state, list) or not isinstance(names, str) or not isinstance(telling, list):
        return None
    if not all(type(number) is int for number in state) or not all(map(_is_name, telling)):
        return None
    return Listing(tuple(state), tuple(names.split("/")), frozenset(telling))


def _is_name(name: object) -> bool:
    """Of a folder of metadata, not a path that leads to somewhere else."""
    return isinstance(name, str) and name.endswith((".dist-info", ".egg-info")) and not {"/", "\\", "\0"} & set(name)


def _is_own_folder(cache: str) -> bool:
    try:
        facts = os.lstat(cache)
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(facts.st_mode) and _is_own(facts)


def _is_own(facts: os.stat_result) -> bool:
    return facts.st_uid == os.geteuid() and not facts.st_mode & _MAY_BE_CHANGED_BY_OTHERS


def _read_own(file: str) -> str | None:
    if not _is_own_folder(os.path.dirname(file)):
        return None
    handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode) or not _is_own(facts) or facts.st_size > LARGEST:
            return None
        return os.read(handle, LARGEST).decode("ascii")
    finally:
        os.close(handle)


def _make_folder(cache: str) -> None:
    parent = os.path.dirname(cache)
    os.makedirs(parent, mode=0o700, exist_ok=True)
    if os.stat(parent).st_uid == os.geteuid():  # with sudo it may be somebody else's, who could not use ours
        os.mkdir(cache, mode=0o700)


def _replace(file: str, text: str) -> None:
    """All of it or nothing; readable by this user alone."""
    draft = f"{file}.{os.getpid()}.{os.urandom(4).hex()}"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(text)
        os.replace(draft, file)
    except OSError:
        os.unlink(draft)
        raise


def _forget_oldest(cache: str) -> None:
    """Environments come and go, and a draft stays where a process was killed."""
    with os.scandir(cache) as entries:
        kept = [entry for entry in entries if entry.name.startswith("plugins-")]
    if len(kept) > MOST_ENVIRONMENTS:
        kept.sort(key=lambda entry: entry.stat(follow_symlinks=False).st_mtime_ns)
        for entry in kept[:-MOST_ENVIRONMENTS]:
            os.unlink(entry)
