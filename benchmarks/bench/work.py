"""The workloads: each function in ``WORK`` prepares one, and returns a function that runs a number of units."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from bench import work_api, work_queues
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


def django(agent: Agent) -> Run:
    """W1 with Django: its own queries and templates."""
    from bench.django_shop import make_django_app
    from bench.shop import Client

    return _getting(Client(make_django_app(agent.attach_django)), "/orders")


def starlette(agent: Agent) -> Run:
    """W2 as an ASGI application: a request that returns a constant."""
    from bench.asgi import AsgiClient
    from bench.asgi_shop import make_asgi_app

    app = make_asgi_app()
    agent.attach_starlette(app)
    return AsgiClient(app).get


def wsgi(agent: Agent) -> Run:
    """A WSGI application without a framework that returns a constant, with the agent's middleware around it."""
    from bench.shop import Client, constant

    return _getting(Client(agent.around(constant)), "/hello")


def asgi(agent: Agent) -> Run:
    """The same with ASGI."""
    from bench.asgi import AsgiClient, constant

    return AsgiClient(agent.around_asgi(constant)).get


def statement(agent: Agent) -> Run:
    """100 statements of a driver whose connections get proxies."""
    from bench import modules_library

    transaction, cursor = agent.transaction, modules_library.connect().cursor()

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/statements"):
                for _ in range(DEEP):
                    cursor.execute("SELECT 1")

    return run


def http_call(agent: Agent) -> Run:
    """100 calls of an HTTP client that does nothing."""
    from bench.modules_library import Client

    transaction, send = agent.transaction, Client().send

    def run(units: int) -> None:
        for _ in range(units):
            with transaction("Job/http"):
                for _ in range(DEEP):
                    send("GET", "https://shop.example/items/17?page=2")

    return run


def job(agent: Agent) -> Run:
    """Jobs of a queue that do nothing."""
    from bench.modules_library import Worker

    perform = Worker().perform

    def run(units: int) -> None:
        for _ in range(units):
            perform("mail.send", "5f0c", {})

    return run


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
    return _getting(_client(agent, has_database=has_database), path)


def _getting(client: Client, path: str) -> Run:
    get = client.get

    def run(units: int) -> None:
        for _ in range(units):
            get(path)

    return run


WORK: Final[dict[str, Callable[[Agent], Run]]] = {
    "request": request,
    "hello": hello,
    "django": django,
    "starlette": starlette,
    "wsgi": wsgi,
    "asgi": asgi,
    "statement": statement,
    "http-call": http_call,
    "job": job,
    "celery-task": work_queues.celery_task,
    "huey-task": work_queues.huey_task,
    "redis-command": work_queues.redis_command,
    "mixed": mixed,
    "flat": flat,
    "nested": nested,
    "call": call,
    "call-outside": call_outside,
    "steps": work_api.steps,
    "error": work_api.error,
    "log": work_api.log,
    "propagate": work_api.propagate,
}
