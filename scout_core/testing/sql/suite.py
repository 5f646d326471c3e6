"""
A test suite for plugins of database drivers: their author writes ``connect``, and gets a test for each rule.

``docs/databases.md`` has the rules. Each is checked on a real database, and compared with the driver without the plugin.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final

from scout_core.operations import JOB
from scout_core.recording.outermost import OutermostSpan
from scout_core.recording.transaction import Transaction
from scout_core.sending.wire import encode
from scout_core.testing.checks import expect
from scout_core.testing.scout import recording
from scout_core.testing.sql.bench import (
    SqlBench,
    described,
    error_of,
    facts,
    has_block,
    leaves,
    run,
    shortcut,
    sql_spans,
)

__all__ = ["SqlSuite"]

QUERY: Final = "SQL/Query"
MANY: Final = "SQL/Many"
_JOB: Final = f"{JOB}/suite"
_OUTER: Final = "outer statement"
_LITERAL, _PARAMETER = "swordfish-literal", "swordfish-parameter"
METHODS: Final = ("execute", "executemany", "executescript", "callproc", "cursor", "nextset", "fetchone", "backup")
_THREADS: Final = 8


class SqlSuite(SqlBench):
    """
    One test for each rule. Derive a class whose name begins with ``Test``, and write ``connect``.

    A test is skipped if ``skip`` has its name, without ``test_``, and the reason; an unknown name in it is a ``TypeError``.
    """

    def test_each_statement_is_one_span(self) -> None:
        """One span for each call of ``execute``, in order, and its statement."""
        with self.opened() as (scout, connection):
            with Transaction(_JOB):
                cursor = connection.cursor()
                for number in (1, 2, 3):
                    cursor.execute(f"SELECT {number}")
                    cursor.fetchall()
            expect([(QUERY, f"SELECT {number}", None) for number in (1, 2, 3)], facts(scout), "spans of 3 statements")

    def test_many_rows_are_one_span(self) -> None:
        """One ``SQL/Many`` for a call of ``executemany``."""
        with self.opened() as (scout, connection):
            statement = self.insert
            with Transaction(_JOB):
                connection.cursor().executemany(statement, [("a",), ("b",), ("c",)])
            expect([(MANY, statement, None)], facts(scout), "spans of executemany")
            expect(5, len(self.rows(connection)), "number of rows after executemany")

    def test_errors_are_untouched(self) -> None:
        """The driver's exception, with nothing added, and a span that has failed."""
        expected = self.raised_without()
        with self.opened() as (scout, connection):
            with Transaction(_JOB):
                error = error_of(connection, self.wrong)
            expect(described(expected), described(error), "exception of a statement that the database refuses")
            expect([True], [fact[2] is not None for fact in facts(scout)], "spans that failed")

    def test_results_are_those_of_the_driver(self) -> None:
        """Rows by each way of reading them, and what ``execute`` and ``executemany`` return."""
        with self.unrecorded() as raw:
            expected = self.read(raw)
        with self.opened() as (_, connection):
            with Transaction(_JOB):
                found = self.read(connection)
            expect(expected, found, "rows and results")

    def test_context_managers_record(self) -> None:
        """A statement in ``with connection`` and ``with cursor`` is recorded, where the driver has them."""
        with self.opened() as (scout, connection):
            count = 0
            with Transaction(_JOB):
                if has_block(connection.cursor()):
                    with connection.cursor() as cursor:
                        run(cursor, "SELECT 1")
                    count += 1
                if has_block(connection):
                    with connection as entered:
                        run(getattr(entered, "cursor", connection.cursor)(), "SELECT 2")
                    count += 1
            expect(count, len(facts(scout)), "spans of statements in with blocks")

    def test_context_managers_do_not_swallow(self) -> None:
        """An exception leaves a ``with`` block exactly if it does without the plugin."""
        with self.unrecorded() as raw:
            expected = leaves(raw)
        with self.opened() as (_, connection):
            expect(expected, leaves(connection), "whether an exception leaves with connection")

    def test_what_a_call_returns_records(self) -> None:
        """The cursor that a connection or a cursor returns is recorded, too, as is ``cursor.connection``."""
        with self.opened() as (scout, connection):
            count = 1
            with Transaction(_JOB):
                cursor = connection.cursor()
                result = cursor.execute("SELECT 1")
                for found in (result, shortcut(connection)):
                    if hasattr(found, "execute"):
                        count += 1 if found is result else 2
                        run(found, "SELECT 2")
                if hasattr(cursor, "connection"):
                    expect(True, cursor.connection is connection, "cursor.connection is the connection")
            expect(count, len(facts(scout)), "spans of statements by returned objects")

    def test_objects_look_the_same(self) -> None:
        """``isinstance``, the methods that exist, and attributes that are set."""
        with self.unrecorded() as raw:
            kinds = [type(raw), type(raw.cursor())]
            expected = [[hasattr(kind, name) for name in METHODS] for kind in kinds]
            plain = raw.cursor()
            has_size = hasattr(plain, "arraysize")  # a driver may lack it, although PEP 249 requires it
            arraysize = plain.arraysize if has_size else 0
        with self.opened() as (_, connection):
            cursor = connection.cursor()
            found = [connection, cursor]
            expect([True, True], [isinstance(*pair) for pair in zip(found, kinds, strict=True)], "isinstance")
            expect(expected, [[hasattr(it, name) for name in METHODS] for it in found], f"methods of {METHODS}")
            expect(has_size, hasattr(cursor, "arraysize"), "whether a cursor has arraysize")
            if has_size:
                expect(arraysize, cursor.arraysize, "cursor.arraysize")
                cursor.arraysize = arraysize + 1
                expect(arraysize + 1, cursor.arraysize, "cursor.arraysize after it has been set")

    def test_secrets_stay_in_the_process(self) -> None:
        """Neither literals nor parameters are in the report."""
        with self.opened() as (scout, connection):
            with Transaction(_JOB):
                cursor = connection.cursor()
                cursor.execute(f"SELECT '{_LITERAL}'")
                cursor.fetchall()
                cursor.execute(self.insert, (_PARAMETER,))
                cursor.executemany(self.insert, [(_PARAMETER,)])
            body = encode(scout.report()).decode()
            expect(True, QUERY in body, "the report has the spans")
            expect([], [text for text in (_LITERAL, _PARAMETER) if text in body], "secrets in the report")

    def test_threads_have_their_own_parents(self) -> None:
        """Each statement belongs to the transaction of its thread."""

        def work(number: int) -> None:
            connection = self.connect()
            with Transaction(f"{JOB}/{number}"):
                run(connection.cursor(), f"SELECT {number}")
            connection.close()

        with recording(**self.settings) as scout:
            with ThreadPoolExecutor(_THREADS) as pool:
                list(pool.map(work, range(3 * _THREADS)))
            expected = {f"{JOB}/{number}": [f"SELECT {number}"] for number in range(3 * _THREADS)}
            found = {
                done.operation: [span.tags.get("statement") for span in sql_spans(done.spans)]
                for done in scout.transactions
            }
            expect(expected, found, "statements of each thread")

    def test_a_span_is_current_while_its_statement_runs_only(self) -> None:
        """A span that begins after a statement is not inside it."""
        with self.opened() as (scout, connection):
            with Transaction(_JOB):
                run(connection.cursor(), "SELECT 1")
                error_of(connection, self.wrong)
                with OutermostSpan("Suite/After"):
                    pass
            after = [span.parent for span in scout.transaction.spans if span.operation == "Suite/After"]
            expect([_JOB], after, "parent of a span after the statements")

    def test_below_an_outer_span_nothing_is_recorded(self) -> None:
        """The plugin of the driver does not record a statement that an ORM records."""
        with self.opened() as (scout, connection):
            with Transaction(_JOB), OutermostSpan(QUERY, statement=_OUTER):
                run(connection.cursor(), "SELECT 1")
                shortcut(connection)
            expect([(QUERY, _OUTER, None)], facts(scout), "spans, with an outermost_span around the statements")

    def test_outside_a_transaction_nothing_is_recorded(self) -> None:
        """The statements work."""
        with self.opened() as (scout, connection):
            expect(2, len(self.rows(connection)), "number of rows")
            expect([], scout.spans, "spans outside a transaction")

    def test_a_second_agent_records_once(self) -> None:
        """Neither connections that are still open nor new ones are recorded twice."""
        with recording(**self.settings):
            old = self.connect()
        with recording(**self.settings) as scout:
            new = self.connect()
            with Transaction(_JOB):
                run(new.cursor(), "SELECT 1")
            with Transaction(_JOB):
                run(old.cursor(), "SELECT 2")
            counts = [len(sql_spans(done.spans)) for done in scout.transactions]
        old.close()
        new.close()
        expect(1, counts[0], "spans of a connection of the second agent")
        expect(True, counts[1] <= 1, "at most 1 span of a connection of the first agent")

    def test_after_the_agent_nothing_is_left(self) -> None:
        """New connections are the driver's own again, and those that are still open record nothing."""
        with self.unrecorded() as raw:
            before = (type(raw), type(raw.cursor()))
        with recording(**self.settings):
            old = self.connect()
        with closing(old):
            with closing(self.connect()) as new:
                expect(before, (type(new), type(new.cursor())), "classes of a new connection and its cursor")
            run(old.cursor(), "SELECT 1")
            if self.without:
                with recording(**self.without) as scout:
                    with Transaction(_JOB):
                        run(old.cursor(), "SELECT 2")
                    expect([], facts(scout), "spans of an old connection, without the plugin")
