"""What is run, unit by unit; each function of ``WORK`` prepares one workload and returns what runs so many units."""

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
    """W1: ten selects and a template."""
    return _get(agent, "/orders")


def hello(agent: Agent) -> Run:
    """W2: a constant."""
    return _get(agent, "/hello")


def mixed(agent: Agent) -> Run:
    """For memory: nine constants, then one of the others."""
    get = _client(agent).get

    def run(units: int) -> None:
        for number in range(units):
            get("/hello" if number % 10 else "/orders")

    return run


def flat(agent: Agent) -> Run:
    """W3: a transaction with 1000 spans, one after another."""
    transaction, span = agent.transaction, agent.span

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/flat"):
                for _ in range(FLAT):
                    with span("Custom/step"):
                        pass

    return run


def nested(agent: Agent) -> Run:
    """W3: a transaction with 100 spans, each inside the one before."""
    transaction, span = agent.transaction, agent.span

    def deeper(depth: int) -> None:
        with span("Custom/step"):
            if depth > 1:
                deeper(depth - 1)

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/nested"):
                deeper(DEEP)

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
    """1000 calls of a wrapped method where no transaction is open."""
    from bench.library import Store

    store = Store()

    def run(units: int) -> None:
        for _ in range(units):
            for _ in range(FLAT):
                store.fetch("key")

    return run


def _client(agent: Agent) -> Client:
    from bench.shop import Client, make_app, make_engine  # Flask is imported when the agent has started, if at all

    engine = make_engine()
    app = make_app(engine)
    agent.attach(app, engine)
    return Client(app)


def _get(agent: Agent, path: str) -> Run:
    get = _client(agent).get

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
