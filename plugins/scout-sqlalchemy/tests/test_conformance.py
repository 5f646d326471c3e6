"""The conformance suite on SQLAlchemy itself, with SQLite."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from scout_core.testing import Call, conformance, hostile

INSERT = sa.text("INSERT OR IGNORE INTO item (name) VALUES (:name)")


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A database with a table. Each call has its own engine, because connections do not outlive a loop or a fork."""
    file = str(tmp_path / "shop.sqlite3")
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE item (name TEXT PRIMARY KEY)"))
        connection.execute(INSERT, {"name": "tea"})
    engine.dispose()
    return file


def selects(file: str) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        statement = sa.text("SELECT count(*) FROM item WHERE name = :name")
        assert 1 == connection.execute(statement, {"name": hostile("tea")}).scalar()
    engine.dispose()


def executes_without_parameters(file: str) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.connect().execution_options(no_parameters=True) as connection:
        assert 1 == connection.execute(sa.text("SELECT count(*) FROM item")).scalar()
    engine.dispose()


def executes_many(file: str) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.execute(INSERT, [{"name": "tea"}, {"name": "tea"}])
    engine.dispose()


def inserts_what_is_there(file: str) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO item (name) VALUES ('tea')"))
    finally:
        engine.dispose()


async def selects_async(file: str) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    async with engine.connect() as connection:
        assert 1 == (await connection.execute(sa.text("SELECT count(*) FROM item"))).scalar()
    await engine.dispose()


async def inserts_what_is_there_async(file: str) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{file}")
    try:
        async with engine.begin() as connection:
            await connection.execute(sa.text("INSERT INTO item (name) VALUES ('tea')"))
    finally:
        await engine.dispose()


test_conformance = conformance(
    "scout_sqlalchemy",
    selects,
    executes_without_parameters,
    executes_many,
    selects_async,
    Call(inserts_what_is_there, raises=IntegrityError),
    Call(inserts_what_is_there_async, raises=IntegrityError),
)
