"""The second service: a supplier with stock information, which occasionally sends an unexpected answer."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from time import sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ODD_RATIO = 12
"""One in this many suggestions is unexpected."""


def supplier(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A WSGI application with a latency of a few milliseconds, like a service on another machine."""
    sleep(random.uniform(0.001, 0.006))  # noqa: S311
    resource = environ["PATH_INFO"].split("/")[1]
    answer: dict[str, object] = {"pieces": random.randrange(50)}  # noqa: S311
    if resource == "suggestions":
        answer = {"numbers": random.sample(range(1, 241), 6)} if random.randrange(ODD_RATIO) else {"sold_out": True}  # noqa: S311
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
