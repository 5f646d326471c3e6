"""The application of the ASGI workload: Starlette, with an endpoint that returns a constant."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def hello(request: Request) -> PlainTextResponse:
    """Return a constant."""
    return PlainTextResponse("hello")


def make_asgi_app() -> Starlette:
    """Create the application."""
    return Starlette(routes=[Route("/hello", hello)])
