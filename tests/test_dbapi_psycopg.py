"""
The module for DB-API drivers with psycopg 3 and a real PostgreSQL: a driver whose cursors are Python classes, so describers are enough.

Also through proxies, which its C code must accept wherever an application passes a connection.
"""

from __future__ import annotations

import asyncio
from types import ModuleType

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types import TypeInfo
from psycopg.types.hstore import register_hstore

from scout_core import hookimpl, transaction
from scout_core.instruments.dbapi import ConnectionProxy, Driver
from scout_core.testing import recording
from scout_core.testing.servers import postgres_server
from scout_core.testing.sql import SqlSuite

TEMPORARY = "-c search_path=pg_temp"
"""Each connection makes its tables in a schema of its own, which is gone when it is closed."""


@pytest.fixture(scope="module", autouse=True)
def url():
    with postgres_server() as found:
        _Psycopg.url = found
        yield found


def plugin(instrument) -> ModuleType:
    module = ModuleType("psycopg_plugin")
    module.instrument = hookimpl(instrument)  # type: ignore[attr-defined]
    return module


def described(wrap) -> None:
    driver = Driver(wrap, "postgresql")
    for kind in ("Cursor", "ServerCursor", "AsyncCursor"):
        wrap(f"psycopg:{kind}.execute", driver.execute)
        wrap(f"psycopg:{kind}.executemany", driver.executemany)
    wrap("psycopg:Cursor.stream", driver.execute)


def proxied(wrap) -> None:
    wrap.around("psycopg.connection:Connection.connect", Driver(wrap, "postgresql", queries=["stream"]).connect)


DESCRIBED, PROXIED = {"plugins": [plugin(described)]}, {"plugins": [plugin(proxied)]}


class _Psycopg(SqlSuite):
    url = ""
    without = {"plugins": []}
    placeholder = "%s"

    def connect(self) -> psycopg.Connection:
        return psycopg.Connection.connect(self.url, options=TEMPORARY)


class TestDescribed(_Psycopg):
    settings = DESCRIBED


class TestProxied(_Psycopg):
    settings = PROXIED


def statements(scout) -> list[tuple[str, object]]:
    return [(span.operation, span.tags.get("statement")) for span in scout.spans if span.operation.startswith("SQL/")]


@pytest.mark.parametrize("settings", [DESCRIBED, PROXIED], ids=["described", "proxied"])
def test_each_way_to_run_a_statement_is_recorded(url, settings):
    with recording(**settings) as scout:
        connection = psycopg.Connection.connect(url, options=TEMPORARY, row_factory=dict_row)
        with connection, transaction("Job/report"):
            connection.execute(b"SELECT 1 AS bytes")
            composed = sql.SQL("SELECT {}").format(sql.Literal("swordfish"))
            assert [{"?column?": "swordfish"}] == connection.execute(composed).fetchall()
            with connection.cursor(name="portal") as cursor:
                assert [{"x": 1}, {"x": 2}] == list(cursor.execute("SELECT * FROM generate_series(1, 2) AS x"))
            assert [{"x": 3}] == list(connection.cursor().stream("SELECT 3 AS x"))
        sent = str(scout.report())

    assert 4 == len(statements(scout))
    assert {"SQL/Query"} == {operation for operation, _ in statements(scout)}
    assert "swordfish" not in sent


def test_c_code_accepts_a_proxy(url):
    with recording(**PROXIED):
        connection = psycopg.Connection.connect(url)
        assert isinstance(connection, ConnectionProxy)
        with connection, transaction("Job/report"):
            connection.execute("CREATE EXTENSION hstore")
            register_hstore(TypeInfo.fetch(connection, "hstore"), connection)
            assert ({"tea": "1"},) == connection.execute("SELECT 'tea=>1'::hstore").fetchone()
            assert '"a""b"' == sql.Identifier('a"b').as_string(connection)
            assert "'it''s'" == sql.Literal("it's").as_string(connection.cursor())
            with connection.cursor() as cursor:
                cursor.execute("CREATE TEMP TABLE item (name text)")
                with cursor.copy("COPY item FROM STDIN") as copy:
                    copy.write_row(["tea"])
                assert ("tea",) == psycopg.Cursor(connection).execute("SELECT name FROM item").fetchone()
            connection.autocommit  # noqa: B018  # read through the proxy
            connection.rollback()
            connection.autocommit = True
            assert True is connection.__wrapped__.autocommit


def test_async_statements_are_recorded(url):
    async def work():
        async with await psycopg.AsyncConnection.connect(url) as connection:
            with transaction("Job/report"):
                cursor = await connection.execute("SELECT 1")
                assert (1,) == await cursor.fetchone()
                with pytest.raises(psycopg.errors.UndefinedColumn):
                    await connection.execute("SELECT nothing")

    with recording(**DESCRIBED) as scout:
        asyncio.run(work())

    assert [("SQL/Query", "SELECT 1"), ("SQL/Query", "SELECT nothing")] == statements(scout)
