"""The suite for drivers, on ``sqlite3``."""

from __future__ import annotations

import sqlite3

from scout_core.testing.sql import SqlSuite

WITHOUT = {"plugins_disable": ["collector", "sqlite3"]}


class TestSqlite3(SqlSuite):
    without = WITHOUT

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(":memory:")


class OwnCursor(sqlite3.Cursor):
    pass


class OwnConnection(sqlite3.Connection):
    def cursor(self, *args):
        return super().cursor(OwnCursor)


class TestClassesOfTheApplication(SqlSuite):
    without = WITHOUT

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(":memory:", factory=OwnConnection)


class TestFactoryOfTheApplication(SqlSuite):
    without = WITHOUT

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(":memory:", factory=lambda *args, **_: sqlite3.Connection(*args))
