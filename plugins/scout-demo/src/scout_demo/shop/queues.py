"""Publishes jobs to the queues of the shop, if it has any: without Redis, nothing is published."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from attrs import define, field
from redis import Redis
from rq import Queue, Retry
from rq.serializers import JSONSerializer

NAMES: Final = ("mail", "warehouse", "exports")
"""The queues, in the order in which the worker looks for jobs."""
_LONGEST_WAIT: Final = 600
"""Seconds after which RQ drops a job that no worker has taken, so that Redis does not grow."""


@define
class Queues:
    """The queues of one shop."""

    url: str | None
    """The URL of Redis; None: jobs are not published."""
    _queues: dict[str, Queue] = field(init=False)

    def __attrs_post_init__(self) -> None:
        connection = None if self.url is None else Redis.from_url(self.url)
        self._queues = {
            name: Queue(name, connection=connection, serializer=JSONSerializer)
            for name in NAMES
            if connection is not None
        }

    def publish(self, queue: str, job: Callable[..., None], *args: Any, retries: int = 0) -> None:  # Any: JSON
        """Put a job into a queue."""
        if queue in self._queues:
            self._queues[queue].enqueue(
                job,
                *args,
                retry=Retry(max=retries) if retries else None,
                ttl=_LONGEST_WAIT,
                result_ttl=0,
                failure_ttl=60,
            )
