"""A cluster of three real nodes."""

from __future__ import annotations

import asyncio

import pytest

from scout_core import transaction

pytest.importorskip("redis.cluster", reason="not with this redis-py, which has no cluster client")

PAGE = "Controller/cart"
KEYS = ["a", "b", "c", "d", "e", "f"]
"""They are on all three nodes."""


def operations(scout) -> list[str]:
    """Spans of the page, without those of the client's own questions for the slots."""
    return [
        recorded_span.operation for recorded_span in scout.transaction.spans if "CLUSTER" not in recorded_span.operation
    ]


def test_commands_and_pipelines(scout, cluster):
    from redis.cluster import RedisCluster

    client = RedisCluster(host="127.0.0.1", port=cluster)
    with transaction(PAGE):
        for key in KEYS:
            assert client.set(key, 1)
        with client.pipeline() as pipe:
            for key in KEYS:
                pipe.incr(key)
            assert 6 * [2] == pipe.execute()
    client.close()

    assert [*6 * ["Redis/SET"], "Redis/MULTI"] == operations(scout)
    assert {"commands": 6} == scout.spans[-1].tags


def test_commands_and_pipelines_with_asyncio(scout, cluster):
    cluster_of_asyncio = pytest.importorskip("redis.asyncio.cluster", reason="not with this redis-py, which has none")

    async def page() -> None:
        async with cluster_of_asyncio.RedisCluster(host="127.0.0.1", port=cluster) as client:
            with transaction(PAGE):
                assert all(await asyncio.gather(*(client.set(key, 3) for key in KEYS)))
                async with client.pipeline() as pipe:
                    for key in KEYS:
                        pipe.incr(key)
                    assert 6 * [4] == await pipe.execute()

    asyncio.run(page())

    assert [*6 * ["Redis/SET"], "Redis/MULTI"] == operations(scout)
    assert {"commands": 6} == scout.spans[-1].tags


def test_a_pipeline_that_watches_sends_each_command_at_once(scout, cluster):
    from redis.cluster import RedisCluster

    client = RedisCluster(host="127.0.0.1", port=cluster)
    client.set("{stock}tea", 5)
    with transaction(PAGE), transactional(client) as pipe:
        pipe.watch("{stock}tea")
        left = int(pipe.get("{stock}tea"))
        pipe.multi()
        pipe.set("{stock}tea", left - 1)
        assert 1 == len(pipe.execute())
    assert b"4" == client.get("{stock}tea")
    client.close()

    assert ["Redis/WATCH", "Redis/GET", "Redis/MULTI"] == operations(scout)


def test_a_pipeline_with_asyncio_that_watches_sends_each_command_at_once(scout, cluster):
    cluster_of_asyncio = pytest.importorskip("redis.asyncio.cluster", reason="not with this redis-py, which has none")

    async def page() -> None:
        async with cluster_of_asyncio.RedisCluster(host="127.0.0.1", port=cluster) as client:
            await client.set("{stock}tea", 5)
            with transaction(PAGE):
                async with transactional(client) as pipe:
                    await pipe.watch("{stock}tea")
                    left = int(await pipe.get("{stock}tea"))
                    pipe.multi()
                    pipe.set("{stock}tea", left - 1)
                    assert 1 == len(await pipe.execute())
            assert b"4" == await client.get("{stock}tea")

    asyncio.run(page())

    assert ["Redis/WATCH", "Redis/GET", "Redis/MULTI"] == operations(scout)


def test_subscriptions(scout, cluster):
    from redis.cluster import RedisCluster

    client = RedisCluster(host="127.0.0.1", port=cluster)
    subscription = client.pubsub()
    with transaction(PAGE):
        subscription.subscribe("news")
        while (subscription.get_message(timeout=20) or {}).get("type") != "subscribe":
            pass
        client.publish("news", "hello")
    subscription.close()
    client.close()

    assert {"Redis/SUBSCRIBE", "Wait/PubSub", "Redis/PUBLISH"} == set(operations(scout))


def test_subscriptions_with_asyncio(scout, cluster):
    cluster_of_asyncio = pytest.importorskip("redis.asyncio.cluster", reason="not with this redis-py, which has none")
    if not hasattr(cluster_of_asyncio, "ClusterPubSub"):
        pytest.skip("not with this redis-py: subscriptions of such a client come with 8")

    async def page() -> None:
        async with cluster_of_asyncio.RedisCluster(host="127.0.0.1", port=cluster) as client:
            async with client.pubsub() as subscription:
                with transaction(PAGE):
                    await subscription.subscribe("news")
                    while ((await subscription.get_message(timeout=20)) or {}).get("type") != "subscribe":
                        pass

    asyncio.run(page())

    assert {"Redis/SUBSCRIBE", "Wait/PubSub"} == set(operations(scout))


def transactional(client):
    """Return a pipeline that is a transaction."""
    try:
        return client.pipeline(transaction=True)
    except Exception as refused:
        if "transaction is deprecated in cluster mode" not in str(refused):
            raise
        pytest.skip("not with this redis-py, which has no transactions of a cluster")
