"""The tables of a day's file, and the statements that upgrade the files of earlier versions."""

from __future__ import annotations

from typing import Final

from scout_dashboard.store.files import Kind
from scout_dashboard.store.operation_tables import OPERATIONS

VERSION: Final = 13
"""Incremented with every change of a table; stored as ``PRAGMA user_version`` of each file."""

TABLES: Final[dict[Kind, str]] = {
    "metrics": f"""
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
        CREATE TABLE job_queue (
            id INTEGER PRIMARY KEY,
            app TEXT NOT NULL,
            is_total INTEGER NOT NULL,
            name TEXT NOT NULL,
            queue TEXT NOT NULL,
            UNIQUE (app, is_total, name, queue)
        );
        CREATE TABLE queue_rollup (
            series INTEGER NOT NULL REFERENCES job_queue (id),
            level INTEGER NOT NULL,
            start INTEGER NOT NULL,
            count INTEGER NOT NULL,
            errors INTEGER NOT NULL,
            total REAL NOT NULL,
            durations BLOB NOT NULL,
            queue_time REAL NOT NULL,
            waits BLOB NOT NULL,
            outcomes TEXT NOT NULL,
            UNIQUE (series, level, start)
        );
        CREATE TABLE error_series (
            id INTEGER PRIMARY KEY,
            app TEXT NOT NULL,
            is_total INTEGER NOT NULL,
            grp TEXT NOT NULL,
            name TEXT NOT NULL,
            UNIQUE (app, is_total, grp, name)
        );
        CREATE TABLE error_rollup (
            series INTEGER NOT NULL REFERENCES error_series (id),
            level INTEGER NOT NULL,
            start INTEGER NOT NULL,
            count INTEGER NOT NULL,
            handled INTEGER NOT NULL,
            UNIQUE (series, level, start)
        );
        CREATE TABLE error_group (
            app TEXT NOT NULL,
            grp TEXT NOT NULL,
            first REAL NOT NULL,
            last REAL NOT NULL,
            title TEXT NOT NULL,
            exception TEXT NOT NULL,
            cause TEXT NOT NULL,
            place TEXT NOT NULL,
            message TEXT NOT NULL,
            trace TEXT NOT NULL,
            example BLOB,
            PRIMARY KEY (app, grp)
        ) WITHOUT ROWID;
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
        CREATE TABLE revision (
            app TEXT NOT NULL,
            name TEXT NOT NULL,
            since REAL NOT NULL,
            PRIMARY KEY (app, name)
        ) WITHOUT ROWID;
        CREATE TABLE fold (until INTEGER NOT NULL);
        INSERT INTO fold (until) VALUES (0);
        CREATE TABLE deploy (app TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (app, name, at)) WITHOUT ROWID;
        {OPERATIONS};
    """,  # noqa: S608  # only constants
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
        CREATE INDEX trace_minute ON trace (minute, app);
        CREATE INDEX trace_start ON trace (start);
        CREATE TABLE member (
            trace_id TEXT NOT NULL,
            id TEXT NOT NULL,
            parent TEXT NOT NULL,
            calls TEXT NOT NULL,
            PRIMARY KEY (trace_id, id)
        ) WITHOUT ROWID;
        CREATE INDEX member_id ON member (id);
        CREATE TABLE error (
            trace TEXT NOT NULL,
            number INTEGER NOT NULL,
            handled INTEGER NOT NULL,
            exception TEXT NOT NULL,
            message TEXT NOT NULL,
            file TEXT NOT NULL,
            line INTEGER NOT NULL,
            function TEXT NOT NULL,
            grp TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (trace, number)
        ) WITHOUT ROWID;
        CREATE INDEX error_grp ON error (grp);
    """,
}

MIGRATIONS: Final[dict[int, dict[Kind, str]]] = {
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
    6: {
        "metrics": """
            CREATE TABLE IF NOT EXISTS job_queue (
                id INTEGER PRIMARY KEY,
                app TEXT NOT NULL,
                is_total INTEGER NOT NULL,
                name TEXT NOT NULL,
                queue TEXT NOT NULL,
                UNIQUE (app, is_total, name, queue)
            );
            CREATE TABLE IF NOT EXISTS queue_rollup (
                series INTEGER NOT NULL REFERENCES job_queue (id),
                level INTEGER NOT NULL,
                start INTEGER NOT NULL,
                count INTEGER NOT NULL,
                errors INTEGER NOT NULL,
                total REAL NOT NULL,
                durations BLOB NOT NULL,
                queue_time REAL NOT NULL,
                waits BLOB NOT NULL,
                outcomes TEXT NOT NULL,
                UNIQUE (series, level, start)
            )
        """,
        "traces": "CREATE INDEX IF NOT EXISTS member_id ON member (id)",
    },
    7: {
        # Earlier versions wrote all slices with each report: everything is folded.
        "metrics": """
            CREATE TABLE IF NOT EXISTS fold (until INTEGER NOT NULL);
            INSERT INTO fold (until) VALUES (9999999999)
        """,
        "traces": "",
    },
    8: {
        "metrics": "",
        "traces": """
            DROP INDEX IF EXISTS trace_minute;
            CREATE INDEX trace_minute ON trace (minute, app);
            CREATE INDEX IF NOT EXISTS trace_start ON trace (start)
        """,
    },
    9: {
        "metrics": """
            CREATE TABLE IF NOT EXISTS error_series (
                id INTEGER PRIMARY KEY,
                app TEXT NOT NULL,
                is_total INTEGER NOT NULL,
                grp TEXT NOT NULL,
                name TEXT NOT NULL,
                UNIQUE (app, is_total, grp, name)
            );
            CREATE TABLE IF NOT EXISTS error_rollup (
                series INTEGER NOT NULL REFERENCES error_series (id),
                level INTEGER NOT NULL,
                start INTEGER NOT NULL,
                count INTEGER NOT NULL,
                handled INTEGER NOT NULL,
                UNIQUE (series, level, start)
            );
            CREATE TABLE IF NOT EXISTS error_group (
                app TEXT NOT NULL,
                grp TEXT NOT NULL,
                first REAL NOT NULL,
                last REAL NOT NULL,
                title TEXT NOT NULL,
                exception TEXT NOT NULL,
                cause TEXT NOT NULL,
                place TEXT NOT NULL,
                message TEXT NOT NULL,
                trace TEXT NOT NULL,
                example BLOB,
                PRIMARY KEY (app, grp)
            ) WITHOUT ROWID
        """,
        "traces": """
            ALTER TABLE error ADD COLUMN grp TEXT NOT NULL DEFAULT '';
            CREATE INDEX error_grp ON error (grp)
        """,
    },
    10: {
        "metrics": """
            CREATE TABLE IF NOT EXISTS revision (
                app TEXT NOT NULL,
                name TEXT NOT NULL,
                since REAL NOT NULL,
                PRIMARY KEY (app, name)
            ) WITHOUT ROWID
        """,
        "traces": "",
    },
    11: {
        "metrics": """
            CREATE TABLE IF NOT EXISTS deploy (app TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (app, name, at))
            WITHOUT ROWID
        """,
        "traces": "",
    },
    12: {"metrics": OPERATIONS, "traces": ""},
}
"""Statements that upgrade a file from each earlier version to the next; they change no table of many rows, so they are fast."""
