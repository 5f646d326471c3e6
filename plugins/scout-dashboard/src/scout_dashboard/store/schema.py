"""Connections to a day's file, whose tables are created or upgraded."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from scout_core.private_files import irregularity
from scout_dashboard.errors import UnusableFile
from scout_dashboard.store.damage import ERRORS, is_damage
from scout_dashboard.store.files import SUFFIXES, Kind
from scout_dashboard.store.shape import check_shape
from scout_dashboard.store.tables import MIGRATIONS, TABLES, VERSION
from scout_dashboard.store.unreadable import Rows, hide

BUSY_SECONDS: Final = 5.0
"""Time to wait for another program that has locked a file."""
_APPLICATION: Final = 0x53434F55


def connect(path: Path, kind: Kind) -> sqlite3.Connection:
    """
    Connect to the file of a day for writing; create it if it is missing.

    Raises:
        UnusableFile: the file is damaged, was written by a newer version, or is not one of ours.
        sqlite3.OperationalError: no space left, or the file cannot be opened.
    """
    if not os.path.lexists(path):
        _create_private(path)
    connection = _open(path, kind)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 16777216")
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            _create_tables(connection, kind)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def connect_to_read(path: Path, kind: Kind, *, without: Rows | None = None) -> sqlite3.Connection | None:
    """
    Connect to the file of a day for reading; None while it has no tables yet.

    Args:
        without: rows that its statements do not see.

    Raises:
        UnusableFile: the file is damaged, was written by a newer version, or is not one of ours.
    """
    connection = _open(path, kind)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            connection.close()
            return None
        hide(connection, without or {})
        connection.execute("PRAGMA query_only = 1")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _create_private(path: Path) -> None:
    # Only for a new file: closing any handle of an open database releases SQLite's locks on it in the whole process.
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise sqlite3.OperationalError(f"unable to open database file: {error.strerror}") from error


def _open(path: Path, kind: Kind) -> sqlite3.Connection:
    _check_regular(path)
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _check_opened(connection, path)
        # In one statement: between two, another thread may create the tables of a new file, which would then be taken for a foreign one.
        sql = "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
        version, tables = connection.execute(sql).fetchone()
        if version in MIGRATIONS:
            _migrate(connection, kind)
            version = VERSION
        elif version not in (0, VERSION):
            raise UnusableFile(
                f"it has schema {version}, and this version supports {VERSION}; the version that wrote it can read it"
            )
        elif tables and not version:
            raise UnusableFile("it is a database of another program")
        connection.execute("PRAGMA trusted_schema = 0")
        if version:
            check_shape(connection, kind)
    except ERRORS as error:
        connection.close()
        if is_damage(error):
            raise UnusableFile(f"it is damaged: {error}") from error
        raise
    except UnusableFile:
        connection.close()
        raise
    return connection


def _check_regular(path: Path) -> None:
    """Refuse a link, which may lead to a file of another program, and whatever would block when it is opened."""
    for suffix in SUFFIXES:
        part = path.with_name(path.name + suffix)
        try:
            reason = irregularity(part)
        except OSError as error:
            raise sqlite3.OperationalError(f"unable to open database file: {error.strerror}") from error
        if reason is not None:
            where = f"{suffix} file beside it: " if suffix else ""
            raise UnusableFile(
                f"{where}{reason}; it was not opened, and nothing that it leads to was changed; move it away"
            )


def _check_opened(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that has become a link since it was checked: SQLite names the file that it has opened."""
    # Python has no access to SQLITE_OPEN_NOFOLLOW; SQLite resolves the last link itself, and opens the result without following.
    opened = connection.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()[0]
    if not os.path.samestat(os.stat(opened), path.lstat()):
        raise UnusableFile("it was replaced while it was opened; move it away")


def _create_tables(connection: sqlite3.Connection, kind: Kind) -> None:
    # One transaction: a process that dies here leaves version 0 and no tables, and the next one creates them.
    connection.executescript(
        f"BEGIN IMMEDIATE; {TABLES[kind]} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
    )


def _migrate(connection: sqlite3.Connection, kind: Kind) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again, because another process may have migrated the file in the meantime.
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        for version in range(found, VERSION):
            for statement in MIGRATIONS[version][kind].split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
