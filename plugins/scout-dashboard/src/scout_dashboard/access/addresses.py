"""
The addresses of the pages.

Browsers send the cookies of a host to all of its ports, and let all of them set cookies. On ``127.0.0.1`` these are the watched
application and every other program. The pages are therefore at a host name below ``localhost`` that only this collector uses, and
that cannot be guessed; it is resolved by the browser itself. Safari does not resolve it, so the pages are also below a path on
``127.0.0.1`` that cannot be guessed, to which their cookie is limited.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

ADDRESS_FILE: Final = "dashboard-address"
_SECRET: Final = re.compile(r"[a-z2-7]{26}")
_LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")


@frozen
class Addresses:
    """The host names that one collector accepts, and the two addresses of its pages."""

    port: int
    ip: str
    """``127.0.0.1`` or ``[::1]``."""
    secret: str = field(repr=False)
    """In the host name and in the path; the same after a restart, so bookmarks keep working."""

    @property
    def by_name(self) -> str:
        """The address of the pages, without a slash at the end."""
        return f"http://{self._name}:{self.port}"

    @property
    def by_ip(self) -> str:
        """The address of the pages for a browser that does not resolve names below ``localhost``."""
        return f"http://{self.ip}:{self.port}/{self.secret}"

    def is_accepted(self, hosts: Iterable[bytes]) -> bool:
        """
        Return whether a request has exactly one ``Host`` header and it names this collector.

        Any other name that resolves to this machine may belong to an attacker (DNS rebinding).
        """
        values = list(hosts)
        return len(values) == 1 and self._is_one_of((self._name, *_LOOPBACK), values[0])

    def base(self, host: bytes, path: str) -> str | None:
        """
        Return the part of the path that precedes the addresses of pages: empty, or a slash and the secret.

        None: there are no pages at this address, as browsers do not keep its cookies from other ports.
        """
        if self._is_one_of((self._name,), host):
            return ""
        first = path[1:].partition("/")[0]
        return f"/{self.secret}" if hmac.compare_digest(first.encode(), self.secret.encode()) else None

    @property
    def _name(self) -> str:
        return f"{self.secret}.localhost"

    def _is_one_of(self, names: Iterable[str], host: bytes) -> bool:
        given, suffix = host.lower(), f":{self.port}"
        known = [name + suffix for name in names] + [name for name in names if self.port == 80]
        return any(hmac.compare_digest(given, name.encode()) for name in known)


def new_secret() -> str:
    """Return 130 random bits as 26 letters and digits, which a host name may consist of."""
    return base64.b32encode(secrets.token_bytes(17)).decode("ascii")[:26].lower()


def is_secret(text: str) -> bool:
    """Return whether ``new_secret`` could have returned this."""
    return _SECRET.fullmatch(text) is not None
