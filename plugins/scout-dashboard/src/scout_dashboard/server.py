"""The ASGI application: intake, API and pages behind the gate."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from scout_core.sending.protocol import REPORTS
from scout_dashboard import api, pages
from scout_dashboard.access import Access
from scout_dashboard.errors import StoreError
from scout_dashboard.gate import FAILURE_TEXT, Gate, error_response
from scout_dashboard.intake import MAX_BYTES, READ_SECONDS, Intake
from scout_dashboard.login import Login
from scout_dashboard.marker_intake import MarkerIntake
from scout_dashboard.marking import DEPLOYS
from scout_dashboard.queries import Queries
from scout_dashboard.tally import Tally
from scout_dashboard.views.links import JSON
from scout_dashboard.writer import Writer


def build_app(
    *,
    access: Access,
    writer: Writer,
    queries: Queries,
    tally: Tally,
    read_seconds: float = READ_SECONDS,
    max_report_bytes: int = MAX_BYTES,
) -> ASGIApp:
    """
    Build the dashboard as an ASGI application.

    Args:
        read_seconds: time limit for receiving the body of a report.
    """
    intake = Intake(writer, tally, read_seconds=read_seconds, max_bytes=max_report_bytes)
    app = Starlette(
        routes=[
            Route(REPORTS, intake.__call__, methods=["POST"]),
            Route(DEPLOYS, MarkerIntake(writer, read_seconds=read_seconds).__call__, methods=["POST"]),
            *Login(access).routes(),
            *api.routes(),
            *api.routes(JSON),
            *pages.routes(),
        ],
        exception_handlers={HTTPException: _http_error, StoreError: _store_unavailable, Exception: _internal_error},
    )
    app.state.queries = queries
    return Gate(app, access, tally)


def _http_error(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    text = "no page at this address"
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = " or ".join(sorted(headers.get("Allow", "GET, HEAD").split(", ")))
        text = f"method {request.method[:20]} is not allowed here; use {allowed}"
    answer = error_response(request, status, HTTPStatus(status).phrase, text)
    answer.headers.update(headers)
    return answer


def _store_unavailable(request: Request, error: Exception) -> Response:
    return error_response(request, 503, "The store cannot be read", str(error))


def _internal_error(request: Request, _: Exception) -> Response:
    return error_response(request, 500, "Internal error", FAILURE_TEXT)
