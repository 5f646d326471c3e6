"""Rows that cannot be read, and tables that are not ours: left out or set aside, counted, and shown; everything else still works."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import cycle
from pathlib import Path
from urllib.parse import quote

import known_shop
import pytest
from attrs import evolve
from sample_reports import report, send
from test_damage import started
from visitor import Visitor, visitor_of

from scout_core.measuring.report import Report
from scout_dashboard.queries import Queries
from scout_dashboard.ranges import named_range
from scout_dashboard.store import Store, files
from scout_dashboard.store.files import KINDS, Kind
from scout_dashboard.store.markers import Marker
from scout_dashboard.store.operations import id_of
from scout_dashboard.store.row_checks import CHECKS
from scout_dashboard.store.tables import TABLES
from scout_dashboard.store.unreadable import find
from scout_dashboard.tally import Tally
from scout_dashboard.warming import warming

NOW = time.time()
TRACE_ID = "ab" * 16
"""The distributed trace that all traces are parts of."""
NAMES = ("Controller/shop.home", "Controller/shop.checkout", "Job/mail.send")
LISTS = ("/", "/endpoints", "/jobs", "/errors?range=24h", "/operations?range=24h", "/plugins", "/health", "/deploys")
VALUES = (
    "NULL", "'text'", "''", "x'ff00ff'", "x''", "'{'", "'[]'", "'{\"a\": 1}'", "'{\"a\": [1, \"b\", 2, 3]}'", "9223372036854775807",
    "-9223372036854775808", "-1", "1e308", "9e999", "0.5", "CAST(x'ff' AS TEXT)", "CAST(x'610062' AS TEXT)", "'[1e999]'",
)  # fmt: skip
"""Expressions of SQL. The last texts are not UTF-8, or have a NUL."""


def columns() -> Iterator[tuple[Kind, str, str]]:
    for kind in KINDS:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(TABLES[kind])
            tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)):
                    yield kind, table, column


def reports(now: float) -> list[Report]:
    """Return reports of many applications, with errors, and traces that call each other."""
    found = []
    for number in range(len(VALUES)):
        base = report(end=now, app=f"Shop {number}", instance=f"{number:016x}", seed=number, traces=3)
        traces = [
            evolve(trace, trace_id=TRACE_ID, parent_span_id=base.traces[0].id if place else "", error=known_shop.ERROR)
            for place, trace in enumerate(base.traces)
        ]
        found.append(evolve(base, traces=tuple(traces)))
    return found


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory."""
    directory = tmp_path_factory.mktemp("stored") / "data"
    with closing(Store(directory)) as store:
        for sent in reports(NOW):
            store.apply(sent, now=NOW)
            store.mark(Marker(NOW, sent.process.app, "by hand"), now=NOW)
    return directory


def of_day(directory: Path, kind: Kind) -> Path:
    return files.path_of(directory, kind, files.day_of(NOW))


def addresses() -> list[str]:
    traces = [trace.id for sent in reports(NOW)[::5] for trace in sent.traces]
    ops = [id_of(figures.operation, figures.detail) for figures in reports(NOW)[0].operations[::2]]
    groups = dict.fromkeys(group.group for sent in reports(NOW) for group in sent.error_groups)
    pages = [
        *LISTS, *(f"/error?group={group}&range=24h" for group in groups), *(f"/operation?id={op}&range=24h" for op in ops), "/?range=7d", "/jobs?app=Shop%200", "/health?app=Shop%201", *(f"/endpoint?name={quote(name)}&range=24h" for name in NAMES),
        *(f"/trace/{trace}" for trace in traces), f"/deploy?app=Shop%203&revision=by%20hand&at={NOW}",
    ]  # fmt: skip
    lists = [
        "/overview",
        *LISTS[1:],
        "/apps",
        "/traces?range=24h&limit=100&sort=score",
        *pages[len(LISTS) + len(groups) + len(ops) + 1 :],
    ]
    lists += [f"/operation?id={op}&range=24h" for op in ops]
    lists += [f"/error?group={group}&range=24h" for group in groups]
    return [*pages, *(f"/json{path}" for path in lists)]


ADDRESSES = addresses()


def failures(visitor: Visitor) -> list[tuple[str, int]]:
    """Return the addresses that fail, with their status."""
    found = [(address, visitor.ask(address)[0]) for address in ADDRESSES]
    return [(address, status) for address, status in found if status >= 500]


def damage(path: Path, table: str, column: str, *, first: int) -> int:
    """Set the column of each row to another value, where the table takes it, and return how many rows there are."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        keys = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk", (table,))]
        without = (
            "WITHOUT ROWID"
            in connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
        )
        key = ", ".join(keys) if without else "rowid"
        rows = connection.execute(f"SELECT {key} FROM {table}").fetchall()
        values = cycle((*VALUES[first % len(VALUES) :], *VALUES[: first % len(VALUES)]))
        for row, value in zip(rows, values, strict=False):
            where = f"({key}) = ({', '.join('?' * len(row))})"
            with suppress(sqlite3.IntegrityError):  # a row id must be a number
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = {value} WHERE {where}", row)
    return len(rows)


@pytest.mark.parametrize(
    ("kind", "table", "column"), list(columns())[:: 1 if os.environ.get("TEST_SIZE") == "full" else 4]
)
def test_whatever_a_column_has_every_page_renders_and_reports_are_stored(tmp_path, stored, kind, table, column):
    first, number = 0, 0
    while first < len(VALUES):
        number += 1
        state = tmp_path / str(number)
        shutil.copytree(stored, state / "state" / "data")
        rows = damage(of_day(state / "state" / "data", kind), table, column, first=first)
        assert rows
        with started(state) as collector:
            visitor = visitor_of(collector)
            assert [] == failures(visitor)
            for sent in reports(NOW + 1)[:2]:
                new = evolve(sent, id=f"{sent.process.instance}-2")
                assert 202 == send(collector.url, collector.token, new)[0]
            assert [] == failures(visitor)
        first += rows


def test_every_column_has_a_check():
    assert set(columns()) == {
        (kind, table, column)
        for kind, tables in CHECKS.items()
        for table, checks in tables.items()
        for column in checks
    }


def test_checks_accept_what_is_stored(stored):
    for kind in KINDS:
        with closing(sqlite3.connect(of_day(stored, kind))) as connection:
            assert {} == find(connection, kind, known={})


DAMAGED = {
    "a histogram": (
        "metrics",
        "rollup",
        "durations",
        "x'ff'",
        "series IN (SELECT id FROM series WHERE name = 'Controller/shop.home')",
    ),
    "kinds": ("metrics", "rollup", "kinds", "'{'", "series IN (SELECT id FROM series WHERE is_total AND is_web)"),
    "facts that are not JSON": ("metrics", "process", "facts", "'{'", "app = 'Shop 3'"),
    "facts of another shape": ("metrics", "process", "facts", "json_set(facts, '$.process', 3)", "app = 'Shop 3'"),
    "facts without a key": (
        "metrics",
        "process",
        "facts",
        "json_remove(facts, '$.counters.collector.dropped')",
        "app = 'Shop 3'",
    ),
    "a text that is not UTF-8": ("traces", "trace", "host", "CAST(x'ff' AS TEXT)", "app = 'Shop 3'"),
    "policies": ("traces", "trace", "policies", "'{\"a\": []}'", "app = 'Shop 3'"),
    "the body of a trace": ("traces", "trace", "body", "x'00'", "app = 'Shop 0'"),
    "the example of a group of errors": ("metrics", "error_group", "example", "x'ff'", "app = 'Shop 3'"),
    "the shape of an example": ("metrics", "error_group", "example", "x'789cabae0500017500f9'", "app = 'Shop 3'"),
    "a count of errors": (
        "metrics",
        "error_rollup",
        "handled",
        "'many'",
        "series IN (SELECT id FROM error_series WHERE app = 'Shop 3')",
    ),
    "the shares of an operation": (
        "metrics",
        "operation_rollup",
        "endpoints",
        "'{\"1\": [1, 2]}'",
        "series IN (SELECT id FROM operation_series WHERE app = 'Shop 3')",
    ),
    "a place": ("metrics", "operation_place", "text", "x'ff'", "id = (SELECT max(id) FROM operation_place)"),
    "an error": ("traces", "error", "line", "x'00'", "trace IN (SELECT id FROM trace WHERE app = 'Shop 3')"),
}


@pytest.mark.parametrize(("kind", "table", "column", "value", "where"), DAMAGED.values(), ids=DAMAGED)
def test_rows_that_cannot_be_read_are_left_out_shown_and_moved(tmp_path, stored, kind, table, column, value, where):
    """All others are still used, before and after they are moved, and after a restart."""
    directory = tmp_path / "state" / "data"
    shutil.copytree(stored, directory)
    path = of_day(directory, kind)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        before = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        if table == "error":  # lists only read those without a group
            connection.execute("UPDATE error SET grp = ''")
        rows = connection.execute(f"UPDATE {table} SET {column} = {value} WHERE {where}").rowcount
    new = evolve(reports(NOW + 1)[7], id="f" * 16 + "-1")
    with started(tmp_path) as collector:
        visitor = visitor_of(collector)
        assert [] == failures(visitor)
        noted = visitor.facts("/health")["damaged"]
        shown = [visitor.page(page).text for page in ("/", "/health")]
        assert 202 == send(collector.url, collector.token, new)[0]
        moved = visitor.facts("/health")["damaged"]
    with started(tmp_path) as collector:
        visitor = visitor_of(collector)
        assert [] == failures(visitor)
        again = visitor.facts("/health")["damaged"]
        shown += [visitor.page(page).text for page in ("/", "/health")]
    with closing(sqlite3.connect(path)) as connection:
        left = connection.execute(f"SELECT count(*) FROM {table} WHERE NOT ({column} IS {value})").fetchone()[0]

    name = f"{path.name}.damaged-{rows}-rows"
    assert rows
    assert [(path.name, rows)] == [(file["name"], file["rows"]) for file in noted]
    assert [(name, rows)] == [(file["name"], file["rows"]) for file in moved]
    assert moved == again
    assert f"such as one whose {column} is " in noted[0]["reason"]
    assert noted[0]["reason"] == moved[0]["reason"]
    assert before - rows <= left
    assert rows == len((directory / name).read_text().splitlines())
    text = f"{rows} row{'s' * (rows != 1)}"
    for overview in shown[::2]:
        assert f"{text} cannot be read and {'is' if rows == 1 else 'are'} left out: {kind} of" in overview
    for health in shown[1::2]:
        assert f"{text} left out; everything else in these files is used" in health
        assert noted[0]["reason"] in health


def test_the_figures_of_other_rows_stay(tmp_path, stored):
    shutil.copytree(stored, tmp_path / "state" / "data")
    with closing(sqlite3.connect(of_day(tmp_path / "state" / "data", "metrics"), isolation_level=None)) as connection:
        connection.execute(
            "UPDATE rollup SET durations = x'ff' WHERE series = (SELECT id FROM series WHERE name = 'Controller/shop.home' LIMIT 1)"
        )
    with started(tmp_path) as collector:
        rows = visitor_of(collector).facts("/endpoints?range=24h")["rows"]

    sums: dict[str, int] = {}
    for number, sent in enumerate(reports(NOW)):
        for metrics in sent.transactions:
            if metrics.name.startswith("Controller/") and not (number == 0 and metrics.name == "Controller/shop.home"):
                sums[metrics.name] = sums.get(metrics.name, 0) + metrics.count
    assert sums == {row["name"]: row["count"] for row in rows}


def test_a_day_that_is_damaged_in_many_ways_is_read_by_many_at_once(tmp_path, stored):
    shutil.copytree(stored, tmp_path / "state" / "data")
    for kind, table, column, value, where in DAMAGED.values():
        with closing(sqlite3.connect(of_day(tmp_path / "state" / "data", kind), isolation_level=None)) as connection:
            with suppress(sqlite3.OperationalError):  # json_set() of what is not JSON
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = {value} WHERE {where}")
    with started(tmp_path) as collector, ThreadPoolExecutor(8) as pool:
        visitor = visitor_of(collector)
        found = pool.map(lambda _: failures(visitor), range(8))

        assert [[]] * 8 == list(found)


def test_a_group_of_errors_without_a_readable_row_still_has_its_figures(tmp_path):
    made, group = next(
        (sent, group) for sent in reports(NOW) for group in sent.error_groups if group.example is not None
    )
    directory = tmp_path / "state" / "data"
    with closing(Store(directory)) as store:
        store.apply(made, now=NOW)
    with closing(sqlite3.connect(of_day(directory, "metrics"), isolation_level=None)) as connection:
        connection.execute("UPDATE error_group SET example = x'ff' WHERE grp = ?", (group.group,))
    with started(tmp_path) as collector:
        visitor = visitor_of(collector)
        page = visitor.page(f"/error?group={group.group}&range=24h")
        facts = visitor.facts(f"/error?group={group.group}&range=24h")
        (damaged,) = visitor.facts("/health")["damaged"]

    assert f"Errors {group.count:,} in this range" in page.text
    assert (group.count, None, "", None) == (facts["count"], facts["example"], facts["title"], facts["first"])
    assert 1 == damaged["rows"]
    assert "1 row of error_group, such as one whose example is a value of 1 bytes" == damaged["reason"]


@pytest.mark.parametrize(
    ("table", "column", "page"),
    [
        ("error_rollup", "count", "/errors"),
        ("error_rollup", "handled", "/errors"),
        ("rollup", "count", "/endpoints"),
        ("rollup", "errors", "/endpoints"),
        ("rollup", "total", "/endpoints"),
    ],
)
@pytest.mark.parametrize("value", ["'many'", "x'ff'", "''"])
def test_what_is_not_a_number_is_not_added_as_0(tmp_path, stored, table, column, page, value):
    """SQLite adds it so, and no other query of these pages reads the row."""
    shutil.copytree(stored, tmp_path / "state" / "data")
    series = {"rollup": "series WHERE is_web AND NOT is_total", "error_rollup": "error_series"}[table]
    with closing(sqlite3.connect(of_day(tmp_path / "state" / "data", "metrics"), isolation_level=None)) as connection:
        connection.execute(
            f"UPDATE {table} SET {column} = {value} WHERE rowid = (SELECT min(r.rowid) FROM {table} r"
            f" WHERE r.series IN (SELECT id FROM {series}))"
        )
    with closing(Store(tmp_path / "state" / "data")) as store:
        queries = Queries(store, Tally())
        show = {"/errors": queries.errors, "/endpoints": queries.endpoints}[page]
        queries.readable(lambda: show(named_range("24h")))
        (damaged,) = store.damage.found()

    assert 1 == damaged.rows
    assert f"1 row of {table}, such as one whose {column} is " in damaged.reason


def test_damage_is_found_while_the_pages_are_prepared_after_a_start(tmp_path, stored):
    shutil.copytree(stored, tmp_path / "data")
    with closing(sqlite3.connect(of_day(tmp_path / "data", "metrics"), isolation_level=None)) as connection:
        connection.execute("UPDATE process SET facts = '{' WHERE app = 'Shop 3'")
    with closing(Store(tmp_path / "data")) as store:
        with warming(Queries(store, Tally())) as thread:
            thread.join()
        (damaged,) = store.damage.found()

    assert (1, "process") == (damaged.rows, damaged.reason.split()[3].strip(","))


def test_an_error_without_a_damaged_row_is_raised(tmp_path, stored):
    shutil.copytree(stored, tmp_path / "data")
    with closing(Store(tmp_path / "data")) as store:

        def fail() -> None:
            store.reader.rows("metrics", "SELECT 1")
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            store.reader.readable(fail)
        assert [] == store.damage.found()


def trigger(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"CREATE TRIGGER mine BEFORE INSERT ON {table} BEGIN SELECT raise(ABORT, 'no space left'); END")


def quiet_trigger(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"CREATE TRIGGER mine AFTER INSERT ON {table} BEGIN DELETE FROM {table}; END")


def view(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"ALTER TABLE {table} RENAME TO mine")
    connection.execute(f"CREATE VIEW {table} AS SELECT * FROM mine")


def another_view(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"CREATE VIEW mine AS SELECT * FROM {table}")


def another_table(connection: sqlite3.Connection, _: str) -> None:
    connection.execute("CREATE TABLE mine (text)")


def another_column(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"ALTER TABLE {table} ADD COLUMN mine TEXT NOT NULL DEFAULT ''")


def other_columns(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"CREATE TABLE {table} (mine)")


def unique_index(connection: sqlite3.Connection, table: str) -> None:
    column = connection.execute("SELECT name FROM pragma_table_info(?) ORDER BY cid DESC", (table,)).fetchone()[0]
    connection.execute(f"DELETE FROM {table}")
    connection.execute(f"CREATE UNIQUE INDEX mine ON {table} ({column})")


def no_table(connection: sqlite3.Connection, table: str) -> None:
    connection.execute(f"DROP TABLE {table}")


FOREIGN = (
    trigger,
    quiet_trigger,
    view,
    another_view,
    another_table,
    another_column,
    other_columns,
    unique_index,
    no_table,
)
TABLES_OF = (("metrics", "report"), ("metrics", "process"), ("metrics", "rollup"), ("traces", "trace"))


@pytest.mark.parametrize(("kind", "table"), TABLES_OF)
@pytest.mark.parametrize("change", FOREIGN)
@pytest.mark.parametrize("is_running", [False, True])
def test_a_file_with_other_tables_or_triggers_is_set_aside_and_reports_are_stored(
    tmp_path, stored, change, kind, table, is_running: bool
):
    directory = tmp_path / "state" / "data"
    shutil.copytree(stored, directory)
    path = of_day(directory, kind)

    def spoil() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            change(connection, table)

    if not is_running:
        spoil()
    with started(tmp_path) as collector:
        visitor = visitor_of(collector)
        if is_running:
            assert [] == failures(visitor)
            spoil()
            collector.store.reader.close()
        assert [] == failures(visitor)
        new = evolve(reports(NOW + 1)[0], id="f" * 16 + "-1")
        assert 202 == send(collector.url, collector.token, new)[0]
        assert [] == failures(visitor)
        (file,) = visitor.facts("/health")["damaged"]
        total = visitor.facts("/traces?range=24h")["total"], visitor.facts("/apps")["rows"]

    assert (f"{path.name}.damaged", 0) == (file["name"], file["rows"])
    assert total[0] if kind == "metrics" else total[1]
