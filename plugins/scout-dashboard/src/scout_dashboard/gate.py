"""The gate in front of every route: checks host name and login, sets security headers, and hides tracebacks."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scout_core.log import Log
from scout_core.sending.protocol import LOGIN, REPORTS, Failure
from scout_dashboard import pages
from scout_dashboard.access import SECURITY_HEADERS, Access
from scout_dashboard.tally import Tally

STATIC: Final = "/static/"
FAILURE_TEXT: Final = "internal error in the dashboard; details are in its standard error output"
_CONTINUE_PAGE: Final = (
    '<!doctype html><meta http-equiv="refresh" content="0; url=/"><link rel="icon" href="/static/icon.svg">'
    '<title>Scout</title><a href="/">Continue</a>'
)
_COOKIE_SECONDS: Final = 30 * 86_400

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
                _secure(message, is_static=scope["path"].startswith(STATIC))
            await send(message)

        try:
            await (self._refusal(scope) or self._app)(scope, receive, send_with_headers)
        except Exception as error:  # noqa: BLE001  # last resort: log our own bug as one line, not as a traceback
            log.error("%s %s failed: %s: %s", scope["method"], scope["path"][:200], type(error).__name__, error)
            if not started:
                await PlainTextResponse(FAILURE_TEXT, status_code=500)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        path: str = scope["path"]
        if not path.startswith("/") or not self._access.is_host_allowed(_headers(scope, b"host")):
            return PlainTextResponse("Unknown host name; use http://127.0.0.1 with the port.\n", status_code=421)
        if path == LOGIN:
            return self._login(Request(scope))
        if path == REPORTS or path.startswith(STATIC):
            return None  # reports have their own token, and static files contain no secrets
        if self._access.is_session(Request(scope).cookies):
            self._tally.note_view()
            return None
        if path.startswith("/api/") and self._access.may_read(_headers(scope, b"authorization")):
            self._tally.note_view()
            return None
        text = "open the link that 'scout-core up' printed; it contains the login token"
        return error_response(Request(scope), 401, "Please log in", text)

    def _login(self, request: Request) -> Response:
        if request.method != "GET":
            return PlainTextResponse("Method Not Allowed\n", status_code=405, headers={"Allow": "GET"})
        if not self._access.may_log_in(request.query_params.get("token", "")):
            text = (
                "the token in this link is invalid or expired; open the link that 'scout-core up' printed most recently"
            )
            return error_response(request, 403, "Invalid login link", text)
        answer = _redirect_home(request)
        answer.set_cookie(
            self._access.cookie_name,
            self._access.session,
            max_age=_COOKIE_SECONDS,
            path="/",
            httponly=True,
            samesite="strict",
        )
        return answer


def _redirect_home(request: Request) -> Response:
    """
    Redirect to the first page.

    After a click on another site, such as a terminal in the browser, the browser does not send a strict cookie with a
    redirect. A page of our own that refreshes to the first page starts a new, same-site navigation.
    """
    if request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return RedirectResponse("/", status_code=303)
    return HTMLResponse(_CONTINUE_PAGE)


def error_response(request: Request, status: int, title: str, text: str) -> Response:
    """Return an error: JSON below ``/api/``, otherwise a page."""
    if request.url.path.startswith("/api/"):
        headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return JSONResponse(Failure(error=text).facts(), status_code=status, headers=headers)
    return pages.message_page(request, title=title, text=text, status=status)


def _secure(message: Message, *, is_static: bool) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    if is_static and message["status"] in (200, 304):
        # Cached, but revalidated each time: another version may run on this port tomorrow.
        headers["cache-control"] = "no-cache"


def _headers(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key == name]
