"""
Access control: the right host name, then the right secret. Every other request is refused, even for unknown paths.

The *login token* opens the JSON API, and makes login links. A *login link* works once, within five minutes, and starts a *session*:
a cookie of one browser, which opens the pages. The *ingest token* lets an agent send reports, and nothing else.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from attrs import field, frozen

from scout_core.private_files import private_directory, read_private, write_private
from scout_core.sending.protocol import LOGIN, LOGIN_FILE, LinkAnswer
from scout_dashboard.access.addresses import ADDRESS_FILE, Addresses, is_secret, new_secret
from scout_dashboard.access.sessions import COOKIE, Sessions, read_sessions
from scout_dashboard.access.tickets import VALID_SECONDS, Tickets, TicketState

INGEST_FILE: Final = "dashboard-ingest-token"
_MIN_TOKEN_LENGTH: Final = 40
_SECRETS: Final = re.compile(
    rf"(?i:authorization:[ \t]*(?P<bearer>bearer [^\r\n]{{1,200}}))|{COOKIE}=(?P<session>[^;\s]{{1,200}})"
    rf"|{LOGIN}/(?P<ticket>[a-z2-7]{{1,200}})".encode("ascii")
)
_MOST_TRIED: Final = 20
"""Programs on other ports may have set cookies of the same name."""

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer, with which browsers send the forms of our own pages as "Origin: null" (Fetch, "append a request Origin header").
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Sent with every response; files below ``/static/`` may be cached."""


@frozen
class Access:
    """The secrets of one collector and its addresses."""

    addresses: Addresses
    login_token: str = field(repr=False)
    ingest_token: str = field(repr=False)
    sessions: Sessions = field(repr=False, eq=False)
    tickets: Tickets = field(repr=False, eq=False)

    def new_links(self) -> LinkAnswer:
        """Return a new login link, at both addresses; it works once."""
        ticket = self.tickets.issue()
        return LinkAnswer(
            by_name=f"{self.addresses.by_name}{LOGIN}/{ticket}",
            by_ip=f"{self.addresses.by_ip}{LOGIN}/{ticket}",
            valid_seconds=VALID_SECONDS,
        )

    def may_read(self, authorization: Iterable[bytes]) -> bool:
        """Return whether a request's ``Authorization`` header contains the login token."""
        return _bearer(authorization, self.login_token)

    def may_report(self, authorization: Iterable[bytes]) -> bool:
        """Return whether a request's ``Authorization`` header contains the ingest token."""
        return _bearer(authorization, self.ingest_token)

    def shows_secret(self, received: bytes) -> bool:
        """Return whether the beginning of a request seems to have a valid secret; it still has to be checked."""
        for found in islice(_SECRETS.finditer(received), _MOST_TRIED):
            bearer, session, ticket = found.group("bearer", "session", "ticket")
            if bearer is not None:
                is_valid = self.may_read([bearer.rstrip()]) or self.may_report([bearer.rstrip()])
            elif session is not None:
                is_valid = self.sessions.is_valid(session.decode("latin-1"))
            else:
                is_valid = self.tickets.state(ticket.decode("ascii")) is TicketState.VALID
            if is_valid:
                return True
        return False


def read_access(state_dir: Path, *, port: int, ip: str = "127.0.0.1", clock: Callable[[], float] = time.time) -> Access:
    """
    Read the secrets from the state directory; create each one that is missing or that other users could have read.

    Removing a file replaces its secret at the next start.

    Args:
        ip: the loopback address of the collector, as in a URL.
        clock: Unix time, which decides when links and sessions expire.

    Raises:
        ScoutError: the directory is not private.
    """
    folder = private_directory(state_dir)
    return Access(
        Addresses(port, ip, _secret(folder / ADDRESS_FILE, is_secret, new_secret)),
        _secret(folder / LOGIN_FILE, _is_token, _new_token),
        _secret(folder / INGEST_FILE, _is_token, _new_token),
        read_sessions(folder, clock=clock),
        Tickets(clock=clock),
    )


def _secret(path: Path, is_valid: Callable[[str], bool], new: Callable[[], str]) -> str:
    known = (read_private(path) or "").strip()
    if is_valid(known):
        return known
    made = new()
    write_private(path, made)
    return made


def _is_token(text: str) -> bool:
    return len(text) >= _MIN_TOKEN_LENGTH and text.isascii()


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _bearer(authorization: Iterable[bytes], token: str) -> bool:
    values = list(authorization)
    if len(values) != 1:
        return False
    scheme, _, given = values[0].decode("latin-1").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())
