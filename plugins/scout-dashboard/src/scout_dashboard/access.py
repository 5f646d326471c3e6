"""Who may have an answer: the right host name, then the right token; everything else is refused, also what does not exist.

Three secrets. The *login token* opens the dashboard: by the link that ``scout-core up`` prints, or as ``Authorization: Bearer`` for
the JSON API. The *session* is what the browser keeps after that; it follows from the login token, but not the other way round.
The *ingest token* lets an agent send reports, and nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from attrs import Factory, field, frozen

from scout_core.sending.protocol import LOGIN_FILE
from scout_core.sending.rendezvous import private_directory, read_private, write_private

INGEST_FILE: Final = "dashboard-ingest-token"
_SHORTEST_TOKEN: Final = 40
_TICKET_SECONDS: Final = 60.0

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""On every answer; files below ``/static/`` may be cached."""


@frozen
class Access:
    """The secrets of one collector and the names it answers to."""

    port: int
    login_token: str = field(repr=False)
    ingest_token: str = field(repr=False)
    _tickets: dict[str, float] = field(default=Factory(dict), repr=False)

    @property
    def cookie_name(self) -> str:
        """With the port: browsers send cookies of one host to all its ports, and two collectors must not log each other out."""
        return f"scout_dashboard_{self.port}"

    @property
    def session(self) -> str:
        """The value of the cookie."""
        return hmac.new(self.login_token.encode(), b"scout-dashboard session", hashlib.sha256).hexdigest()

    def is_host_allowed(self, hosts: Iterable[bytes]) -> bool:
        """
        Whether a request's ``Host`` headers, there must be one, name this collector.

        Any other name that leads here may be somebody's who makes a browser ask in their stead (DNS rebinding).
        """
        values = list(hosts)
        if len(values) != 1:
            return False
        name = values[0].lower()
        known = (b"localhost", b"127.0.0.1", b"[::1]")
        return name in {b"%s:%d" % (each, self.port) for each in known} or (self.port == 80 and name in known)

    def is_session(self, cookies: Mapping[str, str]) -> bool:
        """Whether a request's cookies hold the session."""
        return _same(cookies.get(self.cookie_name, ""), self.session)

    def may_log_in(self, token: str, *, now: float | None = None) -> bool:
        """Whether this is the login token, or a ticket that is unused and good: ``now`` in monotonic seconds."""
        good_until = self._tickets.pop(token, 0.0)
        return _same(token, self.login_token) or good_until > (time.monotonic() if now is None else now)

    def may_read(self, authorization: Iterable[bytes]) -> bool:
        """Whether a request's ``Authorization`` headers hold the login token."""
        return _bearer(authorization, self.login_token)

    def may_report(self, authorization: Iterable[bytes]) -> bool:
        """Whether a request's ``Authorization`` headers hold the ingest token."""
        return _bearer(authorization, self.ingest_token)

    def ticket(self) -> str:
        """A token that logs in once, within a minute: fit for a browser's command line, which others may see."""
        ticket = secrets.token_urlsafe(32)
        self._tickets[ticket] = time.monotonic() + _TICKET_SECONDS
        return ticket


def read_access(state_dir: Path, *, port: int) -> Access:
    """
    The secrets that the state directory keeps, made when they are not there or when others could have read them.

    Remove a file to make its secret anew.

    Raises:
        ScoutError: the directory is not fit for secrets.
    """
    folder = private_directory(state_dir)
    return Access(port, _token(folder / LOGIN_FILE), _token(folder / INGEST_FILE))


def _token(path: Path) -> str:
    known = (read_private(path) or "").strip()
    if len(known) >= _SHORTEST_TOKEN and known.isascii():
        return known
    made = secrets.token_urlsafe(32)
    write_private(path, made)
    return made


def _bearer(authorization: Iterable[bytes], token: str) -> bool:
    values = list(authorization)
    if len(values) != 1:
        return False
    scheme, _, given = values[0].decode("latin-1").partition(" ")
    return scheme.lower() == "bearer" and _same(given.strip(), token)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
