"""The suite for database drivers passes with a right plugin, and fails with each kind of wrong one."""

from __future__ import annotations

import gc
import sqlite3
import threading
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest

from scout_core import OutermostSpan, hookimpl, outermost_span, span
from scout_core.instruments.dbapi import Driver
from scout_core.proxies import Proxy
from scout_core.testing.sql import SqlSuite

pytestmark = [
    # A test of the suite that fails may leave connections open, which Python 3.13 reports.
    pytest.mark.filterwarnings("ignore:unclosed database:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
WITHOUT = ("collector", "sqlite3")
"""The plugin for ``sqlite3`` would record the same connections."""


@pytest.fixture(autouse=True)
def free_connections():
    """Free them in the test that has left them open."""
    yield
    gc.collect()


def suite(connect) -> SqlSuite:
    """Return the suite for ``sqlite3`` with a function that is given to ``wrap.around``."""
    module = ModuleType("sqlite_plugin")

    def instrument(wrap):
        wrap.around("sqlite3:connect", connect(wrap) if connect is right else connect)

    module.instrument = hookimpl(instrument)  # type: ignore[attr-defined]

    class Suite(SqlSuite):
        settings = {"plugins": [module], "plugins_disable": WITHOUT}
        without = {"plugins_disable": WITHOUT}

        def connect(self) -> sqlite3.Connection:
            return sqlite3.connect(":memory:")

    return Suite()


def failing(found: SqlSuite) -> set[str]:
    """Return the names of the tests that fail."""
    failed = set()
    for name in sorted(name for name in dir(found) if name.startswith("test_")):
        try:
            getattr(found, name)()
        except Exception:  # of whatever kind
            failed.add(name.removeprefix("test_"))
    return failed


def right(wrap):
    return Driver(wrap, "sqlite").connect


def test_proxies_of_the_core_pass():
    assert set() == failing(suite(right))


class Unsized(sqlite3.Cursor):
    """A cursor without an attribute of PEP 249, as that of DuckDB."""

    def __getattribute__(self, name):
        if name == "arraysize":
            raise AttributeError(name)
        return super().__getattribute__(name)


class UnsizedConnection(sqlite3.Connection):
    def cursor(self, factory=Unsized):
        return super().cursor(factory)


def test_a_cursor_needs_only_the_attributes_that_it_has_without_the_plugin():
    found = suite(right)
    type(found).connect = lambda self: sqlite3.connect(":memory:", factory=UnsizedConnection)

    assert set() == failing(found)


def test_a_driver_without_a_plugin_fails_where_something_must_be_recorded():
    def connect(wrapped, instance, args, kwargs):
        return wrapped(*args, **kwargs)

    assert {"each_statement_is_one_span", "many_rows_are_one_span", "threads_have_their_own_parents"} <= failing(
        suite(connect)
    )


class Connection(Proxy):
    """Proxies that do everything right except for one thing, which a subclass does."""

    def cursor(self, *args):
        return self.cursors(self.__wrapped__.cursor(*args), self)

    def execute(self, *args):
        return self.cursor().execute(*args)


class Cursor(Proxy):
    kind: Any = outermost_span
    many = "SQL/Many"

    def __init__(self, wrapped, connection):
        super().__init__(wrapped)
        self._self_connection = connection

    @property
    def connection(self):
        return self._self_connection

    def execute(self, statement, *args):
        with self.kind("SQL/Query", statement=statement, **self.tags(args)):
            self.__wrapped__.execute(statement, *args)
        return self

    def executemany(self, statement, rows):
        with self.kind(self.many, statement=statement):
            self.__wrapped__.executemany(statement, rows)
        return self

    def tags(self, args):
        return {}


class Plain(Cursor):
    kind = span


class NotMany(Cursor):
    many = "SQL/Query"


class RowByRow(Cursor):
    def executemany(self, statement, rows):
        for row in rows:
            self.execute(statement, row)
        return self


class WithParameters(Cursor):
    def tags(self, args):
        return {"parameters": args[0][0]} if args else {}


class LiteralInAnotherTag(Cursor):
    def execute(self, statement, *args):
        with outermost_span("SQL/Query", statement=statement, shown=statement):
            self.__wrapped__.execute(statement, *args)
        return self


class Raw(Cursor):
    def execute(self, statement, *args):
        super().execute(statement, *args)
        return self.__wrapped__


class Swallowing(Cursor):
    def execute(self, statement, *args):
        with suppress(sqlite3.Error):
            super().execute(statement, *args)
        return self


class Replacing(Cursor):
    def execute(self, statement, *args):
        try:
            return super().execute(statement, *args)
        except sqlite3.Error as error:
            raise RuntimeError(str(error)) from error


class Adding(Cursor):
    def execute(self, statement, *args):
        try:
            return super().execute(statement, *args)
        except sqlite3.Error as error:
            error.statement = statement  # type: ignore[attr-defined]
            raise


class LeftOpen(Cursor):
    def execute(self, statement, *args):
        opened = outermost_span("SQL/Query", statement=statement).begin()
        self.__wrapped__.execute(statement, *args)
        opened.end()
        return self


class Twice(Cursor):
    def execute(self, statement, *args):
        with OutermostSpan("SQL/Query", statement=statement):
            pass
        return super().execute(statement, *args)


class Fetching(Cursor):
    def execute(self, statement, *args):
        super().execute(statement, *args)
        self.__wrapped__.fetchone()
        return self


class Foreign:
    """A cursor that is not of the driver's class."""

    def __init__(self, cursor, connection):
        self._cursor = cursor
        self.connection = connection

    def __getattr__(self, name):
        return getattr(self._cursor, name)

    def execute(self, statement, *args):
        with outermost_span("SQL/Query", statement=statement):
            self._cursor.execute(statement, *args)
        return self


class More(Cursor):
    def callproc(self, name):
        raise NotImplementedError


class OfTheFirstThread(Cursor):
    threads: set[int] = set()

    def execute(self, statement, *args):
        self.threads.add(threading.get_ident())
        if len(self.threads) > 1:
            self.__wrapped__.execute(statement, *args)
            return self
        return super().execute(statement, *args)


CURSORS = {
    Plain: "below_an_outer_span_nothing_is_recorded",
    NotMany: "many_rows_are_one_span",
    RowByRow: "many_rows_are_one_span",
    WithParameters: "secrets_stay_in_the_process",
    LiteralInAnotherTag: "secrets_stay_in_the_process",
    Raw: "what_a_call_returns_records",
    Swallowing: "errors_are_untouched",
    Replacing: "errors_are_untouched",
    Adding: "errors_are_untouched",
    LeftOpen: "a_span_is_current_while_its_statement_runs_only",
    Twice: "each_statement_is_one_span",
    Fetching: "results_are_those_of_the_driver",
    Foreign: "objects_look_the_same",
    More: "objects_look_the_same",
    OfTheFirstThread: "threads_have_their_own_parents",
}


@pytest.mark.parametrize("cursors", CURSORS, ids=lambda kind: kind.__name__)
def test_a_wrong_cursor_fails(cursors):
    kind: Any = type("Connection", (Connection,), {"cursors": cursors})
    found = suite(lambda wrapped, instance, args, kwargs: kind(wrapped(*args, **kwargs)))

    with pytest.raises(AssertionError):
        getattr(found, f"test_{CURSORS[cursors]}")()


class NoBlock(Connection):
    cursors = Cursor

    def __exit__(self, *error):
        self.__wrapped__.__exit__(*error)
        return True


class RawInBlock(Connection):
    cursors = Cursor

    def __enter__(self):
        return self.__wrapped__.__enter__()


class TwiceByConnection(Connection):
    cursors = Cursor

    def execute(self, *args):
        with span("SQL/Query", statement=args[0]):
            return self.cursor().execute(*args)


CONNECTIONS = {
    NoBlock: "context_managers_do_not_swallow",
    RawInBlock: "context_managers_record",
    TwiceByConnection: "what_a_call_returns_records",
}


@pytest.mark.parametrize("kind", CONNECTIONS, ids=lambda kind: kind.__name__)
def test_a_wrong_connection_fails(kind):
    found = suite(lambda wrapped, instance, args, kwargs: kind(wrapped(*args, **kwargs)))

    with pytest.raises(AssertionError):
        getattr(found, f"test_{CONNECTIONS[kind]}")()


def test_a_plugin_that_goes_on_after_the_agent_fails():
    kind: Any = type("Connection", (Connection,), {"cursors": Cursor})
    found = suite(lambda wrapped, instance, args, kwargs: kind(wrapped(*args, **kwargs)))

    with pytest.raises(AssertionError, match="spans of an old connection"):
        found.test_after_the_agent_nothing_is_left()


def test_a_plugin_that_is_not_undone_fails(monkeypatch):
    kind: Any = type("Connection", (Connection,), {"cursors": Cursor})
    connect = sqlite3.connect
    module = ModuleType("sqlite_plugin")

    def instrument(wrap):
        monkeypatch.setattr(sqlite3, "connect", lambda *args: kind(connect(*args)))

    module.instrument = hookimpl(instrument)  # type: ignore[attr-defined]
    found = suite(right)
    found.settings = {"plugins": [module], "plugins_disable": WITHOUT}  # type: ignore[misc]

    with pytest.raises(AssertionError, match="classes of a new connection"):
        found.test_after_the_agent_nothing_is_left()


def test_a_plugin_that_records_outside_of_transactions_fails():
    class Outside(Cursor):
        def execute(self, statement, *args):
            from scout_core import transaction

            with transaction("Job/statement"):
                return super().execute(statement, *args)

    kind: Any = type("Connection", (Connection,), {"cursors": Outside})
    found = suite(lambda wrapped, instance, args, kwargs: kind(wrapped(*args, **kwargs)))

    with pytest.raises(AssertionError, match="outside a transaction"):
        found.test_outside_a_transaction_nothing_is_recorded()


def test_a_plugin_that_counts_up_with_each_agent_fails():
    agents = []
    module = ModuleType("sqlite_plugin")

    class Repeating(Cursor):
        def execute(self, statement, *args):
            for _ in agents[1:]:
                with outermost_span("SQL/Query", statement=statement):
                    pass
            return super().execute(statement, *args)

    kind: Any = type("Connection", (Connection,), {"cursors": Repeating})

    def instrument(wrap):
        agents.append(wrap)
        wrap.around("sqlite3:connect", lambda wrapped, instance, args, kwargs: kind(wrapped(*args, **kwargs)))

    module.instrument = hookimpl(instrument)  # type: ignore[attr-defined]
    found = suite(right)
    found.settings = {"plugins": [module], "plugins_disable": WITHOUT}  # type: ignore[misc]

    with pytest.raises(AssertionError, match="of the second agent"):
        found.test_a_second_agent_records_once()


def test_connect_must_be_written():
    with pytest.raises(NotImplementedError, match="connect"):
        SqlSuite().connect()
