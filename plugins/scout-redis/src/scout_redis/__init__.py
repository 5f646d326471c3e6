"""
Redis commands as spans: ``Redis/GET``; a pipeline is one ``Redis/MULTI``.

A command that waits for others, not for the server, is ``Wait/BLPOP``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from scout_core import Span, hookimpl, span
from scout_redis.commands import MESSAGE, first_key, operation_of
from scout_redis.options import Options

if TYPE_CHECKING:
    from scout_core.boundary.wrap import Wrap

ASYNCIO: Final = "asyncio"
CLUSTER: Final = "cluster"
"""Parts that redis-py has since 4.1 and 4.2."""


@hookimpl
def register_options() -> type[Options]:
    """Return the options of this plugin."""
    return Options


@hookimpl
def instrument(wrap: Wrap, options: Options) -> None:
    """Time the method that every command of a client goes through, and the execution of pipelines."""
    describer = command_with_key if options.record_keys else command
    # Since 3.0 another name of Redis, before that its base class.
    wrap("redis.client:StrictRedis.execute_command", describer)
    wrap("redis.client:Pipeline.immediate_execute_command", describer)
    wrap("redis.client:Pipeline.execute", pipeline)
    wrap("redis.client:StrictPipeline.immediate_execute_command", describer, optional=True)  # before 3.0
    wrap("redis.client:StrictPipeline.execute", pipeline, optional=True)
    wrap("redis.client:PubSub.execute_command", command)
    wrap("redis.client:PubSub.parse_response", message)
    wrap("redis.asyncio.client:Redis.execute_command", describer, group=ASYNCIO)
    wrap("redis.asyncio.client:Pipeline.immediate_execute_command", describer, group=ASYNCIO)
    wrap("redis.asyncio.client:Pipeline.execute", pipeline, group=ASYNCIO)
    wrap("redis.asyncio.client:PubSub.execute_command", command, group=ASYNCIO)
    wrap("redis.asyncio.client:PubSub.parse_response", message, group=ASYNCIO)
    wrap("redis.cluster:RedisCluster.execute_command", describer, group=CLUSTER)
    wrap("redis.cluster:ClusterPipeline.execute", pipeline, group=CLUSTER)
    # The commands of a pipeline of a cluster that watches a key; it has such pipelines since 6.2.
    wrap("redis.cluster:TransactionStrategy._immediate_execute_command", describer, optional=True)
    wrap("redis.cluster:ClusterPubSub.execute_command", command, group=CLUSTER)
    wrap("redis.asyncio.cluster:RedisCluster.execute_command", describer, group=f"{ASYNCIO} {CLUSTER}")
    wrap("redis.asyncio.cluster:ClusterPipeline.execute", pipeline, group=f"{ASYNCIO} {CLUSTER}")
    wrap("redis.asyncio.cluster:TransactionStrategy._immediate_execute_command", describer, optional=True)
    wrap("redis.asyncio.cluster:ClusterPubSub.execute_command", command, optional=True)  # since 8


def command(client: object, /, *args: object, **options: object) -> Span:
    """Describe one command of a client, or of a pipeline that watches a key; its arguments are never recorded."""
    return span(operation_of(args))


def command_with_key(client: object, /, *args: object, **options: object) -> Span:
    """Describe one command with the first of its keys, as ``key``; absent for a command that has none there."""
    key = first_key(args)
    return span(operation_of(args)) if key is None else span(operation_of(args), key=key)


def pipeline(pipe: Any, /, *args: object, **kwargs: object) -> Span | None:
    """Describe the commands of a pipeline, which are sent together; None for an empty pipeline, which sends nothing."""
    commands = len(pipe)
    return span("Redis/MULTI", commands=commands) if commands or getattr(pipe, "watching", False) else None


def message(subscription: object, /, *args: object, **kwargs: object) -> Span:
    """Describe the wait for the next message of a subscription."""
    return span(MESSAGE)
