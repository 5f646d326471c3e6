"""The application of the request workloads: Flask, SQLAlchemy on SQLite in memory, one Jinja2 template."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from flask import Flask, render_template
from jinja2 import DictLoader
from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, create_engine, select
from sqlalchemy.pool import StaticPool

SELECTS = 10
ITEMS = 50

TEMPLATE = """<!doctype html>
<title>{{ title }}</title>
<ul>
{% for item in items %}<li class="{{ loop.cycle('odd', 'even') }}">{{ item.id }}: {{ item.name }}, {{ item.price }}</li>
{% endfor %}</ul>
"""

items = Table(
    "items", MetaData(), Column("id", Integer, primary_key=True), Column("name", String), Column("price", Integer)
)


def make_engine() -> Engine:
    """One connection to a database in memory, with its rows."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    with engine.begin() as connection:
        items.metadata.create_all(connection)
        rows = [{"id": number, "name": f"Item <{number}>", "price": number * 7} for number in range(1, ITEMS + 1)]
        connection.execute(items.insert(), rows)
    return engine


def make_app(engine: Engine) -> Flask:
    """``/orders``: ten selects and a template; ``/hello``: a constant."""
    app = Flask("shop")
    app.jinja_loader = DictLoader({"orders.html": TEMPLATE})

    @app.get("/orders")
    def orders() -> str:
        with engine.connect() as connection:
            found = [
                connection.execute(select(items).where(items.c.id == number)).one() for number in range(1, SELECTS + 1)
            ]
        return render_template("orders.html", title="Orders", items=found)

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    return app


class Client:
    """Calls the application as a WSGI server does, without the sockets, which cost more than what is measured."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app
        self.environ: dict[str, Any] = {  # Any: WSGI puts texts, files and flags into it
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "QUERY_STRING": "page=2",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "localhost",
            "HTTP_USER_AGENT": "benchmark",
            "HTTP_ACCEPT": "text/html",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(),
            "wsgi.errors": BytesIO(),
            "wsgi.multithread": False,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }

    def get(self, path: str) -> bytes:
        """
        The body of the response.

        Raises:
            RuntimeError: the status is not 200.
        """
        environ = {**self.environ, "PATH_INFO": path}
        told: list[str] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], error: object = None
        ) -> Callable[[bytes], object]:
            told.append(status)
            return told.append  # type: ignore[return-value]  # nobody writes through it

        response = self.app(environ, start_response)
        try:
            body = b"".join(response)
        finally:
            close = getattr(response, "close", None)
            if close is not None:
                close()
        if not told[0].startswith("200"):
            raise RuntimeError(f"{path} answered {told[0]}: {body[:200]!r}")
        return body
