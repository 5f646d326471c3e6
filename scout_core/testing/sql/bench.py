"""The part of the suite for database drivers that a plugin replaces, and what the rules share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Final

from scout_core.testing.checks import Rules
from scout_core.testing.recorded import RecordedSpan
from scout_core.testing.scout import Scout, recording

_CREATE: Final = "CREATE TABLE scout_suite (name VARCHAR(99))"
_INSERT: Final = "INSERT INTO scout_suite VALUES (?)"
_SELECT: Final = "SELECT name FROM scout_suite ORDER BY name"


class SqlBench(Rules):
    """A driver, and how its connections are opened."""

    settings: ClassVar[Mapping[str, Any]] = {}  # Any: values of options
    """Options of the agent. ``{"plugins": ["letters"]}`` loads a plugin that is not installed."""
    without: ClassVar[Mapping[str, Any]] = {}  # Any: as above
    """Options of an agent that does not load the plugin; empty: the driver is then used without an agent."""
    placeholder: ClassVar[str] = "?"
    """A parameter in a statement: ``%s`` for most drivers."""
    wrong: ClassVar[str] = "SELECT nothing FROM nowhere"
    """A statement that the database refuses."""

    def connect(self) -> Any:  # Any: a connection of the driver
        """Return a new connection to an empty database, as an application opens it."""
        raise NotImplementedError("connect must return a connection")

    @property
    def insert(self) -> str:
        """A statement with a parameter, which adds a row to the table."""
        return _INSERT.replace("?", self.placeholder)

    @contextmanager
    def opened(self) -> Iterator[tuple[Scout, Any]]:  # Any: a connection
        """Open a connection to a database with a table of 2 rows, while an agent records."""
        with recording(**self.settings) as scout:
            connection = self.filled()
            try:
                yield scout, connection
            finally:
                connection.close()

    @contextmanager
    def unrecorded(self) -> Iterator[Any]:
        """Open a connection without the plugin."""
        connection = self.filled()
        try:
            yield connection
        finally:
            connection.close()

    def filled(self) -> Any:
        """Open a connection, and make the table."""
        connection = self.connect()
        cursor = connection.cursor()
        cursor.execute(_CREATE)
        for name in ("tea", "jam"):
            cursor.execute(self.insert, (name,))
        connection.commit()
        return connection

    def rows(self, connection: Any) -> list[Any]:
        """Return the rows of the table."""
        cursor = connection.cursor()
        cursor.execute(_SELECT)
        return list(cursor.fetchall())

    def read(self, connection: Any) -> list[Any]:
        """Return rows in each way that a driver has, and whether calls return their cursor."""
        cursor = connection.cursor()
        found: list[Any] = [cursor.execute(_SELECT) is cursor]
        found += [cursor.fetchone(), cursor.fetchmany(1), cursor.fetchall()]
        if hasattr(type(cursor), "__iter__"):
            cursor.execute(_SELECT)
            found += list(cursor)
        found.append([column[0] for column in cursor.description])
        result = cursor.executemany(self.insert, [("salt",)])
        return [*found, result is cursor, cursor.rowcount]

    def raised_without(self) -> BaseException:
        """Return the exception of a wrong statement without the plugin."""
        with self.unrecorded() as raw:
            return error_of(raw, self.wrong)


def run(cursor: Any, statement: str) -> None:
    """Execute a statement, and read its rows."""
    cursor.execute(statement)
    cursor.fetchall()


def shortcut(connection: Any) -> Any:
    """Run a statement by the connection itself, and return the cursor; None for most drivers, which have no such method."""
    found = connection.execute("SELECT 3") if hasattr(connection, "execute") else None
    if found is not None:
        found.fetchall()
    return found


def error_of(connection: Any, statement: str) -> BaseException:
    """
    Return the exception that a statement raises.

    Raises:
        AssertionError: it raises nothing.
    """
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
    except Exception as error:  # noqa: BLE001  # of whatever class
        return error
    raise AssertionError(f"the database must refuse {statement!r}; set wrong to another statement")


def described(error: BaseException) -> tuple[Any, ...]:
    """Return everything about an exception that a plugin could change."""
    notes = getattr(error, "__notes__", None)
    return type(error), error.args, error.__cause__, error.__context__, notes, sorted(vars(error))


def leaves(connection: Any) -> bool | None:
    """Whether an exception leaves ``with connection``; None if the driver does not have it."""
    if not has_block(connection):
        return None
    has_left = False
    try:
        with connection:
            raise KeyError
    except KeyError:
        has_left = True
    return has_left


def sql_spans(spans: tuple[RecordedSpan, ...] | list[RecordedSpan]) -> list[RecordedSpan]:
    """Return those of the kind ``SQL``."""
    return [span for span in spans if span.operation.startswith("SQL/")]


def facts(scout: Scout) -> list[tuple[str, Any, str | None]]:
    """Return operation, statement and error of each span of SQL."""
    return [(span.operation, span.tags.get("statement"), span.error) for span in sql_spans(scout.spans)]


def has_block(found: Any) -> bool:
    """Whether a connection or cursor can be used in ``with``."""
    return getattr(type(found), "__enter__", None) is not None
