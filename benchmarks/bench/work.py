"""The workloads: each function in ``WORK`` prepares one, and returns a function that runs a number of units."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bench.agents.protocol import Agent

if TYPE_CHECKING:
    from bench.shop import Client

FLAT: Final = 1000
DEEP: Final = 100

Run = Callable[[int], None]


def request(agent: Agent) -> Run:
    """W1: a request with ten selects and a template."""
    return _get(agent, "/orders", has_database=True)


def hello(agent: Agent) -> Run:
    """W2: a request that returns a constant."""
    return _get(agent, "/hello", has_database=False)


def mixed(agent: Agent) -> Run:
    """For memory: nine requests of W2, then one of W1."""
    get = _client(agent, has_database=True).get

    def run(units: int) -> None:
        for number in range(units):
            get("/hello" if number % 10 else "/orders")

    return run


def flat(agent: Agent) -> Run:
    """W3: a transaction with 1000 consecutive spans."""
    transaction, span = agent.transaction, agent.span

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/flat"):
                for _ in range(FLAT):
                    with span("Custom/step"):
                        pass

    return run


def nested(agent: Agent) -> Run:
    """W3: a transaction with 100 spans, each inside the previous one."""
    transaction, span = agent.transaction, agent.span

    def nest(depth: int) -> None:
        with span("Custom/step"):
            if depth > 1:
                nest(depth - 1)

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/nested"):
                nest(DEEP)

    return run


def call(agent: Agent) -> Run:
    """1000 calls of a wrapped method in a transaction."""
    transaction, run_outside = agent.transaction, call_outside(agent)

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/calls"):
                run_outside(1)

    return run


def call_outside(agent: Agent) -> Run:
    """1000 calls of a wrapped method outside a transaction."""
    from bench.library import Store

    store = Store()

    def run(units: int) -> None:
        for _ in range(units):
            for _ in range(FLAT):
                store.fetch("key")

    return run


def _client(agent: Agent, *, has_database: bool) -> Client:
    from bench.shop import Client, make_app  # after the agent has started; workloads without requests have no Flask

    engine = None
    if has_database:
        from bench.database import make_engine

        engine = make_engine()
    app = make_app(engine)
    agent.attach(app, engine)
    return Client(app)


def _get(agent: Agent, path: str, *, has_database: bool) -> Run:
    get = _client(agent, has_database=has_database).get

    def run(units: int) -> None:
        for _ in range(units):
            get(path)

    return run


WORK: Final[dict[str, Callable[[Agent], Run]]] = {
    "request": request,
    "hello": hello,
    "mixed": mixed,
    "flat": flat,
    "nested": nested,
    "call": call,
    "call-outside": call_outside,
}
