"""The database of the application: SQLAlchemy on SQLite in memory."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Column, Engine, Integer, MetaData, Row, String, Table, create_engine, select
from sqlalchemy.pool import StaticPool

SELECTS: Final = 10
ITEMS: Final = 50

items = Table(
    "items", MetaData(), Column("id", Integer, primary_key=True), Column("name", String), Column("price", Integer)
)


def make_engine() -> Engine:
    """Create a database in memory, with one connection and all rows."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    with engine.begin() as connection:
        items.metadata.create_all(connection)
        rows = [{"id": number, "name": f"Item <{number}>", "price": number * 7} for number in range(1, ITEMS + 1)]
        connection.execute(items.insert(), rows)
    return engine


def read_items(engine: Engine) -> list[Row[Any] | None]:  # Any: as SQLAlchemy types the rows of a table
    """Read some rows, each with a query of its own."""
    with engine.connect() as connection:
        return [
            connection.execute(select(items).where(items.c.id == number)).first() for number in range(1, SELECTS + 1)
        ]
