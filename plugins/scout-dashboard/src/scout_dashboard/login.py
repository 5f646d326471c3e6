"""Logging in and out: one-time links, and the page of the sessions."""

from __future__ import annotations

from typing import Final

from attrs import asdict
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from scout_core.sending.protocol import LINKS, LOGIN
from scout_dashboard.access import Access
from scout_dashboard.access.browsers import describe_browser
from scout_dashboard.access.session_file import Session
from scout_dashboard.access.sessions import COOKIE, IDLE_SECONDS, LONGEST_SECONDS, MOST_SESSIONS
from scout_dashboard.access.tickets import VALID_SECONDS, TicketState
from scout_dashboard.options import OPEN_COMMAND
from scout_dashboard.pages import message_page, page_without_data
from scout_dashboard.views.links import base_of

_REFUSALS: Final = {
    TicketState.USED: ("This link was already used", "a link works once. This command makes another one", 410),
    TicketState.EXPIRED: (
        "This link has expired",
        f"a link works for {VALID_SECONDS // 60} minutes. This command makes another one",
        410,
    ),
    TicketState.UNKNOWN: (
        "This link is not valid",
        "it is incomplete, or from before the last restart of the dashboard. This command makes another one",
        404,
    ),
}
"""Title, text and status."""


class Login:
    """The routes; those that write the file of sessions run in a thread, as Starlette runs plain functions."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def routes(self) -> list[Route]:
        """Return all routes."""
        return [
            Route(LINKS, self.new_link, methods=["POST"]),
            Route(f"{LOGIN}/{{ticket}}", self.show_link, methods=["GET"]),
            Route(f"{LOGIN}/{{ticket}}", self.log_in, methods=["POST"]),
            Route("/sessions", self.sessions, methods=["GET"]),
            Route("/sessions/end", self.end_all, methods=["POST"]),
            Route("/sessions/{id}/end", self.end, methods=["POST"]),
            Route("/logout", self.log_out, methods=["POST"]),
        ]

    def new_link(self, request: Request) -> Response:
        """POST: a new login link, for ``scout-core open``."""
        return JSONResponse(asdict(self._access.new_links()), status_code=201)

    def show_link(self, request: Request) -> Response:
        """GET: a page with one button, because programs that preview a link must not use it up."""
        state = self._access.tickets.state(request.path_params["ticket"])
        return (
            page_without_data(request, "login.html", bare=True)
            if state is TicketState.VALID
            else _refusal(request, state)
        )

    def log_in(self, request: Request) -> Response:
        """POST: use the link up, and begin a session, which replaces that of the same browser."""
        state = self._access.tickets.redeem(request.path_params["ticket"])
        if state is not TicketState.VALID:
            return _refusal(request, state)
        if (before := _session(request)) is not None:
            self._access.sessions.end(before.id)
        secret = self._access.sessions.begin(describe_browser(request.headers.get("user-agent", "")))
        home = f"{base_of(request)}/"
        answer = RedirectResponse(home, status_code=303)
        answer.set_cookie(COOKIE, secret, max_age=LONGEST_SECONDS, path=home, httponly=True, samesite="strict")
        return answer

    def sessions(self, request: Request) -> Response:
        """GET: the browsers that are logged in."""
        return page_without_data(
            request,
            "sessions.html",
            active="/sessions",
            sessions=self._access.sessions.current(),
            this=_session(request),
            problem=self._access.sessions.problem,
            idle_hours=IDLE_SECONDS // 3_600,
            longest_days=LONGEST_SECONDS // 86_400,
            most=MOST_SESSIONS,
            command=OPEN_COMMAND,
        )

    def end(self, request: Request) -> Response:
        """POST: log out one browser."""
        id, this = request.path_params["id"], _session(request)
        if this is not None and this.id == id:
            return self.log_out(request)
        self._access.sessions.end(id)
        return RedirectResponse(f"{base_of(request)}/sessions", status_code=303)

    def end_all(self, request: Request) -> Response:
        """POST: log out all browsers, including this one."""
        self._access.sessions.end_all()
        return _logged_out(request, "no browser is logged in any longer. This command logs one in again")

    def log_out(self, request: Request) -> Response:
        """POST: log out this browser."""
        if (this := _session(request)) is not None:
            self._access.sessions.end(this.id)
        return _logged_out(request, "this command logs a browser in again")


def _session(request: Request) -> Session | None:
    session: Session | None = request.state.session
    return session


def _refusal(request: Request, state: TicketState) -> Response:
    title, text, status = _REFUSALS[state]
    return message_page(
        request, title=title, text=text, status=status, command=OPEN_COMMAND, is_bare=_session(request) is None
    )


def _logged_out(request: Request, text: str) -> Response:
    answer = message_page(request, title="Logged out", text=text, status=200, command=OPEN_COMMAND, is_bare=True)
    answer.delete_cookie(COOKIE, path=f"{base_of(request)}/", httponly=True, samesite="strict")
    return answer
