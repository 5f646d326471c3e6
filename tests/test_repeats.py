"""Calls that one line of the application repeats: N+1 queries."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scout_core import Transaction, propagate, span, transaction
from scout_core.measuring.trace_report import SpanRepeat
from scout_core.recording.repeated import MOST_REPEATS
from scout_core.testing import recording
from tests.workbench import plugin

pytestmark = pytest.mark.scout(n_plus_one_seconds=0)
HERE = __file__


def query(number: int) -> None:
    with span("SQL/Query", statement=f"SELECT * FROM line WHERE purchase = {number}"):
        pass


QUERY = "SELECT * FROM line WHERE purchase = ?"
LINE = query.__code__.co_firstlineno + 1


def of_query(count: int) -> tuple[object, ...]:
    return "SQL/Query", QUERY, count, HERE, LINE, "query"


def facts(repeat: SpanRepeat) -> tuple[object, ...]:
    return repeat.operation, repeat.statement, repeat.count, repeat.file, repeat.line, repeat.function


def repeats(scout) -> list[tuple[object, ...]]:
    (trace,) = scout.traces()
    return [facts(repeat) for repeat in trace.repeats]


@pytest.mark.parametrize(("queries", "found"), [(0, []), (4, []), (5, [of_query(5)]), (100, [of_query(100)])])
def test_queries_that_differ_in_their_values_are_repeated_from_the_fifth(scout, queries, found):
    with transaction("Controller/orders"):
        for number in range(queries):
            query(number)

    assert found == repeats(scout)


def test_the_next_transaction_of_the_process_has_the_same(scout):
    """In the first, all calls around a span are noted: which files are the application's is found on the agent's thread."""
    found = []
    for name in ("first", "second"):
        with transaction(f"Controller/{name}"):
            for number in range(9):
                query(number)
        found += repeats(scout)

    assert [of_query(9)] * 2 == found


@pytest.mark.parametrize(
    ("settings", "is_found"),
    [
        ({"n_plus_one_calls": 6}, True),
        ({"n_plus_one_calls": 7}, False),
        ({"n_plus_one_calls": 0}, False),
        ({"n_plus_one_calls": 1}, True),
        ({"n_plus_one_seconds": 600}, False),
    ],
)
def test_how_many_and_how_long_can_be_set(settings, is_found):
    with recording(plugins_autoload=False, **{"n_plus_one_seconds": 0, **settings}) as scout:
        with transaction("Controller/orders"):
            for number in range(6):
                query(number)

        assert ([of_query(6)] if is_found else []) == repeats(scout)


@pytest.mark.parametrize(("milliseconds", "is_found"), [(29, False), (30, True)])
def test_by_default_five_calls_must_take_150_milliseconds_together(milliseconds, is_found):
    with recording(plugins_autoload=False) as scout:
        with transaction("Controller/orders") as orders:
            for number in range(5):
                query(number)
        for recorded in orders.spans:
            recorded.stop_ns = recorded.start_ns + milliseconds * 1_000_000

        (trace,) = scout.traces()
        assert [0.15] * is_found == [repeat.seconds for repeat in trace.repeats]


def test_two_lines_with_the_same_statement_are_two(scout):
    def again() -> None:
        with span("SQL/Query", statement="SELECT * FROM line WHERE purchase = 7"):
            pass

    with transaction("Controller/orders"):
        for _ in range(7):
            query(1)
        for _ in range(5):
            again()

    assert {("query", 7), ("again", 5)} == {(found[5], found[2]) for found in repeats(scout)}


def test_two_statements_of_one_line_are_two(scout):
    with transaction("Controller/orders"):
        for number in range(20):
            with span("SQL/Query", statement=f"SELECT {'a' if number % 2 else 'b'} FROM line"):
                pass

    assert {("SELECT a FROM line", 10), ("SELECT b FROM line", 10)} == {
        (found[1], found[2]) for found in repeats(scout)
    }


def test_calls_without_a_statement_are_compared_by_operation_and_line(scout):
    with transaction("Job/import"):
        for number in range(8):
            with span("HTTP/GET", url=f"http://prices.example/{number}"):
                pass

    assert [("HTTP/GET", "", 8)] == [found[:3] for found in repeats(scout)]


def test_a_call_around_other_calls_is_not_one_of_them(scout):
    """The rendering of a template in a loop, whose queries are the cause."""
    with transaction("Controller/orders"):
        for number in range(6):
            with span("Template/Render"):
                query(number)

    assert [of_query(6)] == repeats(scout)


def test_unlike_calls_are_no_repeats(scout):
    with transaction("Controller/orders"):
        for number in range(30):
            with span(f"Cache/{number % 10}"):
                pass

    assert [] == repeats(scout)


def test_the_line_is_that_of_the_application_and_not_of_a_library(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages"
    installed.mkdir()
    (installed / "orm_of_a_stranger.py").write_text(
        "from scout_core import span\n\n\ndef fetch(number):\n    with span('SQL/Query', statement=f'SELECT {number}'):\n        pass\n"
    )
    monkeypatch.syspath_prepend(str(installed))
    import orm_of_a_stranger

    with recording(plugins_autoload=False, n_plus_one_seconds=0) as scout:
        found = []
        for name in ("first", "second"):
            with transaction(f"Controller/{name}"):
                for number in range(6):
                    orm_of_a_stranger.fetch(number)
            found += repeats(scout)
    del sys.modules["orm_of_a_stranger"]
    here = sys._getframe().f_code
    assert [(HERE, here.co_name)] * 2 == [(file, function) for *_, file, _, function in found]


def test_without_a_function_of_the_application_there_is_no_line(monkeypatch):
    monkeypatch.setattr(
        sys.modules["__main__"], "__file__", "main.py", raising=False
    )  # what runs tests may have none; only_here: no test before has asked for the same
    with recording(
        plugins_autoload=False, n_plus_one_seconds=0, in_app_exclude=f"{Path(HERE).parent}, only_here"
    ) as scout:
        found = []
        for name in ("first", "second"):
            with transaction(f"Controller/{name}"):
                for number in range(6):
                    query(number)
            found += repeats(scout)

    assert [(6, "", 0, "")] * 2 == [of_line[2:] for of_line in found]


def test_literals_of_a_statement_stay_in_the_process(scout):
    with transaction("Controller/orders"):
        for _ in range(5):
            with span("SQL/Query", statement="SELECT 1 FROM card WHERE number = '4111111111111111'"):
                pass

    (trace,) = scout.traces()
    assert "SELECT ? FROM card WHERE number = ?" == trace.repeats[0].statement


def test_coroutines_and_threads_of_one_transaction_count_together(scout):
    async def page() -> None:
        async def fetch(number: int) -> None:
            await asyncio.sleep(0)
            query(number)

        await asyncio.gather(*[fetch(number) for number in range(5)])

    with transaction("Controller/orders"):
        asyncio.run(page())
        with ThreadPoolExecutor(1) as pool:
            list(pool.map(propagate(query), range(5)))

    assert [of_query(10)] == repeats(scout)


def test_the_number_of_repeated_calls_is_limited_to_those_that_take_longest(scout):
    with transaction("Controller/orders") as orders:
        for kind in range(MOST_REPEATS + 5):
            for _ in range(5):
                with span(f"Kind{kind}/Call"):
                    pass
    for recorded in orders.spans:
        recorded.stop_ns = recorded.start_ns + 1_000 * int(recorded.kind.removeprefix("Kind"))

    assert [f"Kind{kind}/Call" for kind in reversed(range(5, MOST_REPEATS + 5))] == [
        found[0] for found in repeats(scout)
    ]


def test_plugins_read_them_once_the_transaction_has_ended():
    seen = []

    def on_request_end(transaction):
        seen.append([facts(repeat) for repeat in transaction.repeats])

    watching = plugin("watching", on_request_end=on_request_end)
    with recording(plugins=[watching], plugins_autoload=False, n_plus_one_seconds=0) as scout:
        with transaction("Controller/orders") as orders:
            for number in range(5):
                query(number)
            assert () == orders.repeats
        scout.traces()

    assert [[of_query(5)]] == seen


def test_a_transaction_from_a_stored_trace_has_them(scout):
    with transaction("Controller/orders"):
        for number in range(5):
            query(number)

    (trace,) = scout.traces()
    assert trace.repeats == Transaction.from_trace(trace).repeats
    assert [of_query(5)] == [facts(repeat) for repeat in trace.repeats]


def test_local_variables_are_not_kept_alive(scout):
    class Order:
        gone = False

        def __del__(self) -> None:
            Order.gone = True

    def show() -> None:
        order = Order()
        for number in range(9):
            query(number)
        assert not order.gone

    with transaction("Controller/orders"):
        show()
        assert Order.gone


def test_real_queries_of_a_driver_point_at_the_loop():
    connection = sqlite3.connect(":memory:")

    def instrument(wrap):
        wrap("tests.test_repeats:Shop.lines", lambda shop, number: span("SQL/Query", statement=f"SELECT {number}"))

    with recording(
        plugins=[plugin("shop", instrument=instrument)], plugins_autoload=False, n_plus_one_seconds=0
    ) as scout:
        with transaction("Controller/orders"):
            shop = Shop(connection)
            for number in range(5):
                shop.lines(number)

        here = sys._getframe().f_code.co_name
        assert [(5, here)] == [(found[2], found[5]) for found in repeats(scout)]
    connection.close()


class Shop:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def lines(self, number: int) -> list[object]:
        return self.connection.execute("SELECT ?", (number,)).fetchall()


def test_of_calls_that_are_over_soon_no_line_is_noted():
    with recording(plugins_autoload=False, n_plus_one_seconds=60) as scout:
        with transaction("Controller/orders") as orders:
            for number in range(9):
                query(number)
        noted = hasattr(orders, "own_repeats")
        for recorded in orders.spans:
            recorded.stop_ns = recorded.start_ns + 7_000_000_000  # as queries that ran at the same time

        found = repeats(scout)
    assert not noted
    assert [("SQL/Query", QUERY, 9, "", 0, "")] == found
