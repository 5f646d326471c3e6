"""The conformance suite on redis-py itself, against a real server."""

from __future__ import annotations

import redis

from scout_core.testing import Call, conformance, hostile


def asks(url: str) -> None:
    client = redis.StrictRedis.from_url(url)
    assert client.set(hostile("name"), hostile("tea"))
    assert b"tea" == client.get("name")
    client.connection_pool.disconnect()


def sends_many(url: str) -> None:
    client = redis.StrictRedis.from_url(url)
    assert [True, b"1"] == client.pipeline().set("a", 1).get("a").execute()
    client.connection_pool.disconnect()


def fails(url: str) -> None:
    client = redis.StrictRedis.from_url(url)
    client.set("name", "tea")
    try:
        client.incr("name")
    finally:
        client.connection_pool.disconnect()


def listens(url: str) -> None:
    client = redis.StrictRedis.from_url(url)
    subscription = client.pubsub()
    subscription.subscribe("news")
    assert "subscribe" == subscription.get_message(timeout=20)["type"]
    subscription.close()
    client.connection_pool.disconnect()


async def asks_async(url: str) -> None:
    from redis.asyncio import from_url

    async with from_url(url) as client, client.pubsub() as subscription:
        assert await client.set(hostile("name"), "tea")
        assert [b"tea"] == await client.pipeline().get("name").execute()
        await subscription.subscribe("news")
        assert "subscribe" == (await subscription.get_message(timeout=20))["type"]


HAS_ASYNCIO = hasattr(redis, "asyncio")  # since 4.2

test_conformance = conformance(
    "scout_redis",
    asks,
    sends_many,
    listens,
    *([asks_async] if HAS_ASYNCIO else []),
    Call(fails, raises=redis.ResponseError),
)
