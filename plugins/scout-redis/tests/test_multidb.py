"""The client of several servers of which one is active, on two real ones: each command is one span, and so is each pipeline."""

from __future__ import annotations

import asyncio

import pytest

from scout_core import transaction
from scout_core.testing.servers import redis_server

pytestmark = pytest.mark.filterwarnings("ignore:MultiDBClient is an experimental:UserWarning")

PAGE = "Controller/cart"
EXPECTED = ["Redis/SET", "Redis/GET", "Redis/MULTI"]

multidb = pytest.importorskip("redis.multidb.client", reason="not with this redis-py, which has no such client")


@pytest.fixture(scope="module")
def urls(server):
    with redis_server("--appendonly", "no") as other:
        yield [server, other]


def test_commands_and_pipelines(scout, urls):
    from redis.multidb.config import DatabaseConfig, MultiDbConfig

    databases = [DatabaseConfig(from_url=url, weight=weight) for weight, url in enumerate(urls, start=1)]
    client = multidb.MultiDBClient(MultiDbConfig(databases_config=databases))
    client.initialize()
    with transaction(PAGE):
        assert client.set("a", 1)
        assert b"1" == client.get("a")
        pipe = client.pipeline()
        pipe.incr("a")
        pipe.get("a")
        assert [2, b"2"] == pipe.execute()
    client.close()

    assert EXPECTED == [span.operation for span in scout.transaction.spans]


def test_commands_and_pipelines_with_asyncio(scout, urls):
    from redis.asyncio.multidb.client import MultiDBClient
    from redis.asyncio.multidb.config import DatabaseConfig, MultiDbConfig

    async def page() -> None:
        databases = [DatabaseConfig(from_url=url, weight=weight) for weight, url in enumerate(urls, start=1)]
        async with MultiDBClient(MultiDbConfig(databases_config=databases)) as client:
            with transaction(PAGE):
                assert await client.set("a", 1)
                assert b"1" == await client.get("a")
                async with client.pipeline() as pipe:
                    pipe.incr("a")
                    pipe.get("a")
                    assert [2, b"2"] == await pipe.execute()

    asyncio.run(page())

    assert EXPECTED == [span.operation for span in scout.transaction.spans]
