"""The tables of a day's file, and connections to it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from scout_dashboard.errors import StoreError
from scout_dashboard.store.files import Kind

VERSION: Final = 6
"""Incremented with every change of a table; stored as ``PRAGMA user_version`` of each file."""
_APPLICATION: Final = 0x53434F55

_TABLES: Final[dict[Kind, str]] = {
    "metrics": """
        CREATE TABLE report (id TEXT PRIMARY KEY) WITHOUT ROWID;
        CREATE TABLE app (name TEXT PRIMARY KEY, first REAL NOT NULL, last REAL NOT NULL, period REAL NOT NULL);
        CREATE TABLE series (
            id INTEGER PRIMARY KEY,
            app TEXT NOT NULL,
            is_total INTEGER NOT NULL,
            is_web INTEGER NOT NULL,
            name TEXT NOT NULL,
            UNIQUE (app, is_total, is_web, name)
        );
        CREATE TABLE rollup (
            series INTEGER NOT NULL REFERENCES series (id),
            level INTEGER NOT NULL,
            start INTEGER NOT NULL,
            count INTEGER NOT NULL,
            errors INTEGER NOT NULL,
            total REAL NOT NULL,
            queue_time REAL NOT NULL,
            queued INTEGER NOT NULL,
            durations BLOB NOT NULL,
            kinds TEXT NOT NULL,
            UNIQUE (series, level, start)
        );
        CREATE TABLE process (
            instance TEXT PRIMARY KEY,
            app TEXT NOT NULL,
            started REAL NOT NULL,
            seen REAL NOT NULL,
            facts TEXT NOT NULL,
            stored INTEGER NOT NULL DEFAULT 0,
            received INTEGER NOT NULL DEFAULT 0,
            first_number INTEGER,
            last_number INTEGER,
            is_last INTEGER
        );
        CREATE INDEX process_seen ON process (seen);
    """,
    "traces": """
        CREATE TABLE trace (
            id TEXT PRIMARY KEY,
            report TEXT NOT NULL DEFAULT '',
            minute INTEGER NOT NULL,
            app TEXT NOT NULL,
            is_web INTEGER NOT NULL,
            name TEXT NOT NULL,
            host TEXT NOT NULL,
            start REAL NOT NULL,
            duration REAL NOT NULL,
            queue_time REAL,
            is_error INTEGER NOT NULL,
            score REAL NOT NULL,
            policies TEXT NOT NULL,
            span_count INTEGER NOT NULL,
            body BLOB NOT NULL
        );
        CREATE INDEX trace_name ON trace (name, minute);
        CREATE INDEX trace_minute ON trace (minute);
        CREATE TABLE member (
            trace_id TEXT NOT NULL,
            id TEXT NOT NULL,
            parent TEXT NOT NULL,
            calls TEXT NOT NULL,
            PRIMARY KEY (trace_id, id)
        ) WITHOUT ROWID;
        CREATE TABLE error (
            trace TEXT NOT NULL,
            number INTEGER NOT NULL,
            handled INTEGER NOT NULL,
            exception TEXT NOT NULL,
            message TEXT NOT NULL,
            file TEXT NOT NULL,
            line INTEGER NOT NULL,
            function TEXT NOT NULL,
            PRIMARY KEY (trace, number)
        ) WITHOUT ROWID;
    """,
}

_MIGRATIONS: Final[dict[int, dict[Kind, str]]] = {
    1: {"metrics": "", "traces": "ALTER TABLE trace ADD COLUMN report TEXT NOT NULL DEFAULT ''"},
    2: {"metrics": "ALTER TABLE process ADD COLUMN stored INTEGER NOT NULL DEFAULT 0", "traces": ""},
    3: {
        "metrics": """
            ALTER TABLE process ADD COLUMN received INTEGER NOT NULL DEFAULT 0;
            ALTER TABLE process ADD COLUMN first_number INTEGER;
            ALTER TABLE process ADD COLUMN last_number INTEGER;
            ALTER TABLE process ADD COLUMN is_last INTEGER
        """,
        "traces": "",
    },
    4: {
        "metrics": "",
        "traces": """
            CREATE TABLE IF NOT EXISTS member (
                trace_id TEXT NOT NULL,
                id TEXT NOT NULL,
                parent TEXT NOT NULL,
                calls TEXT NOT NULL,
                PRIMARY KEY (trace_id, id)
            ) WITHOUT ROWID
        """,
    },
    5: {
        "metrics": "",
        "traces": """
            CREATE TABLE IF NOT EXISTS error (
                trace TEXT NOT NULL,
                number INTEGER NOT NULL,
                handled INTEGER NOT NULL,
                exception TEXT NOT NULL,
                message TEXT NOT NULL,
                file TEXT NOT NULL,
                line INTEGER NOT NULL,
                function TEXT NOT NULL,
                PRIMARY KEY (trace, number)
            ) WITHOUT ROWID
        """,
    },
}
"""Statements that upgrade a file from each earlier version to the next; they change no rows, so they are instant."""


def connect(path: Path, kind: Kind) -> sqlite3.Connection:
    """
    Connect to the file of a day for writing; create it if it is missing.

    Raises:
        StoreError: the file is damaged, or was written by another version.
        sqlite3.OperationalError: no space left, or the file cannot be opened.
    """
    if not path.exists():
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


def connect_to_read(path: Path, kind: Kind) -> sqlite3.Connection | None:
    """
    Connect to the file of a day for reading; None while it has no tables yet.

    Raises:
        StoreError: the file is damaged, or was written by another version.
    """
    connection = _open(path, kind)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
            connection.close()
            return None
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
    uri = f"{path.resolve().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None, check_same_thread=False)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version in _MIGRATIONS:
            _migrate(connection, kind)
        elif version not in (0, VERSION):
            raise StoreError(
                f"{path} has schema {version}, but this scout-dashboard supports {VERSION}; "
                "use the version that wrote it, or move the file away"
            )
        connection.execute("PRAGMA trusted_schema = 0")
    except sqlite3.OperationalError:
        connection.close()
        raise
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StoreError(f"{path} is damaged ({error}); move it away and restart") from error
    except StoreError:
        connection.close()
        raise
    return connection


def _create_tables(connection: sqlite3.Connection, kind: Kind) -> None:
    # One transaction: a process that dies here leaves version 0 and no tables, and the next one creates them.
    connection.executescript(
        f"BEGIN IMMEDIATE; {_TABLES[kind]} PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
    )


def _migrate(connection: sqlite3.Connection, kind: Kind) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again, because another process may have migrated the file in the meantime.
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        for version in range(found, VERSION):
            for statement in _MIGRATIONS[version][kind].split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
