"""The gate in front of every route: checks host name and login, sets security headers, and hides tracebacks."""

from __future__ import annotations

from functools import cache
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scout_core.log import Log
from scout_core.sending.protocol import API, LOGIN, LOGIN_FILE, REPORTS, Failure
from scout_dashboard import pages
from scout_dashboard.access import SECURITY_HEADERS, Access
from scout_dashboard.access.origins import SAFE_METHODS, is_from_our_page, session_cookies
from scout_dashboard.marking import DEPLOYS
from scout_dashboard.options import OPEN_COMMAND
from scout_dashboard.tally import Tally
from scout_dashboard.views.links import STATIC, path_of

FAILURE_TEXT: Final = "internal error in the dashboard; details are in its standard error output"

log = Log("scout_core.dashboard")


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, access: Access, tally: Tally) -> None:
        self._app = app
        self._access = access
        self._tally = tally

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it to the application."""
        if scope["type"] != "http":
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                _secure(message, is_static=path_of(Request(scope)).startswith(STATIC))
            await send(message)

        try:
            await (self._refusal(scope) or self._app)(scope, receive, send_with_headers)
            if self._access.sessions.is_save_due:
                await run_in_threadpool(self._access.sessions.save)
        except Exception as error:  # noqa: BLE001  # last resort: log our own bug as one line, not as a traceback
            log.error("%s %s failed: %s: %s", scope["method"], scope["path"][:200], type(error).__name__, error)
            if not started:
                await PlainTextResponse(FAILURE_TEXT, status_code=500)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        hosts = _headers(scope, b"host")
        if not scope["path"].startswith("/") or not self._access.addresses.is_accepted(hosts):
            return PlainTextResponse("Unknown host name; use http://127.0.0.1 with the port.\n", status_code=421)
        base = self._access.addresses.base(hosts[0], scope["path"])
        scope.setdefault("state", {})["base"] = scope["root_path"] = base or ""
        request = Request(scope)
        path = path_of(request)
        if not path:  # a browser sends the cookie only below the slash
            return RedirectResponse(f"{base}/", status_code=308)
        if path.startswith(STATIC):
            return None  # static files contain no secrets
        if path == REPORTS:
            return self._unauthorized_report(request)
        if path == DEPLOYS and request.method == "POST":
            is_allowed = self._access.may_report(_headers(scope, b"authorization"))
            return None if is_allowed else _UNAUTHORIZED_REPORT
        if path.startswith(f"{API}/"):
            return self._unauthorized(request)
        if base is None:
            return login_page(base)
        if request.method not in SAFE_METHODS and not is_from_our_page(request):
            return error_response(request, 403, "Refused", "this request did not come from a page of the dashboard")
        session = self._access.sessions.find(session_cookies(request))
        scope["state"]["session"] = session
        if path.startswith(f"{LOGIN}/"):
            return None  # a login link is its own secret
        if session is None:
            return login_page(base)
        self._tally.note_view()
        return None

    def _unauthorized(self, request: Request) -> Response | None:
        if self._access.may_read(_headers(request.scope, b"authorization")):
            self._tally.note_view()
            return None
        return _UNAUTHORIZED

    def _unauthorized_report(self, request: Request) -> Response | None:
        if self._access.may_report(_headers(request.scope, b"authorization")):
            return None
        if request.method != "POST":
            return _UNAUTHORIZED
        self._tally.count_rejected("unauthorized")
        return _UNAUTHORIZED_REPORT


def _unauthorized(text: str) -> Response:
    return JSONResponse(Failure(error=text).facts(), status_code=401, headers={"WWW-Authenticate": "Bearer"})


# Prepared, as strangers can request them without end.
_UNAUTHORIZED: Final = _unauthorized(
    f"send the token in the file {LOGIN_FILE} of the state directory as 'Authorization: Bearer …'"
)
_UNAUTHORIZED_REPORT: Final = _unauthorized(
    "missing or invalid token; agents read it from the collector's state directory"
)


@cache
def login_page(base: str | None) -> Response:
    """Return the page that explains how to log in."""
    text = "this command prints a link to the dashboard, and opens it in the browser. The link works once"
    request = Request({"type": "http", "path": "/", "query_string": b"", "headers": (), "state": {"base": base or ""}})
    return pages.message_page(request, title="Please log in", text=text, status=401, command=OPEN_COMMAND, is_bare=True)


def error_response(request: Request, status: int, title: str, text: str) -> Response:
    """Return an error: JSON below ``/api/``, otherwise a page."""
    if path_of(request).startswith("/api/"):
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return JSONResponse(Failure(error=text).facts(), status_code=status, headers=headers)
    is_bare = getattr(request.state, "session", None) is None
    return pages.message_page(request, title=title, text=text, status=status, is_bare=is_bare)


def _secure(message: Message, *, is_static: bool) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    if is_static and message["status"] in (200, 304):
        # Cached, but revalidated each time: another version may run on this port tomorrow.
        headers["cache-control"] = "no-cache"


def _headers(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]
