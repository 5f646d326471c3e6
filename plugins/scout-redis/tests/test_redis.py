"""redis-py on a real server, without asyncio."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
import redis

from scout_core import span, transaction
from scout_core.testing import RecordedSpan

PAGE = "Controller/cart"


@pytest.fixture
def client(url: str) -> Iterator[redis.StrictRedis]:
    """A client with a connection that is open already: newer versions send commands of their own on a new one."""
    client = redis.StrictRedis.from_url(url)
    client.ping()
    yield client
    client.connection_pool.disconnect()


def seen(operation: str, error: str | None = None, **tags: object) -> RecordedSpan:
    return RecordedSpan(operation, tags, parent=PAGE, error=error)


def test_a_command_is_a_span_without_its_arguments(scout, client):
    with transaction(PAGE):
        assert client.set("session:17", "secret")
        assert b"secret" == client.get("session:17")
        assert {} != client.config_get("maxmemory")

    assert (seen("Redis/SET"), seen("Redis/GET"), seen("Redis/CONFIG GET")) == scout.transaction.spans
    assert "session" not in str(scout.report()) + str(scout.traces)
    assert "secret" not in str(scout.report()) + str(scout.traces)


def test_nothing_is_recorded_outside_of_a_transaction(scout, client):
    client.set("a", 1)

    assert [] == scout.spans


def test_a_failing_command_raises_its_own_error_and_is_a_span(scout, client):
    client.set("name", "tea")

    with transaction(PAGE), pytest.raises(redis.ResponseError) as raised:
        client.incr("name")

    assert (seen("Redis/INCRBY", error="redis.exceptions.ResponseError"),) == scout.transaction.spans
    assert "scout" not in str(raised.value)


def test_a_server_that_is_gone(scout):
    from scout_core.testing.servers import free_port

    client = redis.StrictRedis(port=free_port(), socket_connect_timeout=1)
    with transaction(PAGE), pytest.raises(redis.ConnectionError):
        client.get("a")
    client.connection_pool.disconnect()

    assert (seen("Redis/GET", error="redis.exceptions.ConnectionError"),) == scout.transaction.spans


@pytest.mark.parametrize("is_transaction", [True, False])
def test_a_pipeline_is_one_span(scout, client, is_transaction):
    with transaction(PAGE):
        pipe = client.pipeline(transaction=is_transaction)
        pipe.set("a", 1).incr("a").get("a")
        assert [True, 2, b"2"] == pipe.execute()

    assert (seen("Redis/MULTI", commands=3),) == scout.transaction.spans


def test_an_empty_pipeline_sends_nothing_and_is_no_span(scout, client):
    with transaction(PAGE):
        assert [] == client.pipeline().execute()

    assert () == scout.transaction.spans


def test_a_pipeline_of_the_class_redis(scout, url):
    client = redis.Redis.from_url(url)
    client.ping()
    with transaction(PAGE):
        assert 1 == client.incr("a")
        assert [2] == client.pipeline().incr("a").execute()
    client.connection_pool.disconnect()

    assert (seen("Redis/INCRBY"), seen("Redis/MULTI", commands=1)) == scout.transaction.spans


def test_a_pipeline_that_watches_sends_each_command_at_once(scout, client):
    client.set("stock", 5)

    with transaction(PAGE):
        with client.pipeline() as pipe:
            pipe.watch("stock")
            left = int(pipe.get("stock"))
            pipe.multi()
            pipe.set("stock", left - 1)
            pipe.execute()

    assert [seen("Redis/WATCH"), seen("Redis/GET"), seen("Redis/MULTI", commands=1)] == list(scout.transaction.spans)[
        :3
    ]
    assert b"4" == client.get("stock")


def test_another_client_was_faster(scout, client):
    with transaction(PAGE), pytest.raises(redis.WatchError), client.pipeline() as pipe:
        pipe.watch("stock")
        client.set("stock", 9)
        pipe.multi()
        pipe.set("stock", 1)
        pipe.execute()

    assert seen("Redis/MULTI", error="redis.exceptions.WatchError", commands=1) in scout.transaction.spans
    assert b"9" == client.get("stock")


def test_a_script_and_a_lock_consist_of_commands(scout, client):
    double = client.register_script("return 2 * ARGV[1]")

    with transaction(PAGE):
        assert 42 == double(args=[21])
        with client.lock("door", timeout=10):
            pass

    operations = [recorded_span.operation for recorded_span in scout.transaction.spans]
    assert ["Redis/EVALSHA", "Redis/SCRIPT LOAD", "Redis/EVALSHA"] == operations[:3]
    assert {"Redis/EVALSHA"} == set(operations[3:]) - {"Redis/SCRIPT LOAD", "Redis/SET"}  # by version


def test_waiting_is_a_kind_of_its_own(scout, client):
    def later() -> None:
        client.rpush("queue", "job")

    with transaction(PAGE):
        helper = Thread(target=later)
        helper.start()
        assert (b"queue", b"job") == client.blpop("queue", timeout=20)
        helper.join()

    assert (seen("Wait/BLPOP"),) == scout.transaction.spans


def test_the_wait_for_a_message(scout, client):
    subscription = client.pubsub(ignore_subscribe_messages=True)
    with transaction(PAGE):
        subscription.subscribe("news")
        client.publish("news", "hello")
        message = next(iter(subscription.listen()))
        assert (b"news", b"hello") == (message["channel"], message["data"])
    subscription.close()

    operations = [recorded_span.operation for recorded_span in scout.transaction.spans]
    assert ["Redis/SUBSCRIBE", "Redis/PUBLISH"] == operations[:2]
    assert {"Wait/PubSub"} == set(operations[2:])


@pytest.mark.scout(plugin_options={"redis": {"record_keys": True}})
def test_keys_are_recorded_when_asked_for(scout, client):
    with transaction(PAGE):
        client.set("cart:17", "secret")
        client.get(b"cart:17")
        client.echo("secret")

    assert (
        seen("Redis/SET", key="cart:17"),
        seen("Redis/GET", key="cart:17"),
        seen("Redis/ECHO"),
    ) == scout.transaction.spans


def test_the_spans_of_many_threads_have_the_right_parents(scout, client):
    def page(number: int) -> None:
        with transaction(f"Controller/{number}"), span(f"Part/{number}"):
            for _ in range(20):
                assert 1 <= client.incr(f"n{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(page, range(50)))

    assert 50 == len(scout.transactions)
    for recorded in scout.transactions:
        number = recorded.operation.partition("/")[2]
        commands = [recorded_span for recorded_span in recorded.spans if recorded_span.operation == "Redis/INCRBY"]
        assert 20 * [f"Part/{number}"] == [recorded_span.parent for recorded_span in commands]


def test_a_client_of_a_subclass(scout, url):
    class Shop(redis.Redis):
        def execute_command(self, *arguments, **options):
            return super().execute_command(*arguments, **options)

    client = Shop.from_url(url)
    client.ping()
    with transaction(PAGE):
        assert client.set("a", 1)
    client.connection_pool.disconnect()

    assert (seen("Redis/SET"),) == scout.transaction.spans
