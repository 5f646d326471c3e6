"""The application of the request workloads: Flask, one Jinja2 template, and the database for those that query it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from flask import Flask, render_template
from jinja2 import DictLoader

if TYPE_CHECKING:
    from sqlalchemy import Engine

TEMPLATE = """<!doctype html>
<title>{{ title }}</title>
<ul>
{% for item in items %}<li class="{{ loop.cycle('odd', 'even') }}">{{ item.id }}: {{ item.name }}, {{ item.price }}</li>
{% endfor %}</ul>
"""


def make_app(engine: Engine | None) -> Flask:
    """
    Create the application: ``/hello`` returns a constant, ``/orders`` runs ten queries and renders a template.

    Args:
        engine: None: there is no ``/orders``, and SQLAlchemy is not imported.
    """
    app = Flask("shop")
    app.jinja_loader = DictLoader({"orders.html": TEMPLATE})

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    if engine is not None:
        from bench.database import read_items

        @app.get("/orders")
        def orders() -> str:
            return render_template("orders.html", title="Orders", items=read_items(engine))

    return app


def constant(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:  # Any: as in Client
    """Return a constant: a WSGI application without a framework."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


class Client:
    """Calls the application as a WSGI server does, but without sockets: they would cost more than what is measured."""

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
        Return the body of the response.

        Raises:
            RuntimeError: the status is not 200.
        """
        environ = {**self.environ, "PATH_INFO": path}
        statuses: list[str] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], error: object = None
        ) -> Callable[[bytes], object]:
            statuses.append(status)
            return statuses.append  # type: ignore[return-value]  # nobody writes through it

        response = self.app(environ, start_response)
        try:
            body = b"".join(response)
        finally:
            close = getattr(response, "close", None)
            if close is not None:
                close()
        if not statuses[0].startswith("200"):
            raise RuntimeError(f"{path} answered {statuses[0]}: {body[:200]!r}")
        return body
