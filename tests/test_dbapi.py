"""The module for DB-API drivers, with ``sqlite3``: proxies, describers, and what only C code gets."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from types import ModuleType

import pytest

from scout_core import hookimpl, outermost_span, transaction
from scout_core.instruments.dbapi import ConnectionProxy, CursorProxy, Driver
from scout_core.recording import context
from scout_core.testing import recording

WITHOUT = ("collector", "sqlite3")
"""The plugin for ``sqlite3`` would record the same connections."""
QUERY, MANY, FETCH = "SQL/Query", "SQL/Many", "SQL/Fetch"


def plugin(**options) -> ModuleType:
    """Return a plugin that gives connections of ``sqlite3`` proxies."""
    module = ModuleType("proxied_sqlite")

    def instrument(wrap):
        wrap.around("sqlite3:connect", Driver(wrap, "sqlite", **options).connect)

    module.instrument = hookimpl(instrument)  # type: ignore[attr-defined]
    return module


@pytest.fixture
def scout(request):
    options = getattr(request, "param", {"unwrapping": ["backup"]})
    with recording(plugins=[plugin(**options)], plugins_disable=WITHOUT) as found:
        yield found


@pytest.fixture
def connection(scout):
    found = sqlite3.connect(":memory:")
    with found:
        found.execute("CREATE TABLE item (name TEXT)")
        found.executemany("INSERT INTO item VALUES (?)", [("tea",), ("jam",)])
    yield found
    found.close()


def statements(scout) -> list[tuple[str, str | None]]:
    return [(found.operation, found.tags.get("statement")) for found in scout.spans if found.parent is not None]


def test_statements_are_spans_with_the_rows_that_they_changed(scout, connection):
    with transaction("Job/report"):
        cursor = connection.cursor()
        assert cursor is cursor.execute("SELECT name FROM item")
        cursor.executemany("UPDATE item SET name = name || ?", [("!",), ("?",)])
        cursor.executescript("SELECT 1; SELECT 2")
        with pytest.raises(sqlite3.OperationalError):
            cursor.execute("SELECT nothing")

    assert [
        (QUERY, {"statement": "SELECT name FROM item", "dialect": "sqlite"}, None),
        (MANY, {"statement": "UPDATE item SET name = name || ?", "dialect": "sqlite", "rows": 4}, None),
        (QUERY, {"statement": "SELECT 1; SELECT 2", "dialect": "sqlite"}, None),
        (QUERY, {"statement": "SELECT nothing", "dialect": "sqlite"}, "sqlite3.OperationalError"),
    ] == [
        (found.operation, {k: v for k, v in found.tags.items() if k != "rows" or v > 0}, found.error)
        for found in scout.transaction.spans
    ]


def test_a_statement_of_a_connection_is_one_span_and_gives_a_proxy(scout, connection):
    with transaction("Job/report"):
        cursor = connection.execute("SELECT name FROM item")
        cursor.execute("SELECT 2")
        connection.executemany("INSERT INTO item VALUES (?)", [])
        connection.executescript("SELECT 3")

    assert type(cursor.connection) is type(connection)
    assert cursor.connection is connection
    assert [
        (QUERY, "SELECT name FROM item"),
        (QUERY, "SELECT 2"),
        (MANY, "INSERT INTO item VALUES (?)"),
        (QUERY, "SELECT 3"),
    ] == statements(scout)


def test_the_objects_act_as_those_of_the_driver(connection):
    raw = connection.__wrapped__
    assert isinstance(connection, sqlite3.Connection)
    assert isinstance(connection, ConnectionProxy)
    with connection as entered:
        assert entered is connection
    assert connection.__exit__(None, None, None) is raw.__exit__(None, None, None)
    connection.row_factory = sqlite3.Row
    assert raw.row_factory is sqlite3.Row
    with pytest.raises(AttributeError):
        connection.nothing = 1
    cursor = connection.cursor()
    assert isinstance(cursor, sqlite3.Cursor)
    assert isinstance(cursor, CursorProxy)
    cursor.arraysize = 7
    assert 7 == cursor.__wrapped__.arraysize
    assert not hasattr(cursor, "callproc")
    assert ["tea", "jam"] == [row["name"] for row in cursor.execute("SELECT name FROM item")]
    assert "tea" == next(cursor.execute("SELECT name FROM item"))[0]
    assert cursor.execute.__name__ == "execute"
    with pytest.raises(TypeError):
        len(cursor)


def test_functions_written_in_c_get_the_driver_s_own_objects(scout, connection):
    with sqlite3.connect(":memory:") as copy:
        connection.backup(copy)
        connection.backup(target=copy, pages=1)

        assert [("tea",), ("jam",)] == copy.execute("SELECT name FROM item").fetchall()

        driver = Driver(None, "sqlite")
        cursor = copy.execute("SELECT 1 AS number")
        row = driver.pass_originals(sqlite3.Row, None, (cursor, (1,)), {})
        assert ["number"] == row.keys()
    copy.close()


def test_outside_a_transaction_and_after_the_agent_has_stopped_nothing_is_recorded():
    with recording(plugins=[plugin()], plugins_disable=WITHOUT) as scout:
        connection = sqlite3.connect(":memory:")
        connection.execute("SELECT 1")
        assert context.current.get() is None
        assert [] == scout.spans
    with closing(sqlite3.connect(":memory:")) as plain:
        assert type(plain) is sqlite3.Connection
    with recording(plugins_disable=WITHOUT) as scout, transaction("Job/report"):
        connection.execute("SELECT 1").execute("SELECT 2").fetchall()

    assert ["Job/report"] == scout.operations
    connection.close()


def test_two_agents_after_one_another_record_a_statement_once():
    with recording(plugins=[plugin()], plugins_disable=WITHOUT):
        old = sqlite3.connect(":memory:")
    with recording(plugins=[plugin()], plugins_disable=WITHOUT) as scout, transaction("Job/report"):
        connection = sqlite3.connect(":memory:")
        connection.execute("SELECT 1")
        old.execute("SELECT 2")

    assert [(QUERY, "SELECT 1")] == statements(scout)
    old.close()
    connection.close()


def test_a_connection_gets_one_proxy(scout):
    driver = Driver(None, "sqlite")
    with sqlite3.connect(":memory:") as connection:
        assert connection is driver.proxied(connection)
        cursor = connection.cursor()
        assert cursor is driver.proxied_cursor(cursor)
    connection.close()


def test_below_an_orm_nothing_is_recorded_twice(scout, connection):
    with transaction("Job/report"), outermost_span(QUERY, statement="orm"):
        connection.execute("SELECT 1")

    assert [(QUERY, "orm")] == statements(scout)


@pytest.mark.parametrize("scout", [{"fetches": True}], indirect=True)
def test_fetches_are_spans_by_option(scout, connection):
    with transaction("Job/report"):
        cursor = connection.execute("SELECT name FROM item")
        assert [("tea",)] == cursor.fetchmany(1)
        assert [("jam",)] == cursor.fetchall()

    assert [QUERY, FETCH, FETCH, "Job/report"] == scout.operations[-4:]


def test_results_of_other_methods_are_the_driver_s_own(connection):
    assert 0 == connection.total_changes - connection.__wrapped__.total_changes
    assert connection.__wrapped__.isolation_level == connection.isolation_level


class PyCursor:
    """A cursor written in Python, as those of PyMySQL and psycopg are."""

    def execute(self, query, args=None):
        return 3

    def executemany(self, query, args):
        return 4

    def callproc(self, procname, args=()):
        return args


@pytest.fixture
def module(monkeypatch):
    found = ModuleType("python_driver")
    found.Cursor = type("Cursor", (PyCursor,), {**vars(PyCursor), "__module__": "python_driver"})
    monkeypatch.setitem(__import__("sys").modules, "python_driver", found)
    return found


def described() -> ModuleType:
    found = ModuleType("described_driver")

    def instrument(wrap):
        driver = Driver(wrap, "mysql")
        wrap("python_driver:Cursor.execute", driver.execute)
        wrap("python_driver:Cursor.executemany", driver.executemany)
        wrap("python_driver:Cursor.callproc", driver.callproc)

    found.instrument = hookimpl(instrument)  # type: ignore[attr-defined]
    return found


def test_methods_of_python_classes_are_described(module):
    with recording(plugins=[described()]) as scout, transaction("Job/report"):
        cursor = module.Cursor()
        assert 3 == cursor.execute("SELECT 1")
        assert 3 == cursor.execute(args=(1,), query=b"SELECT 2")
        assert 4 == cursor.executemany("INSERT", [(1,)])
        assert (1,) == cursor.callproc("refresh", (1,))
        with pytest.raises(TypeError):
            cursor.execute()

    assert [
        (QUERY, {"statement": "SELECT 1", "dialect": "mysql"}),
        (QUERY, {"statement": b"SELECT 2", "dialect": "mysql"}),
        (MANY, {"statement": "INSERT", "dialect": "mysql"}),
        (QUERY, {"procedure": "refresh", "dialect": "mysql"}),
        (QUERY, {"statement": None, "dialect": "mysql"}),
    ] == [(found.operation, found.tags) for found in scout.transaction.spans]


class Procedures(sqlite3.Cursor):
    def callproc(self, procname, parameters=()):
        return self.execute(f"SELECT '{procname}'")


@pytest.mark.parametrize("scout", [{"queries": ["copy_expert"]}], indirect=True)
def test_further_methods_of_a_driver_are_recorded(scout, connection):
    class Copying(Procedures):
        def copy_expert(self, sql, file):
            return len(sql)

    with transaction("Job/report"):
        cursor = connection.cursor(Copying)
        assert cursor is cursor.callproc("refresh")
        assert 4 == cursor.copy_expert("COPY", None)

    assert [{"procedure": "refresh", "dialect": "sqlite"}, {"statement": "COPY", "dialect": "sqlite"}] == [
        {k: v for k, v in found.tags.items() if k != "rows"} for found in scout.transaction.spans
    ]


def classes() -> ModuleType:
    """Return a plugin that makes connections of ``sqlite3`` of a recorded subclass."""
    module = ModuleType("sqlite_classes")

    def instrument(wrap):
        driver = Driver(wrap, "sqlite", queries=["unknown"])

        def connect(wrapped, instance, args, kwargs):
            def cursor(connection, factory=sqlite3.Cursor):
                return sqlite3.Connection.cursor(connection, driver.subclass(factory))

            recorded = driver.subclass(sqlite3.Connection, cursor=cursor)
            assert recorded is driver.subclass(recorded) is driver.subclass(sqlite3.Connection)
            found = wrapped(*args, factory=recorded, **kwargs)
            assert found is driver.proxied(found)
            return found

        wrap.around("sqlite3:connect", connect)

    module.instrument = hookimpl(instrument)  # type: ignore[attr-defined]
    return module


def test_objects_of_subclasses_are_recorded_and_accepted_by_c():
    with recording(plugins=[classes()], plugins_disable=WITHOUT) as scout:
        connection, other = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
        with transaction("Job/report"):
            connection.cursor().execute("SELECT 1")
            connection.backup(other)
            sqlite3.Row(connection.cursor(), ())

        assert isinstance(connection, sqlite3.Connection)
        assert sqlite3.Connection is connection.__class__
        assert dir(sqlite3.Connection) == dir(connection)
        connection.close()
        other.close()

    assert [(QUERY, "SELECT 1")] == statements(scout)


class Meta(type):
    pass


class Registering:
    def __init_subclass__(cls):
        raise AssertionError("it has been inherited from")


@pytest.mark.parametrize("kind", [Meta("WithMeta", (), {}), Registering, bool])
def test_a_class_that_must_not_be_inherited_from_gets_no_subclass(kind):
    assert Driver(None, "sqlite").subclass(kind) is None
