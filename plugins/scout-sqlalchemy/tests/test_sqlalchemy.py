"""SQLAlchemy itself on SQLite, driven end to end."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import re
import sqlite3
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from types import ModuleType

import pytest
import sqlalchemy as sa
from sqlalchemy import dialects
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.orm import Session, declarative_base

import scout_core
from scout_core import span, transaction
from scout_core.testing import RecordedSpan, recording

HAS_INSERTMANYVALUES = hasattr(DefaultDialect, "use_insertmanyvalues")
METHODS = ("do_execute", "do_execute_no_params", "do_executemany")
# These drivers were never ported to Python 3, so their dialects, which 1.4 still has, cannot be used.
CANNOT_BE_USED = {"MySQLDialect_oursql", "SybaseDialect_pysybase", "MxODBCConnector"}

Base = declarative_base()


class Item(Base):
    __tablename__ = "item"
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.String, unique=True, nullable=False)


ITEM = Item.__table__
COUNT = "SELECT count(*) FROM item"
INSERT = "INSERT INTO item (name) VALUES (?)"


@pytest.fixture
def engine(tmp_path):
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
    yield engine
    engine.dispose()


@pytest.fixture
def address(tmp_path) -> str:
    """URL of a database with the table, for asynchronous engines, which only live as long as their event loop."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'shop.sqlite3'}")
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
    engine.dispose()
    return f"sqlite+aiosqlite:///{tmp_path / 'shop.sqlite3'}"


def query(statement: str, parent: str = "Controller/home", error: str | None = None) -> RecordedSpan:
    return RecordedSpan("SQL/Query", {"statement": statement, "dialect": "sqlite"}, parent=parent, error=error)


def many(statement: str, error: str | None = None) -> RecordedSpan:
    return RecordedSpan(
        "SQL/Many", {"statement": statement, "dialect": "sqlite"}, parent="Controller/home", error=error
    )


def describer_calls(scout) -> int:
    return next(plugin.calls for plugin in scout.agent.plugin_statuses() if plugin.name == "sqlalchemy")


def test_a_statement_is_a_span_with_its_text_and_dialect(scout, engine):
    with engine.connect() as connection, transaction("Controller/home"):
        count = connection.execute(sa.text("SELECT count(*) FROM item WHERE name = :name"), {"name": "tea"}).scalar()

    assert 0 == count
    assert (query("SELECT count(*) FROM item WHERE name = ?"),) == scout.transaction.spans
    assert [str, str] == [type(value) for value in scout.spans[0].tags.values()]


def test_the_first_connection_adds_no_span_of_its_own(scout, engine):
    with transaction("Controller/home"), engine.connect() as connection:
        connection.execute(sa.text(COUNT))

    assert (query(COUNT),) == scout.transaction.spans


def test_the_unit_of_work_of_a_session(scout, engine):
    with transaction("Controller/home"), Session(engine) as session:
        session.add(Item(name="tea"))
        session.commit()
        item = session.get(Item, 1)
        session.delete(item)
        session.commit()

    statements = [seen.tags["statement"].split(" ")[0] for seen in scout.spans]
    assert ["INSERT", "SELECT", "DELETE"] == statements
    assert {("SQL/Query", "Controller/home")} == {(seen.operation, seen.parent) for seen in scout.spans}


def test_many_rows_are_a_single_span(scout, engine):
    with engine.begin() as connection, transaction("Controller/home"):
        connection.execute(ITEM.insert(), [{"name": "tea"}, {"name": "rum"}])

    assert (many(INSERT),) == scout.transaction.spans


@pytest.mark.skipif(not HAS_INSERTMANYVALUES, reason="not with sqlalchemy 1.4: it has no insertmanyvalues")
def test_every_batch_of_rows_is_a_span_with_the_statement_for_a_single_row(scout, engine):
    rows = [{"name": f"item {number}"} for number in range(25)]

    with (
        engine.connect().execution_options(insertmanyvalues_page_size=10) as connection,
        transaction("Controller/home"),
    ):
        ids = connection.execute(ITEM.insert().returning(ITEM.c.id), rows).scalars().all()

    assert list(range(1, 26)) == sorted(ids)
    assert (many(f"{INSERT} RETURNING id"),) * 3 == scout.transaction.spans


def test_a_statement_without_parameters(scout, engine):
    with engine.connect() as connection, transaction("Controller/home"):
        connection.execution_options(no_parameters=True).exec_driver_sql("SELECT 7 % 4")

    assert (query("SELECT 7 % 4"),) == scout.transaction.spans


@pytest.mark.scout(
    plugins_disable=["sqlite3"]
)  # a plugin for the driver records what does not pass through the dialect
def test_a_script_of_the_driver_is_not_recorded(scout, engine):
    with engine.connect() as connection, transaction("Controller/home"):
        connection.connection.cursor().execute(COUNT)

    assert () == scout.transaction.spans


def failing(engine) -> pytest.ExceptionInfo[IntegrityError]:
    with engine.begin() as connection, pytest.raises(IntegrityError) as caught:
        connection.execute(sa.text("INSERT INTO item (name) VALUES (:name)"), {"name": None})
    return caught


def chain(error: BaseException | None) -> list[object]:
    """Everything that an application can see of an error, without our frames."""
    if error is None:
        return []
    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if "scout_core" not in frame.filename
    ]
    here = [type(error), error.args, error.__suppress_context__, error.__cause__ is error.__context__, frames]
    return [*here, *chain(error.__cause__)]


def test_a_failing_statement_closes_its_span_and_its_error_passes_untouched(engine):
    expected = failing(engine).value
    with recording() as scout:
        with transaction("Controller/home"):
            error = failing(engine).value
            with engine.connect() as connection:
                connection.execute(sa.text(COUNT))
        with transaction("Job/next"), engine.connect() as connection:
            connection.execute(sa.text(COUNT))

        assert chain(expected) == chain(error)
        assert isinstance(error.orig, sqlite3.IntegrityError)
        assert error.__cause__ is error.orig
        assert "failing" in [frame.name for frame in traceback.extract_tb(error.__traceback__)]
        assert [
            (query(INSERT, error="sqlite3.IntegrityError"), query(COUNT)),
            (query(COUNT, parent="Job/next"),),
        ] == [seen.spans for seen in scout.transactions]


def test_many_rows_of_which_a_single_row_fails(scout, engine):
    with engine.begin() as connection, transaction("Controller/home"), pytest.raises(IntegrityError):
        connection.execute(ITEM.insert(), [{"name": "tea"}, {"name": "tea"}])

    assert (many(INSERT, error="sqlite3.IntegrityError"),) == scout.transaction.spans


def test_threads_have_transactions_of_their_own(scout, engine):
    together = Barrier(4, timeout=30)

    def work(number: int) -> None:
        with transaction(f"Job/{number}"), engine.connect() as connection:
            together.wait()
            for _ in range(5):
                connection.execute(sa.text(f"SELECT {number}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    assert {f"Job/{number}": (query(f"SELECT {number}", f"Job/{number}"),) * 5 for number in range(4)} == {
        seen.operation: seen.spans for seen in scout.transactions
    }


def test_asynchronous_statements_are_children_of_the_code_that_awaits_them(scout, address):
    """They run in greenlets, which share the context of their task."""
    from sqlalchemy.ext.asyncio import create_async_engine

    async def part(engine, name: str) -> None:
        with span(f"Part/{name}"):
            async with engine.connect() as connection:
                for number in range(3):
                    await connection.execute(sa.text(f"SELECT '{name}', {number}"))

    async def page() -> None:
        engine = create_async_engine(address)
        try:
            with transaction("Controller/home"):
                await asyncio.gather(part(engine, "left"), part(engine, "right"))
        finally:
            await engine.dispose()

    asyncio.run(page())

    statements = [seen for seen in scout.spans if seen.operation == "SQL/Query"]
    assert {
        name: [query(f"SELECT '{name}', {number}", parent=f"Part/{name}") for number in range(3)]
        for name in ("left", "right")
    } == {name: [seen for seen in statements if seen.parent == f"Part/{name}"] for name in ("left", "right")}
    assert 6 == len(statements)
    assert {"Controller/home"} == {seen.parent for seen in scout.spans if seen.operation.startswith("Part/")}


def test_an_asynchronous_session_and_a_failing_statement_in_it(scout, address):
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

    async def page() -> None:
        engine = create_async_engine(address)
        try:
            with transaction("Controller/home"):
                async with AsyncSession(engine) as session:
                    session.add(Item(name="tea"))
                    await session.commit()
                    session.add(Item(name="tea"))
                    with pytest.raises(IntegrityError):
                        await session.commit()
                    await session.rollback()
                    await session.execute(sa.text(COUNT))
        finally:
            await engine.dispose()

    asyncio.run(page())

    assert (query(INSERT), query(INSERT, error="sqlite3.IntegrityError"), query(COUNT)) == scout.transaction.spans


def test_a_cancelled_statement_closes_its_span_without_an_error(scout, address):
    from sqlalchemy.ext.asyncio import create_async_engine

    begun, go_on = Event(), Event()

    def block() -> int:
        begun.set()
        go_on.wait(30)
        return 1

    async def page() -> None:
        engine = create_async_engine(address)
        try:
            async with engine.connect() as connection:
                raw = await connection.get_raw_connection()
                await raw.driver_connection.create_function("block", 0, block)
                work = asyncio.create_task(statement(connection))
                await asyncio.to_thread(begun.wait, 30)
                work.cancel()
                go_on.set()
                with pytest.raises(asyncio.CancelledError):
                    await work
        finally:
            await engine.dispose()

    async def statement(connection) -> None:
        with transaction("Controller/home"):
            await connection.execute(sa.text("SELECT block()"))

    asyncio.run(page())

    assert [query("SELECT block()")] == [seen for seen in scout.spans if seen.tags["statement"] == "SELECT block()"]
    assert [False] == [seen.is_error for seen in scout.transactions]


def own_methods() -> dict[tuple[str, str], type]:
    """Every class of SQLAlchemy that defines one of the methods, and a dialect that uses it."""
    for module in pkgutil.walk_packages(dialects.__path__, f"{dialects.__name__}."):
        if "provision" not in module.name:  # those need pytest's plugins
            importlib.import_module(module.name)
    found, queue = {}, [DefaultDialect]
    while queue:
        kind = queue.pop()
        queue += kind.__subclasses__()
        for name in METHODS:
            owner = next(base for base in kind.__mro__ if name in vars(base))
            if not CANNOT_BE_USED & {base.__name__ for base in kind.__mro__}:
                found[owner.__name__, name] = kind
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::sqlalchemy.exc.SADeprecationWarning")
def test_every_dialect_records_a_statement_once(engine):
    """A method that overrides the wrapped method must be wrapped too, unless it calls that method: then it must not."""
    methods = own_methods()
    connection = engine.raw_connection()
    cursor = connection.cursor()
    arguments = {
        "do_execute": (COUNT, ()),
        "do_execute_no_params": (COUNT,),
        "do_executemany": (INSERT, [("rum",), ("tea",)]),
    }

    with recording() as scout:
        for (owner, name), kind in methods.items():
            with transaction(f"Job/{owner}.{name}"):
                getattr(kind(), name)(cursor, *arguments[name])
            connection.rollback()
        found = {recorded.operation: [span.operation for span in recorded.spans] for recorded in scout.transactions}
    connection.close()

    assert {
        f"Job/{owner}.{name}": ["SQL/Many" if name == "do_executemany" else "SQL/Query"] for owner, name in methods
    } == found
    assert {"DefaultDialect", "PGDialect_psycopg2", "MySQLDialect_mysqldb", "OracleDialect_cx_oracle"} <= {
        owner for owner, _ in methods
    }


def test_literals_do_not_leave_the_process(scout, engine):
    with engine.connect() as connection, transaction("Controller/home"):
        connection.execute(sa.text("SELECT count(*) FROM item WHERE name = 'Ada Lovelace' AND \"item\".\"name\" <> ''"))

    (trace,) = scout.traces()
    (seen,) = trace.spans
    assert 'SELECT count(*) FROM item WHERE name = ? AND "item"."name" <> ?' == seen.tags["statement"]


def test_outside_a_transaction_nothing_is_recorded(scout, engine):
    with engine.begin() as connection:
        connection.execute(sa.text(COUNT))
        connection.execute(ITEM.insert(), [{"name": "tea"}, {"name": "rum"}])
        with pytest.raises(OperationalError):
            connection.execute(sa.text("SELECT nothing FROM nowhere"))
    sa.inspect(engine).get_columns("item")

    assert [] == scout.transactions
    assert 0 == describer_calls(scout)


def test_a_second_start_and_naming_the_plugin_do_not_wrap_twice(engine):
    with recording(plugins=["scout_sqlalchemy"]) as scout:
        scout_core.start(name="Shop")
        with transaction("Controller/home"), engine.connect() as connection:
            connection.execute(sa.text(COUNT))

        assert (query(COUNT),) == scout.transaction.spans


def test_stopping_the_agent_restores_the_originals():
    from sqlalchemy.dialects.mysql.mysqldb import MySQLDialect_mysqldb
    from sqlalchemy.dialects.oracle.cx_oracle import OracleDialect_cx_oracle
    from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

    def methods() -> list[object]:
        own = [
            vars(kind)["do_executemany"] for kind in (MySQLDialect_mysqldb, OracleDialect_cx_oracle, PGDialect_psycopg2)
        ]
        return own + [vars(DefaultDialect)[name] for name in METHODS]

    before = methods()
    with recording():
        during = methods()
    after = methods()

    assert [] == [original for original, other in zip(before, during, strict=True) if original is other]
    assert [True] * 6 == [original is other for original, other in zip(before, after, strict=True)]


def test_the_agent_does_not_import_the_library():
    """SQLAlchemy is wrapped when the application imports it."""
    program = """
import sys
from scout_core import transaction
from scout_core.testing import recording

with recording(plugins_autoload=False, plugins=["scout_sqlalchemy"]) as scout:
    assert "sqlalchemy" not in sys.modules
    import sqlalchemy
    engine = sqlalchemy.create_engine("sqlite://")
    with transaction("Controller/home"), engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT 1"))
    engine.dispose()
    print(scout.operations)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert ("['SQL/Query', 'Controller/home']\n", "", 0) == (done.stdout, done.stderr, done.returncode)


def examples() -> list[str]:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", readme, re.DOTALL)


@pytest.mark.scout(
    plugins_disable=["sqlite3"]
)  # a plugin for the driver records what does not pass through the dialect
def test_the_example_of_the_readme(scout, capsys):
    *_, example = examples()

    exec(compile(example, "README.md", "exec"), {})

    assert "('tea', 3)\n" == capsys.readouterr().out
    assert ["SQL/Query", "Job/stock.count"] == scout.operations


def test_the_plugin_of_the_readme_for_a_third_party_dialect():
    plugin = ModuleType("trino_statements")
    exec(compile(examples()[0], "README.md", "exec"), vars(plugin))

    with recording(plugins=[plugin]) as scout:
        (status,) = [status for status in scout.agent.plugin_statuses() if status.name == "trino_statements"]

    assert ("waiting", ("trino.sqlalchemy.dialect:TrinoDialect.do_execute",)) == (status.state, status.waiting)
