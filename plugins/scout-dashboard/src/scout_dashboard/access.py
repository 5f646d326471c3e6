"""Access control: the right host name, then the right token. Every other request is refused, even for unknown paths.

There are three secrets. The *login token* opens the dashboard, through the link that ``scout-core up`` prints or as
``Authorization: Bearer`` for the JSON API. The *session* is the browser's cookie after login; it is derived from the login
token, which cannot be recovered from it. The *ingest token* lets an agent send reports, and nothing else.
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

from scout_core.private_files import private_directory, read_private, write_private
from scout_core.sending.protocol import LOGIN_FILE

INGEST_FILE: Final = "dashboard-ingest-token"
_MIN_TOKEN_LENGTH: Final = 40
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
"""Sent with every response; files below ``/static/`` may be cached."""


@frozen
class Access:
    """The secrets of one collector and the host names that it accepts."""

    port: int
    login_token: str = field(repr=False)
    ingest_token: str = field(repr=False)
    _tickets: dict[str, float] = field(default=Factory(dict), repr=False)

    @property
    def cookie_name(self) -> str:
        """Includes the port: browsers send a host's cookies to all its ports, and two collectors must not log each other out."""
        return f"scout_dashboard_{self.port}"

    @property
    def session(self) -> str:
        """Value of the cookie."""
        return hmac.new(self.login_token.encode(), b"scout-dashboard session", hashlib.sha256).hexdigest()

    def is_host_allowed(self, hosts: Iterable[bytes]) -> bool:
        """
        Return whether a request has exactly one ``Host`` header and it names this collector.

        Any other name that resolves to this machine may belong to an attacker (DNS rebinding).
        """
        values = list(hosts)
        if len(values) != 1:
            return False
        name = values[0].lower()
        known = (b"localhost", b"127.0.0.1", b"[::1]")
        return name in {b"%s:%d" % (host, self.port) for host in known} or (self.port == 80 and name in known)

    def is_session(self, cookies: Mapping[str, str]) -> bool:
        """Return whether a request's cookies contain the session."""
        return _same(cookies.get(self.cookie_name, ""), self.session)

    def may_log_in(self, token: str, *, now: float | None = None) -> bool:
        """Return whether this is the login token or an unused, unexpired ticket; ``now`` is in monotonic seconds."""
        valid_until = self._tickets.pop(token, 0.0)
        return _same(token, self.login_token) or valid_until > (time.monotonic() if now is None else now)

    def may_read(self, authorization: Iterable[bytes]) -> bool:
        """Return whether a request's ``Authorization`` header contains the login token."""
        return _bearer(authorization, self.login_token)

    def may_report(self, authorization: Iterable[bytes]) -> bool:
        """Return whether a request's ``Authorization`` header contains the ingest token."""
        return _bearer(authorization, self.ingest_token)

    def ticket(self) -> str:
        """Return a token for one login within a minute: safe on a browser's command line, which other users can see."""
        ticket = secrets.token_urlsafe(32)
        self._tickets[ticket] = time.monotonic() + _TICKET_SECONDS
        return ticket


def read_access(state_dir: Path, *, port: int) -> Access:
    """
    Read the secrets from the state directory; create each one that is missing or that other users could have read.

    Removing a file replaces its secret at the next start.

    Raises:
        ScoutError: the directory is not private.
    """
    folder = private_directory(state_dir)
    return Access(port, _token(folder / LOGIN_FILE), _token(folder / INGEST_FILE))


def _token(path: Path) -> str:
    known = (read_private(path) or "").strip()
    if len(known) >= _MIN_TOKEN_LENGTH and known.isascii():
        return known
    token = secrets.token_urlsafe(32)
    write_private(path, token)
    return token


def _bearer(authorization: Iterable[bytes], token: str) -> bool:
    values = list(authorization)
    if len(values) != 1:
        return False
    scheme, _, given = values[0].decode("latin-1").partition(" ")
    return scheme.lower() == "bearer" and _same(given.strip(), token)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())
