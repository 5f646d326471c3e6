"""The second service: a supplier that knows what is in stock, and now and then answers something odd."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from time import sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

ODD_ONE_IN = 12


def supplier(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """A WSGI application; it takes a few milliseconds, as a service on another machine would."""
    sleep(random.uniform(0.001, 0.006))  # noqa: S311
    what = environ["PATH_INFO"].split("/")[1]
    answer: dict[str, object] = {"pieces": random.randrange(50)}  # noqa: S311
    if what == "suggestions":
        answer = {"numbers": random.sample(range(1, 241), 6)} if random.randrange(ODD_ONE_IN) else {"sold_out": True}  # noqa: S311
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
