"""The archive of the project on PostgreSQL: each statement is recorded once, with the name of its database."""

from __future__ import annotations

import asyncio

import django
import pytest
from django.db import DataError, connections
from django.test import Client

from scout_core import transaction

pytestmark = pytest.mark.usefixtures("postgres")


def statements(spans) -> list[tuple[str, str, str, str]]:
    """Operation, dialect, database and the beginning of each statement, as recorded."""
    return [
        (span.operation, span.tags["dialect"], span.tags["database"], str(span.tags["statement"]).split('"')[0].strip())
        for span in spans
        if span.operation.startswith("SQL/")
    ]


def of_archive(scout) -> list[tuple[str, str, str, str]]:
    return [found for found in statements(scout.spans) if found[2] == "archive"]


def query(statement: str, operation: str = "SQL/Query") -> tuple[str, str, str, str]:
    return operation, "postgresql", "archive", statement


def test_each_statement_and_savepoint_of_a_page_is_recorded_once_by_its_database(scout):
    assert b"2 copied" == Client().get("/archive/").content

    assert [query("SAVEPOINT"), query("INSERT INTO"), query("RELEASE SAVEPOINT")] * 2 == of_archive(scout)
    assert [("SQL/Query", "sqlite", "default", "SELECT")] == [
        found for found in statements(scout.spans) if found[2] == "default"
    ]


def test_a_savepoint_is_rolled_back_where_a_statement_has_failed(scout, shop):
    shop.objects.using("archive").create(pk=1, name="tea")
    Client().get("/archive/")

    assert [
        query(text)
        for text in (
            *("SAVEPOINT", "INSERT INTO", "ROLLBACK TO SAVEPOINT", "RELEASE SAVEPOINT"),
            *("SAVEPOINT", "INSERT INTO", "RELEASE SAVEPOINT"),
        )
    ] == of_archive(scout)
    failed = [span for span in scout.spans if span.error]
    assert [query("INSERT INTO")] == statements(failed)


@pytest.mark.scout(plugin_options={"django": {"transactions": True}})
def test_ends_of_transactions_are_recorded_by_option(scout):
    Client().get("/archive/")

    ends = [span.operation for span in scout.spans if span.operation != "SQL/Query"]
    assert [*["SQL/Savepoint", "SQL/SavepointCommit"] * 2, "SQL/Commit"] == ends


def test_a_server_side_cursor_is_one_statement_within_its_stream(scout, shop):
    shop.objects.using("archive").bulk_create([shop(pk=number, name=f"item {number}") for number in range(5)])
    response = Client().get("/archived/")
    assert [] == scout.transactions

    assert 5 == len(b"".join(response.streaming_content).splitlines())
    response.close()

    assert [query("SELECT")] == statements(scout.spans)
    assert [True] == [span.tags["statement"].startswith('SELECT "shop_project_item"') for span in scout.spans]


def test_many_rows_at_once_and_an_error_of_the_server(scout):
    with transaction("Job/import"), connections["archive"].cursor() as cursor:
        cursor.executemany("INSERT INTO shop_project_item (name) VALUES (%s)", [("a",), ("b",)])
        with pytest.raises(DataError):
            cursor.execute("SELECT 1 / %s", [0])

    assert [query("INSERT INTO shop_project_item (name) VALUES (%s)", "SQL/Many"), query("SELECT 1 / %s")] == (
        statements(scout.spans)
    )


def test_a_composed_statement_is_recorded_without_its_values(scout):
    if django.VERSION < (4, 2):
        from psycopg2 import sql
    else:
        from django.db.backends.postgresql.psycopg_any import sql

    with transaction("Job/count"), connections["archive"].cursor() as cursor:
        name = sql.Identifier("shop_project_item")
        cursor.execute(sql.SQL("SELECT count(*) FROM {} WHERE name = {}").format(name, sql.Literal("swordfish")))
        assert (0,) == cursor.fetchone()

    (span,) = scout.spans
    assert "SQL/Query" == span.operation
    assert "swordfish" not in repr(scout.traces())


def test_a_procedure_is_called_by_its_name(scout):
    with transaction("Job/call"), connections["archive"].cursor() as cursor:
        cursor.callproc("length", ["swordfish"])
        assert (9,) == cursor.fetchone()

    assert "length" in [span.tags.get("procedure") for span in scout.spans]
    assert "swordfish" not in repr([span.tags for span in scout.spans])


def test_asynchronous_calls_of_the_orm_are_recorded_once(scout, shop):
    if django.VERSION < (4, 1):
        pytest.skip("not with a Django without asynchronous queries")
    from asgiref.sync import ThreadSensitiveContext, sync_to_async
    from django.test import AsyncClient

    async def ask() -> bytes:
        async with ThreadSensitiveContext():
            try:
                return (await AsyncClient().get("/count_archived/")).content
            finally:
                await sync_to_async(connections.close_all)()

    shop.objects.using("archive").create(name="tea")
    assert b'{"count": 1, "names": ["tea"]}' == asyncio.run(ask())

    assert [query("SELECT COUNT(*) AS"), query("SELECT")] == statements(scout.spans)
