"""The conformance suite on ``sqlite3`` itself."""

from __future__ import annotations

import sqlite3

from scout_core.testing import Call, conformance, hostile


def selects() -> None:
    connection = sqlite3.connect(":memory:")
    cursor = connection.execute("SELECT ?", (hostile("tea"),))
    assert 1 == len(cursor.fetchall())
    connection.close()


def selects_with_dbapi2() -> None:
    connection = sqlite3.dbapi2.connect(":memory:")
    connection.cursor().execute("SELECT 1")
    connection.close()


def fails() -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("SELECT nothing")
    finally:
        connection.close()


def fails_to_connect() -> None:
    selects_with_dbapi2()
    sqlite3.connect("file:/nowhere/at/all", uri=True)


test_conformance = conformance(
    "scout_sqlite3",
    selects,
    selects_with_dbapi2,
    Call(fails, raises=sqlite3.OperationalError),
    Call(fails_to_connect, raises=sqlite3.OperationalError),
    skip={
        "targets": "not with sqlite3: it copies connect from sqlite3.dbapi2, so that both are targets, and are found through sqlite3",
    },
)
