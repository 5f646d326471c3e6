"""Private Redis servers: one for each session, and a cluster of three nodes where a test needs it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from scout_core.testing.servers import free_port, installed, redis_server


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def url(server: str) -> str:
    """An empty database."""
    import redis

    client = redis.StrictRedis.from_url(server)
    client.flushdb()
    client.connection_pool.disconnect()
    return server


@pytest.fixture(scope="session")
def cluster() -> Iterator[int]:
    """The port of a node of a cluster."""
    pytest.importorskip("redis.cluster", reason="not with this redis-py, which has no cluster client")
    program = installed("redis-cli", package="redis-tools")
    with ExitStack() as servers:
        urls = [
            servers.enter_context(redis_server("--cluster-enabled", "yes", "--cluster-port", str(free_port())))
            for _ in range(3)
        ]
        nodes = [url.removeprefix("redis://").partition("/")[0] for url in urls]
        made = subprocess.run(
            [program, "--cluster", "create", *nodes, "--cluster-replicas", "0", "--cluster-yes"],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert 0 == made.returncode, made.stdout + made.stderr
        for node in nodes:
            host, port = node.split(":")
            _wait_for_state([program, "-h", host, "-p", port, "cluster", "info"])
        yield int(nodes[0].partition(":")[2])


def _wait_for_state(command: list[str]) -> None:
    import time

    deadline = time.monotonic() + 30
    while "cluster_state:ok" not in subprocess.run(command, capture_output=True, text=True, timeout=10).stdout:
        assert time.monotonic() < deadline, "the cluster is not ready"
        time.sleep(0.05)
