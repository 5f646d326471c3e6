"""The asyncio client, as its documentation uses it."""

from __future__ import annotations

import asyncio

import pytest

from scout_core import span, transaction
from scout_core.testing import RecordedSpan

redis = pytest.importorskip("redis.asyncio", reason="not with this redis-py, which has no asyncio")

PAGE = "Controller/cart"


def seen(operation: str, error: str | None = None, parent: str = PAGE, **tags: object) -> RecordedSpan:
    return RecordedSpan(operation, tags, parent=parent, error=error)


def test_commands_pipelines_and_their_async_with(scout, url):
    async def page() -> None:
        client = redis.from_url(url)
        async with client:
            await client.ping()
            with transaction(PAGE):
                assert await client.set("a", 1)
                async with client.pipeline(transaction=True) as pipe:
                    assert [2, b"2"] == await pipe.incr("a").get("a").execute()
                async with client.pipeline() as pipe:
                    await pipe.watch("a")
                    assert b"2" == await pipe.get("a")
                assert [] == await client.pipeline().execute()

    asyncio.run(page())

    expected = [seen("Redis/SET"), seen("Redis/MULTI", commands=2), seen("Redis/WATCH"), seen("Redis/GET")]
    assert expected == [
        recorded_span for recorded_span in scout.transaction.spans if recorded_span.operation != "Redis/UNWATCH"
    ]


def test_waiting_commands_and_messages(scout, url):
    async def page() -> None:
        client = redis.from_url(url)
        async with client, client.pubsub() as subscription:
            await client.ping()
            with transaction(PAGE):
                waiting = asyncio.create_task(client.blpop("queue", timeout=20))
                other = redis.from_url(url)
                async with other:
                    await other.rpush("queue", "job")
                assert [b"queue", b"job"] == list(await waiting)
                await subscription.subscribe("news")
                assert "subscribe" == (await subscription.get_message(timeout=20))["type"]

    asyncio.run(page())

    operations = [recorded_span.operation for recorded_span in scout.transaction.spans]
    assert {"Wait/BLPOP", "Redis/RPUSH", "Redis/SUBSCRIBE", "Wait/PubSub"} == set(operations)


def test_an_error_and_a_cancelled_command(scout, url):
    async def page() -> None:
        client = redis.from_url(url)
        async with client:
            await client.set("name", "tea")
            with transaction(PAGE):
                with pytest.raises(redis.ResponseError):
                    await client.incr("name")
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.blpop("nothing", timeout=20), 0.05)

    asyncio.run(page())

    failed, cancelled = scout.transaction.spans
    assert seen("Redis/INCRBY", error="redis.exceptions.ResponseError") == failed
    assert "Wait/BLPOP" == cancelled.operation


def test_fifty_tasks_at_a_time_have_the_right_parents(scout, url):
    async def part(client: redis.Redis, number: int) -> None:
        with transaction(f"Controller/{number}"), span(f"Part/{number}"):
            await asyncio.gather(*(client.incr(f"n{number}") for _ in range(5)))

    async def pages() -> None:
        async with redis.from_url(url, max_connections=300) as client:
            await asyncio.gather(*(part(client, number) for number in range(50)))

    asyncio.run(pages())

    assert 50 == len(scout.transactions)
    for recorded in scout.transactions:
        number = recorded.operation.partition("/")[2]
        assert 5 * [f"Part/{number}"] == [
            recorded_span.parent for recorded_span in recorded.spans if recorded_span.operation == "Redis/INCRBY"
        ]
