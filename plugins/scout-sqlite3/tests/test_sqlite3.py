"""Statements of ``sqlite3``: what is recorded, and that nothing else changes."""

from __future__ import annotations

import asyncio
import copy
import pickle
import sqlite3
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from scout_core import propagate, transaction
from scout_core.testing import recording

QUERY, MANY = "SQL/Query", "SQL/Many"


@pytest.fixture
def connection(scout):
    found = sqlite3.connect(":memory:")
    with found:
        found.execute("CREATE TABLE item (name TEXT UNIQUE)")
        found.executemany("INSERT INTO item VALUES (?)", [("tea",), ("jam",)])
    yield found
    found.close()


def statements(scout) -> list[tuple[str, str | None]]:
    return [(found.operation, found.tags.get("statement")) for found in scout.transaction.spans]


@pytest.mark.parametrize("on", ["connection", "cursor", "result"])
def test_each_method_is_one_span_and_gives_the_cursor(on, scout, connection):
    with transaction("Job/report"):
        target = connection if on == "connection" else connection.cursor()
        if on == "result":
            target = connection.execute("SELECT 0")
        for cursor in (
            target.execute("SELECT name FROM item"),
            target.executemany("UPDATE item SET name = name || ?", [("!",), ("?",)]),
            target.executescript("SELECT 1; SELECT 2"),
        ):
            assert isinstance(cursor, sqlite3.Cursor)
            assert cursor.connection is connection
            assert on == "connection" or cursor is target

    assert [
        (QUERY, {"statement": "SELECT name FROM item", "dialect": "sqlite"}),
        (MANY, {"statement": "UPDATE item SET name = name || ?", "dialect": "sqlite", "rows": 4}),
        (QUERY, {"statement": "SELECT 1; SELECT 2", "dialect": "sqlite"}),
    ] == [(found.operation, found.tags) for found in scout.transaction.spans[-3:]]
    assert (4 if on == "result" else 3) == len(scout.transaction.spans)


def test_literals_and_parameters_do_not_leave_the_process(scout, connection):
    with transaction("Job/report"):
        connection.execute("SELECT 'hunter2' WHERE ? = 'hunter2'", ("swordfish",))

    (trace,) = scout.traces()
    assert "SELECT ? WHERE ? = ?" == trace.spans[0].tags["statement"]
    assert "hunter2" not in repr(trace)
    assert "swordfish" not in repr(trace)


@pytest.mark.parametrize("call", ["execute", "executemany", "executescript"])
@pytest.mark.parametrize("of", ["connection", "cursor"])
def test_errors_are_those_of_sqlite3(of, call, scout, connection):
    target = connection if of == "connection" else connection.cursor()
    parameters = ([],) if call == "executemany" else ()
    with transaction("Job/report"), pytest.raises(sqlite3.OperationalError) as raised:
        getattr(target, call)("SELEKT nothing", *parameters)

    assert 'near "SELEKT": syntax error' == str(raised.value)
    assert raised.value.__context__ is raised.value.__cause__ is None
    if sys.version_info >= (3, 11):
        assert ("SQLITE_ERROR", 1) == (raised.value.sqlite_errorname, raised.value.sqlite_errorcode)
    assert ["sqlite3.OperationalError"] == [found.error for found in scout.transaction.spans]
    with pytest.raises(TypeError):
        getattr(target, call)()
    with pytest.raises(TypeError):
        getattr(target, call)(sql="SELECT 1")
    connection.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        getattr(target, call)("SELECT 1", *parameters)


def test_with_commits_and_rolls_back(scout, connection):
    with connection as entered:
        assert entered is connection
        connection.execute("INSERT INTO item VALUES ('salt')")
    with pytest.raises(KeyError), connection:
        connection.execute("DELETE FROM item")
        raise KeyError
    assert not connection.in_transaction
    assert [(3,)] == connection.execute("SELECT count(*) FROM item").fetchall()


def test_code_written_in_c_accepts_the_objects(scout, connection):
    other = sqlite3.connect(":memory:")
    connection.backup(other)
    cursor = other.execute("SELECT name FROM item")
    assert ["name"] == sqlite3.Row(cursor, ("tea",)).keys()
    assert [("tea",), ("jam",)] == sqlite3.Cursor(other).execute("SELECT name FROM item").fetchall()
    assert "INSERT INTO \"item\" VALUES('tea');" in list(other.iterdump())
    other.close()


def test_objects_look_like_those_of_sqlite3(scout, connection):
    cursor = connection.cursor()
    for found, kind in ((connection, sqlite3.Connection), (cursor, sqlite3.Cursor)):
        assert isinstance(found, kind)
        assert found.__class__ is kind
        assert repr(found).startswith(f"<sqlite3.{kind.__name__} object at ")
        assert set(dir(kind)) == set(dir(found))
        with pytest.raises(AttributeError):
            found.nothing = 1
        for change in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match=f"{kind.__name__}' object"):
                change(found)
    assert cursor is weakref.ref(cursor)()
    with pytest.raises(TypeError):
        len(cursor)


def test_attributes_are_those_of_the_connection(scout, connection):
    connection.row_factory = sqlite3.Row
    connection.text_factory = bytes
    connection.isolation_level = None
    assert b"tea" == connection.execute("SELECT name FROM item").fetchone()["name"]
    assert sqlite3.Row is connection.cursor().row_factory is connection.row_factory
    if sys.version_info >= (3, 12):
        connection.autocommit = True
        assert connection.autocommit is True
    cursor = connection.cursor()
    cursor.arraysize = 2
    assert 2 == len(cursor.execute("SELECT name FROM item").fetchmany())
    assert b"tea" == next(cursor.execute("SELECT name FROM item"))[0]


class Cursor(sqlite3.Cursor):
    def __init__(self, connection):
        super().__init__(connection)
        self.made_by = connection

    def execute(self, sql, parameters=()):
        return super().execute(sql + " -- own", parameters)


class Connection(sqlite3.Connection):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.greeting = "hello"

    def cursor(self, kind=Cursor):
        return super().cursor(kind)

    def names(self):
        return [row[0] for row in self.execute("SELECT 'tea'")]


@pytest.mark.parametrize(
    "kind",
    [sqlite3.Connection, Connection, lambda *args, **kwargs: sqlite3.Connection(":memory:")],
    ids=["usual", "subclass", "function"],
)
@pytest.mark.parametrize("on", ["connection", "cursor"])
@pytest.mark.scout(slow_span_seconds=1e-9)
def test_a_slow_and_a_failing_statement_show_the_code_that_ran_it_and_none_of_the_plugin(scout, kind, on):
    connection = sqlite3.connect(":memory:", factory=kind)
    target = connection if on == "connection" else connection.cursor()
    with transaction("Job/report") as job:
        for method, *arguments in (("execute",), ("executemany", [(1,)]), ("executescript",)):
            try:
                getattr(target, method)("SELECT nothing FROM nowhere", *arguments)
            except sqlite3.Error as error:
                job.record_error(error)
    connection.close()

    (trace,) = scout.traces()
    slow = {record.id: record for record in trace.spans}
    calls = [stack.frames for stack in trace.stacks if slow[stack.span].operation in (QUERY, MANY)]
    assert (3, 3) == (len(calls), len(trace.errors))
    for frames in (*calls, *(error.frames for error in trace.errors)):
        assert __file__ == frames[0][0]
        assert [] == [frame for frame in frames if "scout_sqlite3" in frame[0]]


@pytest.mark.parametrize("position", [False, True], ids=["keyword", "position"])
@pytest.mark.filterwarnings("ignore:Passing more than 1 positional:DeprecationWarning")
def test_the_classes_of_the_application_are_kept_and_record_from_the_inside_too(position, scout):
    if position:
        connection = sqlite3.connect(":memory:", 5.0, 0, "", True, Connection)
    else:
        connection = sqlite3.connect(":memory:", factory=Connection)
    with transaction("Job/report"):
        assert ["tea"] == connection.names()
        cursor = connection.cursor()
        cursor.execute("SELECT 2")

    assert isinstance(connection, Connection)
    assert (Connection, "hello") == (connection.__class__, connection.greeting)
    assert isinstance(cursor, Cursor)
    assert cursor.made_by is connection
    assert [QUERY, QUERY] == [operation for operation, _ in statements(scout)]
    connection.close()


class WithOwnCursor(sqlite3.Connection):
    def cursor(self, *args, **kwargs):
        return super().cursor(*args, **kwargs)


def test_code_in_c_accepts_cursors_except_those_that_a_method_of_the_application_makes(scout, connection):
    """A difference in the README: a plain cursor that exists can only be given a proxy, which is recorded as well."""
    own = sqlite3.connect(":memory:", factory=WithOwnCursor)
    with transaction("Job/report"):
        made = [cursor.execute("SELECT 1") for cursor in (connection.cursor(), own.cursor())]

    assert [True, True] == [isinstance(cursor, sqlite3.Cursor) for cursor in made]
    assert 1 == sqlite3.Row(made[0], (1,))["1"]
    with pytest.raises(TypeError):
        sqlite3.Row(made[1], (1,))
    assert [(QUERY, "SELECT 1")] * 2 == statements(scout)
    own.close()


def test_a_class_of_cursors_is_kept(scout, connection):
    with transaction("Job/report"):
        for cursor in (connection.cursor(Cursor), connection.cursor(factory=Cursor)):
            assert isinstance(cursor, Cursor)
            assert cursor.execute("SELECT 1") is cursor

    assert [(QUERY, "SELECT 1")] * 2 == statements(scout)


def test_factories_that_are_functions_are_kept(scout):
    def factory(*args, **kwargs):
        kwargs.pop("factory", None)
        return Connection(*args, **kwargs)

    connection = sqlite3.connect(":memory:", factory=factory)
    with transaction("Job/report"):
        connection.execute("SELECT 1").fetchall()
        connection.cursor().execute("SELECT 2")
    assert isinstance(connection, Connection)
    assert [(QUERY, "SELECT 1"), (QUERY, "SELECT 2")] == statements(scout)
    connection.close()


def test_a_function_that_makes_cursors_is_kept(scout, connection):
    with transaction("Job/report"):
        cursor = connection.cursor(lambda found: Cursor(found))
        assert isinstance(cursor, Cursor)
        cursor.execute("SELECT 1")

    assert [(QUERY, "SELECT 1")] == statements(scout)


class Registered(sqlite3.Connection):
    known: list[type] = []

    def __init_subclass__(cls, **kwargs):
        cls.known.append(cls)


class Meta(type):
    made: list[str] = []

    def __init__(cls, name, bases, names):
        Meta.made.append(name)


class WithMeta(sqlite3.Connection, metaclass=Meta):
    pass


@pytest.mark.parametrize("kind", [Registered, WithMeta])
def test_a_class_that_notices_subclasses_gets_none(kind, scout):
    before = len(Meta.made)
    connection = sqlite3.connect(":memory:", factory=kind)
    with transaction("Job/report"):
        connection.execute("SELECT 1")

    assert isinstance(connection, kind)
    assert ([], before) == (Registered.known, len(Meta.made))
    assert [(QUERY, "SELECT 1")] == statements(scout)
    connection.close()


def test_arguments_that_sqlite3_refuses_are_refused(scout, connection):
    for arguments in ({}, {"database": ":memory:", "nothing": 1}, {"database": ":memory:", "factory": 7}):
        with pytest.raises(TypeError):
            sqlite3.connect(**arguments)
    for factory in (7, list):
        with pytest.raises(TypeError):
            connection.cursor(factory)


def test_threads_record_in_their_own_transactions(scout, tmp_path):
    def work(number):
        connection = sqlite3.connect(tmp_path / "shop.sqlite3")
        with transaction(f"Job/{number}"):
            connection.execute(f"SELECT {number}").fetchall()
        connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))

    assert {f"Job/{number}": [f"SELECT {number}"] for number in range(40)} == {
        found.operation: [query.tags["statement"] for query in found.spans] for found in scout.transactions
    }


def test_another_thread_is_refused_as_before(scout, connection):
    with ThreadPoolExecutor(1) as pool, pytest.raises(sqlite3.ProgrammingError, match="thread"):
        pool.submit(connection.execute, "SELECT 1").result()


@pytest.mark.parametrize("disabled", [("collector",), ("collector", "sqlalchemy")])
def test_below_sqlalchemy_a_statement_is_one_span(disabled):
    sa = pytest.importorskip("sqlalchemy")
    with recording(plugins_disable=disabled) as scout:
        engine = sa.create_engine("sqlite://")
        with transaction("Job/report"), engine.connect() as connection:
            assert 2 == connection.execute(sa.text("SELECT 2")).scalar()
        engine.dispose()

    assert (QUERY, "SELECT 2") == statements(scout)[-1]
    assert 1 == statements(scout).count((QUERY, "SELECT 2"))


def test_the_thread_of_aiosqlite_is_outside_of_the_transaction(scout):
    aiosqlite = pytest.importorskip("aiosqlite")

    async def main():
        async with aiosqlite.connect(":memory:") as connection:
            with transaction("Job/report"):
                await connection.execute("SELECT 1")
                # The context can be carried over by hand.
                await connection._execute(propagate(connection._conn.execute), "SELECT 2")

    asyncio.run(main())

    assert [(QUERY, "SELECT 2")] == statements(scout)


def test_nothing_is_recorded_outside_a_transaction(scout, connection):
    connection.execute("SELECT 1").fetchall()

    assert [] == scout.spans


def test_fetches_are_recorded_by_option():
    with recording(plugin_options={"sqlite3": {"fetches": True}}) as scout, transaction("Job/report"):
        connection = sqlite3.connect(":memory:")
        cursor = connection.execute("SELECT 1")
        assert [(1,)] == cursor.fetchall()
        assert [] == cursor.fetchmany(3)
        assert cursor.fetchone() is None
        connection.close()

    assert [QUERY, "SQL/Fetch", "SQL/Fetch"] == [found.operation for found in scout.transaction.spans]


def test_after_the_agent_has_stopped_everything_is_as_before():
    import _sqlite3

    with recording():
        old = sqlite3.connect(":memory:")
    with recording(plugins_disable=("collector", "sqlite3")) as scout, transaction("Job/report"):
        old.execute("SELECT 1").execute("SELECT 2")

    assert sqlite3.connect is sqlite3.dbapi2.connect is _sqlite3.connect
    assert () == scout.transaction.spans
    old.close()


def test_a_second_agent_records_its_own_connections_once_and_those_of_the_first_not():
    with recording():
        old = sqlite3.connect(":memory:")
    with recording() as scout, transaction("Job/report"):
        old.execute("SELECT 1")
        connection = sqlite3.connect(":memory:", factory=type(old))
        connection.execute("SELECT 2")

    assert [(QUERY, "SELECT 2")] == statements(scout)
    old.close()
    connection.close()


CODE = """
import scout_core, sys
if "late" in sys.argv:
    import sqlite3
scout_core.start(plugins_disable=["collector"])
assert ("sqlite3" in sys.modules) == ("late" in sys.argv)
import sqlite3
with scout_core.transaction("Job/report") as job:
    a, b = sqlite3.connect(":memory:"), sqlite3.dbapi2.connect(":memory:")
    a.execute("SELECT 1"), b.execute("SELECT 2")
print([found.operation for found in job.spans])
scout_core.stop()
import _sqlite3
print(sqlite3.connect is sqlite3.dbapi2.connect is _sqlite3.connect)
"""


@pytest.mark.parametrize("when", ["early", "late"])
def test_it_does_not_matter_whether_sqlite3_is_imported_before(when):
    done = subprocess.run([sys.executable, "-c", CODE, when], capture_output=True, text=True, timeout=60)

    assert ("['SQL/Query', 'SQL/Query']\nTrue\n", "") == (done.stdout, done.stderr)
